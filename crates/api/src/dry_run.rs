//! A snapshot of a cluster as a request would make it, for its plan to be shown and not carried out.

use magnum_domain::driver::Snapshot;
use magnum_domain::nodes::difference;
use magnum_domain::{Cluster, ClusterTemplate, Node, NodePhase, Nodegroup, Resource};
use magnum_store::StoreError;

use crate::ApiState;
use crate::error::Result;

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
    /// Nodes that are to leave: UUIDs, names or addresses.
    pub(crate) remove: Vec<String>,
}

impl Imagined {
    /// A cluster that there is, with node groups as they would be.
    pub(crate) async fn of(
        api: &ApiState,
        cluster: Cluster,
        template: ClusterTemplate,
        nodegroups: Vec<Nodegroup>,
        mut remove: Vec<String>,
    ) -> Result<Self> {
        remove.extend(api.store.nodes_named_to_leave(cluster.uuid).await?);
        let nodes = api.store.nodes(cluster.uuid).await?;
        let resources = api.store.resources(cluster.uuid).await?;
        Ok(Self { cluster, template, nodegroups, nodes, resources, remove })
    }

    /// Adds the nodes that would be added and marks those that would leave, as the store will when the request is real.
    pub(crate) fn snapshot(mut self) -> Result<Snapshot> {
        let difference = difference(&self.cluster, &self.nodegroups, &self.nodes, &self.remove);
        let difference = difference.map_err(StoreError::from)?;
        for node in self.nodes.iter_mut().filter(|node| difference.leave.contains(&node.uuid)) {
            node.phase = NodePhase::Leaving;
        }
        self.nodes.extend(difference.add.into_iter().map(|new| new.planned(self.cluster.uuid)));
        Ok(Snapshot {
            cluster: self.cluster,
            template: self.template,
            nodegroups: self.nodegroups,
            nodes: self.nodes,
            resources: self.resources,
            deleting: false,
            outdated: Vec::new(),
            rotation: None,
        })
    }
}
