//! Operations as the API sees them: ask for one, cancel one, retry one.

use magnum_domain::event::NewEvent;
use magnum_domain::operation::NewOperation;
use magnum_domain::{ClusterStatus, EventState, Nodegroup, Operation, OperationKind, OperationState, now};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::entity::{cluster, operation};
use crate::operation::{OPERATION_STEP, RESOURCE, cancel_unfinished, from_row, unfinished};
use crate::page::chunks;
use crate::row::naive;
use crate::transaction::{LockScope, retry};
use crate::wakeup::bump;
use crate::{NodegroupChange, Result, Store, StoreError};

/// What changes in the rows in the moment an operation is accepted.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The cluster's new status; `None` leaves it.
    pub cluster_status: Option<ClusterStatus>,
    /// Node groups that change: their size, or their status to `DELETE_IN_PROGRESS`.
    pub nodegroups: Vec<(Uuid, NodegroupChange)>,
    /// A node group that comes into being.
    pub new_nodegroup: Option<Nodegroup>,
    /// How large the cluster may become by it; `None` where it can't become larger.
    pub limits: Option<ClusterLimits>,
}

/// How large a cluster may be. Looked at in the transaction that makes it larger, since several requests may be on their
/// way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterLimits {
    /// Greatest number of nodes, of all node groups together.
    pub nodes: u32,
    /// Greatest number of node groups.
    pub nodegroups: u32,
}

impl ClusterLimits {
    /// Whether the node groups of a cluster may become those of `after`. What is too large already may become smaller.
    fn hold(self, before: &[Nodegroup], after: &[Nodegroup]) -> Result<()> {
        let nodes = |groups: &[Nodegroup]| {
            let staying = groups.iter().filter(|group| group.status != Some(ClusterStatus::DeleteInProgress));
            staying.map(|group| u64::try_from(group.node_count).unwrap_or(0)).sum::<u64>()
        };
        if nodes(after) > nodes(before).max(self.nodes.into()) {
            return Err(StoreError::ClusterTooLarge { what: "nodes", limit: self.nodes });
        }
        if after.len() > before.len() && after.len() > usize::try_from(self.nodegroups).unwrap_or(usize::MAX) {
            return Err(StoreError::ClusterTooLarge { what: "node groups", limit: self.nodegroups });
        }
        Ok(())
    }
}

impl Store {
    /// Accepts a change to a cluster: checks that it may be made now, changes the rows and writes the operation that
    /// carries it out, all or nothing.
    ///
    /// A delete is not kept from anything by other operations: those that have not begun are cancelled, one that runs
    /// is asked to stop, and the delete waits for its end. A delete while one is on its way is that one. Changes to
    /// different node groups wait for each other; anything else finds the cluster busy.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongStatus`] when `allowed` refuses the status or another operation is
    /// on its way; [`StoreError::Duplicate`] when the new node group's name is taken;
    /// [`StoreError::ClusterTooLarge`].
    pub async fn request_operation(
        &self,
        new: NewOperation,
        allowed: &(dyn Fn(&ClusterStatus) -> bool + Sync),
        change: Change,
    ) -> Result<Operation> {
        let made = retry(|| async {
            let tx = self.begin().await?;
            let made = self.request_in(&tx, &new, allowed, &change).await?;
            tx.commit().await?;
            Ok(made)
        })
        .await?;
        bump(&self.inner.wakeups.operations);
        bump(&self.inner.wakeups.events);
        Ok(made)
    }

    async fn request_in(
        &self,
        tx: &DatabaseTransaction,
        new: &NewOperation,
        allowed: &(dyn Fn(&ClusterStatus) -> bool + Sync),
        change: &Change,
    ) -> Result<Operation> {
        self.lock(tx, LockScope::Cluster(new.cluster_uuid)).await?;
        let cluster = self.find_cluster(tx, new.cluster_uuid).await?;
        let others = unfinished(new.cluster_uuid).all(tx).await?;
        let others = others.into_iter().map(from_row).collect::<Result<Vec<_>>>()?;
        if new.kind == OperationKind::Delete {
            if let Some(delete) = others.into_iter().find(|other| other.kind == OperationKind::Delete) {
                return Ok(delete);
            }
        } else if let Some(other) = others.iter().find(|other| !may_queue(new, other)) {
            return Err(StoreError::WrongStatus { status: cluster.status, busy_with: Some(other.kind) });
        }
        if !allowed(&cluster.status) {
            return Err(StoreError::WrongStatus { status: cluster.status, busy_with: None });
        }
        if new.kind == OperationKind::Delete {
            cancel_unfinished(tx, new.cluster_uuid, Some(OperationState::Pending.as_str())).await?;
            request_stop(tx, unfinished(new.cluster_uuid).all(tx).await?).await?;
        }
        let row = cluster::ActiveModel {
            status: change.cluster_status.clone().map_or(NotSet, |status| Set(Some(status.into()))),
            status_reason: if change.cluster_status.is_some() { Set(None) } else { NotSet },
            ..Default::default()
        };
        self.update_cluster_row(tx, new.cluster_uuid, row).await?;
        let before = match change.limits {
            Some(_) => self.nodegroups_in(tx, new.cluster_uuid).await?,
            None => Vec::new(),
        };
        for (uuid, change) in &change.nodegroups {
            self.change_nodegroup(tx, *uuid, change).await?;
        }
        if let Some(group) = &change.new_nodegroup {
            self.insert_nodegroup(tx, group).await?;
        }
        if let Some(limits) = change.limits {
            limits.hold(&before, &self.nodegroups_in(tx, new.cluster_uuid).await?)?;
        }
        let made = self.insert_operation(tx, new).await?;
        let message = format!("{} requested", new.kind.as_str());
        self.insert_operation_event(tx, new, OPERATION_STEP, &message).await?;
        Ok(made)
    }

    /// Asks for an operation to stop. A conductor takes it to its end: one that has not begun is claimed at once for
    /// that.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongOperationState`] when it has ended already.
    pub async fn request_cancel(&self, uuid: Uuid) -> Result<Operation> {
        let cancelled = retry(|| async {
            let tx = self.begin().await?;
            let found = self.operation_in_turn(&tx, uuid).await?;
            if found.state.is_finished() {
                return Err(StoreError::WrongOperationState { state: found.state });
            }
            let now = now().naive_utc();
            let row = operation::ActiveModel {
                cancel_requested: Set(true),
                not_before: if found.state == OperationState::Pending { Set(now) } else { NotSet },
                updated_at: Set(now),
                ..Default::default()
            };
            self.update_operation(&tx, uuid, row).await?;
            let event = event(&found, EventState::Info, format!("{} is to be cancelled", found.kind.as_str()));
            crate::event::insert(&tx, &event).await?;
            let cancelled = self.operation_in_turn(&tx, uuid).await?;
            tx.commit().await?;
            Ok(cancelled)
        })
        .await?;
        bump(&self.inner.wakeups.operations);
        bump(&self.inner.wakeups.events);
        Ok(cancelled)
    }

    /// Has a failed or cancelled operation done again from where it stopped; its rows are set as when it was asked for,
    /// and it has as much time as it had then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also when the cluster is gone; [`StoreError::WrongOperationState`] when it has not
    /// failed, or is not the cluster's newest.
    pub async fn retry_operation(&self, uuid: Uuid) -> Result<Operation> {
        let retried = retry(|| async {
            let tx = self.begin().await?;
            let found = self.operation_in_turn(&tx, uuid).await?;
            let newest = operation::Entity::find()
                .filter(operation::Column::ClusterUuid.eq(found.cluster_uuid.to_string()))
                .order_by_desc(operation::Column::Id)
                .one(&tx)
                .await?;
            let is_newest = newest.is_some_and(|row| row.uuid == uuid.to_string());
            if !is_newest || !matches!(found.state, OperationState::Failed | OperationState::Cancelled) {
                return Err(StoreError::WrongOperationState { state: found.state });
            }
            self.reopen(&tx, &found).await?;
            let event = event(&found, EventState::Info, format!("{} is tried again", found.kind.as_str()));
            crate::event::insert(&tx, &event).await?;
            let retried = self.operation_in_turn(&tx, uuid).await?;
            tx.commit().await?;
            Ok(retried)
        })
        .await?;
        bump(&self.inner.wakeups.operations);
        bump(&self.inner.wakeups.events);
        Ok(retried)
    }

    async fn reopen(&self, tx: &DatabaseTransaction, found: &Operation) -> Result<()> {
        let now = now();
        let row = operation::ActiveModel {
            state: Set(OperationState::Pending.as_str().to_owned()),
            attempts: Set(0),
            interruptions: Set(0),
            step: Set(None),
            waiting_for: Set(None),
            error: Set(None),
            cancel_requested: Set(false),
            not_before: Set(now.naive_utc()),
            deadline_at: Set(naive(found.deadline_at.map(|deadline| now + (deadline - found.created_at)))),
            updated_at: Set(now.naive_utc()),
            finished_at: Set(None),
            ..Default::default()
        };
        self.update_operation(tx, found.uuid, row).await?;
        let (cluster_status, group_status) = in_progress(found.kind);
        let row = cluster::ActiveModel {
            status: Set(Some(cluster_status.into())),
            status_reason: Set(None),
            ..Default::default()
        };
        self.update_cluster_row(tx, found.cluster_uuid, row).await?;
        for group in self.nodegroups_in(tx, found.cluster_uuid).await? {
            let is_target = found.arguments.nodegroup == Some(group.uuid);
            if found.arguments.nodegroup.is_some() && !is_target {
                continue;
            }
            let change = NodegroupChange {
                status: Some(group_status.clone()),
                status_reason: Some(None),
                // A failed resize may have gone back to the size before.
                node_count: found.arguments.node_count.filter(|_| is_target),
                ..NodegroupChange::default()
            };
            self.change_nodegroup(tx, group.uuid, &change).await?;
        }
        Ok(())
    }

    /// Takes the turn of the operation's cluster, then reads the operation.
    async fn operation_in_turn(&self, tx: &DatabaseTransaction, uuid: Uuid) -> Result<Operation> {
        let find = || operation::Entity::find().filter(operation::Column::Uuid.eq(uuid.to_string())).one(tx);
        let missing = || StoreError::not_found(RESOURCE, uuid);
        let found = from_row(find().await?.ok_or_else(missing)?)?;
        self.lock(tx, LockScope::Cluster(found.cluster_uuid)).await?;
        from_row(find().await?.ok_or_else(missing)?)
    }

    async fn update_operation(&self, tx: &DatabaseTransaction, uuid: Uuid, row: operation::ActiveModel) -> Result<()> {
        operation::Entity::update_many().set(row).filter(operation::Column::Uuid.eq(uuid.to_string())).exec(tx).await?;
        Ok(())
    }
}

/// Whether a change may wait behind an unfinished one: both are about one node group, and not about the same.
/// Autoscalers resize several groups at once, and upstream takes that.
fn may_queue(new: &NewOperation, other: &Operation) -> bool {
    use OperationKind::{NodegroupCreate, NodegroupDelete, NodegroupUpdate, Resize, Update};
    matches!(new.kind, Resize | NodegroupCreate | NodegroupUpdate | NodegroupDelete)
        && matches!(other.kind, Update | Resize | NodegroupCreate | NodegroupUpdate | NodegroupDelete)
        && new.arguments.nodegroup != other.arguments.nodegroup
}

/// What clusters and node groups show while an operation is on its way.
fn in_progress(kind: OperationKind) -> (ClusterStatus, ClusterStatus) {
    use ClusterStatus::{CreateInProgress, DeleteInProgress, RollbackInProgress, UpdateInProgress};
    match kind {
        OperationKind::Create => (CreateInProgress, CreateInProgress),
        OperationKind::Delete => (DeleteInProgress, DeleteInProgress),
        OperationKind::Rollback => (RollbackInProgress, RollbackInProgress),
        OperationKind::NodegroupCreate => (UpdateInProgress, CreateInProgress),
        OperationKind::NodegroupDelete => (UpdateInProgress, DeleteInProgress),
        _ => (UpdateInProgress, UpdateInProgress),
    }
}

fn event(operation: &Operation, state: EventState, message: String) -> NewEvent {
    NewEvent {
        cluster_uuid: operation.cluster_uuid,
        operation_uuid: Some(operation.uuid),
        node: None,
        step: OPERATION_STEP.to_owned(),
        state,
        message,
    }
}

async fn request_stop(tx: &DatabaseTransaction, running: Vec<operation::Model>) -> Result<()> {
    for running in chunks(&running) {
        let row = operation::ActiveModel {
            cancel_requested: Set(true),
            updated_at: Set(now().naive_utc()),
            ..Default::default()
        };
        operation::Entity::update_many()
            .set(row)
            .filter(operation::Column::Id.is_in(running.iter().map(|row| row.id)))
            .exec(tx)
            .await?;
    }
    Ok(())
}
