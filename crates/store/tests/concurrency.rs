//! Decisions that must hold however many ask at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use common::Database;
use common::rows::{a_cluster, new_cluster, operation, template};
use futures::future::join_all;
use magnum_domain::{ClusterStatus, EventState, OperationKind, OperationState, event::NewEvent};
use magnum_store::{Change, ClusterOutcome, StoreError};
use tokio::sync::Mutex;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(60);

/// Runs all at once, on several threads.
async fn together<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = work.into_iter().map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

on_every_database![
    the_quota_is_filled_and_never_exceeded,
    a_quota_of_nothing_admits_nothing,
    a_template_is_not_deleted_under_a_new_cluster,
    an_operation_is_claimed_by_one_conductor_only,
    an_abandoned_operation_is_taken_over_by_one_conductor_only,
    only_one_change_is_accepted_at_a_time,
    a_join_token_works_once,
    nodes_are_reconciled_once_by_several_at_once,
    a_reader_of_events_misses_none,
    several_processes_may_migrate_at_once,
];

/// Two stores on one database stand for two processes.
async fn the_quota_is_filled_and_never_exceeded(database: Database) {
    let stores = [database.store().await, database.open().await];
    let template = stores[0].create_template(&template("t")).await.unwrap();
    let results = together((0..50).map(|number: usize| {
        let store = stores[number % 2].clone();
        let mut new = new_cluster(&format!("c{number}"), "p1", &template);
        new.quota = 20;
        async move { store.create_cluster(new).await }
    }))
    .await;
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(refused.iter().all(|error| matches!(error, StoreError::QuotaExceeded { limit: 20 })), "{refused:?}");
    assert_eq!(refused.len(), 30);
    assert_eq!(stores[0].count_clusters("p1").await.unwrap(), 20);
    // What was refused left nothing behind.
    for (table, rows) in [("nodegroup", "40"), ("conductor_operation", "20"), ("conductor_event", "20")] {
        let sql = format!("SELECT CAST(COUNT(*) AS CHAR(9)) FROM {table}");
        assert_eq!(database.text(&sql).await.unwrap().trim(), rows, "{table}");
    }
    let mut other = new_cluster("other", "p2", &template);
    other.quota = 1;
    stores[0].create_cluster(other).await.unwrap();
}

async fn a_quota_of_nothing_admits_nothing(database: Database) {
    let store = database.store().await;
    let template = store.create_template(&template("t")).await.unwrap();
    for quota in [0, -1] {
        let mut new = new_cluster("c", "p1", &template);
        new.quota = quota;
        let refused = store.create_cluster(new).await.unwrap_err();
        assert!(matches!(refused, StoreError::QuotaExceeded { limit } if limit == quota), "{refused}");
    }
}

/// Either the template goes and no cluster is made from it, or the cluster is made and the template stays.
async fn a_template_is_not_deleted_under_a_new_cluster(database: Database) {
    let stores = [database.store().await, database.open().await];
    for round in 0..15 {
        let template = stores[0].create_template(&template("t")).await.unwrap();
        let new = new_cluster(&format!("c{round}"), "p1", &template);
        let (creator, deleter, uuid) = (stores[round % 2].clone(), stores[1 - round % 2].clone(), template.uuid);
        let create = tokio::spawn(async move { creator.create_cluster(new).await });
        let delete = tokio::spawn(async move { deleter.delete_template(uuid).await });
        let (create, delete) = (create.await.unwrap(), delete.await.unwrap());
        let left = stores[0].templates_by_uuid(&[uuid.to_string()]).await.unwrap().len();
        match (&create, &delete) {
            (Ok(_), Err(StoreError::TemplateInUse { uuid: named })) => assert_eq!((*named, left), (uuid, 1)),
            (Err(StoreError::NotFound { resource: "ClusterTemplate", .. }), Ok(())) => assert_eq!(left, 0),
            other => panic!("{other:?}"),
        }
    }
}

async fn an_operation_is_claimed_by_one_conductor_only(database: Database) {
    let stores = [database.store().await, database.open().await];
    let template = stores[0].create_template(&template("t")).await.unwrap();
    let mut wanted = HashSet::new();
    for number in 0..25 {
        let new = new_cluster(&format!("c{number}"), "p1", &template);
        wanted.insert(new.operation.uuid);
        stores[0].create_cluster(new).await.unwrap();
    }
    let claimed = Arc::new(Mutex::new(Vec::new()));
    together((0..12).map(|number: usize| {
        let (store, claimed) = (stores[number % 2].clone(), claimed.clone());
        async move {
            let owner = format!("conductor-{number}");
            while let Some(operation) = store.claim_operation(&owner, LEASE).await.unwrap() {
                assert_eq!(operation.lease_owner.as_deref(), Some(owner.as_str()));
                assert_eq!((operation.attempts, operation.state), (1, OperationState::Running));
                claimed.lock().await.push(operation.uuid);
            }
        }
    }))
    .await;
    let claimed = claimed.lock().await;
    assert_eq!(claimed.len(), 25, "one was claimed twice or never");
    assert_eq!(claimed.iter().copied().collect::<HashSet<_>>(), wanted);
}

async fn an_abandoned_operation_is_taken_over_by_one_conductor_only(database: Database) {
    let stores = [database.store().await, database.open().await];
    a_cluster(&stores[0]).await;
    let first = stores[0].claim_operation("dead", Duration::from_secs(2)).await.unwrap().unwrap();
    assert!(stores[1].claim_operation("early", LEASE).await.unwrap().is_none());
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let claims = together((0..10).map(|number: usize| {
        let store = stores[number % 2].clone();
        async move { store.claim_operation(&format!("heir-{number}"), LEASE).await.unwrap() }
    }))
    .await;
    let taken: Vec<_> = claims.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].uuid, taken[0].attempts), (first.uuid, 2));
    // The dead one comes back and may write nothing.
    let (store, done) = (&stores[0], ClusterOutcome::default());
    assert!(!store.renew_lease(first.uuid, "dead", LEASE).await.unwrap());
    assert!(!store.operation_progress(first.uuid, "dead", Some("x"), None).await.unwrap());
    assert!(!store.postpone_operation(first.uuid, "dead", "late", magnum_domain::now()).await.unwrap());
    assert!(!store.finish_operation(first.uuid, "dead", OperationState::Failed, None, &done).await.unwrap());
    assert!(!store.finish_delete(first.uuid, "dead").await.unwrap());
    assert_eq!(&store.get_operation(first.uuid).await.unwrap(), &taken[0]);
}

async fn only_one_change_is_accepted_at_a_time(database: Database) {
    let stores = [database.store().await, database.open().await];
    let cluster = a_cluster(&stores[0]).await;
    let create = stores[0].claim_operation("c", LEASE).await.unwrap().unwrap();
    let settled = ClusterOutcome { status: Some(ClusterStatus::CreateComplete), ..ClusterOutcome::default() };
    stores[0].finish_operation(create.uuid, "c", OperationState::Succeeded, None, &settled).await.unwrap();
    let results = together((0..20).map(|number: usize| {
        let (store, new) = (stores[number % 2].clone(), operation(&cluster, OperationKind::Resize));
        let change = Change { cluster_status: Some(ClusterStatus::UpdateInProgress), ..Change::default() };
        async move { store.request_operation(new, &ClusterStatus::is_settled, change).await }
    }))
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        let StoreError::WrongStatus { status, busy_with } = refused else { panic!("{refused}") };
        assert_eq!((status, busy_with), (ClusterStatus::UpdateInProgress, Some(OperationKind::Resize)));
    }
}

async fn a_join_token_works_once(database: Database) {
    let stores = [database.store().await, database.open().await];
    let cluster = a_cluster(&stores[0]).await;
    let nodes = stores[0].reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    let node = nodes[0].uuid;
    stores[0].set_node_started(node, "10.1.0.2", "right").await.unwrap();
    assert!(!stores[0].join_node(node, "wrong", "f").await.unwrap());
    assert!(!stores[0].join_node(nodes[1].uuid, "right", "f").await.unwrap());
    let joined = together((0..20).map(|number: usize| {
        let store = stores[number % 2].clone();
        async move { store.join_node(node, "right", &format!("fingerprint-{number}")).await.unwrap() }
    }))
    .await;
    assert_eq!(joined.iter().filter(|joined| **joined).count(), 1);
    let winner = joined.iter().position(|joined| *joined).unwrap();
    let found = stores[0].node_by_fingerprint(&format!("fingerprint-{winner}")).await.unwrap().unwrap();
    assert_eq!((found.uuid, found.join_token_hash, found.phase), (node, None, magnum_domain::NodePhase::Joined));
    assert!(stores[0].node_by_fingerprint("fingerprint-99").await.unwrap().is_none());

    stores[0].set_node_started(nodes[1].uuid, "10.1.0.3", "late").await.unwrap();
    stores[0].set_leaving(nodes[1].uuid).await.unwrap();
    assert!(!stores[0].join_node(nodes[1].uuid, "late", "f").await.unwrap());
}

async fn nodes_are_reconciled_once_by_several_at_once(database: Database) {
    let stores = [database.store().await, database.open().await];
    let cluster = a_cluster(&stores[0]).await;
    let results = together((0..10).map(|number: usize| {
        let store = stores[number % 2].clone();
        async move { store.reconcile_nodes(cluster.uuid, &[]).await.unwrap() }
    }))
    .await;
    assert!(results.iter().all(|nodes| nodes == &results[0]));
    assert_eq!(results[0].len(), 3);
}

/// Who reads on from the last event seen misses none, although several write.
async fn a_reader_of_events_misses_none(database: Database) {
    let stores = [database.store().await, database.open().await];
    let cluster = Uuid::new_v4();
    let reader = stores[0].clone();
    let reading = tokio::spawn(async move {
        let (mut seen, mut last) = (Vec::new(), None);
        while seen.len() < 60 {
            for event in reader.events(cluster, last, 7).await.unwrap() {
                last = Some(event.id);
                seen.push(event.message);
            }
        }
        seen
    });
    together((0..60).map(|number: usize| {
        let store = stores[number % 2].clone();
        async move {
            let event = NewEvent {
                cluster_uuid: cluster,
                operation_uuid: None,
                node: None,
                step: "s".to_owned(),
                state: EventState::Info,
                message: number.to_string(),
            };
            store.add_event(event).await.unwrap()
        }
    }))
    .await;
    let seen = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an event was missed").unwrap();
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 60);
}

async fn several_processes_may_migrate_at_once(database: Database) {
    let stores = [database.open().await, database.open().await, database.open().await];
    for migrated in together(stores.clone().map(|store| async move { store.migrate().await })).await {
        migrated.unwrap();
    }
    assert!(stores[0].schema().await.unwrap().is_current());
    a_cluster(&stores[1]).await;
}
