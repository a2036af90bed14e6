//! Clusters made out of this machine: each node is a set of namespaces with a real container engine in it.
//!
//! - `plan.rs`: what has to be done, from rows and what is seen; `mod.rs` (here): doing it
//! - `node.rs`, `swarm.rs`: a node, and its membership; `engine.rs`: how its engine shall run
//! - `authority.rs`: which certificate authority each node is under while another takes its place
//! - `serve.rs`: what this process holds open for a cluster: `listener.rs` for its agents, `forward.rs` for its
//!   clients, `egress_proxy.rs` for its images (`address.rs`: where that may lead)
//! - `namespace.rs`, `network.rs`, `cgroup.rs`, `process.rs`: what the kernel has to offer
//! - `ledger.rs`: what was made, and how each thing is removed again; `names.rs`: what things are called
//! - `preflight.rs`: whether this machine can do it at all

mod address;
mod authority;
mod cgroup;
mod command;
mod effects;
mod egress_proxy;
mod engine;
mod error;
mod forward;
mod health;
mod ledger;
mod listener;
mod names;
mod namespace;
mod network;
mod node;
mod plan;
mod preflight;
mod process;
mod resume;
mod secret;
mod serve;
mod swarm;
#[cfg(test)]
mod testing;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use ipnet::Ipv4Net;
use magnum_certs::Vault;
use magnum_domain::concurrency::for_each_processor;
use magnum_domain::driver::{
    Admission, ClusterType, Driver, DriverError, Facts, Health, NodeDemand, Plan, Progress, Snapshot, Step,
};
use magnum_domain::effect::FieldEffect;
use magnum_domain::{ClusterTemplate, Labels, Node, OperationKind};
use magnum_listen::{Limits, Pool};
use magnum_store::Store;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use uuid::Uuid;

use authority::Rotation;
use cgroup::Hierarchies;
pub use egress_proxy::EgressRules;
use error::LocalError;
use ledger::Places;
use plan::{Observed, Work};
use serve::Served;

/// `os_distro` of the images that stand for nodes of this machine.
pub const OS: &str = "local";

/// How local nodes are made.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Folder for everything that nodes keep; `clusters/` is made in it.
    pub state_dir: PathBuf,
    /// The program `magnum-agent`.
    pub agent_binary: PathBuf,
    /// Addresses of each cluster's own network. All clusters use the same, since none sees another.
    pub subnet: Ipv4Net,
    /// Ports of 127.0.0.1 that clusters' APIs get.
    pub api_ports: RangeInclusive<u16>,
    /// Whether nodes may pull from registries of the Internet, through a proxy that refuses all that is not public.
    pub outbound_proxy: bool,
    /// What that proxy lets through.
    pub egress: EgressRules,
    /// Bytes of free disk that a cluster is refused without, per node.
    pub free_per_node: u64,
    /// Bytes of available memory that a cluster is refused without, per node.
    pub memory_per_node: u64,
    /// Nodes of all clusters at the same time.
    pub max_nodes: u32,
    /// Name of the control group above all nodes.
    pub cgroup: String,
    /// Nodes that are started, brought up or removed at the same time, all clusters together: engines that start side by
    /// side take turns on the processors anyway, and all of them run into their time limits.
    pub parallel_steps: NonZeroUsize,
    /// Room for the connections of all clusters' listeners together.
    pub connections: Pool,
    /// How long whoever connects to a cluster's listener may take. How many connections one listener holds is fixed.
    pub limits: Limits,
}

impl LocalOptions {
    /// The defaults: 10.77.0.0/24, ports 23760 to 24759, a way out, 256 MiB of disk and 64 MiB of memory a node, 250 nodes,
    /// control group `magnum`, two nodes at a time for each processor, 4096 connections.
    #[must_use]
    pub fn new(state_dir: PathBuf, agent_binary: PathBuf) -> Self {
        Self {
            state_dir,
            agent_binary,
            subnet: Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 77, 0, 0), 24),
            api_ports: 23760..=24759,
            outbound_proxy: true,
            egress: EgressRules::default(),
            free_per_node: 256 << 20,
            memory_per_node: 64 << 20,
            max_nodes: 250,
            cgroup: "magnum".to_owned(),
            parallel_steps: for_each_processor(2, NonZeroUsize::MIN.saturating_add(1)),
            connections: Pool::new(4096),
            limits: Limits::default(),
        }
    }
}

/// The driver. What it holds open for clusters is closed when it is dropped; the nodes go on.
pub struct LocalDriver {
    shared: Arc<Shared>,
}

/// What the driver's parts share.
struct Shared {
    options: LocalOptions,
    store: Store,
    vault: Vault,
    places: Places,
    served: Mutex<HashMap<Uuid, Served>>,
    /// One lock for each cluster or node that something is being done to.
    locks: Mutex<HashMap<Uuid, Weak<tokio::sync::Mutex<()>>>>,
    /// Held while a port is chosen, so that no two clusters choose the same.
    choosing_port: tokio::sync::Mutex<()>,
    /// One place for each node that may be worked on at the same time.
    places_for_nodes: Arc<Semaphore>,
}

impl Shared {
    /// Waits for whatever else is being done to this cluster or node in this process.
    async fn lock(&self, what: Uuid) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            locks.get(&what).and_then(Weak::upgrade).unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(what, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }

    /// Waits for a place among the nodes that are worked on at the same time.
    async fn admit(&self) -> Admission {
        match Arc::clone(&self.places_for_nodes).acquire_owned().await {
            Ok(place) => Admission::holding(place),
            // Nobody closes it.
            Err(_closed) => Admission::unbounded(),
        }
    }

    /// What is seen of a cluster on this machine.
    fn observe(&self, snapshot: &Snapshot) -> Observed {
        let is_up = |node: &&Node| self.is_up(snapshot, node);
        Observed {
            network: names::cluster_namespace(snapshot.cluster.uuid).exists(),
            served: self.is_served(snapshot.cluster.uuid),
            running: snapshot.nodes.iter().filter(is_up).map(|node| node.uuid).collect(),
        }
    }
}

impl LocalDriver {
    /// Its name.
    pub const NAME: &str = "local";
    /// What becomes of every field that the API takes.
    pub const FIELD_EFFECTS: &[FieldEffect] = effects::FIELDS;
    /// Labels that are read for its clusters.
    pub const LABELS: &[&str] = effects::LABELS;

    /// What it makes.
    #[must_use]
    pub fn cluster_types() -> Vec<ClusterType> {
        // The legacy standalone Swarm is made as swarm mode, which answers the same clients.
        let made = |coe: &str| ClusterType { server_type: "vm".to_owned(), os: OS.to_owned(), coe: coe.to_owned() };
        ["swarm-mode", "swarm"].map(made).to_vec()
    }

    /// Takes what it works with; nothing happens yet.
    ///
    /// Background tasks are started by the driver itself, on the runtime that its methods are called on, when a
    /// cluster is made or taken up.
    #[must_use]
    pub fn new(options: LocalOptions, store: Store, vault: Vault) -> Self {
        // Without control groups there is nothing to be made here; the preflight says so.
        let hierarchies = Hierarchies::find().ok().flatten().unwrap_or(Hierarchies::V1(Vec::new()));
        let places = Places { state: options.state_dir.clone(), hierarchies };
        let parallel_steps = options.parallel_steps.get().min(Semaphore::MAX_PERMITS);
        let shared = Shared {
            options,
            store,
            vault,
            places,
            served: Mutex::default(),
            locks: Mutex::default(),
            choosing_port: tokio::sync::Mutex::default(),
            places_for_nodes: Arc::new(Semaphore::new(parallel_steps)),
        };
        Self { shared: Arc::new(shared) }
    }

    async fn carry_out(
        &self,
        work: Work,
        step: &Step,
        snapshot: &Snapshot,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let shared = &self.shared;
        if work == Work::CreateNetwork {
            progress.waiting_for("the cluster's network").await;
            return shared.create_network(snapshot).await;
        }
        if matches!(work, Work::CreateAuthority | Work::SwitchAuthority | Work::RetireAuthority) {
            progress.waiting_for("the cluster's certificate authority").await;
            return shared.rotate_authority(work, snapshot).await;
        }
        if work == Work::DestroyNetwork {
            progress.waiting_for("the cluster's network to go").await;
            return shared.destroy_network(snapshot).await;
        }
        let Some(uuid) = step.node else {
            return Err(LocalError::Hopeless(format!("the step {} names no node", step.kind)));
        };
        if work == Work::DestroyNode {
            // Also for a node of which only the ledger knows.
            return shared.destroy_node(snapshot, uuid, progress).await;
        }
        let Some(node) = snapshot.nodes.iter().find(|node| node.uuid == uuid) else {
            return Err(LocalError::node(&uuid.to_string(), "its row is gone"));
        };
        match work {
            Work::StartNode => shared.start_node(snapshot, node, progress).await,
            Work::AwaitEngine => shared.await_engine(snapshot, node, progress).await,
            Work::InitSwarm => shared.init_swarm(snapshot, node, progress).await,
            Work::JoinSwarm => shared.join_swarm(snapshot, node, progress).await,
            Work::DrainNode => shared.drain(snapshot, node, progress).await,
            Work::LeaveSwarm => shared.leave_swarm(snapshot, node, progress).await,
            Work::RemoveMember => shared.remove_member(snapshot, node, progress).await,
            Work::CreateNetwork
            | Work::DestroyNetwork
            | Work::DestroyNode
            | Work::CreateAuthority
            | Work::SwitchAuthority
            | Work::RetireAuthority => Ok(()),
        }
    }
}

#[async_trait]
impl Driver for LocalDriver {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn provides(&self) -> Vec<ClusterType> {
        Self::cluster_types()
    }

    fn supports(&self, kind: OperationKind) -> bool {
        // A local cluster has no credential of the cloud.
        kind != OperationKind::RotateCredential
    }

    fn field_effects(&self) -> &'static [FieldEffect] {
        Self::FIELD_EFFECTS
    }

    fn accepts(&self, template: &ClusterTemplate, labels: &Labels) -> Result<(), DriverError> {
        preflight::refuse(template, labels, 0, &self.shared.options)
            .map_or(Ok(()), |why| Err(DriverError::Unsupported(why)))
    }

    fn outdated(&self, snapshot: &Snapshot) -> Vec<Uuid> {
        let rotation = snapshot.rotation.and_then(|_| Rotation::of(&snapshot.resources));
        snapshot.outdated.iter().copied().chain(rotation.into_iter().flat_map(|rotation| rotation.nodes)).collect()
    }

    async fn preflight(
        &self,
        template: &ClusterTemplate,
        labels: &Labels,
        demand: NodeDemand,
    ) -> Result<(), DriverError> {
        let options = &self.shared.options;
        if let Some(why) = preflight::refuse(template, labels, demand.total, options) {
            return Err(DriverError::Unsupported(why));
        }
        let there = self.shared.store.count_all_nodes().await;
        let there = there.map_err(|error| DriverError::Transient(error.to_string()))?;
        if let Some(why) = preflight::crowded(there, demand.new, options.max_nodes) {
            return Err(DriverError::Unsupported(why));
        }
        if let Some(lack) = preflight::lacks(options, demand).await {
            return Err(DriverError::Unsupported(lack));
        }
        // A cluster that is there has its port.
        if !demand.is_new_cluster() {
            return Ok(());
        }
        match self.shared.free_port().await {
            Ok(_) => Ok(()),
            Err(error) => Err(DriverError::Unsupported(error.to_string())),
        }
    }

    async fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DriverError> {
        let observed = self.shared.observe(snapshot);
        let wanted = |node: &Node| match &node.desired {
            // It leaves soon: nothing of it is changed any more.
            Some(desired) if snapshot.outdated.contains(&node.uuid) => desired.engine.clone(),
            _ => engine::spec(snapshot, node, &self.shared.options),
        };
        Ok(plan::plan(snapshot, &observed, wanted))
    }

    async fn admit(&self, step: &Step) -> Admission {
        if Work::of(step).is_some_and(Work::burdens_machine) {
            self.shared.admit().await
        } else {
            Admission::unbounded()
        }
    }

    async fn apply(&self, step: &Step, snapshot: &Snapshot, progress: &dyn Progress) -> Result<(), DriverError> {
        let Some(work) = Work::of(step) else {
            return Err(DriverError::Fatal(format!("the local driver knows no step {}", step.kind)));
        };
        if progress.is_cancelled() {
            return Err(DriverError::Cancelled);
        }
        Ok(self.carry_out(work, step, snapshot, progress).await?)
    }

    async fn facts(&self, snapshot: &Snapshot) -> Result<Facts, DriverError> {
        Ok(self.shared.facts(snapshot).await?)
    }

    async fn health(&self, snapshot: &Snapshot) -> Health {
        self.shared.health(snapshot).await
    }

    async fn resume(&self, snapshot: &Snapshot) -> Result<(), DriverError> {
        Ok(self.shared.resume(snapshot).await?)
    }
}
