use magnum_domain::ClusterStatus;
use serde_json::json;

use crate::fixtures::{cluster, ready_cluster, settle, template};
use crate::support::{Service, keys};

#[tokio::test]
async fn operations_are_listed_cancelled_and_tried_again() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = cluster(&service, "alice", "c", &template).await;
    let list = format!("/v1/clusters/{uuid}/operations");
    let operations = service.get("bob", &list).await.expect(200).json;
    let operation = &operations["operations"][0];
    let fields = [
        "uuid",
        "cluster_uuid",
        "kind",
        "arguments",
        "state",
        "attempts",
        "interruptions",
        "step",
        "waiting_for",
        "error",
        "cancel_requested",
        "user_id",
        "request_id",
        "deadline_at",
        "created_at",
        "updated_at",
        "finished_at",
    ];
    assert_eq!(keys(operation), fields);
    assert_eq!(operation["kind"], "create");
    assert_eq!(operation["state"], "pending");
    assert!(operation["request_id"].as_str().unwrap().starts_with("req-"));
    let minutes = |field: &str| chrono::DateTime::parse_from_rfc3339(operation[field].as_str().unwrap()).unwrap();
    let given = (minutes("deadline_at") - minutes("created_at")).num_seconds();
    assert!((3595..=3605).contains(&given), "create_timeout is 60 minutes, not {given} s");
    let path = format!("{list}/{}", operation["uuid"].as_str().unwrap());
    assert_eq!(&service.get("bob", &path).await.expect(200).json, operation);

    service.post("alice", &format!("{path}/retry"), json!({})).await.expect(409);
    let cancelled = service.post("alice", &format!("{path}/cancel"), json!({})).await.expect(202);
    assert_eq!(cancelled.json["cancel_requested"], true);
    settle(&service, &uuid, ClusterStatus::CreateFailed).await;
    service.post("alice", &format!("{path}/cancel"), json!({})).await.expect(409);
    let retried = service.post("alice", &format!("{path}/retry"), json!({})).await.expect(202).json;
    assert_eq!((&retried["state"], &retried["cancel_requested"]), (&json!("pending"), &json!(false)));
    assert_eq!(service.get("alice", "/v1/clusters/c").await.json["status"], "CREATE_IN_PROGRESS");
}

#[tokio::test]
async fn nodes_are_listed() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    service.store.reconcile_nodes(uuid::Uuid::parse_str(&uuid).unwrap(), &[]).await.unwrap();
    let nodes = service.get("bob", &format!("/v1/clusters/{uuid}/nodes")).await.expect(200).json;
    let nodes = nodes["nodes"].as_array().unwrap();
    assert_eq!(keys(&nodes[0]), ["uuid", "name", "nodegroup_uuid", "role", "address", "phase", "message"]);
    let seen: Vec<_> =
        nodes.iter().map(|node| (node["name"].as_str().unwrap(), node["role"].as_str().unwrap())).collect();
    assert_eq!(seen, [("c-master-0", "master"), ("c-worker-0", "worker"), ("c-worker-1", "worker")]);
    let body = json!({"node_count": 1, "nodes_to_remove": ["c-worker-7"]});
    let answer = service.post("alice", &format!("/v1/clusters/{uuid}/actions/resize"), body).await.expect(400);
    assert!(
        answer.detail().starts_with("Node c-worker-7 of nodes_to_remove could not be found"),
        "{}",
        answer.detail()
    );
    let named = nodes[1]["uuid"].as_str().unwrap().to_uppercase();
    let body = json!({"node_count": 1, "nodes_to_remove": [named]});
    service.post("alice", &format!("/v1/clusters/{uuid}/actions/resize"), body).await.expect(202);
}

#[tokio::test]
async fn the_past_of_a_deleted_cluster_is_still_told() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    service.delete("alice", &format!("/v1/clusters/{uuid}")).await.expect(204);
    let delete = service.store.claim_operation("test", std::time::Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(service.store.finish_delete(delete.uuid, "test").await.unwrap());
    service.get("alice", &format!("/v1/clusters/{uuid}")).await.expect(404);
    for what in ["operations", "events"] {
        let path = format!("/v1/clusters/{uuid}/{what}");
        let told = service.get("bob", &path).await.expect(200);
        assert!(!told.json[what].as_array().unwrap().is_empty());
        service.get("root", &path).await.expect(200);
        let refused = service.get("dave", &path).await.expect(404);
        assert_eq!(refused.detail(), format!("Cluster {uuid} could not be found."));
    }
    service.get("alice", "/v1/clusters/c/events").await.expect(404);
}
