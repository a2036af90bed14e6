//! Every limit from both sides: what is just within is taken, what is just beyond is refused in words.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::fixtures::world;
use crate::support::{Ask, Service};

/// Something that grows with a number: method, path, body.
type Grown = fn(usize) -> (&'static str, String, Vec<u8>);

fn labels(count: usize) -> Value {
    let labels: Map<String, Value> = (0..count).map(|number| (format!("l{number}"), Value::from("x"))).collect();
    labels.into()
}

fn template(more: Value) -> Vec<u8> {
    let mut body = json!({"coe": "swarm-mode", "image_id": "local", "external_network_id": "public"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::to_vec(&body).unwrap()
}

fn make(more: Value) -> (&'static str, String, Vec<u8>) {
    ("POST", "/v1/clustertemplates".to_owned(), template(more))
}

fn show(query: &str) -> (&'static str, String, Vec<u8>) {
    ("GET", format!("/v1/clustertemplates{query}"), Vec::new())
}

/// A body that is nested so deep.
fn nested(depth: usize) -> Vec<u8> {
    let mut text = String::new();
    for _ in 1..depth {
        text.push('[');
    }
    write!(text, "1{}", "]".repeat(depth - 1)).unwrap();
    format!("[{text}]").into_bytes()
}

/// What grows, its greatest size, the status up to there and beyond, and what the refusal says.
const TABLE: &[(&str, usize, Grown, u16, u16, &str)] = &[
    ("labels", 256, |n| make(json!({"labels": labels(n)})), 201, 400, "256 entries at most"),
    // Two braces, four quotes, a colon and the key are bytes too.
    ("a label", 59_992, |n| make(json!({"labels": {"a": "x".repeat(n)}})), 201, 400, "60000 bytes at most"),
    ("a name", 255, |n| make(json!({"name": "n".repeat(n)})), 201, 400, "maximum character requirement of 255"),
    ("a name of others than ASCII", 255, |n| make(json!({"name": "\u{1f600}".repeat(n)})), 201, 400, "255"),
    (
        "changes of a patch",
        512,
        |n| {
            let change = json!({"op": "replace", "path": "/name", "value": "x"});
            ("PATCH", "/v1/clustertemplates/{unused}".to_owned(), serde_json::to_vec(&vec![change; n]).unwrap())
        },
        200,
        400,
        "512 items at most",
    ),
    (
        "the path of a change",
        1024,
        |n| {
            let path = format!("/labels/{}", "a".repeat(n - "/labels/".len()));
            let change = json!([{"op": "add", "path": path, "value": "x"}]);
            ("PATCH", "/v1/clustertemplates/{unused}".to_owned(), serde_json::to_vec(&change).unwrap())
        },
        200,
        400,
        "should match the pattern",
    ),
    (
        "nodes to remove",
        256,
        |n| {
            let nodes: Vec<String> = (0..n).map(|number| format!("n{number}")).collect();
            let body = json!({"node_count": 1, "nodes_to_remove": nodes});
            ("POST", "/v1/clusters/{ready}/actions/resize".to_owned(), serde_json::to_vec(&body).unwrap())
        },
        202,
        400,
        "256 items at most",
    ),
    (
        "a request for a certificate",
        60_000,
        |n| {
            let body = json!({"cluster_uuid": "{ready}", "csr": "x".repeat(n)});
            ("POST", "/v1/certificates".to_owned(), serde_json::to_vec(&body).unwrap())
        },
        400,
        400,
        "maximum character requirement of 60000",
    ),
    (
        "a body",
        114_688,
        |n| {
            let mut body = template(json!({}));
            body.resize(n, b' ');
            ("POST", "/v1/clustertemplates".to_owned(), body)
        },
        201,
        413,
        "larger than 114688 bytes",
    ),
    (
        "nesting",
        16,
        |n| ("POST", "/v1/clustertemplates".to_owned(), nested(n)),
        // No list is a template, however flat.
        400,
        400,
        "nested deeper than 16 levels",
    ),
    (
        "path and query",
        8192,
        |n| show(&format!("?sort_key={}", "a".repeat(n - 29))),
        400,
        414,
        "longer than 8192 bytes",
    ),
    ("a name in a path", 255, |n| show(&format!("/{}", "a".repeat(n))), 404, 404, "could not be found"),
];

#[tokio::test]
async fn every_limit_holds_from_both_sides() {
    let service = Service::start().await;
    let world = world(&service).await;
    let fill =
        |text: &str| world.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id));
    for (what, limit, grown, within, beyond, says) in TABLE {
        for (size, status) in [(*limit, *within), (limit + 1, *beyond)] {
            let (method, path, body) = grown(size);
            let body = match method {
                "GET" => Vec::new(),
                _ => fill(&String::from_utf8(body).unwrap()).into_bytes(),
            };
            let ask = Ask::new(method, &fill(&path)).user("alice").header("content-type", "application/json").raw(body);
            let answer = service.send(ask.build()).await;
            let start: String = answer.text.chars().take(300).collect();
            assert_eq!(answer.status.as_u16(), status, "{what}, {size}: {start}");
            let is_refusal = answer.detail().contains(says);
            assert!(is_refusal || size == *limit, "{what}, {size}: {start}");
            assert!(
                !is_refusal || size > *limit || within == beyond && *says == "could not be found",
                "{what}, {size}: {start}"
            );
            // A refusal does not echo what was too much.
            assert!(answer.text.len() < 8192 || answer.status.is_success(), "{what}: {} bytes", answer.text.len());
        }
    }
}
