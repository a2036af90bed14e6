use std::net::SocketAddr;

use axum::extract::ConnectInfo;

use serde_json::json;

use crate::fixtures::template;
use crate::support::{Ask, Service};

#[tokio::test]
async fn health_is_the_databases() {
    let service = Service::start().await;
    let answer = service.send(Ask::new("GET", "/healthcheck").build()).await.expect(200);
    assert_eq!(answer.text, "OK");
    service.store.close().await;
    let answer = service.send(Ask::new("GET", "/healthcheck").build()).await.expect(503);
    assert!(answer.text.contains("the database"), "{}", answer.text);
    let answer = service.get("alice", "/v1/clusters").await.expect(503);
    assert_eq!(answer.detail(), "The database is not available. Try again shortly.");
}

#[tokio::test]
async fn metrics_are_for_this_machine() {
    let service = Service::start().await;
    service.get("alice", "/v1/clusters").await.expect(200);
    service.get("alice", "/v1/clusters/nope").await.expect(404);
    service.get("alice", "/no/such/path").await.expect(404);
    let from = |peer: &str, proxied: bool| {
        let ask = Ask::new("GET", "/metrics").header("x-forwarded-for", if proxied { "1.2.3.4" } else { "" });
        let mut request = ask.build();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        request
    };
    for peer in ["127.0.0.1:5000", "[::1]:5000", "[::ffff:127.0.0.1]:5000"] {
        let text = service.send(from(peer, false)).await.expect(200).text;
        for line in [
            "magnum_api_requests_total{method=\"GET\",route=\"/v1/clusters\",status=\"200\"} 1",
            "magnum_api_requests_total{method=\"GET\",route=\"/v1/clusters/{cluster_ident}\",status=\"404\"} 1",
            "magnum_api_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
            "magnum_api_requests_in_flight 1",
            "magnum_api_request_seconds_count{method=\"GET\",route=\"/v1/clusters\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
    service.send(from("10.0.0.1:5000", false)).await.expect(403);
    service.send(from("127.0.0.1:5000", true)).await.expect(403);
    let open = Service::with(|options| options.public_metrics = true).await;
    open.send(from("10.0.0.1:5000", false)).await.expect(200);
}

#[tokio::test]
async fn a_bug_is_answered_with_a_document_that_tells_nothing() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let body = json!({"cluster_template_id": template, "labels": {"bug": "yes"}});
    let answer = service.post("alice", "/v1/clusters", body).await.expect(500);
    assert_eq!(answer.json["errors"][0]["code"], "server");
    assert!(answer.detail().starts_with("An unexpected error") && !answer.text.contains("42"), "{}", answer.text);
    assert!(answer.header("x-openstack-request-id").starts_with("req-"));
    service.get("alice", "/v1/clusters").await.expect(200);
}
