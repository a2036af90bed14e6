//! `kill -9` at every recorded step of create, resize and delete, on real engines: after a restart the operation
//! completes, with exactly the wanted nodes.
//!
//! Which points there are is not written down here: a first run records every point it passes
//! (`MAGNUM_FAULT_TRACE`), the matrix then dies at each of them (`MAGNUM_FAULT`).

#![cfg(feature = "fault-points")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Client, Server, engines_wanted, leftovers, namespaces};

const LIMIT: Duration = Duration::from_secs(120);
/// Workers of a new cluster, and after its resize.
const SMALL: u32 = 1;
const LARGE: u32 = 2;

/// The nodes that the cluster's row, its engine and this machine agree on.
async fn assert_nodes(client: &Client, cluster: &str, workers: u32, at: &str) {
    let nodes = client.get(&format!("/v1/clusters/{cluster}/nodes")).await;
    let nodes = nodes["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 1 + workers as usize, "{at}: {nodes:#?}");
    assert!(nodes.iter().all(|node| node["phase"] == "ready"), "{at}: {nodes:#?}");
    let names = nodes.iter().map(|node| node["name"].as_str().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), nodes.len(), "{at}: a node twice: {names:?}");
    // One namespace for the cluster, one for each node, none left over from an earlier attempt.
    assert_eq!(namespaces(cluster).len(), 2 + workers as usize, "{at}: {:?}", namespaces(cluster));
}

async fn settled_as(client: &Client, cluster: &str, status: &str, at: &str) {
    let row = client.settled(cluster, LIMIT).await.unwrap_or_else(|| panic!("{at}: the cluster is gone"));
    assert_eq!(row["status"], status, "{at}: {row:#}");
}

async fn delete(client: &Client, cluster: &str, at: &str) {
    let (status, body) = client.send("DELETE", &format!("/v1/clusters/{cluster}"), None).await;
    assert_eq!(status, 204, "{at}: {body}");
    assert!(client.settled(cluster, LIMIT).await.is_none(), "{at}: not deleted");
    assert!(namespaces(cluster).is_empty(), "{at}: {:?}", namespaces(cluster));
}

/// Every point that one undisturbed life of a cluster passes, in the order of its operations.
async fn points(server: &mut Server, template: &str, trace: &std::path::Path) -> Vec<String> {
    server.kill();
    server.start(&[("MAGNUM_FAULT_TRACE", trace.to_str().unwrap())]).await;
    let client = server.login("demo").await;
    let cluster = client.create(template, "trace", 1, SMALL).await;
    settled_as(&client, &cluster, "CREATE_COMPLETE", "trace").await;
    client.resize(&cluster, LARGE).await;
    settled_as(&client, &cluster, "UPDATE_COMPLETE", "trace").await;
    client.resize(&cluster, SMALL).await;
    settled_as(&client, &cluster, "UPDATE_COMPLETE", "trace").await;
    delete(&client, &cluster, "trace").await;
    server.kill();
    let text = std::fs::read_to_string(trace).unwrap();
    let mut seen = BTreeSet::new();
    text.lines().filter(|line| seen.insert((*line).to_owned())).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_point_is_survived() {
    if !engines_wanted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.start(&[]).await;
    let template = server.login("demo").await.template(json!({})).await;
    let points = points(&mut server, &template, &folder.path().join("trace")).await;
    let (create, other): (Vec<_>, Vec<_>) = points.iter().partition(|point| point.starts_with("create/"));
    let (resize, deletion): (Vec<_>, Vec<_>) = other.into_iter().partition(|point| point.starts_with("resize/"));
    assert!(create.len() >= 10 && resize.len() >= 8 && deletion.len() >= 4, "too few points: {points:#?}");
    let began = Instant::now();

    for point in &create {
        let cluster =
            dies_at(&mut server, point, async |client| client.create(&template, "victim", 1, SMALL).await).await;
        let client = server.login("demo").await;
        settled_as(&client, &cluster, "CREATE_COMPLETE", point).await;
        assert_nodes(&client, &cluster, SMALL, point).await;
        delete(&client, &cluster, point).await;
    }
    eprintln!("create: {} points survived in {:?}", create.len(), began.elapsed());

    let cluster = server.login("demo").await.create(&template, "victim", 1, SMALL).await;
    settled_as(&server.login("demo").await, &cluster, "CREATE_COMPLETE", "resize").await;
    let mut workers = SMALL;
    // The counter starts anew with every process, so growing and shrinking both pass a point for the first time.
    let resize = resize.iter().map(|point| format!("{}#1", point.split_once('#').unwrap().0)).collect::<BTreeSet<_>>();
    for point in resize.clone() {
        // Points of shrinking are only passed when shrinking.
        let shrinks = ["drain", "leave", "remove", "destroy"].iter().any(|word| point.contains(word));
        let (from, to) = if shrinks { (LARGE, SMALL) } else { (SMALL, LARGE) };
        if workers != from {
            let client = server.login("demo").await;
            client.resize(&cluster, from).await;
            settled_as(&client, &cluster, "UPDATE_COMPLETE", &point).await;
        }
        dies_at(&mut server, &point, async |client| {
            client.resize(&cluster, to).await;
            cluster.clone()
        })
        .await;
        let client = server.login("demo").await;
        settled_as(&client, &cluster, "UPDATE_COMPLETE", &point).await;
        assert_nodes(&client, &cluster, to, &point).await;
        workers = to;
    }
    eprintln!("resize: {} points survived, {:?} since the beginning", resize.len(), began.elapsed());
    delete(&server.login("demo").await, &cluster, "after resize").await;

    for point in &deletion {
        let client = server.login("demo").await;
        let cluster = client.create(&template, "victim", 1, SMALL).await;
        settled_as(&client, &cluster, "CREATE_COMPLETE", point).await;
        dies_at(&mut server, point, async |client| {
            let (status, body) = client.send("DELETE", &format!("/v1/clusters/{cluster}"), None).await;
            assert_eq!(status, 204, "{body}");
            cluster.clone()
        })
        .await;
        let client = server.login("demo").await;
        assert!(client.settled(&cluster, LIMIT).await.is_none(), "{point}: not deleted");
        assert!(namespaces(&cluster).is_empty(), "{point}: {:?}", namespaces(&cluster));
    }
    server.kill();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
    let count = create.len() + resize.len() + deletion.len();
    eprintln!("kill -9 matrix: {count} fault points, all survived, in {:?}", began.elapsed());
}

/// Restarts the server so that it dies at `point`, does `act`, waits for its death, and starts it again.
async fn dies_at(server: &mut Server, point: &str, act: impl AsyncFnOnce(&Client) -> String) -> String {
    server.kill();
    server.start(&[("MAGNUM_FAULT", point)]).await;
    let client = server.login("demo").await;
    let cluster = act(&client).await;
    assert!(server.died(LIMIT).await, "{point} was never passed:\n{}", server.log_text());
    server.start(&[]).await;
    cluster
}
