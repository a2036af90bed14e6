//! Too many requests, failed authentications and slow bodies: refused in words, and only to those who send them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use magnum_listen::BodyTooSlow;

use crate::support::{Answer, Ask, Service};

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn from(address: &str, ask: Ask) -> Request<Body> {
    let mut request = ask.build();
    request.extensions_mut().insert(ConnectInfo(address.parse::<SocketAddr>().unwrap()));
    request
}

/// Sends the same until it is too much. How soon depends on the machine: room comes back while requests are served.
async fn until_refused(service: &Service, ask: impl Fn() -> Request<Body>, before: u16) -> Answer {
    for _ in 0..1000 {
        let answer = service.send(ask()).await;
        if answer.status == 429 {
            return answer;
        }
        assert_eq!(answer.status, before, "{}", answer.text);
    }
    panic!("a thousand requests were not too many")
}

fn assert_says_when(answer: &Answer, what: &str) {
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!(seconds >= 1);
    assert_eq!(answer.detail(), format!("{what}. Try again in {seconds} s."));
    assert_eq!(answer.json["errors"][0]["code"], "client");
    assert_eq!(answer.json["errors"][0]["title"], what);
}

#[tokio::test]
async fn a_project_has_only_so_many_requests() {
    let service = Service::with(|options| {
        options.rates.requests_per_second = Some(number(1));
        options.rates.request_burst = number(3);
    })
    .await;
    let list = |user: &'static str| move || Ask::new("GET", "/v1/clusters").user(user).build();
    let answer = until_refused(&service, list("alice"), 200).await;
    assert_says_when(&answer, "There are too many requests of this project");
    assert_eq!(answer.header("openstack-api-version"), "container-infrastructure-management 1.14");
    until_refused(&service, list("carol"), 200).await;
    service.get("dave", "/v1/clusters").await.expect(200);
    service.send(Ask::new("GET", "/v1").build()).await.expect(200);
    let metrics = service.send(from("127.0.0.1:1", Ask::new("GET", "/metrics"))).await.expect(200).text;
    assert!(metrics.contains("magnum_api_limited_total{what=\"requests\"} 2"), "{metrics}");
}

/// Whatever changes something counts, for its user; whatever shows something does not.
#[tokio::test]
async fn a_user_changes_only_so_much() {
    for (method, path) in [
        ("POST", "/v1/clusters"),
        ("PATCH", "/v1/clusters/c"),
        ("DELETE", "/v1/clusters/c"),
        ("POST", "/v1/clustertemplates"),
        ("PATCH", "/v1/clustertemplates/t"),
        ("POST", "/v1/certificates"),
        ("POST", "/v1/clusters/c/actions/resize"),
        ("POST", "/v1/quotas"),
    ] {
        let service = Service::with(|options| {
            options.rates.writes_per_second = Some(number(1));
            options.rates.write_burst = number(3);
        })
        .await;
        let ask = |user: &str| Ask::new(method, path).user(user).build();
        let before = service.send(ask("alice")).await.status.as_u16();
        let answer = until_refused(&service, || ask("alice"), before).await;
        assert_says_when(&answer, "There are too many changes of this user");
        service.get("alice", "/v1/clusters").await.expect(200);
        assert_ne!(service.send(ask("carol")).await.status, 429, "{method} {path}");
    }
}

#[tokio::test]
async fn an_address_fails_only_so_often() {
    let service = Service::with(|options| options.rates.failures_per_minute = Some(number(3))).await;
    let list =
        |address: &'static str, user: &'static str| move || from(address, Ask::new("GET", "/v1/clusters").user(user));
    for user in ["nobody", ""] {
        let answer = until_refused(&service, list("192.0.2.1:7", user), 401).await;
        assert_says_when(&answer, "There are too many failed authentications from this address");
    }
    // The same proxy perhaps: whoever is known is served.
    service.send(list("192.0.2.1:8", "alice")()).await.expect(200);
    service.send(list("192.0.2.2:7", "nobody")()).await.expect(401);
    // A customer's network of IPv6 is one address.
    until_refused(&service, list("[2001:db8::1]:7", "nobody"), 401).await;
    service.send(list("[2001:db8::2]:7", "nobody")()).await.expect(429);
    service.send(list("[2001:db8:1::1]:7", "nobody")()).await.expect(401);
    // An identity service that is down is nobody's fault.
    for _ in 0..10 {
        service.send(list("192.0.2.3:7", "unavailable")()).await.expect(503);
    }
}

#[tokio::test]
async fn ordinary_load_is_never_too_much() {
    let service = Service::with(|options| {
        options.rates.requests_per_second = Some(number(20_000));
        options.rates.failures_per_minute = Some(number(600));
    })
    .await;
    for _ in 0..300 {
        service.send(from("192.0.2.1:7", Ask::new("GET", "/v1/stats").user("alice"))).await.expect(200);
        service.send(from("192.0.2.1:7", Ask::new("GET", "/v1/stats").user("nobody"))).await.expect(401);
    }
}

#[tokio::test]
async fn a_body_that_did_not_come_in_time_is_408() {
    let service = Service::with(|_| {}).await;
    let begun = futures::stream::once(async { Ok::<_, BodyTooSlow>(Bytes::from_static(b"{\"name\": ")) });
    let never = futures::StreamExt::chain(
        begun,
        futures::stream::once(async { Err(BodyTooSlow { limit: Duration::from_secs(60) }) }),
    );
    let ask = Ask::new("POST", "/v1/clusters").user("alice").header("content-type", "application/json").build();
    let answer = service.send(ask.map(|_| Body::from_stream(never))).await.expect(408);
    assert!(answer.detail().starts_with("The request body has not come within"), "{}", answer.text);
    assert_eq!(answer.header("connection"), "close");
}
