//! Clusters and templates by the names of before 1.11.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::fixtures::{ready_cluster, template};
use crate::support::{Answer, Ask, Service, keys};

const BAY: [&str; 26] = [
    "uuid",
    "name",
    "baymodel_id",
    "node_count",
    "master_count",
    "docker_volume_size",
    "labels",
    "master_flavor_id",
    "flavor_id",
    "bay_create_timeout",
    "links",
    "stack_id",
    "status",
    "status_reason",
    "discovery_url",
    "api_address",
    "coe_version",
    "container_version",
    "node_addresses",
    "master_addresses",
    "fixed_network",
    "fixed_subnet",
    "floating_ip_enabled",
    "master_lb_enabled",
    "created_at",
    "updated_at",
];

async fn ask(service: &Service, method: &str, path: &str, version: &str, body: Option<Value>) -> Answer {
    let ask = Ask::new(method, path).user("alice").version(version);
    let ask = match body {
        Some(body) => ask.json(&body),
        None => ask,
    };
    service.send(ask.build()).await
}

/// The keys of an object, sorted.
fn sorted(value: &Value) -> Vec<&str> {
    let mut keys = keys(value);
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn they_are_gone_from_1_11_on() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    let cluster = ready_cluster(&service, "alice", "c", &own).await;
    let before = service.dump().await;
    for path in ["/v1/bays", "/v1/bays/detail", "/v1/baymodels", "/v1/baymodels/detail"] {
        for (version, status) in [("1.1", 200), ("1.10", 200), ("1.11", 404), ("latest", 404)] {
            ask(&service, "GET", path, version, None).await.expect(status);
        }
    }
    for path in [format!("/v1/bays/{cluster}"), format!("/v1/baymodels/{own}")] {
        for (method, body) in [("GET", None), ("PATCH", Some(json!([]))), ("DELETE", None)] {
            let status = if method == "GET" { 404 } else { 405 };
            ask(&service, method, &path, "1.11", body).await.expect(status);
        }
    }
    for path in ["/v1/bays", "/v1/baymodels"] {
        ask(&service, "POST", path, "1.11", Some(json!({}))).await.expect(405);
    }
    assert_eq!(service.dump().await, before);
}

#[tokio::test]
async fn a_bay_is_a_cluster() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    let cluster = ready_cluster(&service, "alice", "c", &own).await;
    let shown = ask(&service, "GET", "/v1/bays/c", "1.10", None).await.expect(200).json;
    let mut expected = BAY.to_vec();
    expected.sort_unstable();
    assert_eq!(sorted(&shown), expected);
    assert_eq!((&shown["baymodel_id"], &shown["uuid"]), (&json!(own), &json!(cluster)));
    assert_eq!((&shown["node_count"], &shown["bay_create_timeout"]), (&json!(2), &json!(60)));
    assert_eq!(shown["links"][0]["href"], format!("http://magnum.test/v1/bays/{cluster}"));
    assert_eq!(shown["links"][1]["href"], format!("http://magnum.test/bays/{cluster}"));

    let short = &BAY[..13];
    let list = ask(&service, "GET", "/v1/bays?limit=1", "1.10", None).await.expect(200).json;
    let mut expected = short.to_vec();
    expected.sort_unstable();
    assert_eq!(sorted(&list["bays"][0]), expected);
    let next = format!("http://magnum.test/v1/bays?sort_key=id&sort_dir=asc&limit=1&marker={cluster}");
    assert_eq!(list["next"], next);
    let detail = ask(&service, "GET", "/v1/bays/detail", "1.10", None).await.expect(200).json;
    assert_eq!(detail, json!({"bays": [shown]}));

    let foreign = service.send(Ask::new("GET", "/v1/bays/c").user("root").version("1.10").build()).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND, "administrators see no more by these names");
    ask(&service, "DELETE", "/v1/bays/c", "1.1", None).await.expect(204);
    assert_eq!(service.get("alice", "/v1/clusters/c").await.expect(200).json["status"], "DELETE_IN_PROGRESS");
}

#[tokio::test]
async fn answers_wait_at_1_1_only() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    let body = |name: &str| Some(json!({"name": name, "baymodel_id": "t", "node_count": 2, "bay_create_timeout": 5}));
    let made = ask(&service, "POST", "/v1/bays", "1.1", body("a")).await.expect(201);
    assert_eq!(made.header("location"), format!("http://magnum.test/v1/bays/{}", made.uuid()));
    assert_eq!((&made.json["status"], &made.json["node_count"]), (&json!("CREATE_IN_PROGRESS"), &json!(2)));
    assert_eq!((&made.json["baymodel_id"], &made.json["bay_create_timeout"]), (&json!(own), &json!(5)));
    let accepted = ask(&service, "POST", "/v1/bays", "1.2", body("b")).await.expect(202);
    assert_eq!(keys(&accepted.json), ["uuid"]);
    let cluster = service.get("alice", "/v1/clusters/b").await.expect(200).json;
    assert_eq!((&cluster["cluster_template_id"], &cluster["create_timeout"]), (&json!(own), &json!(5)));
    let unnamed = ask(&service, "POST", "/v1/bays", "1.1", Some(json!({"baymodel_id": own}))).await.expect(201);
    assert!(unnamed.json["name"].as_str().unwrap().ends_with("-bay"), "{}", unnamed.text);

    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    for name in ["c", "d"] {
        ready_cluster(&service, "alice", name, &own).await;
    }
    let resize = || Some(json!([{"op": "replace", "path": "/node_count", "value": 3}]));
    let changed = ask(&service, "PATCH", "/v1/bays/c", "1.1", resize()).await.expect(200);
    assert_eq!((&changed.json["status"], &changed.json["node_count"]), (&json!("UPDATE_IN_PROGRESS"), &json!(3)));
    ask(&service, "PATCH", "/v1/bays/d?rollback=True", "1.2", resize()).await.expect(400);
    let accepted = ask(&service, "PATCH", "/v1/bays/d?rollback=True", "1.3", resize()).await.expect(202);
    assert_eq!(keys(&accepted.json), ["uuid"]);
}

#[tokio::test]
async fn bodies_of_bays_have_their_own_fields() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    ready_cluster(&service, "alice", "c", &own).await;
    let before = service.dump().await;
    for (body, says) in [
        (json!({"name": "x"}), "attribute baymodel_id. Value: 'None'. Mandatory field missing."),
        (json!({"baymodel_id": "nope"}), "ClusterTemplate nope could not be found."),
        (json!({"cluster_template_id": own}), "Unknown attribute for argument bay: cluster_template_id"),
        (json!({"baymodel_id": own, "keypair": "k"}), "Unknown attribute for argument bay: keypair"),
        (json!({"baymodel_id": own, "merge_labels": true}), "Unknown attribute for argument bay: merge_labels"),
        (json!({"baymodel_id": own, "node_count": 0}), "Value should be greater or equal to 1"),
        (json!({"baymodel_id": own, "master_count": 2}), "size cannot be an even number."),
    ] {
        let answer = ask(&service, "POST", "/v1/bays", "1.10", Some(body.clone())).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}: {}", answer.text);
        assert!(answer.detail().contains(says), "{body}: {}", answer.detail());
    }
    let patch = |path: &str, value: Value| Some(json!([{"op": "replace", "path": path, "value": value}]));
    for (body, says) in [
        (patch("/baymodel_id", json!("x")), "cannot change cluster property(ies) cluster_template_id."),
        (patch("/health_status", json!("HEALTHY")), "can't replace a non-existent object 'health_status'"),
        (patch("/stack_id", json!("x")), "'/stack_id' is an internal attribute and can not be updated"),
        (Some(json!([{"op": "remove", "path": "/baymodel_id"}])), "is a mandatory attribute and can not be removed"),
    ] {
        let answer = ask(&service, "PATCH", "/v1/bays/c", "1.10", body.clone()).await;
        assert_eq!(answer.status.as_u16(), 400, "{body:?}: {}", answer.text);
        assert!(answer.detail().contains(says), "{body:?}: {}", answer.detail());
    }
    assert_eq!(service.dump().await, before);
}

#[tokio::test]
async fn a_bay_model_is_a_template() {
    let service = Service::start().await;
    let body = json!({"coe": "swarm-mode", "image_id": "local", "keypair_id": "k", "labels": {"a": "b"}});
    let made = ask(&service, "POST", "/v1/baymodels", "1.1", Some(body.clone())).await.expect(201);
    let uuid = made.uuid();
    assert_eq!(made.header("location"), format!("http://magnum.test/v1/baymodels/{uuid}"));
    assert!(made.json["name"].as_str().unwrap().ends_with("-model"), "{}", made.text);
    for absent in ["driver", "project_id", "user_id"] {
        assert!(made.json.get(absent).is_none(), "{absent}: {}", made.text);
    }
    assert_eq!(made.json["links"][1]["href"], format!("http://magnum.test/baymodels/{uuid}"));
    let template = service.get("alice", &format!("/v1/clustertemplates/{uuid}")).await.expect(200).json;
    for (field, value) in made.json.as_object().unwrap() {
        assert!(field == "links" || template[field] == *value, "{field}: {value} {}", template[field]);
    }
    let path = format!("/v1/baymodels/{uuid}");
    assert_eq!(ask(&service, "GET", &path, "1.10", None).await.expect(200).json, made.json);
    for list in ["/v1/baymodels", "/v1/baymodels/detail"] {
        let listed = ask(&service, "GET", list, "1.10", None).await.expect(200).json;
        assert_eq!(listed, json!({"baymodels": [made.json]}));
    }
    let renamed = json!([{"op": "replace", "path": "/name", "value": "other"}]);
    assert_eq!(ask(&service, "PATCH", &path, "1.10", Some(renamed)).await.expect(200).json["name"], "other");
    let published = json!([{"op": "replace", "path": "/public", "value": true}]);
    ask(&service, "PATCH", &path, "1.10", Some(published)).await.expect(403);
    let keyless = json!({"coe": "swarm-mode", "image_id": "local"});
    let answer = ask(&service, "POST", "/v1/baymodels", "1.10", Some(keyless)).await.expect(400);
    assert!(answer.detail().contains("attribute keypair_id"), "{}", answer.detail());
    service.send(Ask::new("GET", &path).user("root").version("1.10").build()).await.expect(404);
    ask(&service, "DELETE", "/v1/baymodels/other", "1.10", None).await.expect(204);
    ask(&service, "GET", &path, "1.10", None).await.expect(404);
}
