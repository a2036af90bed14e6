//! How operations are carried out, whatever the infrastructure: on a real database, with a driver that does as the
//! test tells it. Real infrastructure is in the tests of `magnum-drivers` and `magnum`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use magnum_certs::{KeyKind, SealKey, Vault};
use magnum_conductor::{Conductor, Options};
use magnum_domain::driver::{
    Admission, ClusterType, Driver, DriverError, Drivers, Facts, Health, NodeDemand, Plan, Progress, Snapshot, Step,
};
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{
    Cluster, ClusterStatus, ClusterTemplate, EventState, HealthStatus, Labels, NodePhase, Operation, OperationKind,
    OperationState, now,
};
use magnum_store::{Change, ConnectOptions, Ident, NewCluster, NodegroupChange, Page, Scope, Store};
use magnum_testkit::{cluster, nodegroup, template, until};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What the next step of a node does.
#[derive(Clone)]
enum Next {
    Fail(&'static str),
    FailForGood(&'static str),
    Hang,
    /// Hangs without ever looking at whether it shall stop.
    HangDeaf,
}

/// A driver whose nodes are rows and nothing else: a node is up when its step has been applied.
#[derive(Default)]
struct Scripted {
    store: Mutex<Option<Store>>,
    script: Mutex<Vec<Next>>,
    applied: AtomicUsize,
    side_by_side: AtomicUsize,
    most_side_by_side: AtomicUsize,
    health: Mutex<Option<Health>>,
    adopted: AtomicUsize,
    /// Places of the infrastructure; none for as many as the conductor gives.
    places: Mutex<Option<Arc<tokio::sync::Semaphore>>>,
}

impl Scripted {
    fn store(&self) -> Store {
        self.store.lock().unwrap().clone().unwrap()
    }
}

#[async_trait]
impl Driver for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn provides(&self) -> Vec<ClusterType> {
        vec![ClusterType { server_type: "vm".to_owned(), os: "local".to_owned(), coe: "swarm-mode".to_owned() }]
    }

    async fn preflight(&self, _: &ClusterTemplate, _: &Labels, _: NodeDemand) -> Result<(), DriverError> {
        Ok(())
    }

    async fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DriverError> {
        let mut plan = Plan::default();
        // Short only where a step is to run out of time; a busy machine must not make others do so.
        let hangs = self.script.lock().unwrap().iter().any(|next| matches!(next, Next::HangDeaf));
        let timeout = if hangs { Duration::from_millis(400) } else { Duration::from_secs(10) };
        let due = snapshot.nodes.iter().filter(|node| snapshot.deleting || node.phase != NodePhase::Ready);
        let step = |node: &magnum_domain::Node| Step {
            kind: if snapshot.deleting || node.phase == NodePhase::Leaving { "node.destroy" } else { "node.start" }
                .to_owned(),
            node: Some(node.uuid),
            title: format!("work on {}", node.name),
            timeout,
        };
        plan.stage(due.map(step).collect());
        Ok(plan)
    }

    async fn admit(&self, _: &Step) -> Admission {
        let places = self.places.lock().unwrap().clone();
        match places {
            Some(places) => Admission::holding(places.acquire_owned().await.unwrap()),
            None => Admission::unbounded(),
        }
    }

    async fn apply(&self, step: &Step, _: &Snapshot, progress: &dyn Progress) -> Result<(), DriverError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        let now = self.side_by_side.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_side_by_side.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.side_by_side.fetch_sub(1, Ordering::SeqCst);
        let next = self.script.lock().unwrap().pop();
        match next {
            Some(Next::Fail(why)) => return Err(DriverError::Transient(why.to_owned())),
            Some(Next::FailForGood(why)) => return Err(DriverError::Fatal(why.to_owned())),
            Some(Next::Hang) => {
                progress.waiting_for("the engine of the test").await;
                while !progress.is_cancelled() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                return Err(DriverError::Cancelled);
            }
            Some(Next::HangDeaf) => {
                progress.waiting_for("the engine of the test").await;
                std::future::pending::<()>().await;
            }
            None => {}
        }
        let node = step.node.unwrap();
        if step.kind == "node.destroy" {
            self.store().delete_node(node).await.unwrap();
        } else {
            self.store()
                .node_report(node, &magnum_domain::agent::ObservedNode::default(), Some(NodePhase::Ready), None)
                .await
                .unwrap();
        }
        Ok(())
    }

    async fn facts(&self, _: &Snapshot) -> Result<Facts, DriverError> {
        Ok(Facts { api_address: Some("tcp://127.0.0.1:1".to_owned()), ..Facts::default() })
    }

    async fn health(&self, _: &Snapshot) -> Health {
        let healthy = Health { status: HealthStatus::Healthy, reason: Labels::new() };
        self.health.lock().unwrap().clone().unwrap_or(healthy)
    }

    async fn resume(&self, _: &Snapshot) -> Result<(), DriverError> {
        self.adopted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A database with a template, a vault, and a scripted driver.
struct World {
    _folder: TempDir,
    store: Store,
    vault: Vault,
    driver: Arc<Scripted>,
    template: ClusterTemplate,
    stops: Mutex<Vec<CancellationToken>>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}", folder.path().join("magnum.sqlite").display());
        let seal = SealKey::load_or_create(&folder.path().join("key")).unwrap();
        let store = Store::connect(&url, &ConnectOptions::default()).await.unwrap().with_seal(seal.clone());
        store.migrate().await.unwrap();
        let template = store.create_template(&template()).await.unwrap();
        let driver = Arc::new(Scripted::default());
        *driver.store.lock().unwrap() = Some(store.clone());
        let vault = Vault::new(store.clone(), seal).making(30, KeyKind::P256);
        Self { _folder: folder, store, vault, driver, template, stops: Mutex::default() }
    }

    fn start(&self, options: Options) -> CancellationToken {
        let stop = CancellationToken::new();
        let drivers = Drivers::new(vec![self.driver.clone()]);
        let conductor = Conductor::new(self.store.clone(), self.vault.clone(), drivers, options);
        tokio::spawn(conductor.run(stop.clone()));
        self.stops.lock().unwrap().push(stop.clone());
        stop
    }

    fn script(&self, next: &[Next]) {
        *self.driver.script.lock().unwrap() = next.iter().rev().cloned().collect();
    }

    async fn create(&self, workers: i32, deadline: Option<Duration>) -> (Uuid, Uuid) {
        let cluster = cluster("web", &self.template);
        let operation = NewOperation {
            deadline_at: deadline.map(|deadline| now() + deadline),
            ..operation(cluster.uuid, OperationKind::Create)
        };
        let ids = (cluster.uuid, operation.uuid);
        let nodegroups = vec![
            nodegroup(&cluster, "default-master", "master", 1),
            nodegroup(&cluster, "default-worker", "worker", workers),
        ];
        self.store.create_cluster(NewCluster { cluster, nodegroups, operation, quota: 100 }).await.unwrap();
        ids
    }

    async fn request(&self, cluster: Uuid, kind: OperationKind, status: ClusterStatus) -> Uuid {
        let change = Change { cluster_status: Some(status), ..Change::default() };
        self.store.request_operation(operation(cluster, kind), &|_| true, change).await.unwrap().uuid
    }

    /// Waits for the end of an operation.
    async fn ended(&self, operation: Uuid) -> Operation {
        let began = Instant::now();
        loop {
            let row = self.store.get_operation(operation).await.unwrap();
            if row.state.is_finished() {
                return row;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "not ended: {row:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn cluster(&self, uuid: Uuid) -> Option<Cluster> {
        self.store.get_cluster(&Scope::All, &Ident::Uuid(uuid)).await.ok()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stops.lock().unwrap().iter().for_each(CancellationToken::cancel);
    }
}

fn quick() -> Options {
    Options { lease: Duration::from_millis(600), health_interval: Duration::ZERO, attempts: 3, ..Options::default() }
}

fn operation(cluster: Uuid, kind: OperationKind) -> NewOperation {
    NewOperation {
        uuid: Uuid::new_v4(),
        cluster_uuid: cluster,
        project_id: "project".to_owned(),
        user_id: "user".to_owned(),
        request_id: None,
        kind,
        arguments: Arguments::default(),
        deadline_at: None,
    }
}

#[tokio::test]
async fn a_cluster_is_made_and_deleted() {
    let world = World::new().await;
    world.start(quick());
    let (cluster, create) = world.create(2, None).await;
    assert_eq!(world.ended(create).await.state, OperationState::Succeeded);
    let row = world.cluster(cluster).await.unwrap();
    assert_eq!(row.status, ClusterStatus::CreateComplete);
    assert_eq!(row.api_address.as_deref(), Some("tcp://127.0.0.1:1"));
    assert!(row.ca_cert_ref.is_some() && row.magnum_cert_ref.is_some());
    for group in world.store.nodegroups_of(&[cluster]).await.unwrap() {
        assert_eq!(group.status, Some(ClusterStatus::CreateComplete));
    }
    // Every step has its beginning and its end among the events.
    let mut steps: HashMap<EventState, usize> = HashMap::new();
    for event in world.store.events(cluster, None, 100).await.unwrap() {
        if event.step == "node.start" {
            *steps.entry(event.state).or_default() += 1;
        }
    }
    assert_eq!((steps[&EventState::Started], steps[&EventState::Done]), (3, 3));

    let delete = world.request(cluster, OperationKind::Delete, ClusterStatus::DeleteInProgress).await;
    assert_eq!(world.ended(delete).await.state, OperationState::Succeeded);
    assert!(world.cluster(cluster).await.is_none());
}

#[tokio::test]
async fn what_may_mend_itself_is_tried_again_and_what_will_not_is_not() {
    let world = World::new().await;
    world.start(quick());
    world.script(&[Next::Fail("the engine is tired")]);
    let (cluster, create) = world.create(0, None).await;
    let row = world.ended(create).await;
    assert_eq!((row.state, row.attempts), (OperationState::Succeeded, 2));
    assert_eq!(world.cluster(cluster).await.unwrap().status, ClusterStatus::CreateComplete);

    world.script(&[Next::FailForGood("no such kernel")]);
    let (cluster, create) = world.create(0, None).await;
    let row = world.ended(create).await;
    assert_eq!((row.state, row.attempts), (OperationState::Failed, 1));
    let failed = world.cluster(cluster).await.unwrap();
    assert_eq!(failed.status, ClusterStatus::CreateFailed);
    let reason = failed.status_reason.unwrap();
    assert!(reason.contains("work on web-master-0") && reason.contains("no such kernel"), "{reason}");

    // Somebody mends it and has the operation done again.
    world.store.retry_operation(create).await.unwrap();
    assert_eq!(world.ended(create).await.state, OperationState::Succeeded);
    assert_eq!(world.cluster(cluster).await.unwrap().status, ClusterStatus::CreateComplete);
}

#[tokio::test]
async fn a_failed_update_goes_back_if_it_was_asked_to() {
    let world = World::new().await;
    world.start(quick());
    let (cluster, create) = world.create(1, None).await;
    world.ended(create).await;
    let groups = world.store.nodegroups_of(&[cluster]).await.unwrap();
    let group = groups.iter().find(|group| !group.is_master()).unwrap().uuid;
    world.script(&[Next::FailForGood("no room")]);
    let update = NewOperation {
        arguments: Arguments {
            nodegroup: Some(group),
            previous_node_count: Some(1),
            node_count: Some(2),
            rollback: true,
            ..Arguments::default()
        },
        ..operation(cluster, OperationKind::Update)
    };
    let id = update.uuid;
    let grown = NodegroupChange { node_count: Some(2), ..NodegroupChange::default() };
    let change = Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        nodegroups: vec![(group, grown)],
        ..Change::default()
    };
    world.store.request_operation(update, &|_| true, change).await.unwrap();
    assert_eq!(world.ended(id).await.state, OperationState::Failed);
    let began = Instant::now();
    while world.cluster(cluster).await.unwrap().status != ClusterStatus::RollbackComplete {
        assert!(began.elapsed() < Duration::from_secs(10), "not back: {:?}", world.cluster(cluster).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let groups = world.store.nodegroups_of(&[cluster]).await.unwrap();
    assert_eq!(groups.iter().find(|row| row.uuid == group).unwrap().node_count, 1);
    assert_eq!(world.store.nodes(cluster).await.unwrap().len(), 2);
}

#[tokio::test]
async fn it_gives_up_after_the_last_attempt() {
    let world = World::new().await;
    world.start(Options { attempts: 2, ..quick() });
    world.script(&[Next::Fail("again"), Next::Fail("and again"), Next::Fail("for ever")]);
    let (_, create) = world.create(0, None).await;
    let row = world.ended(create).await;
    assert_eq!((row.state, row.attempts), (OperationState::Failed, 2));
    assert!(row.error.unwrap().contains("and again"));
}

#[tokio::test]
async fn a_deadline_ends_in_words() {
    let world = World::new().await;
    world.start(Options { attempts: 100, ..quick() });
    // Each attempt hangs until its step times out; no attempt can succeed before the deadline.
    world.script(&[Next::HangDeaf, Next::HangDeaf, Next::HangDeaf, Next::HangDeaf, Next::HangDeaf]);
    let (cluster, create) = world.create(0, Some(Duration::from_secs(5))).await;
    let row = world.ended(create).await;
    assert_eq!(row.state, OperationState::Failed);
    let failed = world.cluster(cluster).await.unwrap();
    assert_eq!(failed.status, ClusterStatus::CreateFailed);
    let reason = failed.status_reason.unwrap();
    assert!(
        reason.contains("not done within")
            && reason.contains(" s at: work on web-master-0")
            && reason.contains("the engine of the test"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_operation_says_what_it_waits_for_and_can_be_cancelled() {
    let world = World::new().await;
    world.start(quick());
    world.script(&[Next::Hang]);
    let (cluster, create) = world.create(0, None).await;
    let began = Instant::now();
    loop {
        let row = world.store.get_operation(create).await.unwrap();
        if row.waiting_for.as_deref() == Some("the engine of the test") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{row:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.store.request_cancel(create).await.unwrap();
    let row = world.ended(create).await;
    assert_eq!(row.state, OperationState::Cancelled);
    assert_eq!(world.cluster(cluster).await.unwrap().status, ClusterStatus::CreateFailed);
}

#[tokio::test]
async fn a_delete_stops_what_is_going_on() {
    let world = World::new().await;
    world.start(quick());
    world.script(&[Next::Hang]);
    let (cluster, create) = world.create(0, None).await;
    while world.driver.applied.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let delete = world.request(cluster, OperationKind::Delete, ClusterStatus::DeleteInProgress).await;
    assert_eq!(world.ended(create).await.state, OperationState::Cancelled);
    assert_eq!(world.ended(delete).await.state, OperationState::Succeeded);
    assert!(world.cluster(cluster).await.is_none());
}

#[tokio::test]
async fn an_abandoned_operation_is_resumed_when_its_lease_runs_out() {
    let world = World::new().await;
    let (cluster, create) = world.create(0, None).await;
    // A conductor that claims and is never heard of again.
    let claimed = world.store.claim_operation("gone", Duration::from_millis(300)).await.unwrap().unwrap();
    assert_eq!(claimed.uuid, create);
    world.start(quick());
    let row = world.ended(create).await;
    assert_eq!((row.state, row.attempts), (OperationState::Succeeded, 2));
    assert_eq!(world.cluster(cluster).await.unwrap().status, ClusterStatus::CreateComplete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_conductors_never_do_the_same_twice() {
    let world = World::new().await;
    for number in 0..3 {
        let lease = Duration::from_secs(10);
        world.start(Options { host: format!("host-{number}"), lease, ..quick() });
    }
    let mut creates = Vec::new();
    for _ in 0..12 {
        creates.push(world.create(1, None).await);
    }
    for (_, create) in &creates {
        let row = world.ended(*create).await;
        assert_eq!((row.state, row.attempts), (OperationState::Succeeded, 1));
    }
    assert_eq!(world.driver.applied.load(Ordering::SeqCst), 24, "one step for each node");
}

#[tokio::test]
async fn draining_hands_the_work_on() {
    let world = World::new().await;
    let first = world.start(quick());
    world.script(&[Next::Fail("not yet")]);
    let (_, create) = world.create(0, None).await;
    while world.driver.applied.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.cancel();
    let row = until("operation that was handed on", async || {
        let row = world.store.get_operation(create).await.unwrap();
        row.lease_owner.is_none().then_some(row)
    })
    .await;
    assert!(!row.state.is_finished() && row.lease_owner.is_none(), "{row:#?}");
    world.start(quick());
    assert_eq!(world.ended(create).await.state, OperationState::Succeeded);
}

#[tokio::test]
async fn health_is_written_and_an_unhealthy_cluster_is_taken_up_anew() {
    let world = World::new().await;
    world.start(Options { health_interval: Duration::from_millis(50), ..quick() });
    let (cluster, create) = world.create(0, None).await;
    world.ended(create).await;
    let wait_for = async |status: HealthStatus| {
        let began = Instant::now();
        while world.cluster(cluster).await.unwrap().health_status != Some(status.clone()) {
            assert!(began.elapsed() < Duration::from_secs(5), "not {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wait_for(HealthStatus::Healthy).await;
    let reason = Labels::from([("web-master-0.Ready".to_owned(), "False".to_owned())]);
    *world.driver.health.lock().unwrap() = Some(Health { status: HealthStatus::Unhealthy, reason: reason.clone() });
    wait_for(HealthStatus::Unhealthy).await;
    assert_eq!(world.cluster(cluster).await.unwrap().health_status_reason, reason);
    let began = Instant::now();
    while world.driver.adopted.load(Ordering::SeqCst) == 0 {
        assert!(began.elapsed() < Duration::from_secs(5), "not taken up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let services = world.store.list_services().await.unwrap();
    assert_eq!(services.len(), 1);
    assert!(world.store.list_operations(cluster, &Page::first(10)).await.unwrap().len() == 1);
}

/// The counters after each way in which a claim can come to its end.
#[tokio::test]
async fn only_claims_without_an_end_are_interruptions_and_being_handed_back_is_no_attempt() {
    let world = World::new().await;
    let store = &world.store;
    let dead = "host/gone/1/2-3/x";
    let table: [(&str, i32, i32); 6] = [
        ("handed back", 0, 0),
        ("postponed after an error", 1, 0),
        ("left behind by a lease that ran out", 2, 1),
        ("freed from a dead conductor", 3, 2),
        ("handed back", 3, 2),
        ("postponed after an error", 4, 2),
    ];
    let (_, create) = world.create(0, None).await;
    let mut claims = 0;
    for (how, attempts, interruptions) in table {
        let lease = if how.starts_with("left behind") { Duration::ZERO } else { Duration::from_secs(60) };
        let claimed = store.claim_operation(dead, lease).await.unwrap().unwrap();
        assert!(claimed.claims > claims, "{how}: a claim has a number of its own");
        claims = claimed.claims;
        let ended = match how {
            "handed back" => store.hand_back_operation(create, dead).await.unwrap(),
            "postponed after an error" => store.postpone_operation(create, dead, "tired", now()).await.unwrap(),
            "freed from a dead conductor" => store.free_operation_of_the_dead(create, dead).await.unwrap(),
            _ => {
                // Counted by whoever takes it up next; that one hands it back.
                while store.claim_operation("next", Duration::from_secs(60)).await.unwrap().is_none() {}
                store.hand_back_operation(create, "next").await.unwrap()
            }
        };
        assert!(ended, "{how}");
        let row = store.get_operation(create).await.unwrap();
        assert_eq!((row.attempts, row.interruptions), (attempts, interruptions), "{how}");
    }
}

#[tokio::test]
async fn an_operation_that_takes_its_conductors_down_is_given_up() {
    let world = World::new().await;
    let table: [(&str, OperationKind, ClusterStatus); 3] = [
        ("create", OperationKind::Create, ClusterStatus::CreateFailed),
        ("resize", OperationKind::Resize, ClusterStatus::UpdateFailed),
        ("delete", OperationKind::Delete, ClusterStatus::DeleteFailed),
    ];
    let options = Options { max_interruptions: 3, ..quick() };
    let mut cluster = Uuid::nil();
    for (what, kind, status) in table {
        let operation = if kind == OperationKind::Create {
            let ids = world.create(0, None).await;
            cluster = ids.0;
            ids.1
        } else {
            world.request(cluster, kind, ClusterStatus::UpdateInProgress).await
        };
        let applied = world.driver.applied.load(Ordering::SeqCst);
        for _ in 0..3 {
            // Each is gone as soon as it has begun.
            let claim = loop {
                if let Some(claim) = world.store.claim_operation("gone", Duration::ZERO).await.unwrap() {
                    break claim;
                }
            };
            assert_eq!(claim.uuid, operation);
            world.store.operation_progress(operation, "gone", Some("start node web-master-0"), None).await.unwrap();
        }
        let stop = world.start(options.clone());
        let row = world.ended(operation).await;
        assert_eq!((row.state, row.interruptions), (OperationState::Failed, 3), "{what}");
        assert_eq!(world.driver.applied.load(Ordering::SeqCst), applied, "{what}: nothing of it was tried any more");
        let shown = world.cluster(cluster).await.unwrap();
        let reason = shown.status_reason.unwrap();
        assert_eq!(shown.status, status);
        assert!(reason.contains("3 times") && reason.contains("start node web-master-0"), "{what}: {reason}");
        // Whoever has found the cause may have it tried again, from nothing.
        world.store.retry_operation(operation).await.unwrap();
        let row = world.ended(operation).await;
        assert_eq!((row.state, row.interruptions), (OperationState::Succeeded, 0), "{what}");
        stop.cancel();
    }
}

#[tokio::test]
async fn steps_run_at_a_bounded_width_for_each_conductor_and_infrastructure() {
    let width = |width: usize| std::num::NonZeroUsize::new(width).unwrap();
    // Of the conductor, of the infrastructure, what is seen at most.
    for (conductor, infrastructure, expected) in [(3, None, 3), (100, Some(2), 2), (2, Some(5), 2)] {
        let world = World::new().await;
        *world.driver.places.lock().unwrap() =
            infrastructure.map(|places| Arc::new(tokio::sync::Semaphore::new(places)));
        world.start(Options { parallel_steps: width(conductor), lease: Duration::from_secs(30), ..quick() });
        // Two operations at the same time: the bound is that of all together.
        let both = [world.create(9, None).await, world.create(9, None).await];
        for (_, create) in both {
            assert_eq!(world.ended(create).await.state, OperationState::Succeeded);
        }
        assert_eq!(world.driver.applied.load(Ordering::SeqCst), 20);
        // How many really met depends on the machine; that the width is used up is shown where it is kept.
        let seen = world.driver.most_side_by_side.load(Ordering::SeqCst);
        assert!(seen <= expected, "{seen} side by side, not {expected}");
    }
}

/// While an operation goes on, cluster and node groups say what it waits for and what went wrong before; afterwards they
/// do not.
#[tokio::test]
async fn statuses_in_progress_have_a_reason() {
    let world = World::new().await;
    world.start(quick());
    world.script(&[Next::Fail("the engine is tired"), Next::Hang]);
    let (cluster, create) = world.create(0, None).await;
    let shown = async |words: &[&str]| loop {
        let row = world.cluster(cluster).await.unwrap();
        let groups = world.store.nodegroups_of(&[cluster]).await.unwrap();
        let reasons = groups.iter().map(|group| &group.status_reason).chain([&row.status_reason]);
        let says_all = |reason: &Option<String>| {
            words.iter().all(|word| reason.as_deref().is_some_and(|reason| reason.contains(word)))
        };
        if reasons.clone().all(says_all) {
            break;
        }
        let operation = world.store.get_operation(create).await.unwrap();
        assert!(!operation.state.is_finished(), "{words:?}: {operation:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    shown(&["work on web-master-0", "last error", "the engine is tired"]).await;
    shown(&["work on web-master-0: waiting for the engine of the test", "the engine is tired"]).await;
    world.store.request_cancel(create).await.unwrap();
    world.ended(create).await;
    let reason = world.cluster(cluster).await.unwrap().status_reason.unwrap();
    assert!(reason.contains("cancelled on request") && !reason.contains("waiting for"), "{reason}");
    world.store.retry_operation(create).await.unwrap();
    assert_eq!(world.ended(create).await.state, OperationState::Succeeded);
    assert_eq!(world.cluster(cluster).await.unwrap().status_reason, None);
    for group in world.store.nodegroups_of(&[cluster]).await.unwrap() {
        assert_eq!(group.status_reason, None);
    }
}
