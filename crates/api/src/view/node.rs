//! Nodes in answers.

use magnum_domain::Node;
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
    /// `master` or `worker`.
    role: &'static str,
    /// Address in the cluster's network, once given.
    address: Option<&'a str>,
    /// How far it has come.
    phase: &'static str,
    /// What it does, or what is wrong.
    message: Option<&'a str>,
}

impl<'a> NodeView<'a> {
    /// The view of a row.
    pub(crate) fn new(node: &'a Node) -> Self {
        Self {
            uuid: node.uuid,
            name: &node.name,
            nodegroup_uuid: node.nodegroup_uuid,
            role: if node.is_master { "master" } else { "worker" },
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
