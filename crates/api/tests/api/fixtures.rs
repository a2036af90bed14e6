//! Rows that requests are sent about.

use std::collections::BTreeMap;
use std::time::Duration;

use magnum_domain::driver::Facts;
use magnum_domain::{ClusterStatus, OperationState};
use magnum_store::{ClusterOutcome, Ident, NodegroupChange, NodegroupOutcome, Scope};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::Service;

/// A body for a template that is right.
pub(crate) fn template_body(name: &str) -> Value {
    json!({"name": name, "coe": "swarm-mode", "image_id": "local", "external_network_id": "public",
           "flavor_id": "m1.small", "master_flavor_id": "m1.small", "docker_volume_size": 5, "labels": {"availability_zone": "gold"}})
}

pub(crate) async fn template(service: &Service, user: &str, name: &str) -> String {
    service.post(user, "/v1/clustertemplates", template_body(name)).await.expect(201).uuid()
}

/// A cluster that is being made.
pub(crate) async fn cluster(service: &Service, user: &str, name: &str, template: &str) -> String {
    let body = json!({"name": name, "cluster_template_id": template, "node_count": 2});
    service.post(user, "/v1/clusters", body).await.expect(202).uuid()
}

/// Ends the operation of a cluster as a conductor would.
pub(crate) async fn settle(service: &Service, cluster: &str, status: ClusterStatus) {
    let uuid = Uuid::parse_str(cluster).unwrap();
    let operation = service.store.claim_operation("test", Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(operation.cluster_uuid, uuid, "another operation was in front");
    let groups = service.store.nodegroups_of(&[uuid]).await.unwrap();
    let is_failed = status.is_failed();
    let reason = is_failed.then(|| "step node.start: no room".to_owned());
    let outcome = |group: &magnum_domain::Nodegroup| NodegroupOutcome {
        uuid: group.uuid,
        change: NodegroupChange {
            status: Some(status.clone()),
            status_reason: Some(reason.clone()),
            node_addresses: Some((0..group.node_count).map(|at| format!("10.0.{}.{at}", group.id)).collect()),
            ..NodegroupChange::default()
        },
    };
    let facts = Facts {
        api_address: (!is_failed).then(|| "https://127.0.0.1:2376".to_owned()),
        stack_id: Some("net-1".to_owned()),
        coe_version: Some("27.1".to_owned()),
        container_version: None,
    };
    let outcome = ClusterOutcome {
        status: Some(status.clone()),
        status_reason: reason.clone(),
        facts,
        nodegroups: groups.iter().map(outcome).collect(),
        ..ClusterOutcome::default()
    };
    let state = if is_failed { OperationState::Failed } else { OperationState::Succeeded };
    assert!(service.store.finish_operation(operation.uuid, "test", state, reason.as_deref(), &outcome).await.unwrap());
}

/// A cluster that is up, with certificates.
pub(crate) async fn ready_cluster(service: &Service, user: &str, name: &str, template: &str) -> String {
    let cluster = cluster(service, user, name, template).await;
    settle(service, &cluster, ClusterStatus::CreateComplete).await;
    let row = service.store.get_cluster(&Scope::All, &Ident::parse(&cluster)).await.unwrap();
    service.vault.create_cluster_certificates(&row, "kubernetes").await.unwrap();
    cluster
}

/// Everything a table of requests may refer to, by name.
pub(crate) async fn world(service: &Service) -> BTreeMap<&'static str, String> {
    let mut world = BTreeMap::new();
    world.insert("template", template(service, "alice", "own").await);
    world.insert("unused", template(service, "alice", "unused").await);
    world.insert("spare", template(service, "alice", "spare").await);
    world.insert("twin-template", template(service, "alice", "twins").await);
    template(service, "alice", "twins").await;
    world.insert("foreign-template", template(service, "dave", "foreign-template").await);
    let mut body = template_body("shop-window");
    body["public"] = json!(true);
    world.insert("public-template", service.post("root", "/v1/clustertemplates", body).await.expect(201).uuid());
    let mut body = template_body("cellar");
    body["hidden"] = json!(true);
    world.insert("hidden-template", service.post("chief", "/v1/clustertemplates", body).await.expect(201).uuid());
    let mut body = template_body("open");
    body["tls_disabled"] = json!(true);
    world.insert("plain-template", service.post("alice", "/v1/clustertemplates", body).await.expect(201).uuid());
    let template = world["template"].clone();
    world.insert("ready", ready_cluster(service, "alice", "ready", &template).await);
    let plain = world["plain-template"].clone();
    world.insert("plain", ready_cluster(service, "alice", "plain", &plain).await);
    world.insert("failed", cluster(service, "alice", "failed", &template).await);
    settle(service, &world["failed"], ClusterStatus::CreateFailed).await;
    let foreign = world["foreign-template"].clone();
    world.insert("foreign", ready_cluster(service, "dave", "foreign", &foreign).await);
    world.insert("twin", ready_cluster(service, "alice", "twin", &template).await);
    ready_cluster(service, "alice", "twin", &template).await;
    // The last, since it stays unfinished.
    world.insert("busy", cluster(service, "alice", "busy", &template).await);
    let groups = service.get("alice", &format!("/v1/clusters/{}/nodegroups", world["ready"])).await.expect(200);
    let id = |role: &str| {
        let groups = groups.json["nodegroups"].as_array().unwrap();
        groups.iter().find(|group| group["role"] == role).unwrap()["uuid"].as_str().unwrap().to_owned()
    };
    world.insert("master", id("master"));
    world.insert("worker", id("worker"));
    let operations = service.get("alice", &format!("/v1/clusters/{}/operations", world["ready"])).await.expect(200);
    world.insert("operation", operations.json["operations"][0]["uuid"].as_str().unwrap().to_owned());
    service.post("root", "/v1/quotas", json!({"project_id": "p2", "hard_limit": 1})).await.expect(201);
    world.insert("federation", federation(service, "union", "p1", &world["ready"]).await);
    world
}

/// A federation as a database may hold it, with one member. There is no way to ask for one.
pub(crate) async fn federation(service: &Service, name: &str, project: &str, member: &str) -> String {
    let uuid = Uuid::new_v4().to_string();
    let sql = format!(
        "INSERT INTO federation (created_at, project_id, uuid, name, hostcluster_id, member_ids, status, properties) \
         VALUES ('2026-01-02 03:04:05', '{project}', '{uuid}', '{name}', '{member}', '[\"{member}\"]', \
         'CREATE_COMPLETE', '{{\"dns-zone\": \"example.com.\"}}')"
    );
    service.execute(&sql).await;
    uuid
}
