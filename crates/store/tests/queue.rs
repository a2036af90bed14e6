//! Changes to several node groups at once, which wait for each other.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::Database;
use common::rows::{a_cluster, nodegroup, operation};
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{Cluster, ClusterStatus, NodePhase, OperationKind, OperationState};
use magnum_store::{
    Change, ClusterLimits, ClusterOutcome, Ident, NodegroupChange, NodegroupOutcome, Scope, Store, StoreError,
};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(60);

fn any(_: &ClusterStatus) -> bool {
    true
}

/// A change of one group.
fn of_group(cluster: &Cluster, kind: OperationKind, group: Option<Uuid>) -> NewOperation {
    NewOperation { arguments: Arguments { nodegroup: group, ..Arguments::default() }, ..operation(cluster, kind) }
}

fn shrunk(group: Uuid, node_count: i32) -> Change {
    let change = NodegroupChange {
        node_count: Some(node_count),
        status: Some(ClusterStatus::UpdateInProgress),
        ..NodegroupChange::default()
    };
    Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        nodegroups: vec![(group, change)],
        ..Change::default()
    }
}

async fn status(store: &Store, cluster: &Cluster) -> ClusterStatus {
    store.get_cluster(&Scope::All, &Ident::Uuid(cluster.uuid)).await.unwrap().status
}

async fn end(store: &Store, operation: Uuid, group: Uuid, state: OperationState, status: ClusterStatus) {
    let change = NodegroupChange { status: Some(status.clone()), ..NodegroupChange::default() };
    let outcome = ClusterOutcome {
        status: Some(status),
        nodegroups: vec![NodegroupOutcome { uuid: group, change }],
        ..ClusterOutcome::default()
    };
    assert!(store.finish_operation(operation, "c", state, None, &outcome).await.unwrap());
}

/// A cluster at rest with a third group.
async fn settled(store: &Store) -> (Cluster, [Uuid; 3]) {
    let cluster = a_cluster(store).await;
    let create = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    let groups = store.nodegroups_of(&[cluster.uuid]).await.unwrap();
    end(store, create.uuid, groups[0].uuid, OperationState::Succeeded, ClusterStatus::CreateComplete).await;
    let third = nodegroup(&cluster, "gpu", "gpu", 2);
    let made = of_group(&cluster, OperationKind::NodegroupCreate, Some(third.uuid));
    let change = Change { new_nodegroup: Some(third.clone()), ..Change::default() };
    let made = store.request_operation(made, &any, change).await.unwrap();
    store.claim_operation("c", LEASE).await.unwrap().unwrap();
    store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    end(store, made.uuid, third.uuid, OperationState::Succeeded, ClusterStatus::UpdateComplete).await;
    (cluster, [groups[0].uuid, groups[1].uuid, third.uuid])
}

on_every_database! {
    /// Each takes out the nodes that its own request named, whichever is carried out first.
    async fn changes_of_different_groups_wait_for_each_other(database: Database) {
        let store = database.store().await;
        let (cluster, [_, workers, gpu]) = settled(&store).await;
        let nodes = store.nodes(cluster.uuid).await.unwrap();
        let first = |group: Uuid| nodes.iter().find(|node| node.nodegroup_uuid == group && node.position == 0).unwrap();

        let mut one = of_group(&cluster, OperationKind::Resize, Some(workers));
        one.arguments.nodes_to_remove = vec![first(workers).name.clone()];
        let one = store.request_operation(one, &any, shrunk(workers, 1)).await.unwrap();
        let mut two = of_group(&cluster, OperationKind::Resize, Some(gpu));
        two.arguments.nodes_to_remove = vec![first(gpu).uuid.to_string()];
        let two = store.request_operation(two, &any, shrunk(gpu, 1)).await.unwrap();

        assert_eq!(store.claim_operation("c", LEASE).await.unwrap().unwrap().uuid, one.uuid);
        assert!(store.claim_operation("c", LEASE).await.unwrap().is_none(), "one at a time");
        let after = store.reconcile_nodes(cluster.uuid, &one.arguments.nodes_to_remove).await.unwrap();
        let mut leaving: Vec<Uuid> =
            after.iter().filter(|node| node.phase == NodePhase::Leaving).map(|node| node.uuid).collect();
        let mut named = vec![first(workers).uuid, first(gpu).uuid];
        leaving.sort();
        named.sort();
        assert_eq!(leaving, named);

        end(&store, one.uuid, workers, OperationState::Failed, ClusterStatus::UpdateFailed).await;
        assert_eq!(status(&store, &cluster).await, ClusterStatus::UpdateInProgress, "another one waits");
        assert_eq!(store.claim_operation("c", LEASE).await.unwrap().unwrap().uuid, two.uuid);
        end(&store, two.uuid, gpu, OperationState::Succeeded, ClusterStatus::UpdateComplete).await;
        assert_eq!(status(&store, &cluster).await, ClusterStatus::UpdateComplete);
    }

    /// Two changes that each fit, and together do not.
    async fn a_cluster_becomes_no_larger_than_it_may_be(database: Database) {
        let store = database.store().await;
        let (cluster, [_, workers, gpu]) = settled(&store).await;
        let limits = Some(ClusterLimits { nodes: 7, nodegroups: 3 });
        let grown = |group: Uuid, count: i32| Change { limits, ..shrunk(group, count) };
        store
            .request_operation(of_group(&cluster, OperationKind::Resize, Some(workers)), &any, grown(workers, 4))
            .await
            .unwrap();
        let second = of_group(&cluster, OperationKind::Resize, Some(gpu));
        let refused = store.request_operation(second.clone(), &any, grown(gpu, 3)).await;
        assert!(matches!(refused, Err(StoreError::ClusterTooLarge { what: "nodes", limit: 7 })), "{refused:?}");
        let fourth = nodegroup(&cluster, "fourth", "worker", 0);
        let another = of_group(&cluster, OperationKind::NodegroupCreate, Some(fourth.uuid));
        let change = Change { new_nodegroup: Some(fourth), limits, ..Change::default() };
        let refused = store.request_operation(another, &any, change).await;
        assert!(matches!(refused, Err(StoreError::ClusterTooLarge { what: "node groups", limit: 3 })), "{refused:?}");
        assert_eq!(store.nodegroups_of(&[cluster.uuid]).await.unwrap().len(), 3, "nothing was written");
        store.request_operation(second, &any, grown(gpu, 1)).await.unwrap();
        // What is wanted counts before it is there: six nodes, of which five are.
        assert_eq!(store.nodes(cluster.uuid).await.unwrap().len(), 5);
        assert_eq!(store.count_all_nodes().await.unwrap(), 6);
    }

    async fn other_changes_find_the_cluster_busy(database: Database) {
        use OperationKind::{NodegroupDelete, NodegroupUpdate, Resize, RotateCa, Update, Upgrade};

        let store = database.store().await;
        let (cluster, [masters, workers, gpu]) = settled(&store).await;
        store
            .request_operation(of_group(&cluster, Resize, Some(workers)), &any, shrunk(workers, 1))
            .await
            .unwrap();
        for (kind, group) in [
            (Resize, Some(workers)),
            (NodegroupUpdate, Some(workers)),
            (NodegroupDelete, Some(workers)),
            (Update, Some(gpu)),
            (Upgrade, Some(gpu)),
            (RotateCa, None),
        ] {
            let refused = store.request_operation(of_group(&cluster, kind, group), &any, Change::default()).await;
            let Err(StoreError::WrongStatus { busy_with: Some(Resize), .. }) = refused else {
                panic!("{kind:?}: {refused:?}")
            };
        }
        // The rule about statuses holds for those that may wait as well.
        let none = |_: &ClusterStatus| false;
        let new = of_group(&cluster, NodegroupUpdate, Some(gpu));
        let refused = store.request_operation(new.clone(), &none, Change::default()).await;
        assert!(matches!(refused, Err(StoreError::WrongStatus { busy_with: None, .. })), "{refused:?}");
        store.request_operation(new, &any, Change::default()).await.unwrap();
        let new = of_group(&cluster, NodegroupUpdate, Some(masters));
        store.request_operation(new, &any, Change::default()).await.unwrap();
    }
}
