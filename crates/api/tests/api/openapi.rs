use crate::support::{Ask, CONTRACT, Service};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Answered in upstream's way where a path lacks its last part: not part of the interface.
const ODDITIES: [(&str, &str); 10] = [
    ("delete", "/v1/clusters"),
    ("patch", "/v1/clusters"),
    ("delete", "/v1/clustertemplates"),
    ("patch", "/v1/clustertemplates"),
    ("delete", "/v1/federations"),
    ("patch", "/v1/federations"),
    ("delete", "/v1/clusters/{cluster_ident}/nodegroups"),
    ("patch", "/v1/clusters/{cluster_ident}/nodegroups"),
    ("patch", "/v1/certificates"),
    ("patch", "/v1/credentials"),
];

/// Every path of the document, and those of the router that only exist for upstream's answers.
fn paths() -> Vec<String> {
    let document = magnum_api::openapi_document().clone();
    let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    paths.extend(["/v1/credentials", "/v1/quotas/{project_id}", "/v1/mservices/{id}"].map(str::to_owned));
    paths
}

#[tokio::test]
async fn every_route_has_a_document_and_every_document_a_route() {
    let service = Service::start().await;
    let document = magnum_api::openapi_document().clone();
    let mut operations = 0;
    for path in paths() {
        for method in METHODS {
            let is_documented = document["paths"][&path].get(method).is_some();
            let is_odd = ODDITIES.contains(&(method, path.as_str()));
            let sent = path.replace(['{', '}'], "");
            let mut ask = Ask::new(&method.to_uppercase(), &sent).user("root");
            if path.starts_with("/v1/bay") {
                ask = ask.version("1.10");
            }
            let answer = service.send(ask.build()).await;
            let exists = answer.status != 405 && path != "/v1/quotas/{project_id}";
            assert_eq!(exists, is_documented || is_odd, "{method} {path}: {}", answer.text);
            operations += usize::from(is_documented);
        }
    }
    println!("{operations} documented operations, each with a route; no route without a document");
    assert!(operations >= 45, "{operations}");
}

/// The test above asks about paths of the document; a route with a path of its own would escape it.
#[tokio::test]
async fn no_path_of_the_router_is_missing_from_the_document() {
    let source = include_str!("../../src/router.rs");
    let odd = source.split("fn with_oddities").nth(1).unwrap().split("\n}").next().unwrap();
    assert_eq!(source.matches(".route(").count(), odd.matches(".route(").count(), "routes without a document");
    for file in ["route_service(", ".nest(", ".nest_service(", ".merge("] {
        assert!(!source.contains(file), "{file}");
    }
}

#[tokio::test]
async fn the_document_is_served_and_sound() {
    let service = Service::start().await;
    let answer = service.send(Ask::new("GET", "/openapi.json").build()).await.expect(200);
    let document = answer.json;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["info"]["version"], "1.14");
    let faults: Vec<String> = CONTRACT.audit().iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let body = &document["components"]["schemas"]["ClusterBody"];
    assert_eq!(body["required"], serde_json::json!(["cluster_template_id"]));
    assert_eq!(body["properties"]["name"]["maxLength"], 242);
    assert_eq!(body["properties"]["api_address"]["type"], "null", "read-only fields can't be set");
}

/// The list of operations with their statuses, as it is kept: a change of the interface shows as a change of this file.
#[test]
fn the_list_of_operations_is_the_one_that_is_kept() {
    let lines: Vec<String> = CONTRACT
        .operations()
        .iter()
        .map(|operation| format!("{} {}: {}\n", operation.name(), operation.id, operation.statuses.join(" ")))
        .collect();
    let found = lines.concat();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/data/operations.txt");
    if std::env::var_os("MAGNUM_TEST_KEEP").is_some() {
        std::fs::write(kept, &found).unwrap();
    }
    let expected = std::fs::read_to_string(kept).unwrap_or_default();
    assert_eq!(found, expected, "if this is meant: MAGNUM_TEST_KEEP=1 cargo test -p magnum-api --test api openapi");
}
