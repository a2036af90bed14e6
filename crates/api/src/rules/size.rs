//! How large a cluster may become: one rule for every way there. New clusters, resizes, patches, new node groups,
//! upgrades, rotations and retries ask here, by either name, and so do their dry runs, before anything is written or
//! planned.

use magnum_domain::driver::NodeDemand;
use magnum_domain::nodes::difference;
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, Nodegroup};
use magnum_store::{ClusterLimits, StoreError};

use crate::ApiState;
use crate::error::{ApiError, Result};

/// A cluster as a request would have it.
pub(crate) struct Size<'a> {
    /// The cluster.
    pub(crate) cluster: &'a Cluster,
    /// Its node groups, with the sizes that are wanted.
    pub(crate) groups: &'a [Nodegroup],
    /// Nodes that are named to leave.
    pub(crate) remove: &'a [String],
    /// Nodes that are replaced at the same time, the new ones coming before the old ones go.
    pub(crate) at_once: usize,
}

/// What the store holds a cluster to.
pub(crate) fn limits(api: &ApiState) -> ClusterLimits {
    let sizes = &api.options.sizes;
    ClusterLimits { nodes: sizes.nodes_per_cluster, nodegroups: sizes.nodegroups_per_cluster }
}

/// Whether a cluster may have the nodes that are wanted, and the infrastructure can hold them beside those that are yet
/// to leave. A cluster that is larger than it may be can become smaller, and its nodes can be replaced.
///
/// # Errors
/// 400 beyond a limit; 409 in the driver's words where it has no room.
pub(crate) async fn fits(api: &ApiState, template: &ClusterTemplate, size: &Size<'_>) -> Result<()> {
    let sizes = &api.options.sizes;
    let is_stored = size.cluster.id != 0;
    let nodes = if is_stored { api.store.nodes(size.cluster.uuid).await? } else { Vec::new() };
    let staying = size.groups.iter().filter(|group| group.status != Some(ClusterStatus::DeleteInProgress));
    let mut wanted: u64 = 0;
    for group in staying {
        let count = u64::try_from(group.node_count).unwrap_or(0);
        let of_group = nodes.iter().filter(|node| node.nodegroup_uuid == group.uuid && !node.is_leaving());
        let most = u64::from(sizes.nodes_per_nodegroup).max(of_group.count() as u64);
        if count > most {
            return Err(ApiError::invalid(format!(
                "Node group {} would have {count} nodes, but may have {} at most ([limits] max_nodes_per_nodegroup). \
                 Ask for fewer.",
                group.name, sizes.nodes_per_nodegroup
            )));
        }
        wanted = wanted.saturating_add(count);
    }
    let present = nodes.iter().filter(|node| !node.is_leaving()).count() as u64;
    if wanted > u64::from(sizes.nodes_per_cluster).max(present) {
        return Err(ApiError::invalid(format!(
            "Cluster {} would have {wanted} nodes in all its node groups, but may have {} at most ([limits] \
             max_nodes_per_cluster). Ask for fewer.",
            size.cluster.display_name(),
            sizes.nodes_per_cluster
        )));
    }
    let difference = difference(size.cluster, size.groups, &nodes, size.remove).map_err(StoreError::from)?;
    let new = difference.add.len() + size.at_once;
    if new == 0 {
        return Ok(());
    }
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let demand = NodeDemand { total: number(nodes.len() + new), new: number(new) };
    Ok(api.planner.preflight(template, &size.cluster.labels, demand).await?)
}
