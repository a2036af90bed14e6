use crate::support::{Ask, Service};

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
    let document = serde_json::to_value(magnum_api::openapi_document()).unwrap();
    let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    paths.extend(["/v1/credentials", "/v1/quotas/{project_id}", "/v1/mservices/{id}"].map(str::to_owned));
    paths
}

#[tokio::test]
async fn every_route_has_a_document_and_every_document_a_route() {
    let service = Service::start().await;
    let document = serde_json::to_value(magnum_api::openapi_document()).unwrap();
    let mut operations = 0;
    for path in paths() {
        for method in METHODS {
            let is_documented = document["paths"][&path].get(method).is_some();
            let is_odd = ODDITIES.contains(&(method, path.as_str()));
            let sent = path.replace(['{', '}'], "");
            let answer = service.send(Ask::new(&method.to_uppercase(), &sent).user("root").build()).await;
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
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in &references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{reference} leads nowhere");
    }
    assert!(references.len() > 50);
    let body = &schemas["ClusterBody"];
    assert_eq!(body["required"], serde_json::json!(["cluster_template_id"]));
    assert_eq!(body["properties"]["name"]["maxLength"], 242);
    assert!(body["properties"].get("api_address").is_none(), "read-only fields can't be sent");
}

fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            into.extend(members.get("$ref").and_then(|reference| reference.as_str()).map(str::to_owned));
            members.values().for_each(|member| collect(member, into));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}
