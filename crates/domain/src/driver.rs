//! The contract between the conductor and whatever makes clusters: Heat, this machine, Cluster API.
//!
//! A driver compares what is wanted with what is there and answers with a [`Plan`]. The conductor applies it
//! step by step and asks again until the plan is empty. A dry run shows the plan; drift is a plan that is not
//! empty although nothing was asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::effect::FieldEffect;
use crate::{Cluster, ClusterTemplate, HealthStatus, Labels, Node, Nodegroup, OperationKind, Resource};

/// What a driver can make: the key it is chosen by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClusterType {
    /// `vm` or `bm`.
    pub server_type: String,
    /// `os_distro` of the image.
    pub os: String,
    /// Container orchestration engine.
    pub coe: String,
}

/// Everything known of a cluster at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The row.
    pub cluster: Cluster,
    /// Its template.
    pub template: ClusterTemplate,
    /// Its node groups.
    pub nodegroups: Vec<Nodegroup>,
    /// Its nodes, in order of creation; those to be removed are [`crate::NodePhase::Leaving`].
    pub nodes: Vec<Node>,
    /// Its ledger, in order of creation.
    pub resources: Vec<Resource>,
    /// Whether the whole cluster is to go.
    pub deleting: bool,
    /// Nodes that stay as they are until others have taken their place (upgrade).
    pub outdated: Vec<Uuid>,
    /// The operation that gives the cluster another certificate authority, while there is one.
    pub rotation: Option<Uuid>,
}

/// One idempotent piece of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What kind of work, in the driver's words: `node.start`. Also the name of its fault point.
    pub kind: String,
    /// The node it is about.
    pub node: Option<Uuid>,
    /// A short sentence for the tenant: `start node web-worker-0`.
    pub title: String,
    /// How long it may take before it counts as failed.
    #[serde(skip)]
    pub timeout: Duration,
}

/// What has to be done: stages one after another, the steps of a stage side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The stages; none is ever empty.
    pub stages: Vec<Vec<Step>>,
}

impl Plan {
    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Adds a stage, unless it has no step.
    pub fn stage(&mut self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.stages.push(steps);
        }
    }
}

/// How many nodes a change asks of the infrastructure, at the moment when it asks for most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeDemand {
    /// Nodes of the cluster that are there at the same time: those that stay, those that leave, those that come.
    pub total: u32,
    /// Of these, nodes that are yet to be made.
    pub new: u32,
}

impl NodeDemand {
    /// A new cluster of so many nodes.
    #[must_use]
    pub fn of_new_cluster(nodes: u32) -> Self {
        Self { total: nodes, new: nodes }
    }

    /// Whether the cluster has no node yet.
    #[must_use]
    pub fn is_new_cluster(self) -> bool {
        self.total == self.new
    }
}

/// What a driver reads off a cluster that is up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// URL of the engine's API.
    pub api_address: Option<String>,
    /// Identifier at the infrastructure.
    pub stack_id: Option<String>,
    /// Version of the orchestration engine.
    pub coe_version: Option<String>,
    /// Version of the container engine.
    pub container_version: Option<String>,
}

/// What a look at the running engine said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// In one word.
    pub status: HealthStatus,
    /// Per checked thing, such as `api` or `web-worker-0.Ready`.
    pub reason: Labels,
}

/// Why a driver could not do something.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The request can't be fulfilled here; nothing was begun. The message says what to change.
    #[error("{0}")]
    Unsupported(String),
    /// It failed in a way that trying again may mend.
    #[error("{0}")]
    Transient(String),
    /// It failed and will fail again.
    #[error("{0}")]
    Fatal(String),
    /// Somebody asked for it to stop.
    #[error("cancelled")]
    Cancelled,
}

/// A maker of clusters.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Its name in templates, configuration and `magnum-driver-manage`.
    fn name(&self) -> &'static str;

    /// What it can make.
    fn provides(&self) -> Vec<ClusterType>;

    /// Whether it can carry out operations of this kind; what it cannot is refused before it is accepted.
    fn supports(&self, kind: OperationKind) -> bool {
        !matches!(kind, OperationKind::Upgrade | OperationKind::RotateCa | OperationKind::RotateCredential)
    }

    /// Nodes that are to give way to others, a few at a time: those that an upgrade names. A driver that gives a
    /// cluster another authority by replacing its nodes adds the nodes that are still under the old one.
    fn outdated(&self, snapshot: &Snapshot) -> Vec<Uuid> {
        snapshot.outdated.clone()
    }

    /// Whether the group of masters can be resized after the cluster is made.
    fn resizes_masters(&self) -> bool {
        false
    }

    /// What becomes of the fields of requests; a field without a row takes effect.
    fn field_effects(&self) -> &'static [FieldEffect] {
        &[]
    }

    /// Whether this template and these labels can ever make a cluster with this driver, whatever the machine or cloud has
    /// room for. Asked before a template is accepted, and looks at nothing but its arguments.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] with one line that says what to do.
    fn accepts(&self, template: &ClusterTemplate, labels: &Labels) -> Result<(), DriverError> {
        let _ = (template, labels);
        Ok(())
    }

    /// Whether nodes from this template can be made here at all: rights, packages, kernel, room. Called before anything
    /// that makes nodes is accepted, and before it is planned to be shown.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] with one line that says what to do.
    async fn preflight(
        &self,
        template: &ClusterTemplate,
        labels: &Labels,
        demand: NodeDemand,
    ) -> Result<(), DriverError>;

    /// Compares what is wanted with what is there. Changes nothing.
    ///
    /// # Errors
    /// When the infrastructure can't be asked.
    async fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DriverError>;

    /// Waits for a place among the steps that the infrastructure carries out side by side, whichever cluster they are
    /// of. The conductor asks before it applies a step, and a step's time-out begins when it has its place. The default
    /// sets no bound of its own beside the conductor's.
    async fn admit(&self, _step: &Step) -> Admission {
        Admission::unbounded()
    }

    /// Does one step of a plan. Finds what an earlier attempt already made; writes the ledger before it makes
    /// anything; returns when the step's end is reached.
    ///
    /// # Errors
    /// With the thing and the last error in words.
    async fn apply(&self, step: &Step, snapshot: &Snapshot, progress: &dyn Progress) -> Result<(), DriverError>;

    /// Reads addresses and versions off a cluster that is up.
    ///
    /// # Errors
    /// When the engine can't be asked.
    async fn facts(&self, snapshot: &Snapshot) -> Result<Facts, DriverError>;

    /// Looks at the running engine. Never fails: a failure is a health of its own.
    async fn health(&self, snapshot: &Snapshot) -> Health;

    /// Takes up a cluster that an earlier process has made: re-opens listeners, finds processes.
    /// Called at start and whenever the conductor does not know whether it has been called.
    ///
    /// # Errors
    /// When it can't be taken up; the conductor says so in the cluster's health and tries again.
    async fn resume(&self, snapshot: &Snapshot) -> Result<(), DriverError>;
}

/// A place among the steps that an infrastructure carries out side by side; given back by dropping it.
#[must_use = "the place is given back when this is dropped"]
pub struct Admission(#[allow(dead_code, reason = "held for what dropping it does")] Option<Box<dyn Send>>);

impl Admission {
    /// For work that needs no place.
    pub fn unbounded() -> Self {
        Self(None)
    }

    /// Holds whatever gives the place back when it is dropped, such as a permit of a semaphore.
    pub fn holding(place: impl Send + 'static) -> Self {
        Self(Some(Box::new(place)))
    }
}

/// How a step tells what it does, and learns that it shall stop.
#[async_trait]
pub trait Progress: Send + Sync {
    /// Says what the step waits for; shown as the operation's `waiting_for`.
    async fn waiting_for(&self, what: &str);

    /// Whether the step shall end with [`DriverError::Cancelled`] at its next safe point.
    fn is_cancelled(&self) -> bool;
}

/// The drivers of this process, in order of preference.
#[derive(Clone, Default)]
pub struct Drivers(Vec<Arc<dyn Driver>>);

impl Drivers {
    /// Takes the drivers; where two make the same thing, the first is used.
    #[must_use]
    pub fn new(drivers: Vec<Arc<dyn Driver>>) -> Self {
        Self(drivers)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.0.iter()
    }

    /// The driver a template names or, where it names none, the one for its (server type, distribution, COE).
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] in upstream's words.
    pub fn select(&self, template: &ClusterTemplate) -> Result<Arc<dyn Driver>, DriverError> {
        if let Some(name) = template.driver.as_deref() {
            return self
                .0
                .iter()
                .find(|driver| driver.name() == name)
                .cloned()
                .ok_or_else(|| DriverError::Unsupported(format!("Cluster driver ({name}) not supported.")));
        }
        let wanted = ClusterType {
            server_type: template.server_type.clone(),
            os: template.cluster_distro.clone().unwrap_or_else(|| "None".to_owned()),
            coe: template.coe.clone(),
        };
        self.0.iter().find(|driver| driver.provides().contains(&wanted)).cloned().ok_or_else(|| {
            DriverError::Unsupported(format!(
                "Cluster type ({}, {}, {}) not supported.",
                wanted.server_type, wanted.os, wanted.coe
            ))
        })
    }
}
