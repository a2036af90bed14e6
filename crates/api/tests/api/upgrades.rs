//! Upgrades: which templates a cluster can move to, and what is asked of the conductor.

use serde_json::{Value, json};

use crate::fixtures::{ready_cluster, template, template_body};
use crate::support::Service;

/// A template that differs from the usual one.
async fn other(service: &Service, name: &str, difference: Value) -> String {
    let mut body = template_body(name);
    body.as_object_mut().unwrap().extend(difference.as_object().unwrap().clone());
    service.post("alice", "/v1/clustertemplates", body).await.expect(201).uuid().to_owned()
}

#[tokio::test]
async fn templates_that_would_make_another_cluster_are_refused() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    let cluster = ready_cluster(&service, "alice", "c", &own).await;
    let before = service.dump().await["cluster"].clone();
    let path = format!("/v1/clusters/{cluster}/actions/upgrade");
    for (difference, words) in [
        (json!({"coe": "kubernetes", "network_driver": "flannel"}), "The COE of a cluster can not change"),
        (json!({"tls_disabled": true}), "The tls_disabled of a cluster can not change from false to true"),
    ] {
        let target = other(&service, "other", difference.clone()).await;
        let answer = service.post("alice", &path, json!({"cluster_template": target})).await.expect(409);
        let detail = answer.json["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("Cluster Template is not valid for upgrade: "), "{detail}");
        assert!(detail.contains(words), "{difference}: {detail}");
    }
    let impossible = other(&service, "full", json!({})).await;
    let answer = service.post("alice", &path, json!({"cluster_template": impossible, "max_batch_size": 0})).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(service.dump().await["cluster"], before);
}

#[tokio::test]
async fn all_nodes_of_the_default_groups_are_replaced() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    let target = other(&service, "new", json!({"insecure_registry": "registry:5000"})).await;
    let cluster = ready_cluster(&service, "alice", "c", &own).await;
    let nodes = service.store.reconcile_nodes(cluster.parse().unwrap(), &[]).await.unwrap().len();
    assert_eq!(nodes, 3);
    let path = format!("/v1/clusters/{cluster}/actions/upgrade");
    let body = json!({"cluster_template": target, "max_batch_size": 2});
    service.post("alice", &path, body.clone()).await.expect(202);
    let shown = service.get("alice", &format!("/v1/clusters/{cluster}")).await.expect(200).json;
    assert_eq!((&shown["status"], &shown["cluster_template_id"]), (&json!("UPDATE_IN_PROGRESS"), &json!(own)));
    let operations = service.get("alice", &format!("/v1/clusters/{cluster}/operations")).await.expect(200).json;
    let upgrade = operations["operations"].as_array().unwrap().iter().find(|one| one["kind"] == "upgrade").unwrap();
    let arguments = &upgrade["arguments"];
    assert_eq!((&arguments["cluster_template"], &arguments["max_batch_size"]), (&json!(target), &json!(2)));
    assert_eq!(arguments["nodes_to_replace"].as_array().map_or(0, Vec::len), nodes, "{arguments}");
    // A second one finds the first; upstream checks that while the client waits.
    service.post("alice", &path, body).await.expect(400);
}
