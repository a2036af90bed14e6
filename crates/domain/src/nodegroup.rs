//! A node group: nodes of one kind within a cluster.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ClusterStatus, Labels, Timestamp};

/// Role word of the groups that run the control plane; every other word is a worker.
pub const MASTER: &str = "master";
/// Usual role word of the other groups.
pub const WORKER: &str = "worker";

/// Label of a node with its group's role.
pub const NODE_ROLE: &str = "magnum.openstack.org/role";
/// Label of a node with its group's name.
pub const NODE_GROUP: &str = "magnum.openstack.org/nodegroup";

/// Whether a label of nodes is set by the service, so that a group can't have one of its own by that name.
#[must_use]
pub fn is_reserved(label: &str) -> bool {
    label.starts_with("magnum.openstack.org/") || matches!(label, "magnum.role" | "magnum.nodegroup")
}

/// A taint put on each node of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// One row of the `nodegroup` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodegroup {
    /// Database key; shown by the API.
    pub id: i64,
    /// Identity in the API.
    pub uuid: Uuid,
    /// Name, unique in its cluster.
    pub name: String,
    /// UUID of the cluster.
    pub cluster_id: Uuid,
    /// Project of the cluster.
    pub project_id: String,
    /// GB.
    pub docker_volume_size: Option<i32>,
    /// Labels.
    pub labels: Labels,
    /// Flavor.
    pub flavor_id: Option<String>,
    /// Image.
    pub image_id: Option<String>,
    /// Addresses of the nodes that are up.
    pub node_addresses: Vec<String>,
    /// Wanted number of nodes.
    pub node_count: i32,
    /// Upper bound for resize; null or 0: none.
    pub max_node_count: Option<i32>,
    /// Lower bound for resize.
    pub min_node_count: i32,
    /// `master`, `worker` or free text.
    pub role: String,
    /// Whether it was made with the cluster.
    pub is_default: bool,
    /// Identifier at the infrastructure.
    pub stack_id: Option<String>,
    /// Where its life stands.
    pub status: Option<ClusterStatus>,
    /// Why, in words, when it failed.
    pub status_reason: Option<String>,
    /// Unused, kept for the schema's sake.
    pub version: Option<String>,
    /// Labels of the nodes.
    pub node_labels: Labels,
    /// Taints of the nodes.
    pub node_taints: Vec<Taint>,
    /// When the row was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

impl Nodegroup {
    /// Whether its nodes run the control plane.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.role == MASTER
    }
}
