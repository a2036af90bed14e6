//! What a cluster, its node groups, its operations and its nodes are, and the contract a driver fulfils.
//!
//! This crate does no I/O: it holds the words the other crates speak to each other in. HTTP shapes belong to
//! `magnum-api`, SQL to `magnum-store`, engines to `magnum-coe`.

pub mod agent;
pub mod caller;
pub mod certificate;
pub mod cloud;
pub mod cluster;
pub mod cluster_template;
pub mod concurrency;
pub mod credential;
pub mod driver;
pub mod effect;
pub mod event;
pub mod federation;
pub mod launch;
pub mod node;
pub mod nodegroup;
pub mod nodes;
pub mod operation;
pub mod quota;
pub mod resource;
pub mod service;
pub mod status;
pub mod text;

pub use caller::Caller;
pub use cluster::Cluster;
pub use cluster_template::ClusterTemplate;
pub use credential::Credential;
pub use event::{Event, EventState};
pub use federation::Federation;
pub use node::{Node, NodePhase};
pub use nodegroup::Nodegroup;
pub use operation::{Operation, OperationKind, OperationState};
pub use resource::{Resource, ResourceState};
pub use status::{ClusterStatus, HealthStatus};

/// A point in time, always UTC. The upstream schema stores it without a zone.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Labels of a template, cluster or node group. Values are text whatever the client sent
/// (`true` is kept as `"True"`), as the upstream database has them.
pub type Labels = std::collections::BTreeMap<String, String>;

/// Now, cut to whole microseconds, which is what every supported database keeps at best.
#[must_use]
pub fn now() -> Timestamp {
    use chrono::SubsecRound;
    chrono::Utc::now().trunc_subsecs(6)
}
