use magnum_domain::ClusterStatus;
use serde_json::json;

use crate::fixtures::{cluster, ready_cluster, settle, template};
use crate::support::{Service, keys};

const SHORT: [&str; 12] = [
    "uuid",
    "name",
    "flavor_id",
    "image_id",
    "node_count",
    "role",
    "min_node_count",
    "max_node_count",
    "is_default",
    "stack_id",
    "status",
    "merge_labels",
];
const MORE: [&str; 15] = [
    "cluster_id",
    "project_id",
    "docker_volume_size",
    "labels",
    "links",
    "node_addresses",
    "status_reason",
    "version",
    "labels_overridden",
    "labels_added",
    "labels_skipped",
    "node_labels",
    "node_taints",
    "created_at",
    "updated_at",
];

#[tokio::test]
async fn every_cluster_has_two() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    for path in [format!("/v1/clusters/{uuid}/nodegroups"), "/v1/clusters/c/nodegroups/".to_owned()] {
        let list = service.get("bob", &path).await.expect(200).json;
        let groups = list["nodegroups"].as_array().unwrap();
        let names: Vec<_> = groups
            .iter()
            .map(|group| (group["name"].as_str().unwrap(), group["node_count"].as_i64().unwrap()))
            .collect();
        assert_eq!(names, [("default-master", 1), ("default-worker", 2)]);
        assert_eq!(keys(&groups[0]), SHORT);
    }
    let masters = service.get("bob", &format!("/v1/clusters/{uuid}/nodegroups?role=master")).await.expect(200).json;
    assert_eq!(masters["nodegroups"].as_array().unwrap().len(), 1);
    let none = service.get("bob", &format!("/v1/clusters/{uuid}/nodegroups?role=cook")).await.expect(200).json;
    assert_eq!(none, json!({"nodegroups": []}));
    let full = service.get("bob", &format!("/v1/clusters/{uuid}/nodegroups/default-worker")).await.expect(200).json;
    let mut fields = vec!["id"];
    fields.extend(SHORT);
    fields.extend(MORE);
    assert_eq!(keys(&full), fields);
    assert_eq!(full["node_labels"], json!({}));
    assert_eq!(full["node_taints"], json!([]));
    assert_eq!(full["labels"], json!({"availability_zone": "gold"}));
    let group = full["uuid"].as_str().unwrap();
    assert_eq!(full["links"][0]["href"], format!("http://magnum.test/v1/clusters/{uuid}/nodegroups/{group}"));
    for ident in [group.to_owned(), full["id"].to_string()] {
        assert_eq!(service.get("bob", &format!("/v1/clusters/c/nodegroups/{ident}")).await.expect(200).json, full);
    }
    service.get("root", &format!("/v1/clusters/{uuid}/nodegroups")).await.expect(200);
}

#[tokio::test]
async fn groups_are_added_changed_resized_and_removed() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let list = format!("/v1/clusters/{uuid}/nodegroups/");
    let body = json!({"name": "big", "node_count": 2, "min_node_count": 1, "max_node_count": 5, "flavor_id": "m1.large",
        "role": "worker", "labels": {"extra": 1}, "merge_labels": true, "node_labels": {"zone": "a"},
        "node_taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]});
    let made = service.post("alice", &list, body).await.expect(202).json;
    assert_eq!(made["status"], "CREATE_IN_PROGRESS");
    assert_eq!(made["labels"], json!({"extra": "1", "availability_zone": "gold"}));
    assert_eq!(made["labels_added"], json!({"extra": "1"}));
    assert_eq!(made["node_labels"], json!({"zone": "a"}));
    assert_eq!(made["node_taints"], json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]));
    assert_eq!(made["image_id"], "local");
    assert_eq!(made["is_default"], false);
    let shown = service.get("alice", &format!("/v1/clusters/{uuid}")).await.json;
    assert_eq!(shown["status"], "UPDATE_IN_PROGRESS");
    assert_eq!(shown["node_count"], 4, "all workers");
    settle(&service, &uuid, ClusterStatus::UpdateComplete).await;

    let path = format!("/v1/clusters/{uuid}/nodegroups/big");
    let patch = json!([{"op": "replace", "path": "/max_node_count", "value": 9},
                       {"op": "replace", "path": "/node_labels", "value": "{'zone': 'b'}"},
                       {"op": "replace", "path": "/node_taints", "value": "[]"}]);
    let changed = service.patch("alice", &path, patch).await.expect(202).json;
    assert_eq!(changed["max_node_count"], 9);
    assert_eq!(changed["node_labels"], json!({"zone": "b"}));
    assert_eq!(changed["node_taints"], json!([]));
    assert_eq!(changed["status"], "UPDATE_IN_PROGRESS");
    settle(&service, &uuid, ClusterStatus::UpdateComplete).await;
    let patch = json!([{"op": "remove", "path": "/max_node_count"}, {"op": "remove", "path": "/min_node_count"}]);
    let changed = service.patch("alice", &path, patch).await.expect(202).json;
    assert_eq!((&changed["max_node_count"], &changed["min_node_count"]), (&json!(null), &json!(0)));
    settle(&service, &uuid, ClusterStatus::UpdateComplete).await;
    service.patch("alice", &path, json!([])).await.expect(202);

    let resize = format!("/v1/clusters/{uuid}/actions/resize");
    service.post("alice", &resize, json!({"node_count": 3, "nodegroup": "big"})).await.expect(202);
    assert_eq!(service.get("alice", &path).await.json["node_count"], 3);
    settle(&service, &uuid, ClusterStatus::UpdateComplete).await;

    service.delete("alice", &path).await.expect(204);
    assert_eq!(service.get("alice", &path).await.json["status"], "DELETE_IN_PROGRESS");
    service.delete("alice", &path).await.expect(409);
}

#[tokio::test]
async fn the_role_of_a_group_shows_on_its_nodes() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let list = format!("/v1/clusters/{uuid}/nodegroups");
    for label in ["magnum.openstack.org/role", "magnum.openstack.org/nodegroup", "magnum.role", "magnum.nodegroup"] {
        let body = json!({"name": "gpu", "node_labels": {label: "forged"}});
        let answer = service.post("alice", &list, body).await.expect(409);
        assert!(
            answer.detail().contains(&format!("node label '{label}' is set by the service")),
            "{}",
            answer.detail()
        );
    }
    service.post("alice", &list, json!({"name": "gpu", "role": "accelerator", "node_count": 1})).await.expect(202);
    service.store.reconcile_nodes(uuid.parse().unwrap(), &[]).await.unwrap();
    let nodes = service.get("bob", &format!("/v1/clusters/{uuid}/nodes")).await.expect(200).json;
    let roles: Vec<_> = nodes["nodes"].as_array().unwrap().iter().map(|node| node["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["master", "worker", "worker", "accelerator"]);
}

#[tokio::test]
async fn a_cluster_needs_an_address_first() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = cluster(&service, "alice", "c", &template).await;
    let answer =
        service.post("alice", &format!("/v1/clusters/{uuid}/nodegroups"), json!({"name": "n"})).await.expect(409);
    assert_eq!(answer.detail(), "Cluster API address is not available yet");
}
