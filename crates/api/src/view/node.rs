//! Nodes in answers.

use magnum_domain::nodegroup::{MASTER, WORKER};
use magnum_domain::{Node, Nodegroup};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A node of a cluster.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodeView<'a> {
    /// Identity; what `nodes_to_remove` takes, as well as name and address.
    uuid: Uuid,
    /// Host name.
    name: &'a str,
    /// Node group.
    nodegroup_uuid: Uuid,
    /// Role of its node group: `master`, `worker` or a word of its own.
    role: &'a str,
    /// Address in the cluster's network, once given.
    address: Option<&'a str>,
    /// How far it has come.
    phase: &'static str,
    /// What it does, or what is wrong.
    message: Option<&'a str>,
}

impl<'a> NodeView<'a> {
    /// The view of a row, with the node groups of its cluster.
    pub(crate) fn new(node: &'a Node, groups: &'a [Nodegroup]) -> Self {
        let group = groups.iter().find(|group| group.uuid == node.nodegroup_uuid);
        let place = if node.is_master { MASTER } else { WORKER };
        Self {
            uuid: node.uuid,
            name: &node.name,
            nodegroup_uuid: node.nodegroup_uuid,
            role: group.map_or(place, |group| group.role.as_str()),
            address: node.address.as_deref(),
            phase: node.phase.as_str(),
            message: node.message.as_deref(),
        }
    }
}

/// The nodes of a cluster, in the order they were wanted.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodeList<'a> {
    /// The nodes.
    pub(crate) nodes: Vec<NodeView<'a>>,
}
