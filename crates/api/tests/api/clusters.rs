use magnum_domain::ClusterStatus;
use serde_json::{Value, json};

use crate::fixtures::{cluster, ready_cluster, settle, template, template_body};
use crate::support::{Ask, Service, keys};

const SHORT: [&str; 16] = [
    "uuid",
    "name",
    "cluster_template_id",
    "keypair",
    "node_count",
    "master_count",
    "docker_volume_size",
    "labels",
    "master_flavor_id",
    "flavor_id",
    "create_timeout",
    "links",
    "stack_id",
    "status",
    "health_status",
    "merge_labels",
];
const FULL: [&str; 18] = [
    "status_reason",
    "health_status_reason",
    "discovery_url",
    "api_address",
    "coe_version",
    "container_version",
    "project_id",
    "user_id",
    "node_addresses",
    "master_addresses",
    "fixed_network",
    "fixed_subnet",
    "floating_ip_enabled",
    "labels_overridden",
    "labels_added",
    "labels_skipped",
    "master_lb_enabled",
    "created_at",
];

/// The names for a version: `cluster_id` took the place of `stack_id` in 1.13.
fn named(fields: &[&'static str], version: &str) -> Vec<&'static str> {
    let new = version == "1.13" || version == "1.14";
    fields.iter().map(|field| if *field == "stack_id" && new { "cluster_id" } else { field }).collect()
}

#[tokio::test]
async fn clusters_are_shown_as_each_version_has_them() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "web", &template).await;
    for minor in 1..=14 {
        let version = format!("1.{minor}");
        let get = |path: &str| service.send(Ask::new("GET", path).user("bob").version(&version).build());
        let short = get("/v1/clusters").await.expect(200).json["clusters"][0].clone();
        assert_eq!(keys(&short), named(&SHORT, &version), "{version}");
        let full = get(&format!("/v1/clusters/{uuid}")).await.expect(200).json;
        let mut fields = named(&SHORT, &version);
        fields.extend(FULL);
        fields.push("updated_at");
        assert_eq!(keys(&full), fields, "{version}");
        assert_eq!(get("/v1/clusters/detail").await.expect(200).json["clusters"][0], full, "{version}");
        assert_eq!(get("/v1/clusters/web").await.expect(200).json, full, "{version}");
        for field in SHORT.iter().filter(|field| **field != "stack_id") {
            assert_eq!(short[field], full[field], "{field}");
        }
    }
    let shown = service.get("alice", "/v1/clusters/web").await.json;
    assert_eq!(shown["cluster_id"], "net-1");
    assert_eq!(shown["node_count"], 2);
    assert_eq!(shown["master_count"], 1);
    assert_eq!(shown["status"], "CREATE_COMPLETE");
    assert_eq!(shown["api_address"], "https://127.0.0.1:2376");
    assert_eq!(shown["create_timeout"], 60);
    assert_eq!(shown["node_addresses"].as_array().unwrap().len(), 2);
    assert_eq!(shown["master_addresses"].as_array().unwrap().len(), 1);
    assert_eq!(shown["docker_volume_size"], 5, "the template's");
    assert_eq!(shown["health_status_reason"], json!({}));
}

#[tokio::test]
async fn creation_is_accepted_with_what_clients_send() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let table: [(Value, &str, Value); 14] = [
        (json!({}), "node_count", json!(1)),
        (json!({"node_count": 0}), "node_count", json!(0)),
        (json!({"node_count": "3"}), "node_count", json!(3)),
        (json!({"master_count": 3, "master_lb_enabled": true}), "master_count", json!(3)),
        (json!({"create_timeout": null}), "create_timeout", json!(null)),
        (json!({"create_timeout": 0}), "create_timeout", json!(0)),
        (json!({"labels": {}}), "labels", json!({"availability_zone": "gold"})),
        (json!({"labels": null}), "labels", json!({"availability_zone": "gold"})),
        (json!({"labels": {"a": 1}}), "labels", json!({"a": "1"})),
        (json!({"labels": {"a": 1}, "merge_labels": true}), "labels", json!({"a": "1", "availability_zone": "gold"})),
        (json!({"floating_ip_enabled": null}), "floating_ip_enabled", json!(null)),
        (json!({"status": "CREATE_FAILED"}), "status", json!("CREATE_IN_PROGRESS")),
        (json!({"uuid": "0f0f0f0f-0000-4000-8000-00000000000a"}), "project_id", json!("p1")),
        (json!({"flavor_id": "m1.large"}), "flavor_id", json!("m1.large")),
    ];
    for (extra, field, expected) in table {
        let mut body = json!({"name": "c", "cluster_template_id": template});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let made = service.post("alice", "/v1/clusters", body).await.expect(202);
        assert_eq!(keys(&made.json), ["uuid"], "{extra}");
        assert_eq!(made.header("location"), "");
        let shown = service.get("alice", &format!("/v1/clusters/{}", made.uuid())).await.expect(200);
        assert_eq!(shown.json[field], expected, "{extra}");
    }
}

#[tokio::test]
async fn templates_are_named_by_uuid_name_or_key() {
    let service = Service::start().await;
    let uuid = template(&service, "alice", "t").await;
    for ident in [uuid.as_str(), "t", "1"] {
        let made = service.post("alice", "/v1/clusters", json!({"cluster_template_id": ident})).await.expect(202);
        let shown = service.get("alice", &format!("/v1/clusters/{}", made.uuid())).await;
        assert_eq!(shown.json["cluster_template_id"], uuid.as_str());
        assert!(shown.json["name"].as_str().unwrap().ends_with("-cluster"));
    }
    for (version, status) in [("1.9", 400), ("1.10", 404)] {
        let body = json!({"cluster_template_id": "none"});
        let ask = Ask::new("POST", "/v1/clusters").user("alice").version(version).json(&body);
        let answer = service.send(ask.build()).await.expect(status);
        assert_eq!(answer.detail(), "ClusterTemplate none could not be found.");
    }
}

#[tokio::test]
async fn labels_tell_where_they_come_from() {
    let service = Service::start().await;
    let mut body = template_body("t");
    body["labels"] = json!({"same": "1", "changed": "theirs", "left": "out"});
    let template = service.post("alice", "/v1/clustertemplates", body).await.expect(201).uuid();
    let body = json!({"cluster_template_id": template, "labels": {"same": "1", "changed": "own", "new": "x"}});
    let uuid = service.post("alice", "/v1/clusters", body).await.expect(202).uuid();
    let shown = service.get("alice", &format!("/v1/clusters/{uuid}")).await.json;
    assert_eq!(shown["labels_overridden"], json!({"changed": "theirs"}));
    assert_eq!(shown["labels_added"], json!({"new": "x"}));
    assert_eq!(shown["labels_skipped"], json!({"left": "out"}));
}

#[tokio::test]
async fn hiding_a_template_hides_no_cluster() {
    let service = Service::start().await;
    let mut body = template_body("shop-window");
    body["public"] = json!(true);
    let template = service.post("root", "/v1/clustertemplates", body).await.expect(201).uuid();
    let uuid = cluster(&service, "alice", "c", &template).await;
    let hide = json!([{"op": "replace", "path": "/hidden", "value": true}]);
    service.patch("root", &format!("/v1/clustertemplates/{template}"), hide).await.expect(200);
    for path in ["/v1/clusters", "/v1/clusters/detail", "/v1/clusters/c"] {
        service.get("alice", path).await.expect(200);
    }
    let shown = service.get("alice", &format!("/v1/clusters/{uuid}")).await;
    assert_eq!(shown.json["labels_skipped"], json!({}), "the template is still compared with");
}

#[tokio::test]
async fn sizes_are_patched() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let path = format!("/v1/clusters/{uuid}");
    let replace = |value: Value| json!([{"op": "replace", "path": "/node_count", "value": value}]);
    let table = [
        (json!([]), 2, "CREATE_COMPLETE"),
        (replace(json!(2)), 2, "CREATE_COMPLETE"),
        (replace(json!(3)), 3, "UPDATE_IN_PROGRESS"),
        (replace(json!("4")), 4, "UPDATE_IN_PROGRESS"),
        (json!([{"op": "remove", "path": "/node_count"}]), 1, "UPDATE_IN_PROGRESS"),
        (replace(json!(0)), 0, "UPDATE_IN_PROGRESS"),
    ];
    for (patch, count, status) in table {
        let answer = service.patch("alice", &path, patch.clone()).await.expect(202);
        assert_eq!(answer.json, json!({"uuid": uuid}), "{patch}");
        let shown = service.get("alice", &path).await.json;
        assert_eq!(shown["node_count"], count, "{patch}");
        assert_eq!(shown["status"], status, "{patch}");
        if status == "UPDATE_IN_PROGRESS" {
            let again = service.patch("alice", &path, replace(json!(9))).await.expect(409);
            assert!(again.detail().contains("its operation update is not finished"), "{}", again.detail());
            settle(&service, &uuid, ClusterStatus::UpdateComplete).await;
        }
    }
    let ask = Ask::new("PATCH", &format!("{path}/?rollback=True")).user("alice").json(&replace(json!(5)));
    service.send(ask.build()).await.expect(202);
    let operations = service.get("alice", &format!("{path}/operations?sort_dir=desc&limit=1")).await.expect(200);
    assert_eq!(operations.json["operations"][0]["arguments"]["rollback"], true);
}

#[tokio::test]
async fn health_is_patched_without_an_operation() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let path = format!("/v1/clusters/{uuid}");
    let patch = json!([{"op": "replace", "path": "/health_status", "value": "UNHEALTHY"},
                       {"op": "replace", "path": "/health_status_reason", "value": "{'api': 'ok', 'n-0.Ready': 'False'}"}]);
    service.patch("alice", &path, patch).await.expect(202);
    let shown = service.get("alice", &path).await.json;
    assert_eq!(shown["health_status"], "UNHEALTHY");
    assert_eq!(shown["health_status_reason"], json!({"api": "ok", "n-0.Ready": "False"}));
    assert_eq!(shown["status"], "CREATE_COMPLETE");
    let operations = service.get("alice", &format!("{path}/operations")).await.json;
    assert_eq!(operations["operations"].as_array().unwrap().len(), 1, "only the creation");
}

#[tokio::test]
async fn clusters_are_deleted_in_any_status() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = cluster(&service, "alice", "c", &template).await;
    let path = format!("/v1/clusters/{uuid}");
    for _ in 0..2 {
        service.delete("alice", &path).await.expect(204);
        assert_eq!(service.get("alice", &path).await.json["status"], "DELETE_IN_PROGRESS");
    }
    let patch = json!([{"op": "replace", "path": "/node_count", "value": 5}]);
    service.patch("alice", &path, patch).await.expect(409);
    let operations = service.get("alice", &format!("{path}/operations")).await.json;
    let kinds: Vec<&str> =
        operations["operations"].as_array().unwrap().iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["create", "delete"]);
}

#[tokio::test]
async fn failures_are_told() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = cluster(&service, "alice", "c", &template).await;
    settle(&service, &uuid, ClusterStatus::CreateFailed).await;
    let shown = service.get("alice", &format!("/v1/clusters/{uuid}")).await.json;
    assert_eq!(shown["status_reason"], "step node.start: no room");
    let reason = "step node.start: no room";
    assert_eq!(shown["faults"], json!({"default-master": reason, "default-worker": reason}));
    let list = service.get("alice", "/v1/clusters/detail").await.json;
    assert_eq!(list["clusters"][0].get("faults"), None, "only where one cluster is shown");
}

#[tokio::test]
async fn resizing_goes_by_group() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let path = format!("/v1/clusters/{uuid}/actions/resize");
    for (body, count) in [
        (json!({"node_count": 4}), 4),
        (json!({"node_count": 3, "nodes_to_remove": [], "nodegroup": "default-worker"}), 3),
        (json!({"node_count": 0, "nodes_to_remove": null, "nodegroup": null}), 0),
    ] {
        let answer = service.post("alice", &path, body).await.expect(202);
        assert_eq!(answer.json, json!({"uuid": uuid}));
        assert_eq!(service.get("alice", &format!("/v1/clusters/{uuid}")).await.json["node_count"], count);
        settle(&service, &uuid, ClusterStatus::UpdateComplete).await;
    }
    service.post("root", &path, json!({"node_count": 4})).await.expect(404);
}

#[tokio::test]
async fn a_failed_update_can_be_done_again_or_taken_back() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let path = format!("/v1/clusters/{uuid}/actions/resize");
    service.post("alice", &path, json!({"node_count": 4})).await.expect(202);
    settle(&service, &uuid, ClusterStatus::UpdateFailed).await;
    service.post("alice", &path, json!({"node_count": 2})).await.expect(202);
}

#[tokio::test]
async fn dry_runs_show_a_plan_and_write_nothing() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let id = uuid::Uuid::parse_str(&uuid).unwrap();
    service.store.reconcile_nodes(id, &[]).await.unwrap();
    for node in service.store.nodes(id).await.unwrap() {
        let ready = Some(magnum_domain::NodePhase::Ready);
        service.store.node_report(node.uuid, &Default::default(), ready, None).await.unwrap();
    }
    let before = service.dump().await;
    let start = |name: &str| json!({"kind": "node.start", "title": format!("node.start {name}")});
    let stop = |name: &str| json!({"kind": "node.stop", "title": format!("node.stop {name}")});
    let patch = |count: i32| json!([{"op": "replace", "path": "/node_count", "value": count}]);
    let table = [
        (
            "POST",
            "/v1/clusters?dry_run=true".to_owned(),
            json!({"name": "new", "cluster_template_id": template, "node_count": 1}),
            json!([[start("new-master-0"), start("new-worker-0")]]),
        ),
        ("PATCH", format!("/v1/clusters/{uuid}?dry_run=true"), patch(3), json!([[start("c-worker-2")]])),
        ("PATCH", format!("/v1/clusters/{uuid}?dry_run=1"), patch(2), json!([])),
        (
            "POST",
            format!("/v1/clusters/{uuid}/actions/resize?dry_run=true"),
            json!({"node_count": 1, "nodes_to_remove": ["c-worker-0"]}),
            json!([[stop("c-worker-0")]]),
        ),
        (
            "POST",
            format!("/v1/clusters/{uuid}/actions/resize?dry_run=true"),
            json!({"node_count": 2, "nodes_to_remove": ["c-worker-0", "c-worker-0"]}),
            json!([[start("c-worker-2")], [stop("c-worker-0")]]),
        ),
        (
            "POST",
            format!("/v1/clusters/{uuid}/actions/resize?dry_run=true"),
            json!({"node_count": 0}),
            json!([[stop("c-worker-0"), stop("c-worker-1")]]),
        ),
    ];
    for (method, path, body, stages) in table {
        let answer = service.send(Ask::new(method, &path).user("alice").json(&body).build()).await.expect(200);
        assert_eq!(answer.json, json!({"dry_run": true, "stages": stages}), "{method} {path} {body}");
    }
    assert_eq!(service.dump().await, before);
}

#[tokio::test]
async fn what_can_not_be_made_is_refused_before_it_is_accepted() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let before = service.dump().await;
    let body = json!({"cluster_template_id": template, "labels": {"impossible": "yes"}, "node_count": 4});
    let answer = service.post("alice", "/v1/clusters", body).await.expect(409);
    assert_eq!(answer.detail(), "There is no room for 5 nodes. Free some memory.");
    assert_eq!(answer.json["errors"][0]["title"], "There is no room for 5 nodes");
    assert_eq!(service.dump().await, before);
}

#[tokio::test]
async fn quotas_hold() {
    let service = Service::with(|options| options.max_clusters_per_project = 2).await;
    let template = template(&service, "alice", "t").await;
    for _ in 0..2 {
        cluster(&service, "alice", "c", &template).await;
    }
    let body = json!({"cluster_template_id": template});
    let answer = service.post("alice", "/v1/clusters", body.clone()).await.expect(403);
    assert_eq!(
        answer.detail(),
        "Resource limit exceeded: You have reached the maximum clusters per project, 2. You may delete a cluster to make room for a new one."
    );
    service.post("root", "/v1/quotas", json!({"project_id": "p1", "hard_limit": 3})).await.expect(201);
    service.post("alice", "/v1/clusters", body).await.expect(202);
}
