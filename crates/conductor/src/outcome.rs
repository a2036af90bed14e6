//! The rows at the end of an operation: statuses, reasons, addresses.

use chrono::TimeDelta;
use magnum_domain::driver::{Facts, Snapshot};
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{ClusterStatus, NodePhase, Nodegroup, Operation, OperationKind, OperationState, now};
use magnum_store::{Change, ClusterOutcome, NodegroupChange, NodegroupOutcome, StoreError};
use uuid::Uuid;

use crate::runner::leased;
use crate::{Conductor, ConductorError, upgrade};

/// The statuses of the cluster and of the node group it was about.
fn statuses(kind: OperationKind, succeeded: bool) -> (ClusterStatus, ClusterStatus) {
    use ClusterStatus::{
        CreateComplete, CreateFailed, DeleteComplete, DeleteFailed, RollbackComplete, RollbackFailed, UpdateComplete,
        UpdateFailed,
    };
    match (kind, succeeded) {
        (OperationKind::Create, true) => (CreateComplete, CreateComplete),
        (OperationKind::Create, false) => (CreateFailed, CreateFailed),
        (OperationKind::Delete, true) => (DeleteComplete, DeleteComplete),
        (OperationKind::Delete, false) => (DeleteFailed, DeleteFailed),
        (OperationKind::Rollback, true) => (RollbackComplete, RollbackComplete),
        (OperationKind::Rollback, false) => (RollbackFailed, RollbackFailed),
        (OperationKind::NodegroupCreate, true) => (UpdateComplete, CreateComplete),
        (OperationKind::NodegroupCreate, false) => (UpdateFailed, CreateFailed),
        (OperationKind::NodegroupDelete, true) => (UpdateComplete, DeleteComplete),
        (OperationKind::NodegroupDelete, false) => (UpdateFailed, DeleteFailed),
        (_, true) => (UpdateComplete, UpdateComplete),
        (_, false) => (UpdateFailed, UpdateFailed),
    }
}

/// Whether an operation is about this group: the one it names, or all of them.
fn is_about(operation: &Operation, group: &Nodegroup) -> bool {
    operation.arguments.nodegroup.is_none_or(|uuid| uuid == group.uuid)
}

fn addresses(snapshot: &Snapshot, group: Uuid) -> Vec<String> {
    let mut nodes = snapshot
        .nodes
        .iter()
        .filter(|node| node.nodegroup_uuid == group && node.phase == NodePhase::Ready)
        .collect::<Vec<_>>();
    nodes.sort_by_key(|node| node.position);
    nodes.iter().filter_map(|node| node.address.clone()).collect()
}

/// Everything is as wanted.
pub(crate) async fn succeeded(
    conductor: &Conductor,
    operation: &Operation,
    snapshot: &Snapshot,
    facts: &Facts,
) -> Result<(), ConductorError> {
    if operation.kind == OperationKind::Delete {
        // Also the keys of a create that was interrupted before it could note them in the row.
        leased(operation, async { Ok(conductor.vault.delete(&snapshot.cluster).await?) }).await?;
        conductor.store.finish_delete(operation.uuid, &conductor.owner).await?;
        tracing::info!(cluster = %operation.cluster_uuid, "cluster deleted");
        return Ok(());
    }
    let (cluster_status, group_status) = statuses(operation.kind, true);
    let removed = match operation.kind {
        OperationKind::NodegroupDelete => operation.arguments.nodegroup,
        _ => None,
    };
    let nodegroups = snapshot.nodegroups.iter().filter(|group| Some(group.uuid) != removed).map(|group| {
        let about = is_about(operation, group);
        NodegroupOutcome {
            uuid: group.uuid,
            change: NodegroupChange {
                status: about.then(|| group_status.clone()),
                status_reason: about.then_some(None),
                node_addresses: Some(addresses(snapshot, group.uuid)),
                stack_id: facts.stack_id.clone(),
                ..NodegroupChange::default()
            },
        }
    });
    let mut outcome = ClusterOutcome {
        status: Some(cluster_status),
        facts: facts.clone(),
        nodegroups: nodegroups.collect(),
        removed_nodegroups: removed.into_iter().collect(),
        ..ClusterOutcome::default()
    };
    if operation.kind == OperationKind::Upgrade {
        upgrade::complete(conductor, operation, snapshot, &mut outcome).await?;
    }
    finish(conductor, operation, OperationState::Succeeded, None, outcome).await?;
    Ok(())
}

/// It can't be done, or not any more.
pub(crate) async fn failed(
    conductor: &Conductor,
    operation: &Operation,
    error: &ConductorError,
) -> Result<(), ConductorError> {
    if end_unfinished(conductor, operation, OperationState::Failed, &error.to_string()).await? {
        go_back(conductor, operation).await?;
    }
    Ok(())
}

/// An update that was asked to do so goes back to the size before, as an operation of its own.
async fn go_back(conductor: &Conductor, operation: &Operation) -> Result<(), ConductorError> {
    let arguments = &operation.arguments;
    let (true, Some(group), Some(previous)) = (arguments.rollback, arguments.nodegroup, arguments.previous_node_count)
    else {
        return Ok(());
    };
    let rollback = NewOperation {
        uuid: Uuid::new_v4(),
        cluster_uuid: operation.cluster_uuid,
        project_id: operation.project_id.clone(),
        user_id: operation.user_id.clone(),
        request_id: operation.request_id.clone(),
        kind: OperationKind::Rollback,
        arguments: Arguments { nodegroup: Some(group), node_count: Some(previous), ..Arguments::default() },
        deadline_at: operation.deadline_at.map(|deadline| now() + (deadline - operation.created_at)),
    };
    let resized = NodegroupChange {
        status: Some(ClusterStatus::RollbackInProgress),
        node_count: Some(previous),
        ..NodegroupChange::default()
    };
    let change = Change {
        cluster_status: Some(ClusterStatus::RollbackInProgress),
        nodegroups: vec![(group, resized)],
        ..Change::default()
    };
    let may_go_back = |status: &ClusterStatus| OperationKind::Rollback.is_allowed_in(status);
    match conductor.store.request_operation(rollback, &may_go_back, change).await {
        // Somebody was faster with another change, or with a delete.
        Ok(_) | Err(StoreError::WrongStatus { .. } | StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The deadline has passed.
pub(crate) async fn timed_out(
    conductor: &Conductor,
    operation: &Operation,
    error: &ConductorError,
) -> Result<(), ConductorError> {
    // What was going on when time ran out says more than the word "stopped".
    let row = conductor.store.get_operation(operation.uuid).await?;
    let given = operation.deadline_at.map_or_else(TimeDelta::zero, |deadline| deadline - operation.created_at);
    let at = match (row.step, row.waiting_for) {
        (Some(step), Some(waiting)) => format!(" at: {step} (waiting for {waiting})"),
        (Some(step), None) => format!(" at: {step}"),
        _ => String::new(),
    };
    let last = match (error, row.error) {
        (ConductorError::Stopped, Some(last)) => format!("; last error: {last}"),
        (ConductorError::Stopped, None) => String::new(),
        (error, _) => format!("; last error: {error}"),
    };
    let reason = format!("{} not done within {}{at}{last}", operation.kind.as_str(), in_words(given));
    if end_unfinished(conductor, operation, OperationState::Failed, &reason).await? {
        go_back(conductor, operation).await?;
    }
    Ok(())
}

/// A length of time as people say it: seconds while minutes would be too coarse.
fn in_words(length: TimeDelta) -> String {
    match length.num_seconds() {
        seconds if seconds < 1 => format!("{} ms", length.num_milliseconds().max(0)),
        seconds if seconds < 180 => format!("{seconds} s"),
        _ => format!("{} min", length.num_minutes()),
    }
}

/// Somebody asked for it to stop.
pub(crate) async fn cancelled(conductor: &Conductor, operation: &Operation) -> Result<(), ConductorError> {
    let reason = format!("{} cancelled on request; retry the operation to go on", operation.kind.as_str());
    end_unfinished(conductor, operation, OperationState::Cancelled, &reason).await?;
    Ok(())
}

/// False, with nothing written, when another conductor holds the operation.
async fn end_unfinished(
    conductor: &Conductor,
    operation: &Operation,
    state: OperationState,
    reason: &str,
) -> Result<bool, ConductorError> {
    let (cluster_status, group_status) = statuses(operation.kind, false);
    let groups = conductor.store.nodegroups_of(&[operation.cluster_uuid]).await?;
    let nodegroups = groups.iter().filter(|group| is_about(operation, group)).map(|group| NodegroupOutcome {
        uuid: group.uuid,
        change: NodegroupChange {
            status: Some(group_status.clone()),
            status_reason: Some(Some(reason.to_owned())),
            ..NodegroupChange::default()
        },
    });
    let outcome = ClusterOutcome {
        status: Some(cluster_status),
        status_reason: Some(reason.to_owned()),
        nodegroups: nodegroups.collect(),
        ..ClusterOutcome::default()
    };
    finish(conductor, operation, state, Some(reason), outcome).await
}

async fn finish(
    conductor: &Conductor,
    operation: &Operation,
    state: OperationState,
    error: Option<&str>,
    outcome: ClusterOutcome,
) -> Result<bool, ConductorError> {
    let finished = conductor.store.finish_operation(operation.uuid, &conductor.owner, state, error, &outcome).await?;
    if finished {
        tracing::info!(operation = %operation.uuid, cluster = %operation.cluster_uuid, kind = operation.kind.as_str(),
            state = state.as_str(), error, "operation ended");
    } else {
        tracing::warn!(operation = %operation.uuid, "another conductor holds the operation; nothing was written");
    }
    Ok(finished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_said_as_exactly_as_it_matters() {
        for (milliseconds, words) in [
            (900, "900 ms"),
            (1_000, "1 s"),
            (59_999, "59 s"),
            (90_000, "90 s"),
            (180_000, "3 min"),
            (3_600_000, "60 min"),
        ] {
            assert_eq!(in_words(TimeDelta::milliseconds(milliseconds)), words);
        }
    }
}
