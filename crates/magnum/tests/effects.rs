//! Nothing that the API takes is without effect and without a word: the table of the driver for local clusters has a row for
//! each field, and what a row says happens. A field that is added without a row fails here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use magnum_api::{ApiOptions, ApiState, DriverPlanner, LocalCloud, Metrics};
use magnum_certs::{SealKey, Vault};
use magnum_domain::Caller;
use magnum_domain::driver::Drivers;
use magnum_domain::effect::{Effect, Subject};
use magnum_drivers::local::{LocalDriver, LocalOptions};
use magnum_identity::{AuthError, Authenticator, IncomingRequest};
use magnum_policy::Policy;
use magnum_store::{ConnectOptions, Store};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The schemas of bodies in the document of the API, which are made from its tables of fields.
const BODIES: [(Subject, &str); 3] = [
    (Subject::ClusterTemplate, "ClusterTemplateBody"),
    (Subject::Cluster, "ClusterBody"),
    (Subject::Nodegroup, "NodegroupBody"),
];

/// Fields that a client may set; those of the server are answered for every driver alike.
fn settable(body: &str) -> BTreeSet<String> {
    let fields = magnum_api::openapi_document()["components"]["schemas"][body]["properties"].as_object().unwrap();
    let is_own = |field: &Value| {
        let about = field["description"].as_str().unwrap_or_default();
        about.starts_with("Set by the server") || about.starts_with("Accepted and left alone")
    };
    fields.iter().filter(|(_, field)| !is_own(field)).map(|(name, _)| name.clone()).collect()
}

#[test]
fn every_field_has_a_row() {
    for (subject, body) in BODIES {
        let rows = LocalDriver::FIELD_EFFECTS.iter().filter(|row| row.subject == subject);
        let names: Vec<String> = rows.map(|row| row.name.to_owned()).collect();
        let known: BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(names.len(), known.len(), "{subject:?} has a field twice");
        assert_eq!(known, settable(body), "{subject:?}");
    }
}

struct Anybody;

#[async_trait]
impl Authenticator for Anybody {
    async fn authenticate(&self, _: IncomingRequest<'_>) -> Result<Caller, AuthError> {
        let roles = ["admin", "member", "reader"].map(str::to_owned).into();
        let (user_id, project_id) = ("u".to_owned(), Some("p".to_owned()));
        Ok(Caller { user_id, project_id, roles, ..Caller::default() })
    }

    fn challenge(&self) -> Option<String> {
        None
    }
}

/// The API before the driver for local clusters, which makes nothing here.
async fn api(folder: &std::path::Path) -> Router {
    let url = format!("sqlite:///{}/db.sqlite", folder.display());
    let store = Store::connect(&url, &ConnectOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let vault = Vault::new(store.clone(), SealKey::ephemeral().unwrap());
    let options = LocalOptions::new(folder.join("state"), folder.join("magnum-agent"));
    let driver = LocalDriver::new(options, store.clone(), vault.clone());
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    magnum_api::router(ApiState {
        store,
        policy: Arc::new(Policy::defaults()),
        authenticator: Arc::new(Anybody),
        vault,
        planner: Arc::new(DriverPlanner::new(Drivers::new(vec![Arc::new(driver)]))),
        cloud: Arc::new(LocalCloud::built_in().unwrap()),
        metrics,
        registry: Arc::new(registry),
        options: ApiOptions::default(),
    })
}

/// Status, warnings and document of an answer.
async fn send(api: &Router, method: &str, path: &str, body: &Value) -> (u16, Vec<String>, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("openstack-api-version", "container-infra latest")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = api.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let warnings = parts.headers.get_all("warning").iter().map(|text| text.to_str().unwrap().to_owned()).collect();
    let json = serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap_or(Value::Null);
    (parts.status.as_u16(), warnings, json)
}

/// A value with which a field of a template says something.
fn value(name: &str) -> Value {
    match name {
        "flavor_id" | "master_flavor_id" => json!("m1.small"),
        "external_network_id" => json!("public"),
        "fixed_network" | "fixed_subnet" => json!("mine"),
        "apiserver_port" => json!(8080),
        "docker_volume_size" => json!(5),
        "registry_enabled" | "floating_ip_enabled" => json!(true),
        "volume_driver" => json!("rexray"),
        _ => json!("k"),
    }
}

#[tokio::test]
async fn templates_are_answered_as_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path()).await;
    let plain = json!({"name": "t", "coe": "swarm-mode", "image_id": "local"});
    let (status, warnings, made) = send(&api, "POST", "/v1/clustertemplates", &plain).await;
    assert_eq!((status, warnings.len()), (201, 0), "{made} {warnings:?}");
    let path = format!("/v1/clustertemplates/{}", made["uuid"].as_str().unwrap());
    let rows = LocalDriver::FIELD_EFFECTS.iter().filter(|row| row.subject == Subject::ClusterTemplate);
    for row in rows.filter(|row| row.effect != Effect::Used) {
        let mut body = plain.clone();
        body[row.name] = value(row.name);
        let posted = send(&api, "POST", "/v1/clustertemplates", &body).await;
        let op = if row.name == "floating_ip_enabled" { json!(false) } else { value(row.name) };
        send(&api, "PATCH", &path, &json!([{"op": "replace", "path": format!("/{}", row.name), "value": op}])).await;
        let patch = json!([{"op": "replace", "path": format!("/{}", row.name), "value": value(row.name)}]);
        let patched = send(&api, "PATCH", &path, &patch).await;
        match row.effect {
            // There are no networks to be named on one machine: they are refused by whoever looks them up.
            Effect::Ignored { .. } if row.name.starts_with("fixed_") => {
                assert_eq!((posted.0, patched.0), (400, 400), "{} {}", row.name, posted.2);
            }
            Effect::Ignored { why, .. } => {
                assert_eq!(posted.0, 201, "{} {}", row.name, posted.2);
                assert!(
                    posted.1.iter().any(|text| text.contains(row.name) && text.contains(why)),
                    "{}: {:?}",
                    row.name,
                    posted.1
                );
                assert_eq!(patched.0, 200, "{} {}", row.name, patched.2);
            }
            Effect::Refused(why) => {
                assert_eq!((posted.0, patched.0), (400, 400), "{}", row.name);
                let detail = posted.2["errors"][0]["detail"].as_str().unwrap();
                assert!(detail.contains(row.name), "{detail} {why}");
            }
            Effect::Used => {}
        }
    }
    // What the driver can't make is said at once, and not when the first cluster is asked for.
    for (field, bad, words) in [
        ("docker_storage_driver", "btrfs", "use overlay2"),
        ("network_driver", "flannel", "use docker"),
        ("volume_driver", "rexray", "leave it out"),
    ] {
        let mut body = plain.clone();
        body[field] = json!(bad);
        let (status, _, refusal) = send(&api, "POST", "/v1/clustertemplates", &body).await;
        assert_eq!(status, 400, "{field}");
        let detail = refusal["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
    let mut body = plain.clone();
    body["labels"] = json!({"availability_zone": "a", "swarm_strategy": "spread", "min_node_count": "1"});
    let (_, warnings, _) = send(&api, "POST", "/v1/clustertemplates", &body).await;
    assert_eq!(warnings, ["299 magnum \"Label availability_zone has no effect with the driver local.\""]);
}
