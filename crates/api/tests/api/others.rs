use serde_json::json;

use crate::fixtures::{ready_cluster, template};
use crate::support::{Service, keys};

#[tokio::test]
async fn quotas_are_kept() {
    let service = Service::start().await;
    let made = service
        .post("root", "/v1/quotas", json!({"project_id": "p1", "resource": "Cluster", "hard_limit": 5}))
        .await
        .expect(201);
    assert_eq!(keys(&made.json), ["id", "hard_limit", "project_id", "resource", "created_at", "updated_at"]);
    assert_eq!(service.get("bob", "/v1/quotas/p1/Cluster").await.expect(200).json, made.json);
    assert_eq!(service.get("chief", "/v1/quotas").await.expect(200).json, json!({"quotas": [made.json]}));
    assert_eq!(
        service.get("root", "/v1/quotas").await.expect(200).json,
        json!({"quotas": []}),
        "only its own project's"
    );
    assert_eq!(
        service.get("root", "/v1/quotas?all_tenants=True").await.expect(200).json,
        json!({"quotas": [made.json]})
    );
    let changed = service
        .patch("root", "/v1/quotas/p1/Cluster", json!({"project_id": "x", "resource": "Cluster", "hard_limit": 7}))
        .await
        .expect(202);
    assert_eq!((&changed.json["hard_limit"], &changed.json["project_id"]), (&json!(7), &json!("p1")));
    service.patch("root", "/v1/quotas/p1/Cluster", json!({})).await.expect(400);
    let named = json!({"project_id": "p1", "hard_limit": 9});
    assert_eq!(service.patch("root", "/v1/quotas", named).await.expect(202).json["hard_limit"], 9);
    let again = service.post("root", "/v1/quotas", json!({"project_id": "p1"})).await.expect(409);
    assert_eq!(again.detail(), "Quota for project p1 already exists for resource Cluster.");
    service.delete("root", "/v1/quotas/p1/Cluster").await.expect(204);
    let gone = service.delete("root", "/v1/quotas/p1/Cluster").await.expect(404);
    assert_eq!(gone.detail(), "Quota could not be found: project_id p1 resource Cluster.");
    let preset = service.get("bob", "/v1/quotas/p1/Cluster").await.expect(200);
    assert_eq!(preset.json, json!({"hard_limit": 20, "project_id": "p1", "resource": "Cluster"}));
    let unknown = service.post("root", "/v1/quotas", json!({"project_id": "p9"})).await.expect(404);
    assert_eq!(unknown.detail(), "The project_id p9 could not be found.");
}

#[tokio::test]
async fn statistics_count_nodes_of_all_groups() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    ready_cluster(&service, "alice", "c", &own).await;
    let foreign = template(&service, "dave", "t").await;
    ready_cluster(&service, "dave", "c", &foreign).await;
    let one = json!({"clusters": 1, "nodes": 3});
    for (user, path, expected) in [
        ("bob", "/v1/stats", one.clone()),
        ("bob", "/v1/stats?project_id=p1&type=CLUSTER", one.clone()),
        ("root", "/v1/stats?project_id=p2", one),
        ("root", "/v1/stats", json!({"clusters": 2, "nodes": 6})),
    ] {
        assert_eq!(service.get(user, path).await.expect(200).json, expected, "{user} {path}");
    }
}

#[tokio::test]
async fn conductors_are_listed() {
    let service = Service::start().await;
    service.store.heartbeat("host-1", "magnum-conductor").await.unwrap();
    let list = service.get("root", "/v1/mservices").await.expect(200).json;
    let fields =
        ["host", "binary", "state", "id", "report_count", "disabled", "disabled_reason", "created_at", "updated_at"];
    assert_eq!(keys(&list["mservices"][0]), fields);
    assert_eq!(list["mservices"][0]["state"], "up");
    assert_eq!(list.get("next"), None);
}

#[tokio::test]
async fn accepted_spellings_of_engines() {
    let service = Service::start().await;
    for coe in ["swarm", "swarm-mode", "kubernetes"] {
        let body = json!({"coe": coe, "image_id": "local"});
        service.post("alice", "/v1/clustertemplates", body).await.expect(201);
    }
    for coe in ["mesos", "dcos"] {
        let body = json!({"coe": coe, "image_id": "local"});
        let answer = service.post("alice", "/v1/clustertemplates", body).await.expect(400);
        assert_eq!(answer.detail(), format!("Cluster type (vm, local, {coe}) not supported."));
    }
}
