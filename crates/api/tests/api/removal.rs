//! Nodes that a request names leave and the size holds; a dry run shows exactly what the plan will do.

use std::collections::BTreeSet;

use magnum_domain::{ClusterStatus, Node, NodePhase};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixtures::{ready_cluster, settle, template};
use crate::support::{Ask, Service};

/// Nodes that leave, and nodes that come, by name.
type Names = (BTreeSet<String>, BTreeSet<String>);

/// A cluster of that name, with a master and two workers that run and have addresses.
async fn running(service: &Service, name: &str) -> Uuid {
    let template = template(service, "alice", name).await;
    let cluster = Uuid::parse_str(&ready_cluster(service, "alice", name, &template).await).unwrap();
    service.store.reconcile_nodes(cluster, &[]).await.unwrap();
    for (at, node) in service.store.nodes(cluster).await.unwrap().into_iter().enumerate() {
        service.store.set_node_started(node.uuid, &format!("10.1.0.{at}"), &format!("{at}-{name}")).await.unwrap();
        service.store.node_report(node.uuid, &Default::default(), Some(NodePhase::Ready), None).await.unwrap();
    }
    cluster
}

/// What the dry run of a request shows.
async fn shown(service: &Service, method: &str, path: &str, body: &Value) -> Names {
    let ask = Ask::new(method, &format!("{path}?dry_run=true")).user("alice").json(body);
    let answer = service.send(ask.build()).await.expect(200).json;
    let steps: Vec<&Value> = answer["stages"].as_array().unwrap().iter().flat_map(|s| s.as_array().unwrap()).collect();
    let of = |kind: &str| {
        let titles = steps.iter().filter(|step| step["kind"] == kind).map(|step| step["title"].as_str().unwrap());
        titles.map(|title| title.trim_start_matches(kind).trim().to_owned()).collect()
    };
    (of("node.stop"), of("node.start"))
}

/// What the conductor makes of the operation that is asked for.
async fn done(service: &Service, cluster: Uuid) -> Names {
    let operations = service.get("alice", &format!("/v1/clusters/{cluster}/operations?sort_dir=desc&limit=1")).await;
    let named = &operations.expect(200).json["operations"][0]["arguments"]["nodes_to_remove"];
    let named: Vec<String> = serde_json::from_value(named.clone()).unwrap_or_default();
    let nodes = service.store.reconcile_nodes(cluster, &named).await.unwrap();
    let of = |is: fn(&Node) -> bool| nodes.iter().filter(|node| is(node)).map(|node| node.name.clone()).collect();
    (of(Node::is_leaving), of(|node| node.phase == NodePhase::Planned))
}

#[tokio::test]
async fn a_dry_run_shows_what_the_plan_will_do() {
    // What is asked for; the nodes that leave, and those that come.
    let resize = |body: Value| ("POST", "/actions/resize", body);
    let patch = |count: i32| ("PATCH", "", json!([{"op": "replace", "path": "/node_count", "value": count}]));
    let table: [((&str, &str, Value), &[&str], &[&str]); 10] = [
        (patch(4), &[], &["worker-2", "worker-3"]),
        (patch(1), &["worker-1"], &[]),
        (resize(json!({"node_count": 3})), &[], &["worker-2"]),
        (resize(json!({"node_count": 2, "nodes_to_remove": ["NAME-worker-0"]})), &["worker-0"], &["worker-2"]),
        (resize(json!({"node_count": 2, "nodes_to_remove": ["10.1.0.2"]})), &["worker-1"], &["worker-2"]),
        (
            resize(json!({"node_count": 2, "nodes_to_remove": ["NAME-worker-0", "10.1.0.1", "10.1.0.2"]})),
            &["worker-0", "worker-1"],
            &["worker-2", "worker-3"],
        ),
        (resize(json!({"node_count": 1, "nodes_to_remove": ["NAME-worker-0"]})), &["worker-0"], &[]),
        (
            resize(json!({"node_count": 1, "nodes_to_remove": ["NAME-worker-0", "NAME-worker-1"]})),
            &["worker-0", "worker-1"],
            &["worker-2"],
        ),
        (resize(json!({"node_count": 3, "nodes_to_remove": ["10.1.0.1"]})), &["worker-0"], &["worker-2", "worker-3"]),
        (resize(json!({"node_count": 0, "nodes_to_remove": ["10.1.0.1"]})), &["worker-0", "worker-1"], &[]),
    ];
    let service = Service::start().await;
    for (at, ((method, path, body), leaving, coming)) in table.into_iter().enumerate() {
        // Neither is a host name as it stands.
        let name = format!("web_{at}");
        let host = format!("web-{at}");
        let cluster = running(&service, &name).await;
        let body: Value = serde_json::from_str(&body.to_string().replace("NAME", &host)).unwrap();
        let path = format!("/v1/clusters/{cluster}{path}");
        let full = |words: &[&str]| words.iter().map(|word| format!("{host}-{word}")).collect::<BTreeSet<_>>();
        let shown = shown(&service, method, &path, &body).await;
        assert_eq!(shown, (full(leaving), full(coming)), "{path} {body}");
        service.send(Ask::new(method, &path).user("alice").json(&body).build()).await.expect(202);
        assert_eq!(done(&service, cluster).await, shown, "{path} {body}");
        settle(&service, &cluster.to_string(), ClusterStatus::UpdateComplete).await;
    }
    // A new cluster, whose nodes are named by the same rule.
    let template = template(&service, "alice", "t").await;
    let body = json!({"name": "new_1.x", "cluster_template_id": template, "node_count": 1});
    let shown = shown(&service, "POST", "/v1/clusters", &body).await;
    let cluster = service.post("alice", "/v1/clusters", body).await.expect(202).uuid();
    assert_eq!(shown.1, BTreeSet::from(["new-1-x-master-0".to_owned(), "new-1-x-worker-0".to_owned()]));
    assert_eq!(done(&service, Uuid::parse_str(&cluster).unwrap()).await, shown);
}

#[tokio::test]
async fn a_name_that_is_none_refuses_everything() {
    let service = Service::start().await;
    let cluster = running(&service, "c").await;
    running(&service, "other").await;
    let before = service.dump().await;
    let path = format!("/v1/clusters/{cluster}/actions/resize");
    for unknown in ["c-worker-2", "c-master-0", "10.1.0.0", "10.9.9.9", "other-worker-0", "0", "C-WORKER-0", " "] {
        for count in [0, 1, 2, 3] {
            for path in [path.clone(), format!("{path}?dry_run=true")] {
                let body = json!({"node_count": count, "nodes_to_remove": ["c-worker-0", unknown]});
                let answer = service.post("alice", &path, body).await.expect(400);
                let words =
                    format!("Node {unknown} of nodes_to_remove could not be found in nodegroup default-worker.");
                assert!(answer.detail().starts_with(&words), "{}", answer.detail());
            }
        }
    }
    // Masters are nobody's to replace where the driver does not resize them.
    let body = json!({"node_count": 1, "nodegroup": "default-master", "nodes_to_remove": ["c-master-0"]});
    let answer = service.post("alice", &path, body).await.expect(400);
    assert_eq!(answer.detail(), "Resizing the master nodegroup is not supported by this driver.");
    assert_eq!(service.dump().await, before);
}

/// A name is given again once its node is gone: a retried operation must not take the next node of that name along.
#[tokio::test]
async fn names_are_kept_as_the_nodes_they_meant() {
    let service = Service::start().await;
    let cluster = running(&service, "c").await;
    let nodes = service.store.nodes(cluster).await.unwrap();
    let named = nodes.iter().find(|node| node.name == "c-worker-0").unwrap();
    let body = json!({"node_count": 2, "nodes_to_remove": ["c-worker-0", named.uuid.simple().to_string()]});
    service.post("alice", &format!("/v1/clusters/{cluster}/actions/resize"), body).await.expect(202);
    let operations = service.get("alice", &format!("/v1/clusters/{cluster}/operations?sort_dir=desc&limit=1")).await;
    let operation = operations.expect(200).json["operations"][0].clone();
    assert_eq!(operation["arguments"]["nodes_to_remove"], json!([named.uuid.to_string()]));
    done(&service, cluster).await;
    service.store.delete_node(named.uuid).await.unwrap();
    settle(&service, &cluster.to_string(), ClusterStatus::UpdateFailed).await;
    // Meanwhile another node gets the name that is free.
    let workers = service.store.get_nodegroup(cluster, &magnum_store::Ident::Name("default-worker".to_owned())).await;
    let grown = magnum_store::NodegroupChange { node_count: Some(3), ..Default::default() };
    service.store.update_nodegroup(workers.unwrap().uuid, &grown).await.unwrap();
    let nodes = service.store.reconcile_nodes(cluster, &[]).await.unwrap();
    assert!(nodes.iter().any(|node| node.name == "c-worker-0" && !node.is_leaving()));
    let retry = format!("/v1/clusters/{cluster}/operations/{}/retry", operation["uuid"].as_str().unwrap());
    service.post("alice", &retry, json!({})).await.expect(202);
    let (leaving, _) = done(&service, cluster).await;
    assert!(!leaving.contains("c-worker-0"), "{leaving:?}");
}
