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
async fn health_has_the_forms_of_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disabled");
    for detailed in [false, true] {
        let service = Service::with(|options| {
            options.health.disable_by_file = Some(file.clone());
            options.health.detailed = detailed;
        })
        .await;
        for (status, reason) in [(200, "OK"), (503, "DISABLED BY FILE")] {
            if status == 503 {
                std::fs::write(&file, "").unwrap();
            }
            let ask = |method: &str, accept: &str| Ask::new(method, "/healthcheck").header("accept", accept);
            for accept in ["", "*/*", "text/plain", "application/xml"] {
                let answer = service.send(ask("GET", accept).build()).await.expect(status);
                assert_eq!(answer.text, reason, "{accept}");
                assert_eq!(answer.header("content-type"), "text/plain; charset=UTF-8");
            }
            let head = service.send(ask("HEAD", "").build()).await.expect(if status == 200 { 204 } else { 503 });
            assert_eq!(head.text, "");
            for accept in ["application/json", "text/html;q=0.5,application/json"] {
                let answer = service.send(ask("GET", accept).build()).await.expect(status);
                assert_eq!(answer.header("content-type"), "application/json");
                assert_eq!(answer.json["detailed"], json!(detailed));
                let first = &answer.json["reasons"][0];
                if detailed {
                    assert_eq!((&first["class"], &first["reason"]), (&json!("DisableByFile"), &json!(reason)));
                    assert!(first["details"].as_str().unwrap().starts_with("Path '"));
                    assert!(answer.json["version"].is_string() && answer.json["platform"].is_string());
                } else {
                    assert_eq!(answer.json["reasons"], json!([reason, "OK"]));
                    assert_eq!(answer.json.as_object().unwrap().len(), 2, "nothing else is told");
                    assert!(answer.text.starts_with("{\n    \"detailed\": false,\n"), "{}", answer.text);
                }
            }
            let html = service.send(ask("GET", "text/html").build()).await.expect(status);
            assert!(html.text.contains(&format!("<td>{reason}</td>")), "{}", html.text);
            assert_eq!(html.text.contains("DisableByFile"), detailed);
        }
        std::fs::remove_file(&file).unwrap();
    }
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
