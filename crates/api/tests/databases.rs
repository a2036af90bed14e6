//! What depends on the database, through HTTP and on every one: quotas hold however many ask at the same time and
//! however many API servers are asked, texts that a column can't hold, schemas of older releases.
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
use magnum_api::LocalCloud;
use magnum_certs::{SealKey, Vault};
use magnum_store::{Backend, Store};
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
    let cloud = Arc::new(LocalCloud::built_in().unwrap());
    let router = support::router(&store, &vault, cloud, |_| {});
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
        let request = request.header("openstack-api-version", "container-infra 1.9");
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

    /// Older databases keep three bytes of a character: what has four is refused in words, and nothing else is.
    async fn texts_that_a_column_can_not_hold_are_named(database: Database) {
        let store = database.store().await;
        let narrow = database.backend == Backend::MySql;
        if narrow {
            for table in ["cluster_template", "cluster", "nodegroup"] {
                database.execute(&format!("ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb3")).await;
            }
        }
        let (server, alice) = (server(store).await, Tenant::new("alice"));
        let template = |name: &str, label: &str| json!({
            "name": name, "coe": "swarm-mode", "image_id": "local", "labels": {"availability_zone": label}});
        for (name, label, column) in [
            ("gr\u{fc}n \u{4e2d}\u{6587}", "\u{20ac}", None),
            ("\u{1f600}", "a", Some("name")),
            // Dictionaries are kept as JSON with escapes, as upstream keeps them.
            ("b", "\u{1f680}", None),
        ] {
            let (status, answer) = alice.post(server, "/v1/clustertemplates", &template(name, label)).await;
            let Some(column) = column.filter(|_| narrow) else {
                assert_eq!(status, StatusCode::CREATED, "{answer}");
                assert_eq!((&answer["name"], &answer["labels"]["availability_zone"]), (&json!(name), &json!(label)));
                continue;
            };
            assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
            let detail = answer["errors"][0]["detail"].as_str().unwrap();
            assert!(detail.starts_with(&format!("The database can't keep the characters of {column}:")), "{detail}");
        }
        let (status, answer) = alice.post(server, "/v1/clustertemplates", &template("plain", "a")).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let body = json!({"cluster_template_id": "\u{1f680}"});
        let (status, answer) = alice.post(server, "/v1/clusters", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        let detail = answer["errors"][0]["detail"].as_str().unwrap();
        let expected = if narrow { "The database can't keep the characters of a text:" } else { "ClusterTemplate \u{1f680}" };
        assert!(detail.starts_with(expected), "{detail}");
    }

    /// A database of an older release serves all but what it has no column for.
    async fn what_an_older_schema_lacks_is_refused_in_words(database: Database) {
        database.store().await.close().await;
        for sql in [
            "ALTER TABLE nodegroup DROP COLUMN node_labels",
            "ALTER TABLE nodegroup DROP COLUMN node_taints",
            "UPDATE alembic_version SET version_num = 'd7e6a4d39fe4'",
        ] {
            database.execute(sql).await;
        }
        let (server, alice) = (server(database.open().await).await, Tenant::new("alice"));
        let template = json!({"name": "t", "coe": "swarm-mode", "image_id": "local"});
        let (status, answer) = alice.post(server, "/v1/clustertemplates", &template).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let body = json!({"name": "c", "cluster_template_id": "t"});
        let (status, answer) = alice.post(server, "/v1/clusters", &body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        for sql in [
            "UPDATE cluster SET status = 'CREATE_COMPLETE', api_address = 'https://127.0.0.1:1'",
            "UPDATE conductor_operation SET state = 'succeeded'",
        ] {
            database.execute(sql).await;
        }
        let groups = "/v1/clusters/c/nodegroups";
        let (status, answer) = alice.post(server, groups, &json!({"name": "a", "node_labels": {"b": "c"}})).await;
        assert_eq!(status, StatusCode::CONFLICT, "{answer}");
        let detail = answer["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("has no column nodegroup.node_labels"), "{detail}");
        let (status, answer) = alice.post(server, groups, &json!({"name": "a"})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
}
