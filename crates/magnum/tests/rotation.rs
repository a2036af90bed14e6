//! A cluster gets another certificate authority: the swarm and its services go on, certificates of before end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;
#[path = "support/tenant.rs"]
mod tenant;

use std::time::Duration;

use serde_json::Value;
use support::{Client, Server, engines_wanted, leftovers, namespaces};
use tenant::{Service, Tenant};

const LIMIT: Duration = Duration::from_secs(400);
const WORKERS: u32 = 1;

async fn rotate(client: &Client, cluster: &str) {
    let (status, body) = client.send("PATCH", &format!("/v1/certificates/{cluster}"), None).await;
    assert_eq!(status, 202, "{body}");
}

/// Waits for the end of a rotation; answers with the cluster's row.
async fn rotated(client: &Client, cluster: &str, at: &str) -> Value {
    let row = client.settled(cluster, LIMIT).await.unwrap();
    assert_eq!(row["status"], "UPDATE_COMPLETE", "{at}: {row:#}");
    assert_eq!(namespaces(cluster).len(), 2 + WORKERS as usize, "{at}: {:?}", namespaces(cluster));
    row
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_takes_over() {
    if !engines_wanted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut server = Server::new(&folder.join("state"));
    server.start(&[]).await;
    let client = server.login("demo").await;
    let template = client.template(serde_json::json!({})).await;
    let cluster = client.create(&template, "turning", 1, WORKERS).await;
    let created = client.settled(&cluster, LIMIT).await.unwrap();
    assert_eq!(created["status"], "CREATE_COMPLETE", "{created:#}");
    let before = Tenant::new(&client, &cluster, &folder.join("before")).await;
    let service = Service::start(&before, &server.state_dir.join("clusters").join(&cluster).join("nodes"));

    rotate(&client, &cluster).await;
    let row = rotated(&client, &cluster, "rotation").await;
    assert_eq!(row["api_address"], created["api_address"]);
    let after = Tenant::new(&client, &cluster, &folder.join("after")).await;
    assert_ne!(after.authority(), before.authority());
    service.stayed_up(&after);
    before.docker(&["node", "ls"]).expect_err("the engine shows a certificate of the new authority");
    let stale = before.trusting(&after.authority(), &folder.join("stale"));
    let refused = stale.docker(&["node", "ls"]).expect_err("a certificate of the old authority");
    eprintln!("a certificate of before: {refused}");
    let nodes = after.docker(&["node", "ls", "--format", "{{.Status}}"]).unwrap();
    assert_eq!(nodes.lines().collect::<Vec<_>>(), ["Ready"; 1 + WORKERS as usize], "{nodes}");

    #[cfg(feature = "fault-points")]
    died_in_between(&mut server, &cluster, folder).await;

    let client = server.login("demo").await;
    let (status, body) = client.send("DELETE", &format!("/v1/clusters/{cluster}"), None).await;
    assert_eq!(status, 204, "{body}");
    assert!(client.settled(&cluster, LIMIT).await.is_none());
    server.terminate();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}

/// The server is killed (SIGKILL) in the midst of rotations, each at another point.
#[cfg(feature = "fault-points")]
async fn died_in_between(server: &mut Server, cluster: &str, folder: &std::path::Path) {
    for point in ["authority.create/after", "authority.switch/after", "authority.retire/before"] {
        let point = format!("rotate_ca/{point}");
        server.kill();
        server.start(&[("MAGNUM_FAULT", &point)]).await;
        let client = server.login("demo").await;
        let before = Tenant::new(&client, cluster, &folder.join(point.replace('/', "-"))).await;
        rotate(&client, cluster).await;
        assert!(server.died(LIMIT).await, "{point} was never passed:\n{}", server.log_text());
        server.start(&[]).await;
        let client = server.login("demo").await;
        rotated(&client, cluster, &point).await;
        let after = Tenant::new(&client, cluster, &folder.join(format!("{}-after", point.replace('/', "-")))).await;
        assert_ne!(after.authority(), before.authority(), "{point}");
        after.docker(&["node", "ls"]).unwrap();
        before.docker(&["node", "ls"]).expect_err(&point);
    }
}
