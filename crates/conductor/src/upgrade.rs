//! Nodes give way to new ones, a few at a time: those of an upgrade to nodes made from the new template, those of a
//! rotation to nodes under the new authority. The driver sees nothing of this but nodes that come and nodes that leave.

use magnum_domain::driver::{Driver, Snapshot};
use magnum_domain::{Labels, Node, Operation, OperationKind};
use magnum_store::{ClusterOutcome, StoreError};
use uuid::Uuid;

use crate::{Conductor, ConductorError, fault, snapshot};

/// Has the next nodes leave, and plans others in their place. False when none is left. Called when the batch before is
/// done; what a batch was stopped in is found in the rows.
pub(crate) async fn next_batch(
    conductor: &Conductor,
    operation: &Operation,
    driver: &dyn Driver,
    snapshot: &Snapshot,
) -> Result<bool, ConductorError> {
    if !matches!(operation.kind, OperationKind::Upgrade | OperationKind::RotateCa) {
        return Ok(false);
    }
    let most = operation.arguments.max_batch_size.and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
    let batch = batch(snapshot, &driver.outdated(snapshot), most.max(1));
    if batch.is_empty() {
        return Ok(false);
    }
    fault::point(operation.kind.as_str(), "replace", "before");
    for node in batch {
        conductor.store.set_leaving(node.uuid).await?;
    }
    fault::point(operation.kind.as_str(), "replace", "between");
    conductor.store.reconcile_nodes(operation.cluster_uuid, &[]).await?;
    fault::point(operation.kind.as_str(), "replace", "after");
    Ok(true)
}

/// Workers first. Managers last and one at a time, whatever the size of a batch: those that stay have to agree on each
/// before the next goes.
fn batch<'a>(snapshot: &'a Snapshot, outdated: &[Uuid], most: usize) -> Vec<&'a Node> {
    let is_due = |node: &&Node| outdated.contains(&node.uuid) && !node.is_leaving();
    let (masters, workers): (Vec<&Node>, Vec<&Node>) =
        snapshot.nodes.iter().filter(is_due).partition(|node| node.is_master);
    match workers.is_empty() {
        true => masters.into_iter().take(1).collect(),
        false => workers.into_iter().take(most).collect(),
    }
}

/// Writes into the outcome of an upgrade what the rows have of the new template: the cluster, where its default groups
/// were upgraded, and the groups.
pub(crate) async fn complete(
    conductor: &Conductor,
    operation: &Operation,
    wanted: &Snapshot,
    outcome: &mut ClusterOutcome,
) -> Result<(), StoreError> {
    let about = operation.arguments.nodegroup;
    let is_default = wanted.nodegroups.iter().any(|group| group.is_default && Some(group.uuid) == about);
    let mut changed = None;
    if is_default {
        let before = snapshot::template(&conductor.store, &wanted.cluster.cluster_template_id).await?;
        changed = Some(before.labels);
        outcome.cluster_template = Some(wanted.template.uuid);
        outcome.labels = changed.as_ref().map(|before| moved(&wanted.cluster.labels, before, &wanted.template.labels));
    }
    for row in &mut outcome.nodegroups {
        let Some(group) = wanted.nodegroups.iter().find(|group| group.uuid == row.uuid) else { continue };
        if Some(group.uuid) == about || (is_default && group.is_default) {
            row.change.image_id.clone_from(&wanted.template.image_id);
            row.change.labels = changed.as_ref().map(|before| moved(&group.labels, before, &wanted.template.labels));
        }
    }
    Ok(())
}

/// Labels after a move from one template to another: what was the old template's is the new one's now, what was said
/// for this cluster stays.
fn moved(labels: &Labels, before: &Labels, after: &Labels) -> Labels {
    let own = labels.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    let mut moved = after.clone();
    moved.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn labels_of_the_cluster_outlive_those_of_the_template() {
        let before = labels(&[("tag", "v1"), ("gone", "x"), ("zone", "a")]);
        let after = labels(&[("tag", "v2"), ("zone", "b"), ("new", "y")]);
        let cluster = labels(&[("tag", "v1"), ("gone", "x"), ("zone", "mine"), ("own", "z")]);
        let expected = labels(&[("tag", "v2"), ("zone", "mine"), ("new", "y"), ("own", "z")]);
        assert_eq!(moved(&cluster, &before, &after), expected);
    }
}
