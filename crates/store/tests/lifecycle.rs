//! An operation from request to end, and what it leaves in the rows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::Database;
use common::rows::{a_cluster, cluster, labels, new_cluster, nodegroup, operation, template};
use magnum_domain::certificate::StoredKeyPair;
use magnum_domain::driver::Facts;
use magnum_domain::operation::Arguments;
use magnum_domain::{Cluster, ClusterStatus, EventState, OperationKind, OperationState, now};
use magnum_store::{
    CertificateRefs, Change, ClusterOutcome, Ident, NodegroupChange, NodegroupOutcome, Page, Scope, Store, StoreError,
};
use serde_json::json;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(60);

fn any(_: &ClusterStatus) -> bool {
    true
}

async fn status(store: &Store, cluster: &Cluster) -> ClusterStatus {
    store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap().status
}

/// Ends the operation that is claimable now.
async fn finish(store: &Store, state: OperationState, outcome: ClusterOutcome) -> Uuid {
    let claimed = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert!(store.finish_operation(claimed.uuid, "c", state, Some("reason"), &outcome).await.unwrap());
    claimed.uuid
}

fn becomes(status: ClusterStatus) -> ClusterOutcome {
    ClusterOutcome { status: Some(status), ..ClusterOutcome::default() }
}

/// A cluster that is up.
async fn a_settled_cluster(store: &Store) -> Cluster {
    let cluster = a_cluster(store).await;
    finish(store, OperationState::Succeeded, becomes(ClusterStatus::CreateComplete)).await;
    cluster
}

fn updating() -> Change {
    Change { cluster_status: Some(ClusterStatus::UpdateInProgress), ..Change::default() }
}

fn deleting() -> Change {
    Change { cluster_status: Some(ClusterStatus::DeleteInProgress), ..Change::default() }
}

on_every_database![
    the_end_of_an_operation_is_in_every_row,
    a_refused_request_changes_nothing,
    an_accepted_request_changes_the_rows,
    a_delete_cancels_what_waits_and_queues_behind_what_runs,
    a_delete_cancels_what_has_not_begun,
    the_end_of_a_delete_leaves_only_history,
    a_postponed_operation_waits_for_its_time,
    cancelling_asks_and_does_not_wait,
    a_failed_operation_can_be_retried,
    a_cluster_needs_its_template,
    a_used_template_changes_only_where_clusters_do_not_mind,
];

async fn the_end_of_an_operation_is_in_every_row(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let groups = store.nodegroups_of(&[cluster.uuid]).await.unwrap();
    let moved_to = Uuid::new_v4();
    let outcome = ClusterOutcome {
        status: Some(ClusterStatus::UpdateComplete),
        status_reason: None,
        facts: Facts {
            api_address: Some("tcp://x".to_owned()),
            coe_version: Some("28".to_owned()),
            ..Facts::default()
        },
        cluster_template: Some(moved_to),
        labels: Some(labels(&[("new", "1")])),
        nodegroups: vec![NodegroupOutcome {
            uuid: groups[0].uuid,
            change: NodegroupChange { status: Some(ClusterStatus::UpdateComplete), ..NodegroupChange::default() },
        }],
        removed_nodegroups: vec![groups[1].uuid],
    };
    let mut changed = store.operations_changed();
    changed.mark_unchanged();
    let uuid = finish(&store, OperationState::Succeeded, outcome).await;
    assert!(changed.has_changed().unwrap());
    let read = store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap();
    assert_eq!((read.status, read.status_reason), (ClusterStatus::UpdateComplete, None));
    assert_eq!((read.api_address.as_deref(), read.coe_version.as_deref()), (Some("tcp://x"), Some("28")));
    assert_eq!((read.stack_id, read.container_version), (cluster.stack_id, cluster.container_version));
    assert_eq!((read.cluster_template_id, read.labels), (moved_to.to_string(), labels(&[("new", "1")])));
    let left = store.nodegroups_of(&[cluster.uuid]).await.unwrap();
    assert_eq!((left.len(), left[0].status.clone()), (1, Some(ClusterStatus::UpdateComplete)));
    let ended = store.get_operation(uuid).await.unwrap();
    assert_eq!((ended.state, ended.lease_owner), (OperationState::Succeeded, None));
    assert!(ended.finished_at.is_some());
    let last = store.events(cluster.uuid, None, 10).await.unwrap().pop().unwrap();
    assert_eq!((last.state, last.message.as_str()), (EventState::Done, "create done"));
    assert!(store.claim_operation("c", LEASE).await.unwrap().is_none());
}

/// Everything in the rows is as before, byte for byte.
async fn a_refused_request_changes_nothing(database: Database) {
    let store = database.store().await;
    let cluster = a_settled_cluster(&store).await;
    let groups = store.nodegroups_of(&[cluster.uuid]).await.unwrap();
    let before = (
        store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap(),
        store.list_operations(cluster.uuid, &Page::first(9)).await.unwrap(),
        store.events(cluster.uuid, None, 99).await.unwrap(),
    );
    let resize = (groups[1].uuid, NodegroupChange { node_count: Some(7), ..NodegroupChange::default() });
    let twin = nodegroup(&cluster, "default-worker", "worker", 1);
    let nobody = (Uuid::new_v4(), NodegroupChange::default());
    type Allowed = fn(&ClusterStatus) -> bool;
    type Expected = fn(&StoreError) -> bool;
    let cases: [(Change, Allowed, Expected); 3] = [
        (
            Change { nodegroups: vec![resize.clone()], ..updating() },
            |_| false,
            |error| matches!(error, StoreError::WrongStatus { status: ClusterStatus::CreateComplete, busy_with: None }),
        ),
        (Change { nodegroups: vec![resize.clone()], new_nodegroup: Some(twin), ..updating() }, any, |error| {
            matches!(error, StoreError::Duplicate { resource: "Nodegroup", .. })
        }),
        (Change { nodegroups: vec![resize, nobody], ..updating() }, any, |error| {
            matches!(error, StoreError::NotFound { resource: "Nodegroup", .. })
        }),
    ];
    for (change, allowed, expected) in cases {
        let new = operation(&cluster, OperationKind::Resize);
        let refused = store.request_operation(new, &allowed, change).await.unwrap_err();
        assert!(expected(&refused), "{refused}");
        let after = (
            store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap(),
            store.list_operations(cluster.uuid, &Page::first(9)).await.unwrap(),
            store.events(cluster.uuid, None, 99).await.unwrap(),
        );
        assert_eq!(after, before);
        assert_eq!(store.nodegroups_of(&[cluster.uuid]).await.unwrap(), groups);
    }
    let mut elsewhere = operation(&cluster, OperationKind::Resize);
    elsewhere.cluster_uuid = Uuid::new_v4();
    let refused = store.request_operation(elsewhere, &any, updating()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { resource: "Cluster", .. }), "{refused}");
}

async fn an_accepted_request_changes_the_rows(database: Database) {
    let store = database.store().await;
    let cluster = a_settled_cluster(&store).await;
    let groups = store.nodegroups_of(&[cluster.uuid]).await.unwrap();
    let grown = NodegroupChange {
        node_count: Some(5),
        status: Some(ClusterStatus::UpdateInProgress),
        ..NodegroupChange::default()
    };
    let change = Change {
        nodegroups: vec![(groups[1].uuid, grown)],
        new_nodegroup: Some(nodegroup(&cluster, "gpu", "gpu", 1)),
        ..updating()
    };
    let mut new = operation(&cluster, OperationKind::Resize);
    new.arguments = Arguments { nodegroup: Some(groups[1].uuid), node_count: Some(5), ..Arguments::default() };
    new.deadline_at = Some(now() + LEASE);
    let made = store.request_operation(new.clone(), &ClusterStatus::is_settled, change).await.unwrap();
    assert_eq!((made.uuid, made.state, &made.arguments), (new.uuid, OperationState::Pending, &new.arguments));
    assert_eq!(store.get_operation(new.uuid).await.unwrap(), made);
    assert_eq!(made.deadline_at, new.deadline_at);
    assert_eq!(status(&store, &cluster).await, ClusterStatus::UpdateInProgress);
    let groups = store.nodegroups_of(&[cluster.uuid]).await.unwrap();
    assert_eq!((groups.len(), groups[1].node_count, groups[2].name.as_str()), (3, 5, "gpu"));

    let second = operation(&cluster, OperationKind::Upgrade);
    let busy = store.request_operation(second, &any, updating()).await.unwrap_err();
    assert!(matches!(busy, StoreError::WrongStatus { busy_with: Some(OperationKind::Resize), .. }), "{busy}");
}

async fn a_delete_cancels_what_waits_and_queues_behind_what_runs(database: Database) {
    let store = database.store().await;
    let cluster = a_settled_cluster(&store).await;
    let resize = operation(&cluster, OperationKind::Resize);
    store.request_operation(resize.clone(), &any, updating()).await.unwrap();
    let running = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert_eq!(running.uuid, resize.uuid);

    let delete = store.request_operation(operation(&cluster, OperationKind::Delete), &any, deleting()).await.unwrap();
    assert!(store.get_operation(resize.uuid).await.unwrap().cancel_requested);
    assert_eq!(status(&store, &cluster).await, ClusterStatus::DeleteInProgress);
    assert!(store.claim_operation("d", LEASE).await.unwrap().is_none(), "the delete must wait");

    // Deleting again is the same delete.
    let again = store.request_operation(operation(&cluster, OperationKind::Delete), &any, deleting()).await.unwrap();
    assert_eq!(again.uuid, delete.uuid);

    let outcome = becomes(ClusterStatus::UpdateFailed);
    store.finish_operation(resize.uuid, "c", OperationState::Cancelled, None, &outcome).await.unwrap();
    assert_eq!(status(&store, &cluster).await, ClusterStatus::DeleteInProgress, "a delete is on its way");
    let claimed = store.claim_operation("d", LEASE).await.unwrap().unwrap();
    assert_eq!(claimed.uuid, delete.uuid);
}

async fn a_delete_cancels_what_has_not_begun(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let create = store.list_operations(cluster.uuid, &Page::first(1)).await.unwrap().remove(0);
    let delete = store.request_operation(operation(&cluster, OperationKind::Delete), &any, deleting()).await.unwrap();
    let cancelled = store.get_operation(create.uuid).await.unwrap();
    assert_eq!((cancelled.state, cancelled.finished_at.is_some()), (OperationState::Cancelled, true));
    assert_eq!(store.claim_operation("c", LEASE).await.unwrap().unwrap().uuid, delete.uuid);
}

async fn the_end_of_a_delete_leaves_only_history(database: Database) {
    let store = database.store().await;
    let kept = a_cluster(&store).await;
    let template = store.create_template(&template("t")).await.unwrap();
    let cluster = store.create_cluster(new_cluster("gone", "p1", &template)).await.unwrap();
    let pair = |uuid| StoredKeyPair {
        uuid,
        certificate: String::new(),
        private_key: String::new(),
        private_key_passphrase: String::new(),
        project_id: "p1".to_owned(),
        user_id: "u1".to_owned(),
        created_at: None,
    };
    let (ca, client, foreign) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    for uuid in [ca, client, foreign] {
        store.put_key_pair(&pair(uuid)).await.unwrap();
    }
    let refs = CertificateRefs {
        ca: Some(ca.to_string()),
        magnum: Some(client.to_string()),
        etcd_ca: Some("https://barbican/v1/containers/x".to_owned()),
        ..CertificateRefs::default()
    };
    store.set_certificate_refs(cluster.uuid, &refs).await.unwrap();
    for uuid in [kept.uuid, cluster.uuid] {
        store.reconcile_nodes(uuid, &[]).await.unwrap();
        store.plan_resource(uuid, None, "directory", "d", &json!({})).await.unwrap();
    }
    let delete = store.request_operation(operation(&cluster, OperationKind::Delete), &any, deleting()).await.unwrap();
    let first = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert_eq!(first.cluster_uuid, kept.uuid, "the oldest comes first");
    let claimed = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert_eq!(claimed.uuid, delete.uuid);
    assert!(store.finish_delete(delete.uuid, "c").await.unwrap());
    assert!(!store.finish_delete(delete.uuid, "c").await.unwrap());

    let gone = store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
    assert!(store.nodegroups_of(&[cluster.uuid]).await.unwrap().is_empty());
    assert!(store.nodes(cluster.uuid).await.unwrap().is_empty());
    assert_eq!(store.all_clusters_with_resources().await.unwrap(), [kept.uuid]);
    assert_eq!(store.nodes(kept.uuid).await.unwrap().len(), 3);
    for (uuid, there) in [(ca, false), (client, false), (foreign, true)] {
        assert_eq!(store.get_key_pair(uuid).await.is_ok(), there);
    }
    assert_eq!(store.get_operation(delete.uuid).await.unwrap().state, OperationState::Succeeded);
    assert_eq!(store.events(cluster.uuid, None, 99).await.unwrap().pop().unwrap().message, "delete done");

    store.prune_history(now() - LEASE).await.unwrap();
    assert!(store.get_operation(delete.uuid).await.is_ok(), "too young to go");
    store.prune_history(now() + LEASE).await.unwrap();
    assert!(store.get_operation(delete.uuid).await.is_err());
    assert!(store.events(cluster.uuid, None, 9).await.unwrap().is_empty());
    assert_eq!(store.list_operations(kept.uuid, &Page::first(9)).await.unwrap().len(), 1);
}

async fn a_postponed_operation_waits_for_its_time(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let claimed = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert!(store.operation_progress(claimed.uuid, "c", Some("step"), Some("the engine")).await.unwrap());
    let read = store.get_operation(claimed.uuid).await.unwrap();
    assert_eq!((read.step.as_deref(), read.waiting_for.as_deref()), (Some("step"), Some("the engine")));
    assert!(store.renew_lease(claimed.uuid, "c", 2 * LEASE).await.unwrap());
    let renewed = store.get_operation(claimed.uuid).await.unwrap();
    assert!(renewed.lease_expires_at > claimed.lease_expires_at);

    let later = now() + Duration::from_millis(300);
    assert!(store.postpone_operation(claimed.uuid, "c", "no route", later).await.unwrap());
    assert!(store.claim_operation("c", LEASE).await.unwrap().is_none());
    let read = store.get_operation(claimed.uuid).await.unwrap();
    assert_eq!(
        (read.state, read.error.as_deref(), read.waiting_for),
        (OperationState::Pending, Some("no route"), None)
    );
    // One that waits for its time still stands before those behind it.
    store.request_operation(operation(&cluster, OperationKind::Resize), &any, updating()).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(350)).await;
    let again = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert_eq!((again.uuid, again.attempts), (claimed.uuid, 2));
}

async fn cancelling_asks_and_does_not_wait(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let create = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    store.postpone_operation(create.uuid, "c", "no route", now() + 10 * LEASE).await.unwrap();
    let asked = store.request_cancel(create.uuid).await.unwrap();
    assert!(asked.cancel_requested && asked.state == OperationState::Pending);
    let claimed = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert!(claimed.uuid == create.uuid && claimed.cancel_requested, "a cancelled one need not wait for its time");
    let outcome = becomes(ClusterStatus::CreateFailed);
    store.finish_operation(create.uuid, "c", OperationState::Cancelled, None, &outcome).await.unwrap();
    let late = store.request_cancel(create.uuid).await.unwrap_err();
    assert!(matches!(late, StoreError::WrongOperationState { state: OperationState::Cancelled }), "{late}");
    assert_eq!(status(&store, &cluster).await, ClusterStatus::CreateFailed);
    assert!(matches!(store.request_cancel(Uuid::new_v4()).await, Err(StoreError::NotFound { .. })));
}

async fn a_failed_operation_can_be_retried(database: Database) {
    let store = database.store().await;
    let cluster = a_settled_cluster(&store).await;
    let create = store.list_operations(cluster.uuid, &Page::first(1)).await.unwrap().remove(0);
    let worker = store.get_nodegroup(cluster.uuid, &Ident::Name("default-worker".to_owned())).await.unwrap();
    let mut new = operation(&cluster, OperationKind::Resize);
    new.arguments = Arguments { nodegroup: Some(worker.uuid), node_count: Some(6), ..Arguments::default() };
    new.deadline_at = Some(now() + LEASE);
    store.request_operation(new.clone(), &any, updating()).await.unwrap();
    let running = store.retry_operation(new.uuid).await.unwrap_err();
    assert!(matches!(running, StoreError::WrongOperationState { state: OperationState::Pending }), "{running}");
    let failed = NodegroupChange {
        status: Some(ClusterStatus::UpdateFailed),
        status_reason: Some(Some("no room".to_owned())),
        node_count: Some(2),
        ..NodegroupChange::default()
    };
    let outcome = ClusterOutcome {
        status_reason: Some("no room".to_owned()),
        nodegroups: vec![NodegroupOutcome { uuid: worker.uuid, change: failed }],
        ..becomes(ClusterStatus::UpdateFailed)
    };
    finish(&store, OperationState::Failed, outcome).await;
    let read = store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap();
    assert_eq!((read.status, read.status_reason.as_deref()), (ClusterStatus::UpdateFailed, Some("no room")));
    let older = store.retry_operation(create.uuid).await.unwrap_err();
    assert!(matches!(older, StoreError::WrongOperationState { state: OperationState::Succeeded }), "{older}");

    let retried = store.retry_operation(new.uuid).await.unwrap();
    assert_eq!((retried.state, retried.attempts, retried.error), (OperationState::Pending, 0, None));
    assert!(retried.deadline_at > new.deadline_at && retried.finished_at.is_none());
    let read = store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap();
    assert_eq!((read.status, read.status_reason), (ClusterStatus::UpdateInProgress, None));
    let group = store.get_nodegroup(cluster.uuid, &worker.uuid.into()).await.unwrap();
    assert_eq!((group.node_count, group.status), (6, Some(ClusterStatus::UpdateInProgress)));
    let claimed = store.claim_operation("c", LEASE).await.unwrap().unwrap();
    assert_eq!((claimed.uuid, claimed.attempts), (new.uuid, 1));
}

async fn a_cluster_needs_its_template(database: Database) {
    let store = database.store().await;
    let never_stored = template("t");
    let refused = store.create_cluster(new_cluster("web", "p1", &never_stored)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { resource: "ClusterTemplate", .. }), "{refused}");
    let stored = store.create_template(&never_stored).await.unwrap();
    let first = new_cluster("web", "p1", &stored);
    store.create_cluster(first.clone()).await.unwrap();
    let mut twin = new_cluster("web", "p1", &stored);
    twin.cluster = Cluster { uuid: first.cluster.uuid, ..cluster("other", "p1", &stored) };
    let refused = store.create_cluster(twin).await.unwrap_err();
    assert!(matches!(refused, StoreError::Duplicate { resource: "Cluster", .. }), "{refused}");
}

async fn a_used_template_changes_only_where_clusters_do_not_mind(database: Database) {
    let store = database.store().await;
    let before = store
        .create_template(&magnum_domain::ClusterTemplate { public: false, hidden: false, ..template("t") })
        .await
        .unwrap();
    store.create_cluster(new_cluster("web", "p1", &before)).await.unwrap();
    type Edit = fn(&mut magnum_domain::ClusterTemplate);
    let cases: [(Edit, bool); 9] = [
        (|t| t.name = Some("new".to_owned()), true),
        (|t| t.name = None, true),
        (|t| t.hidden = true, true),
        (|t| t.public = true, true),
        (|t| t.tags = Some("x".to_owned()), true),
        (|t| t.tags = None, false),
        (|t| t.image_id = None, false),
        (|_| {}, false),
        (
            |t| {
                t.name = None;
                t.hidden = true;
            },
            false,
        ),
    ];
    for (number, (edit, allowed)) in cases.into_iter().enumerate() {
        let mut after = before.clone();
        edit(&mut after);
        match store.update_template(&before, &after).await {
            Ok(_) => assert!(allowed, "case {number}"),
            Err(StoreError::TemplateInUse { uuid }) => assert!(!allowed && uuid == before.uuid, "case {number}"),
            Err(other) => panic!("case {number}: {other}"),
        }
    }
    let mut public = before.clone();
    public.public = true;
    let refused = store.update_template(&public, &before).await.unwrap_err();
    assert!(matches!(refused, StoreError::TemplateInUse { .. }), "{refused}");
    assert!(matches!(store.delete_template(before.uuid).await, Err(StoreError::TemplateInUse { .. })));
}
