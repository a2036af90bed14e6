//! What a cluster lives through: a restart of the server, a dead engine, a dead node, a second conductor.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Client, Server, engines_wanted, leftovers, namespaces, node_processes};

const LIMIT: Duration = Duration::from_secs(120);

async fn health(client: &Client, cluster: &str, wanted: &str) -> Value {
    let began = Instant::now();
    loop {
        let row = client.get(&format!("/v1/clusters/{cluster}")).await;
        if row["health_status"] == wanted {
            return row;
        }
        assert!(began.elapsed() < Duration::from_secs(75), "not {wanted} within a minute: {row:#}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Process ids of the nodes' processes whose command line holds `word`.
fn processes(server: &Server, word: &str) -> Vec<i32> {
    let all = node_processes(&server.state_dir).into_iter();
    all.filter(|(_, command)| command.contains(word)).map(|(pid, _)| pid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_outlive_the_server_and_heal() {
    if !engines_wanted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.start(&[]).await;
    let client = server.login("demo").await;
    let template = client.template(json!({})).await;
    let cluster = client.create(&template, "lasting", 1, 1).await;
    let row = client.settled(&cluster, LIMIT).await.unwrap();
    assert_eq!(row["status"], "CREATE_COMPLETE", "{row:#}");
    health(&client, &cluster, "HEALTHY").await;

    // A restart of the server leaves the engines alone and finds them again at the same address.
    let engines = processes(&server, "dockerd");
    assert_eq!(engines.len(), 2, "{engines:?}");
    assert!(server.terminate().success(), "{}", server.log_text());
    assert_eq!(processes(&server, "dockerd"), engines, "the nodes go on running");
    server.start(&[]).await;
    let client = server.login("demo").await;
    let again = health(&client, &cluster, "HEALTHY").await;
    assert_eq!(again["api_address"], row["api_address"]);
    assert_eq!(processes(&server, "dockerd"), engines, "no engine was started anew");

    // A dead engine shows in the health within a minute, and its agent starts it again.
    for pid in processes(&server, "dockerd") {
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    }
    health(&client, &cluster, "HEALTHY").await;

    // A machine that restarts has none of the processes left.
    server.kill();
    for pid in processes(&server, "magnum-agent run") {
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    }
    let began = Instant::now();
    while !processes(&server, "dockerd").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(10), "the engines outlived their nodes");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.start(&[]).await;
    let client = server.login("demo").await;
    let row = health(&client, &cluster, "HEALTHY").await;
    assert_eq!(row["status"], "CREATE_COMPLETE", "{row:#}");

    let (status, body) = client.send("DELETE", &format!("/v1/clusters/{cluster}"), None).await;
    assert_eq!(status, 204, "{body}");
    assert!(client.settled(&cluster, LIMIT).await.is_none());
    assert!(namespaces(&cluster).is_empty());
    server.terminate();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}

/// Two processes on one database: every operation is taken up once, and both do some of the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_conductors_share_the_work() {
    if !engines_wanted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut first = Server::new(&folder.path().join("state"));
    first.start(&[]).await;
    let mut second = Server::new(&folder.path().join("state"));
    second.start(&[]).await;
    let client = first.login("demo").await;
    let template = client.template(json!({})).await;
    let mut clusters = Vec::new();
    for number in 0..3 {
        clusters.push(client.create(&template, &format!("shared-{number}"), 1, 0).await);
    }
    for cluster in &clusters {
        let row = client.settled(cluster, LIMIT).await.unwrap();
        assert_eq!(row["status"], "CREATE_COMPLETE", "{row:#}");
        let operations = client.get(&format!("/v1/clusters/{cluster}/operations")).await;
        assert_eq!(operations["operations"].as_array().unwrap().len(), 1, "{operations:#}");
        assert_eq!(operations["operations"][0]["attempts"], 1, "taken up twice: {operations:#}");
        let events = client.get(&format!("/v1/clusters/{cluster}/events?limit=500")).await;
        let started = events["events"].as_array().unwrap().iter();
        let started = started.filter(|event| event["step"] == "network.create" && event["state"] == "started").count();
        assert_eq!(started, 1, "{events:#}");
    }
    for cluster in &clusters {
        client.send("DELETE", &format!("/v1/clusters/{cluster}"), None).await;
    }
    for cluster in &clusters {
        assert!(client.settled(cluster, LIMIT).await.is_none());
    }
    first.terminate();
    second.terminate();
    assert_eq!(leftovers(&first.state_dir), Vec::<String>::new());
}
