//! Quotas hold however many ask at the same time, and however many API servers are asked: on every database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![expect(dead_code, reason = "shared with the other tests, which use all of it")]

#[path = "../../store/tests/common/mod.rs"]
mod common;
#[path = "api/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use common::Database;
use magnum_api::LocalCatalogue;
use magnum_certs::{SealKey, Vault};
use magnum_store::Store;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Requests at the same time.
const CREATES: usize = 200;
/// Clusters a project may have.
const QUOTA: i32 = 20;

/// An API server of its own: own connections, own listener. It ends with the test's runtime.
async fn server(store: Store) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let vault = Vault::new(store.clone(), SealKey::ephemeral().unwrap());
    let catalogue = Arc::new(LocalCatalogue::built_in().unwrap());
    let router = support::router(&store, &vault, catalogue, |_| {});
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

struct Tenant {
    client: Client,
    name: &'static str,
}

impl Tenant {
    fn new(name: &'static str) -> Self {
        Self { client: Client::builder().no_proxy().build().unwrap(), name }
    }

    async fn post(&self, server: SocketAddr, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("http://{server}{path}")).header("x-auth-token", self.name);
        let answer = request.json(body).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    /// How many clusters there are, as the API and the database say.
    async fn clusters(&self, server: SocketAddr) -> usize {
        let request = self.client.get(format!("http://{server}/v1/clusters")).header("x-auth-token", self.name);
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        list["clusters"].as_array().unwrap().len()
    }
}

on_every_database! {
    /// As many as the quota allows are made, and everybody else is told that there is no room.
    async fn exactly_the_quota_is_made(database: Database) {
        let first = database.store().await;
        // The other server's store shares nothing with it but the database.
        let servers = [server(first.clone()).await, server(database.open().await).await];
        let alice = Arc::new(Tenant::new("alice"));
        let template = json!({"name": "t", "coe": "swarm-mode", "image_id": "local", "external_network_id": "public"});
        let (status, template) = alice.post(servers[0], "/v1/clustertemplates", &template).await;
        assert_eq!(status, StatusCode::CREATED, "{template}");
        let template = template["uuid"].as_str().unwrap().to_owned();

        let mut creates = JoinSet::new();
        for number in 0..CREATES {
            let (alice, server) = (Arc::clone(&alice), servers[number % servers.len()]);
            let body = json!({"name": format!("c-{number}"), "cluster_template_id": template});
            creates.spawn(async move { alice.post(server, "/v1/clusters", &body).await });
        }
        let mut outcomes = BTreeMap::new();
        for (status, body) in creates.join_all().await {
            let detail = body["errors"][0]["detail"].as_str().unwrap_or_default().to_owned();
            *outcomes.entry((status.as_u16(), detail)).or_insert(0) += 1;
        }
        let refused = format!(
            "Resource limit exceeded: You have reached the maximum clusters per project, {QUOTA}. \
             You may delete a cluster to make room for a new one."
        );
        let made = usize::try_from(QUOTA).unwrap();
        let expected = BTreeMap::from([((202, String::new()), made), ((403, refused), CREATES - made)]);
        assert_eq!(outcomes, expected);
        for server in servers {
            assert_eq!(alice.clusters(server).await, made);
        }
        assert_eq!(first.count_clusters("p1").await.unwrap(), u64::try_from(made).unwrap());
    }
}
