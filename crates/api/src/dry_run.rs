//! A snapshot of a cluster as a request would make it, for its plan to be shown and not carried out.

use std::collections::BTreeSet;

use magnum_domain::driver::Snapshot;
use magnum_domain::{Cluster, ClusterTemplate, Node, NodePhase, Nodegroup, Resource, now};
use uuid::Uuid;

/// What there is, and what is wanted.
pub(crate) struct Imagined {
    /// The cluster.
    pub(crate) cluster: Cluster,
    /// Its template.
    pub(crate) template: ClusterTemplate,
    /// Its node groups with the sizes that are wanted.
    pub(crate) nodegroups: Vec<Nodegroup>,
    /// Its nodes as they are.
    pub(crate) nodes: Vec<Node>,
    /// Its ledger as it is.
    pub(crate) resources: Vec<Resource>,
    /// Nodes to take out first: UUIDs, names or addresses.
    pub(crate) remove: Vec<String>,
}

impl Imagined {
    /// Adds the nodes that would be added and marks those that would go, by the rules of the store's reconciliation:
    /// lowest free position first, named ones and then the highest positions gone first.
    pub(crate) fn snapshot(mut self) -> Snapshot {
        for group in &self.nodegroups {
            let mut present: Vec<&mut Node> = self
                .nodes
                .iter_mut()
                .filter(|node| node.nodegroup_uuid == group.uuid && node.phase < NodePhase::Leaving)
                .collect();
            let wanted = usize::try_from(group.node_count).unwrap_or(0);
            let excess = present.len().saturating_sub(wanted);
            present.sort_by_key(|node| (!is_named(node, &self.remove), -node.position));
            for node in present.iter_mut().take(excess) {
                node.phase = NodePhase::Leaving;
            }
            let taken: BTreeSet<i32> = present.iter().map(|node| node.position).collect();
            let missing = wanted.saturating_sub(present.len());
            let free = (0..).filter(|position| !taken.contains(position)).take(missing);
            let added: Vec<Node> = free.map(|position| planned(&self.cluster, group, position)).collect();
            self.nodes.extend(added);
        }
        Snapshot {
            cluster: self.cluster,
            template: self.template,
            nodegroups: self.nodegroups,
            nodes: self.nodes,
            resources: self.resources,
            deleting: false,
            outdated: Vec::new(),
            rotation: None,
        }
    }
}

fn is_named(node: &Node, names: &[String]) -> bool {
    names.iter().any(|name| {
        *name == node.name
            || Some(name) == node.address.as_ref()
            || Uuid::try_parse(name).is_ok_and(|uuid| uuid == node.uuid)
    })
}

fn planned(cluster: &Cluster, group: &Nodegroup, position: i32) -> Node {
    let short = group.name.strip_prefix("default-").filter(|_| group.is_default).unwrap_or(&group.name);
    let now = now();
    Node {
        uuid: Uuid::new_v4(),
        cluster_uuid: cluster.uuid,
        nodegroup_uuid: group.uuid,
        name: format!("{}-{short}-{position}", cluster.display_name()),
        position,
        is_master: group.is_master(),
        address: None,
        phase: NodePhase::Planned,
        message: None,
        join_token_hash: None,
        certificate_fingerprint: None,
        desired: None,
        observed: None,
        last_seen_at: None,
        created_at: now,
        updated_at: now,
    }
}
