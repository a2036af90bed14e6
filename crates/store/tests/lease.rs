//! Nobody writes without the lease: every write that conductors and drivers make in the course of an operation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::Database;
use common::rows::a_cluster;
use magnum_domain::agent::{DesiredNode, EngineSpec, ObservedNode, SwarmSpec};
use magnum_domain::certificate::StoredKeyPair;
use magnum_domain::event::NewEvent;
use magnum_domain::{Cluster, EventState, HealthStatus, Labels, Node, NodePhase, Resource};
use magnum_store::{CertificateRefs, Ident, Lease, NodegroupChange, Result, Scope, Store, StoreError};
use serde_json::json;
use uuid::Uuid;

const WRITES: [&str; 15] = [
    "event",
    "plan nodes",
    "node is leaving",
    "node is started",
    "node is wanted so",
    "node is seen so",
    "plan a resource",
    "resource is made",
    "strike off a resource",
    "key pair",
    "delete a key pair",
    "certificates",
    "health",
    "node group",
    "node is gone",
];

struct Rows {
    cluster: Cluster,
    node: Node,
    resource: Resource,
    key_pair: Uuid,
    group: Uuid,
}

async fn write(store: &Store, what: &str, rows: &Rows) -> Result<()> {
    let (cluster, node) = (rows.cluster.uuid, rows.node.uuid);
    match what {
        "event" => {
            let event = NewEvent {
                cluster_uuid: cluster,
                operation_uuid: None,
                node: None,
                step: "step".to_owned(),
                state: EventState::Info,
                message: "late".to_owned(),
            };
            store.add_event(event).await.map(drop)
        }
        // A node too few: one is to be planned.
        "plan nodes" => store.reconcile_nodes(cluster, &[]).await.map(drop),
        "node is leaving" => store.set_leaving(node).await,
        "node is started" => store.set_node_started(node, "10.1.0.9", "hash").await,
        "node is wanted so" => {
            let engine = EngineSpec::default();
            store.set_node_desired(node, &DesiredNode { generation: 7, engine, swarm: SwarmSpec::Wait }).await
        }
        "node is seen so" => {
            store.node_report(node, &ObservedNode::default(), Some(NodePhase::Joined), Some("late")).await
        }
        "plan a resource" => store.plan_resource(cluster, None, "folder", "late", &json!({})).await.map(drop),
        "resource is made" => store.resource_made(rows.resource.id, &json!({"late": true})).await,
        "strike off a resource" => store.delete_resource(rows.resource.id).await,
        "key pair" => store.put_key_pair(&key_pair(Uuid::new_v4())).await,
        "delete a key pair" => store.delete_key_pair(rows.key_pair).await,
        "certificates" => {
            let refs = CertificateRefs { ca: Some(Uuid::new_v4().to_string()), ..CertificateRefs::default() };
            store.set_certificate_refs(cluster, &refs).await
        }
        "health" => store.update_health(cluster, &HealthStatus::Unhealthy, &Labels::new()).await,
        "node group" => {
            let change = NodegroupChange { node_count: Some(9), ..NodegroupChange::default() };
            store.update_nodegroup(rows.group, &change).await
        }
        "node is gone" => store.delete_node(node).await,
        other => panic!("{other}"),
    }
}

fn key_pair(uuid: Uuid) -> StoredKeyPair {
    StoredKeyPair {
        uuid,
        certificate: "certificate".to_owned(),
        private_key: "key".to_owned(),
        private_key_passphrase: "phrase".to_owned(),
        project_id: "project".to_owned(),
        user_id: "user".to_owned(),
        created_at: None,
    }
}

/// All that those writes could have changed.
async fn everything(database: &Database, store: &Store, cluster: Uuid) -> String {
    let row = store.get_cluster(&Scope::All, &Ident::Uuid(cluster)).await.unwrap();
    let nodes = store.nodes(cluster).await.unwrap();
    let groups = store.nodegroups_of(&[cluster]).await.unwrap();
    let (resources, events) =
        (store.resources(cluster).await.unwrap(), store.events(cluster, None, 100).await.unwrap());
    let key_pairs = database.text("SELECT CAST(COUNT(*) AS CHAR(9)) FROM x509keypair").await;
    format!("{row:?}\n{nodes:?}\n{groups:?}\n{resources:?}\n{events:?}\n{key_pairs:?}")
}

on_every_database! {
    async fn nothing_is_written_under_a_lease_that_was_lost(database: Database) {
        let store = database.store().await;
        let cluster = a_cluster(&store).await;
        let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
        let resource = store.plan_resource(cluster.uuid, None, "folder", "f", &json!({})).await.unwrap();
        let pair = key_pair(Uuid::new_v4());
        store.put_key_pair(&pair).await.unwrap();
        // "plan nodes" has something to plan.
        store.delete_node(nodes[1].uuid).await.unwrap();
        let group = store.nodegroups_of(&[cluster.uuid]).await.unwrap()[0].uuid;
        let rows = Rows { cluster, node: nodes[0].clone(), resource, key_pair: pair.uuid, group };

        // The very same conductor takes it over: a later claim is another one, by whomever.
        let claim = async || loop {
            if let Some(claim) = store.claim_operation("conductor", Duration::ZERO).await.unwrap() {
                return Lease::of(&claim).unwrap();
            }
        };
        let (lost, held) = (claim().await, claim().await);
        let before = everything(&database, &store, rows.cluster.uuid).await;
        for what in WRITES {
            let refused = lost.clone().scope(write(&store, what, &rows)).await;
            assert!(matches!(refused, Err(StoreError::LeaseLost { .. })), "{what}: {refused:?}");
            assert_eq!(everything(&database, &store, rows.cluster.uuid).await, before, "{what}");
        }
        for what in WRITES {
            held.clone().scope(write(&store, what, &rows)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        // Where there is no lease, there is no fence: agents report, users ask.
        write(&store, "event", &rows).await.unwrap();
    }
}
