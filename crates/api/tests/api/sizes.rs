//! How much one request may ask for, whichever way it comes.

use std::collections::BTreeSet;
use std::sync::Arc;

use magnum_api::{ApiOptions, LocalCloud};
use magnum_domain::ClusterStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixtures::{ready_cluster, settle, template, template_body};
use crate::support::{Ask, Service, router};

const NODES: i64 = 7;
const CLUSTER: i64 = 9;
const GIGABYTES: i64 = 50;
const MINUTES: i64 = 100;

fn small(options: &mut ApiOptions) {
    options.sizes.nodes_per_nodegroup = u32::try_from(NODES).unwrap();
    options.sizes.nodes_per_cluster = u32::try_from(CLUSTER).unwrap();
    options.sizes.volume_gigabytes = u32::try_from(GIGABYTES).unwrap();
    options.sizes.timeout_minutes = u32::try_from(MINUTES).unwrap();
    options.max_clusters_per_project = 1000;
}

/// A way for a number to come in.
struct Way {
    /// The body and its field, as the document of the API names them; or something else, in words.
    what: &'static str,
    method: &'static str,
    path: &'static str,
    /// `N` is the number, `TEMPLATE`, `CLUSTER` and `GROUP` what there is.
    body: Value,
    /// The greatest that is taken.
    most: i64,
    accepted: u16,
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    let mut add = |what, method, path, body, most, accepted| {
        ways.push(Way { what, method, path, body, most, accepted });
    };
    let patch = |path: &str| json!([{"op": "replace", "path": path, "value": "N"}]);
    let cluster = |name: &str| json!({"name": "new", "cluster_template_id": "TEMPLATE", "node_count": 1, name: "N"});
    for (what, name, most) in [
        ("ClusterBody.node_count", "node_count", NODES),
        ("ClusterBody.docker_volume_size", "docker_volume_size", GIGABYTES),
        ("ClusterBody.create_timeout", "create_timeout", MINUTES),
    ] {
        add(what, "POST", "/v1/clusters", cluster(name), most, 202);
        add(what, "POST", "/v1/clusters?dry_run=true", cluster(name), most, 200);
    }
    let masters = json!({"cluster_template_id": "TEMPLATE", "master_lb_enabled": true, "master_count": "N"});
    add("ClusterBody.master_count", "POST", "/v1/clusters", masters, NODES, 202);
    for (label, most) in [
        ("min_node_count", NODES),
        ("max_node_count", NODES),
        ("boot_volume_size", GIGABYTES),
        ("etcd_volume_size", GIGABYTES),
    ] {
        let labels = json!({"cluster_template_id": "TEMPLATE", "labels": {label: "N"}});
        add("a label of a cluster", "POST", "/v1/clusters", labels, most, 202);
        let mut template = template_body("new");
        template["labels"] = json!({label: "N"});
        add("a label of a template", "POST", "/v1/clustertemplates", template, most, 201);
        let labels = json!([{"op": "replace", "path": "/labels", "value": {label: "N"}}]);
        add("a label of a template that is changed", "PATCH", "/v1/clustertemplates/unused", labels, most, 200);
        let labels = json!({"name": "new", "labels": {label: "N"}});
        add("a label of a node group", "POST", "/v1/clusters/CLUSTER/nodegroups", labels, most, 202);
    }
    let path = "/v1/clusters/CLUSTER";
    add("a patch of node_count", "PATCH", path, patch("/node_count"), NODES, 202);
    add("a patch of node_count", "PATCH", "/v1/clusters/CLUSTER?dry_run=true", patch("/node_count"), NODES, 200);
    let path = "/v1/clusters/CLUSTER/actions/resize";
    add("ResizeBody.node_count", "POST", path, json!({"node_count": "N"}), NODES, 202);
    let path = "/v1/clusters/CLUSTER/actions/resize?dry_run=true";
    add("ResizeBody.node_count", "POST", path, json!({"node_count": "N"}), NODES, 200);
    let path = "/v1/clusters/CLUSTER/actions/resize";
    add("ResizeBody.node_count", "POST", path, json!({"node_count": "N", "nodegroup": "GROUP"}), NODES - 1, 202);
    let path = "/v1/clusters/CLUSTER/actions/upgrade";
    let upgrade = json!({"cluster_template": "TEMPLATE", "max_batch_size": "N"});
    add("UpgradeBody.max_batch_size", "POST", path, upgrade, NODES, 202);
    let path = "/v1/clusters/CLUSTER/nodegroups";
    let group = |name: &str| json!({"name": "new", name: "N"});
    add("NodegroupBody.node_count", "POST", path, group("node_count"), 5, 202);
    add("NodegroupBody.max_node_count", "POST", path, group("max_node_count"), NODES, 202);
    add("NodegroupBody.docker_volume_size", "POST", path, group("docker_volume_size"), GIGABYTES, 202);
    let bounds = json!({"name": "new", "node_count": 5, "min_node_count": "N"});
    add("NodegroupBody.min_node_count", "POST", path, bounds, 5, 202);
    let path = "/v1/clusters/CLUSTER/nodegroups/GROUP";
    add("a patch of max_node_count", "PATCH", path, patch("/max_node_count"), NODES, 202);
    add("a patch of min_node_count", "PATCH", path, patch("/min_node_count"), 1, 202);
    let mut template = template_body("new");
    template["docker_volume_size"] = json!("N");
    add("ClusterTemplateBody.docker_volume_size", "POST", "/v1/clustertemplates", template.clone(), GIGABYTES, 201);
    let path = "/v1/clustertemplates/unused";
    add("a patch of docker_volume_size", "PATCH", path, patch("/docker_volume_size"), GIGABYTES, 200);
    // By the names from before 1.11.
    for (what, name, most) in [
        ("BayBody.node_count", "node_count", NODES),
        ("BayBody.docker_volume_size", "docker_volume_size", GIGABYTES),
        ("BayBody.bay_create_timeout", "bay_create_timeout", MINUTES),
    ] {
        add(what, "POST", "/v1/bays", json!({"baymodel_id": "TEMPLATE", "node_count": 1, name: "N"}), most, 202);
    }
    let masters = json!({"baymodel_id": "TEMPLATE", "master_lb_enabled": true, "master_count": "N"});
    add("BayBody.master_count", "POST", "/v1/bays", masters, NODES, 202);
    let labels = json!({"baymodel_id": "TEMPLATE", "labels": {"boot_volume_size": "N"}});
    add("a label of a bay", "POST", "/v1/bays", labels, GIGABYTES, 202);
    add("a patch of a bay", "PATCH", "/v1/bays/CLUSTER", patch("/node_count"), NODES, 202);
    template["keypair_id"] = json!("key");
    add("BayModelBody.docker_volume_size", "POST", "/v1/baymodels", template, GIGABYTES, 201);
    let path = "/v1/baymodels/unused";
    add("a patch of a bay model", "PATCH", path, patch("/docker_volume_size"), GIGABYTES, 200);
    // A quota makes nothing: it holds whatever a database holds.
    let quota = json!({"project_id": "p2", "hard_limit": "N"});
    add("QuotaBody.hard_limit", "POST", "/v1/quotas", quota, i64::from(i32::MAX), 201);
    ways
}

/// A cluster of one master, two workers and a group of one, which all run.
async fn grown(service: &Service, name: &str, template: &str) -> (String, String) {
    let cluster = ready_cluster(service, "alice", name, template).await;
    let path = format!("/v1/clusters/{cluster}/nodegroups");
    let body = json!({"name": "group", "node_count": 1, "max_node_count": 6});
    let group = service.post("alice", &path, body).await.expect(202).uuid();
    settle(service, &cluster, ClusterStatus::UpdateComplete).await;
    service.store.reconcile_nodes(Uuid::parse_str(&cluster).unwrap(), &[]).await.unwrap();
    (cluster, group)
}

#[tokio::test]
async fn every_number_of_every_request_is_bounded_before_anything_is_written() {
    let service = Service::with(small).await;
    let own = template(&service, "alice", "own").await;
    template(&service, "alice", "unused").await;
    for (at, way) in ways().into_iter().enumerate() {
        let (cluster, group) = grown(&service, &format!("c{at}"), &own).await;
        let path = way.path.replace("CLUSTER", &cluster).replace("GROUP", &group);
        let version = if path.contains("/bay") { "1.10" } else { "1.14" };
        let user = if path.contains("quotas") { "root" } else { "alice" };
        let ask = |number: i64| {
            let body = way.body.to_string().replace("TEMPLATE", &own).replace("GROUP", &group);
            let body: Value = serde_json::from_str(&body.replace("\"N\"", &number.to_string())).unwrap();
            Ask::new(way.method, &path).user(user).version(version).json(&body).build()
        };
        let before = service.dump().await;
        for number in [i64::from(i32::MAX), 10_000, way.most + 1, -1] {
            if number >= 0 && number <= way.most {
                continue;
            }
            let what = format!("{}: {} {path} with {number}", way.what, way.method);
            let answer = service.send(ask(number)).await;
            assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.text);
            let says = answer.detail();
            let expected = [
                "lower or equal to",
                "greater or equal to",
                "between 0 and",
                "max_nodes_per_cluster",
                "must be a number of nodes",
                "outside the allowed range",
                "is invalid",
            ];
            assert!(expected.iter().any(|words| says.contains(words)), "{what}: {says}");
            assert!(service.dump().await == before, "{what} changed something");
        }
        let what = format!("{}: {} {path} with {}", way.what, way.method, way.most);
        let answer = service.send(ask(way.most)).await;
        assert_eq!(answer.status.as_u16(), way.accepted, "{what}: {}", answer.text);
        service.execute("DELETE FROM conductor_operation").await;
    }
}

/// A number that is added to a body later does not get past the table above.
#[tokio::test]
async fn the_table_knows_every_number_that_a_body_may_hold() {
    let known: BTreeSet<&str> = ways().iter().map(|way| way.what).collect();
    let service = Service::start().await;
    let document = service.send(Ask::new("GET", "/openapi.json").build()).await.expect(200).json;
    let bodies = document["components"]["schemas"].as_object().unwrap();
    let mut numbers = 0;
    for (name, body) in bodies.iter().filter(|(name, _)| name.ends_with("Body")) {
        for (field, schema) in body["properties"].as_object().into_iter().flatten() {
            let is_unbounded = |one: &Value| one["type"] == "integer" && one["maximum"].as_i64() == Some(2_147_483_647);
            let is_own = field != "id";
            if is_own && schema["anyOf"].as_array().into_iter().flatten().any(is_unbounded) {
                numbers += 1;
                assert!(known.contains(format!("{name}.{field}").as_str()), "{name}.{field}");
            }
        }
    }
    assert!(numbers > 12, "{numbers}");
}

/// The sum of all node groups, and what the driver has room for: asked for on every way to more nodes.
#[tokio::test]
async fn no_way_to_more_nodes_goes_past_the_clusters_limit_or_the_drivers_room() {
    let service = Service::with(small).await;
    let own = template(&service, "alice", "own").await;
    let patch = |count: i32| json!([{"op": "replace", "path": "/node_count", "value": count}]);
    let new = |room: &str, count: i32| {
        json!({"name": "n", "cluster_template_id": own, "master_lb_enabled": true, "master_count": 3,
               "node_count": count, "labels": {"room": room}})
    };
    let bay = |room: &str, count: i32| {
        json!({"baymodel_id": own, "master_lb_enabled": true, "master_count": 3, "node_count": count,
               "labels": {"room": room}})
    };
    // A cluster of one master, two workers and a group of two, where there is room for one more.
    let body = json!({"name": "c", "cluster_template_id": own, "node_count": 2, "labels": {"room": "6"}});
    let cluster = service.post("alice", "/v1/clusters", body).await.expect(202).uuid();
    settle(&service, &cluster, ClusterStatus::CreateComplete).await;
    let body = json!({"name": "group", "node_count": 2});
    service.post("alice", &format!("/v1/clusters/{cluster}/nodegroups"), body).await.expect(202);
    settle(&service, &cluster, ClusterStatus::UpdateComplete).await;
    service.store.reconcile_nodes(Uuid::parse_str(&cluster).unwrap(), &[]).await.unwrap();
    let at = |path: &str| format!("/v1/clusters/{cluster}{path}");
    let room = "There is no room for";
    let sum = "in all its node groups, but may have 9 at most";
    let group = |count: i32| json!({"name": "new", "node_count": count});
    let workers = json!(["n0", "n1"]);
    let table: Vec<(&str, String, Value, &str, &str)> = vec![
        ("POST", "/v1/clusters".to_owned(), new("99", 7), "1.14", sum),
        ("POST", "/v1/clusters?dry_run=true".to_owned(), new("99", 7), "1.14", sum),
        ("POST", "/v1/bays".to_owned(), bay("99", 7), "1.10", sum),
        ("PATCH", at(""), patch(7), "1.14", sum),
        ("PATCH", at("?dry_run=true"), patch(7), "1.14", sum),
        ("PATCH", format!("/v1/bays/{cluster}"), patch(7), "1.10", sum),
        ("POST", at("/actions/resize"), json!({"node_count": 7}), "1.14", sum),
        ("POST", at("/actions/resize?dry_run=true"), json!({"node_count": 7}), "1.14", sum),
        ("POST", at("/nodegroups"), group(6), "1.14", sum),
        ("POST", "/v1/clusters".to_owned(), new("5", 3), "1.14", room),
        ("POST", "/v1/clusters?dry_run=true".to_owned(), new("5", 3), "1.14", room),
        ("POST", "/v1/bays".to_owned(), bay("5", 3), "1.10", room),
        ("PATCH", at(""), patch(4), "1.14", room),
        ("PATCH", at("?dry_run=true"), patch(4), "1.14", room),
        ("PATCH", format!("/v1/bays/{cluster}"), patch(4), "1.10", room),
        ("POST", at("/actions/resize"), json!({"node_count": 4}), "1.14", room),
        ("POST", at("/actions/resize?dry_run=true"), json!({"node_count": 4}), "1.14", room),
        // Those that take the place of others are there before those are gone.
        ("POST", at("/actions/resize"), json!({"node_count": 2, "nodes_to_remove": workers}), "1.14", room),
        ("POST", at("/nodegroups"), group(2), "1.14", room),
        ("POST", at("/actions/upgrade"), json!({"cluster_template": own, "max_batch_size": 2}), "1.14", room),
    ];
    let nodes = service.store.nodes(Uuid::parse_str(&cluster).unwrap()).await.unwrap();
    let worker = |position: i32| {
        let found = nodes.iter().find(|node| node.name.contains("worker") && node.position == position);
        found.unwrap().uuid.to_string()
    };
    let before = service.dump().await;
    for (method, path, body, version, words) in table {
        let body = body.to_string().replace("\"n0\"", &format!("{:?}", worker(0)));
        let body: Value = serde_json::from_str(&body.replace("\"n1\"", &format!("{:?}", worker(1)))).unwrap();
        let answer = service.send(Ask::new(method, &path).user("alice").version(version).json(&body).build()).await;
        let status = if words == room { 409 } else { 400 };
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.text);
        assert!(answer.detail().contains(words), "{method} {path} {body}: {}", answer.detail());
        assert!(service.dump().await == before, "{method} {path} {body} changed something");
    }
    // Smaller is always possible, and so is one at a time.
    service.patch("alice", &at("?dry_run=true"), patch(0)).await.expect(200);
    let body = json!({"cluster_template": own, "max_batch_size": 1});
    service.post("alice", &at("/actions/upgrade"), body).await.expect(202);
}

/// An operation that was accepted when more was allowed.
#[tokio::test]
async fn a_retry_is_held_to_the_limits_of_today() {
    let mut service = Service::start().await;
    let own = template(&service, "alice", "own").await;
    let cluster = ready_cluster(&service, "alice", "c", &own).await;
    service.store.reconcile_nodes(Uuid::parse_str(&cluster).unwrap(), &[]).await.unwrap();
    let path = format!("/v1/clusters/{cluster}/actions/resize");
    service.post("alice", &path, json!({"node_count": 8})).await.expect(202);
    settle(&service, &cluster, ClusterStatus::UpdateFailed).await;
    let operations = format!("/v1/clusters/{cluster}/operations");
    let newest = service.get("alice", &format!("{operations}?sort_dir=desc&limit=1")).await.expect(200).json;
    let retry = format!("{operations}/{}/retry", newest["operations"][0]["uuid"].as_str().unwrap());
    let cloud = Arc::new(LocalCloud::built_in().unwrap());
    service.router = router(&service.store, &service.vault, cloud, small);
    let before = service.dump().await;
    let answer = service.post("alice", &retry, json!({})).await.expect(400);
    assert!(answer.detail().contains("may have 7 at most ([limits] max_nodes_per_nodegroup)"), "{}", answer.detail());
    assert!(service.dump().await == before);
    let cloud = Arc::new(LocalCloud::built_in().unwrap());
    service.router = router(&service.store, &service.vault, cloud, |_| {});
    service.post("alice", &retry, json!({})).await.expect(202);
}

#[tokio::test]
async fn a_cluster_has_so_many_node_groups() {
    let service = Service::with(|options| options.sizes.nodegroups_per_cluster = 3).await;
    let own = template(&service, "alice", "own").await;
    let cluster = ready_cluster(&service, "alice", "c", &own).await;
    let path = format!("/v1/clusters/{cluster}/nodegroups");
    service.post("alice", &path, json!({"name": "third", "node_count": 0})).await.expect(202);
    let before = service.dump().await;
    let answer = service.post("alice", &path, json!({"name": "fourth", "node_count": 0})).await.expect(400);
    assert!(answer.detail().starts_with("The cluster would have more than 3 node groups"), "{}", answer.detail());
    assert!(service.dump().await == before);
}

/// The largest cluster of the defaults: a step for each of its nodes, and an answer that stays small.
#[tokio::test]
async fn the_dry_run_of_the_largest_cluster_stays_small() {
    let service = Service::start().await;
    let own = template(&service, "alice", "own").await;
    let body = json!({"name": "c", "cluster_template_id": own, "master_lb_enabled": true, "master_count": 499,
                      "node_count": 500});
    let answer = service.post("alice", "/v1/clusters?dry_run=true", body).await.expect(200);
    let steps: usize =
        answer.json["stages"].as_array().unwrap().iter().map(|stage| stage.as_array().map_or(0, Vec::len)).sum();
    assert_eq!(steps, 999);
    assert!(answer.text.len() < 150_000, "{} bytes", answer.text.len());
}

/// A page has as many rows as the server gives, however many are asked for.
#[tokio::test]
async fn pages_are_bounded() {
    let service = Service::with(|options| options.max_limit = 2).await;
    for name in ["a", "b", "c"] {
        template(&service, "alice", name).await;
    }
    for (limit, status, rows) in
        [("2147483647", 200, 2), ("99999999999999999999", 200, 2), ("1", 200, 1), ("0", 400, 0), ("-1", 400, 0)]
    {
        let answer = service.get("alice", &format!("/v1/clustertemplates?limit={limit}")).await.expect(status);
        assert_eq!(answer.json["clustertemplates"].as_array().map_or(0, Vec::len), rows, "{limit}");
    }
}
