//! A cluster moves to another template: every node gives way to a new one, and the swarm goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;
#[path = "support/tenant.rs"]
mod tenant;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Client, Server, engines_wanted, leftovers, namespaces};
use tenant::{Service, Tenant};

const LIMIT: Duration = Duration::from_secs(240);
const MASTERS: u32 = 3;
const WORKERS: u32 = 1;

/// The nodes by UUID; all of them are ready.
async fn nodes(client: &Client, cluster: &str) -> BTreeSet<String> {
    let nodes = client.get(&format!("/v1/clusters/{cluster}/nodes")).await;
    let nodes = nodes["nodes"].as_array().unwrap().clone();
    assert!(nodes.iter().all(|node| node["phase"] == "ready"), "{nodes:#?}");
    nodes.iter().map(|node| node["uuid"].as_str().unwrap().to_owned()).collect()
}

/// Begins the move of a cluster to a template.
async fn upgrade(client: &Client, cluster: &str, template: &str, at_once: u32) {
    let body = json!({"cluster_template": template, "max_batch_size": at_once});
    let (status, body) = client.send("POST", &format!("/v1/clusters/{cluster}/actions/upgrade"), Some(body)).await;
    assert_eq!(status, 202, "{body}");
}

/// Waits for the end of an upgrade: the cluster names the template and has as many nodes as before, none of them there
/// before. Answers with its row.
async fn upgraded(client: &Client, cluster: &str, template: &str, before: &BTreeSet<String>, at: &str) -> Value {
    let row = client.settled(cluster, LIMIT).await.unwrap();
    assert_eq!(row["status"], "UPDATE_COMPLETE", "{at}: {row:#}");
    assert_eq!(row["cluster_template_id"], template, "{at}: {row:#}");
    let after = nodes(client, cluster).await;
    assert_eq!(after.len(), before.len(), "{at}");
    assert_eq!(after.intersection(before).count(), 0, "{at}: a node of before is still there");
    assert_eq!(namespaces(cluster).len(), 1 + before.len(), "{at}: {:?}", namespaces(cluster));
    row
}

/// How many files of the cluster's engines hold a text.
fn engines_with(text: &str, cluster: &Path) -> usize {
    let mut found = 0;
    let mut folders = vec![cluster.join("nodes")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != "data" {
                folders.push(entry.path());
            } else if entry.file_name() == "engine.json" {
                found += usize::from(std::fs::read_to_string(entry.path()).is_ok_and(|file| file.contains(text)));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_gives_way_to_a_new_one() {
    if !engines_wanted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.start(&[]).await;
    let client = server.login("demo").await;
    let old = client.template(json!({"name": "old", "master_lb_enabled": true})).await;
    let new = json!({"name": "new", "master_lb_enabled": true, "insecure_registry": "registry.example:5000"});
    let new = client.template(new).await;
    let cluster = client.create(&old, "moving", MASTERS, WORKERS).await;
    let created = client.settled(&cluster, LIMIT).await.unwrap();
    assert_eq!(created["status"], "CREATE_COMPLETE", "{created:#}");
    let before = nodes(&client, &cluster).await;
    let place = server.state_dir.join("clusters").join(&cluster);
    assert_eq!(engines_with("registry.example:5000", &place), 0);

    let tenant = Tenant::new(&client, &cluster, &folder.path().join("tenant")).await;
    let service = Service::start(&tenant, &place.join("nodes"));
    upgrade(&client, &cluster, &new, 1).await;
    let row = upgraded(&client, &cluster, &new, &before, "upgrade").await;
    assert_eq!(row["api_address"], created["api_address"]);
    assert_eq!(engines_with("registry.example:5000", &place), before.len());
    service.stayed_up(&tenant);

    #[cfg(feature = "fault-points")]
    died_in_between(&mut server, &cluster, [&old, &new]).await;

    let client = server.login("demo").await;
    let (status, body) = client.send("DELETE", &format!("/v1/clusters/{cluster}"), None).await;
    assert_eq!(status, 204, "{body}");
    assert!(client.settled(&cluster, LIMIT).await.is_none());
    server.terminate();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}

/// The server is killed (SIGKILL) in the midst of upgrades to and fro, each at another point.
#[cfg(feature = "fault-points")]
async fn died_in_between(server: &mut Server, cluster: &str, templates: [&str; 2]) {
    let points = ["replace/between", "swarm.join/after", "node.destroy/before", "finish/before"];
    for (turn, point) in points.into_iter().enumerate() {
        let (point, template) = (format!("upgrade/{point}"), templates[turn % 2]);
        server.kill();
        server.start(&[("MAGNUM_FAULT", &point)]).await;
        let client = server.login("demo").await;
        let before = nodes(&client, cluster).await;
        upgrade(&client, cluster, template, 2).await;
        assert!(server.died(LIMIT).await, "{point} was never passed:\n{}", server.log_text());
        server.start(&[]).await;
        upgraded(&server.login("demo").await, cluster, template, &before, &point).await;
    }
}
