//! Clusters with several managers: all sizes that are allowed, and a manager that dies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Client, Server, engines_wanted, leftovers};

const LIMIT: Duration = Duration::from_secs(180);

async fn ready_masters(client: &Client, cluster: &str) -> usize {
    let nodes = client.get(&format!("/v1/clusters/{cluster}/nodes")).await;
    let nodes = nodes["nodes"].as_array().unwrap().iter();
    nodes.filter(|node| node["role"] == "master" && node["phase"] == "ready").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_and_five_managers_make_a_cluster() {
    if !engines_wanted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.start(&[]).await;
    let client = server.login("demo").await;
    let template = client.template(json!({"master_lb_enabled": true})).await;
    for (masters, workers) in [(3, 1), (5, 0)] {
        let cluster = client.create(&template, "many", masters, workers).await;
        let row = client.settled(&cluster, LIMIT).await.unwrap();
        assert_eq!(row["status"], "CREATE_COMPLETE", "{row:#}");
        assert_eq!(row["master_addresses"].as_array().unwrap().len(), masters as usize, "{row:#}");
        assert_eq!(ready_masters(&client, &cluster).await, masters as usize);
        if masters == 3 {
            the_others_carry_on(&server, &client, &cluster).await;
        }
        let (status, body) = client.send("DELETE", &format!("/v1/clusters/{cluster}"), None).await;
        assert_eq!(status, 204, "{body}");
        assert!(client.settled(&cluster, LIMIT).await.is_none());
    }
    server.terminate();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}

/// One of three managers dies: the cluster answers on the same address, says who is missing, and gets it back.
async fn the_others_carry_on(server: &Server, client: &Client, cluster: &str) {
    let processes = support::node_processes(&server.state_dir.join("clusters").join(cluster).join("nodes/master-0"));
    assert!(!processes.is_empty(), "where are the processes of the first manager?");
    for (pid, _) in processes {
        let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).output();
    }
    let began = Instant::now();
    let mut noticed = false;
    loop {
        let row = client.get(&format!("/v1/clusters/{cluster}")).await;
        noticed |= row["health_status"] == "UNHEALTHY";
        assert_ne!(row["health_status_reason"]["api"], "unreachable", "{row:#}");
        if noticed && row["health_status"] == "HEALTHY" {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "noticed: {noticed}, not healed: {row:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
