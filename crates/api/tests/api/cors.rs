//! Requests of pages of other origins, as oslo.middleware answers them.

use std::collections::BTreeMap;
use std::time::Duration;

use magnum_api::CorsRule;
use serde::Deserialize;

use crate::support::{Answer, Ask, Service};

/// What oslo.middleware 8.2 answered with upstream's defaults: settings by name, method, headers, status, headers
/// of the answer.
#[derive(Debug, Deserialize)]
struct Recorded(String, String, BTreeMap<String, String>, u16, BTreeMap<String, String>);

fn origins(names: &[&str]) -> CorsRule {
    CorsRule { origins: names.iter().map(|name| (*name).to_owned()).collect(), ..CorsRule::default() }
}

/// The settings that were recorded.
fn rules(name: &str) -> Vec<CorsRule> {
    match name {
        "none" => vec![],
        "two" => vec![origins(&["https://horizon.example", "https://dash.example:8443"])],
        "any" => vec![origins(&["*"])],
        "both" => vec![origins(&["https://horizon.example", "*"])],
        "strict" => vec![CorsRule {
            allow_credentials: false,
            max_age: Duration::ZERO,
            allow_methods: vec!["GET".to_owned()],
            allow_headers: vec!["X-Own".to_owned()],
            expose_headers: vec![],
            ..origins(&["https://horizon.example"])
        }],
        other => panic!("no settings {other}"),
    }
}

/// The headers that are about origins.
fn told(answer: &Answer) -> BTreeMap<String, String> {
    let names = answer.headers.keys().map(|name| name.as_str().to_owned());
    let about = names.filter(|name| name.starts_with("access-control") || name == "vary");
    about.map(|name| (name.clone(), answer.header(&name).to_owned())).collect()
}

#[tokio::test]
async fn answers_are_those_of_upstream() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("data/cors.json")).unwrap();
    let mut services = BTreeMap::new();
    for Recorded(settings, method, headers, status, expected) in &recorded {
        if !services.contains_key(settings) {
            let service = Service::with(|options| options.cors = rules(settings)).await;
            services.insert(settings.clone(), service);
        }
        let service = &services[settings];
        let path = if method == "GET" { "/v1/clusters" } else { "/v1/clusters/none" };
        let mut ask = Ask::new(method, path);
        if method != "OPTIONS" {
            ask = ask.user("alice");
        }
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let answer = service.send(ask.build()).await;
        let mut expected = expected.clone();
        if method == "POST" {
            // There is no such method here, and what routing answers has no version: nothing else to vary by.
            let shorter = expected.get("vary").map(|vary| vary.replace("OpenStack-API-Version", ""));
            expected.remove("vary");
            expected.extend(
                shorter
                    .map(|vary| vary.trim_start_matches(',').to_owned())
                    .filter(|vary| !vary.is_empty())
                    .map(|vary| ("vary".to_owned(), vary)),
            );
        }
        assert_eq!(told(&answer), expected, "{settings}: {method} {headers:?}");
        if method == "OPTIONS" {
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (*status, ""), "{settings}: {headers:?}");
        }
    }
    assert!(recorded.len() > 300);
}

#[tokio::test]
async fn each_origin_can_have_its_own_rules() {
    let dash = CorsRule {
        allow_credentials: false,
        allow_headers: vec!["X-Own".to_owned()],
        max_age: Duration::from_secs(60),
        ..origins(&["https://dash.example"])
    };
    let service = Service::with(|options| options.cors = vec![origins(&["https://horizon.example"]), dash]).await;
    let ask = |origin: &str, header: &str| {
        Ask::new("OPTIONS", "/v1/clusters/x")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", header)
    };
    for (origin, header, age) in [
        ("https://horizon.example", "X-Auth-Token", "3600"),
        ("https://horizon.example", "X-Own", ""),
        ("https://dash.example", "X-Own", "60"),
        ("https://dash.example", "X-Auth-Token", ""),
    ] {
        let answer = service.send(ask(origin, header).build()).await.expect(200);
        assert_eq!(answer.header("access-control-max-age"), age, "{origin} {header}");
        assert_eq!(answer.header("access-control-allow-origin").is_empty(), age.is_empty(), "{origin} {header}");
    }
    // Refusals of all kinds are readable to the page, or it could not say what is wrong.
    for (user, status) in [("alice", 404), ("nobody", 401)] {
        let get = Ask::new("GET", "/v1/clusters/x").user(user).header("origin", "https://dash.example");
        let answer = service.send(get.build()).await.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), "https://dash.example");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}
