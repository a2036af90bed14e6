//! Operations as conductors see them: claim, keep, finish. How they come into being is in `request.rs`.
//!
//! Leases compare with the clock of the process that looks, so the clocks of conductors must agree to well within a
//! lease.

use std::time::Duration;

use magnum_domain::driver::Facts;
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{
    ClusterStatus, EventState, Labels, Operation, OperationKind, OperationState, Timestamp, event::NewEvent, now,
};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::entity::{cluster, node, nodegroup, operation, resource, x509keypair};
use crate::page::{paged, sort_column, start_query};
use crate::row::{self, clip, naive, utc, utc_opt};
use crate::transaction::{Turn, retry};
use crate::wakeup::bump;
use crate::{NodegroupChange, Page, Result, Store, StoreError, json};

/// Its name in errors.
pub(crate) const RESOURCE: &str = "Operation";
/// Step name of the events that tell of an operation as a whole.
pub(crate) const OPERATION_STEP: &str = "operation";
const TABLE: &str = "conductor_operation";
/// How many claimable operations are tried before looking again.
const CANDIDATES: u64 = 16;

const PENDING: &str = "pending";
const RUNNING: &str = "running";
/// States of operations that are not at their end.
pub(crate) const UNFINISHED: [&str; 2] = [PENDING, RUNNING];

/// What is left of a node group at the end of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodegroupOutcome {
    /// The group.
    pub uuid: Uuid,
    /// What is to be written.
    pub change: NodegroupChange,
}

/// What becomes of a cluster's rows at the end of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterOutcome {
    /// Its status; `None`, or a waiting delete, leaves it as it is.
    pub status: Option<ClusterStatus>,
    /// Why it failed; `None` clears what was there, when a status is written.
    pub status_reason: Option<String>,
    /// What was read off the cluster; fields that are `None` stay as they are.
    pub facts: Facts,
    /// The template it has moved to.
    pub cluster_template: Option<Uuid>,
    /// Its labels, when they changed with the template.
    pub labels: Option<Labels>,
    /// Its node groups.
    pub nodegroups: Vec<NodegroupOutcome>,
    /// Node groups whose rows go.
    pub removed_nodegroups: Vec<Uuid>,
}

impl Store {
    /// Takes the oldest operation that may be worked on: pending and due, or left behind by a conductor whose lease ran
    /// out; never one that stands behind an unfinished older one of its cluster. No two callers get the same.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_operation(&self, owner: &str, lease: Duration) -> Result<Option<Operation>> {
        loop {
            let candidates = claimable(now()).all(self.read()).await?;
            let looked_at_all = (candidates.len() as u64) < CANDIDATES;
            for candidate in candidates {
                if let Some(claimed) = retry(|| self.claim(&candidate, owner, lease)).await? {
                    bump(&self.inner.wakeups.operations);
                    return Ok(Some(claimed));
                }
            }
            if looked_at_all {
                return Ok(None);
            }
        }
    }

    /// The condition is checked again by the update itself: of several callers one changes the row.
    async fn claim(&self, candidate: &operation::Model, owner: &str, lease: Duration) -> Result<Option<Operation>> {
        let now = now();
        let expires = now + lease;
        let row = operation::ActiveModel {
            state: Set(RUNNING.to_owned()),
            lease_owner: Set(Some(owner.to_owned())),
            lease_expires_at: Set(naive(Some(expires))),
            updated_at: Set(now.naive_utc()),
            ..Default::default()
        };
        let claimed = operation::Entity::update_many()
            .set(row)
            .col_expr(operation::Column::Attempts, operation::Column::Attempts.into_expr().add(1))
            .filter(operation::Column::Id.eq(candidate.id))
            .filter(due(now))
            .exec(self.write())
            .await?;
        if claimed.rows_affected == 0 {
            return Ok(None);
        }
        // Read where it was written: a reader might not see it yet.
        let row = operation::Entity::find_by_id(candidate.id).one(self.write()).await?;
        row.map(from_row).transpose()
    }

    /// Holds an operation for another `lease` from now. False when it is no longer the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_lease(&self, uuid: Uuid, owner: &str, lease: Duration) -> Result<bool> {
        let row = operation::ActiveModel { lease_expires_at: Set(naive(Some(now() + lease))), ..Default::default() };
        self.update_owned(uuid, owner, row).await
    }

    /// Writes down what an operation does and waits for. False when it is no longer the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn operation_progress(
        &self,
        uuid: Uuid,
        owner: &str,
        step: Option<&str>,
        waiting_for: Option<&str>,
    ) -> Result<bool> {
        let text = |text: Option<&str>| Set(text.map(|text| clip(text).into_owned()));
        let row = operation::ActiveModel {
            step: text(step),
            waiting_for: text(waiting_for),
            updated_at: Set(now().naive_utc()),
            ..Default::default()
        };
        self.update_owned(uuid, owner, row).await
    }

    /// Gives an operation back, to be claimed by anybody from `not_before` on; `error` says why the attempt ended.
    /// False when it is no longer the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone_operation(
        &self,
        uuid: Uuid,
        owner: &str,
        error: Option<&str>,
        not_before: Timestamp,
    ) -> Result<bool> {
        let row = operation::ActiveModel {
            state: Set(PENDING.to_owned()),
            lease_owner: Set(None),
            lease_expires_at: Set(None),
            waiting_for: Set(None),
            error: Set(error.map(|error| clip(error).into_owned())),
            not_before: Set(not_before.naive_utc()),
            updated_at: Set(now().naive_utc()),
            ..Default::default()
        };
        let postponed = self.update_owned(uuid, owner, row).await?;
        bump(&self.inner.wakeups.operations);
        Ok(postponed)
    }

    async fn update_owned(&self, uuid: Uuid, owner: &str, row: operation::ActiveModel) -> Result<bool> {
        retry(|| async {
            let updated =
                operation::Entity::update_many().set(row.clone()).filter(owned(uuid, owner)).exec(self.write()).await?;
            Ok(updated.rows_affected == 1)
        })
        .await
    }

    /// Ends an operation and writes what came of it, with a last event, all or nothing. False, with nothing written,
    /// when it is no longer the owner's.
    ///
    /// While a delete waits behind it, the cluster keeps its `DELETE_IN_PROGRESS`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_operation(
        &self,
        uuid: Uuid,
        owner: &str,
        state: OperationState,
        error: Option<&str>,
        outcome: &ClusterOutcome,
    ) -> Result<bool> {
        let finished = retry(|| async {
            let tx = self.begin().await?;
            let Some(operation) = self.end(&tx, uuid, owner, state, error).await? else { return Ok(false) };
            self.write_outcome(&tx, &operation, outcome).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await?;
        self.operation_ended();
        Ok(finished)
    }

    /// Ends a delete: the cluster with its node groups, nodes, ledger and key pairs goes; its operations and events stay
    /// readable for a while. False, with nothing written, when the operation is no longer the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_delete(&self, uuid: Uuid, owner: &str) -> Result<bool> {
        let finished = retry(|| async {
            let tx = self.begin().await?;
            let Some(operation) = self.end(&tx, uuid, owner, OperationState::Succeeded, None).await? else {
                return Ok(false);
            };
            cancel_unfinished(&tx, operation.cluster_uuid, None).await?;
            delete_rows(&tx, operation.cluster_uuid).await?;
            self.forget_turn(&tx, Turn::Cluster(operation.cluster_uuid)).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await?;
        self.operation_ended();
        bump(&self.inner.wakeups.nodes);
        Ok(finished)
    }

    fn operation_ended(&self) {
        bump(&self.inner.wakeups.operations);
        bump(&self.inner.wakeups.events);
    }

    /// Takes the cluster's turn and ends the operation, unless it is no longer the owner's.
    async fn end(
        &self,
        tx: &DatabaseTransaction,
        uuid: Uuid,
        owner: &str,
        state: OperationState,
        error: Option<&str>,
    ) -> Result<Option<Operation>> {
        let Some(found) = operation::Entity::find().filter(owned(uuid, owner)).one(tx).await? else { return Ok(None) };
        let found = from_row(found)?;
        self.take_turn(tx, Turn::Cluster(found.cluster_uuid)).await?;
        let now = now();
        let row = operation::ActiveModel {
            state: Set(state.as_str().to_owned()),
            error: Set(error.map(|error| clip(error).into_owned())),
            lease_owner: Set(None),
            lease_expires_at: Set(None),
            waiting_for: Set(None),
            updated_at: Set(now.naive_utc()),
            finished_at: Set(naive(Some(now))),
            ..Default::default()
        };
        let ended = operation::Entity::update_many().set(row).filter(owned(uuid, owner)).exec(tx).await?;
        if ended.rows_affected == 0 {
            return Ok(None);
        }
        let kind = found.kind.as_str();
        let (event, message) = match state {
            OperationState::Succeeded => (EventState::Done, format!("{kind} done")),
            OperationState::Cancelled => (EventState::Warning, format!("{kind} cancelled")),
            _ => (EventState::Failed, format!("{kind} failed: {}", error.unwrap_or("no reason given"))),
        };
        let event = NewEvent {
            cluster_uuid: found.cluster_uuid,
            operation_uuid: Some(uuid),
            node: None,
            step: OPERATION_STEP.to_owned(),
            state: event,
            message,
        };
        crate::event::insert(tx, &event).await?;
        Ok(Some(found))
    }

    async fn write_outcome(
        &self,
        tx: &DatabaseTransaction,
        operation: &Operation,
        outcome: &ClusterOutcome,
    ) -> Result<()> {
        let some = |value: &Option<String>| value.clone().map_or(NotSet, |value| Set(Some(value)));
        let mut row = cluster::ActiveModel {
            api_address: some(&outcome.facts.api_address),
            stack_id: some(&outcome.facts.stack_id),
            coe_version: some(&outcome.facts.coe_version),
            container_version: some(&outcome.facts.container_version),
            cluster_template_id: some(&outcome.cluster_template.map(|uuid| uuid.to_string())),
            labels: some(&outcome.labels.as_ref().map(json::write)),
            ..Default::default()
        };
        let waiting = unfinished(operation.cluster_uuid).all(tx).await?;
        let delete_waits = waiting.iter().any(|row| row.kind == OperationKind::Delete.as_str());
        if let Some(status) = outcome.status.clone().filter(|_| !delete_waits) {
            row.status = Set(Some(status.into()));
            row.status_reason = Set(outcome.status_reason.as_deref().map(|reason| clip(reason).into_owned()));
        }
        match self.update_cluster_row(tx, operation.cluster_uuid, row).await {
            // Gone already: the operation may end all the same.
            Err(StoreError::NotFound { .. }) => return Ok(()),
            other => other?,
        }
        for group in &outcome.nodegroups {
            match self.change_nodegroup(tx, group.uuid, &group.change).await {
                Err(StoreError::NotFound { .. }) => {}
                other => other?,
            }
        }
        if !outcome.removed_nodegroups.is_empty() {
            nodegroup::Entity::delete_many()
                .filter(nodegroup::Column::ClusterId.eq(operation.cluster_uuid.to_string()))
                .filter(nodegroup::Column::Uuid.is_in(outcome.removed_nodegroups.iter().map(Uuid::to_string)))
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    /// One operation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get_operation(&self, uuid: Uuid) -> Result<Operation> {
        let row =
            operation::Entity::find().filter(operation::Column::Uuid.eq(uuid.to_string())).one(self.read()).await?;
        row.map(from_row).transpose()?.ok_or_else(|| StoreError::not_found(RESOURCE, uuid))
    }

    /// One page of a cluster's operations; the marker is an operation's UUID.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_operations(&self, cluster: Uuid, page: &Page) -> Result<Vec<Operation>> {
        let sort = sort_column::<operation::Entity>(page)?;
        let select = || operation::Entity::find().filter(operation::Column::ClusterUuid.eq(cluster.to_string()));
        let start = match &page.marker {
            None => None,
            Some(marker) => {
                let is_marker = Condition::all().add(operation::Column::Uuid.eq(marker));
                let found: Option<(i64, bool)> =
                    start_query(select(), operation::Column::Id, sort, is_marker).into_tuple().one(self.read()).await?;
                Some(found.ok_or_else(|| StoreError::not_found(RESOURCE, marker))?.into())
            }
        };
        let rows = paged(select(), operation::Column::Id, sort, page, start).all(self.read()).await?;
        rows.into_iter().map(from_row).collect()
    }

    /// Writes a new operation, ready to be claimed.
    pub(crate) async fn insert_operation(&self, tx: &DatabaseTransaction, new: &NewOperation) -> Result<Operation> {
        let now = now();
        let made = Operation {
            uuid: new.uuid,
            cluster_uuid: new.cluster_uuid,
            project_id: new.project_id.clone(),
            user_id: new.user_id.clone(),
            request_id: new.request_id.clone(),
            kind: new.kind,
            arguments: new.arguments.clone(),
            state: OperationState::Pending,
            attempts: 0,
            step: None,
            waiting_for: None,
            error: None,
            cancel_requested: false,
            lease_owner: None,
            lease_expires_at: None,
            not_before: now,
            deadline_at: new.deadline_at,
            created_at: now,
            updated_at: now,
            finished_at: None,
        };
        operation::Entity::insert(to_row(&made)).exec_without_returning(tx).await?;
        Ok(made)
    }

    /// Writes an event about an operation that was just asked for.
    pub(crate) async fn insert_operation_event(
        &self,
        tx: &DatabaseTransaction,
        operation: &NewOperation,
        step: &str,
        message: &str,
    ) -> Result<()> {
        let event = NewEvent {
            cluster_uuid: operation.cluster_uuid,
            operation_uuid: Some(operation.uuid),
            node: None,
            step: step.to_owned(),
            state: EventState::Info,
            message: message.to_owned(),
        };
        crate::event::insert(tx, &event).await?;
        Ok(())
    }
}

/// The unfinished operations of a cluster, oldest first.
pub(crate) fn unfinished(cluster: Uuid) -> Select<operation::Entity> {
    operation::Entity::find()
        .filter(operation::Column::ClusterUuid.eq(cluster.to_string()))
        .filter(operation::Column::State.is_in(UNFINISHED))
        .order_by_asc(operation::Column::Id)
}

/// Ends every unfinished operation of a cluster, or only those in `state`.
pub(crate) async fn cancel_unfinished(tx: &DatabaseTransaction, cluster: Uuid, state: Option<&str>) -> Result<()> {
    let now = now().naive_utc();
    let row = operation::ActiveModel {
        state: Set(OperationState::Cancelled.as_str().to_owned()),
        cancel_requested: Set(true),
        lease_owner: Set(None),
        lease_expires_at: Set(None),
        waiting_for: Set(None),
        updated_at: Set(now),
        finished_at: Set(Some(now)),
        ..Default::default()
    };
    let mut update = operation::Entity::update_many()
        .set(row)
        .filter(operation::Column::ClusterUuid.eq(cluster.to_string()))
        .filter(operation::Column::State.is_in(UNFINISHED));
    if let Some(state) = state {
        update = update.filter(operation::Column::State.eq(state));
    }
    update.exec(tx).await?;
    Ok(())
}

/// Held by this owner, whether or not the lease has run out: nobody else has taken it.
fn owned(uuid: Uuid, owner: &str) -> Condition {
    Condition::all()
        .add(operation::Column::Uuid.eq(uuid.to_string()))
        .add(operation::Column::LeaseOwner.eq(owner))
        .add(operation::Column::State.eq(RUNNING))
}

fn due(now: Timestamp) -> Condition {
    let now = now.naive_utc();
    let waiting = operation::Column::State.eq(PENDING).and(operation::Column::NotBefore.lte(now));
    let left_behind = operation::Column::State.eq(RUNNING).and(operation::Column::LeaseExpiresAt.lt(now));
    Condition::any().add(waiting).add(left_behind)
}

fn claimable(now: Timestamp) -> Select<operation::Entity> {
    let older = Alias::new("older");
    let column = |column: operation::Column| Expr::col((older.clone(), column));
    let older_unfinished = Query::select()
        .expr(Expr::val(1))
        .from_as(operation::Entity, older.clone())
        .and_where(column(operation::Column::ClusterUuid).equals((operation::Entity, operation::Column::ClusterUuid)))
        .and_where(column(operation::Column::Id).lt(Expr::col((operation::Entity, operation::Column::Id))))
        .and_where(column(operation::Column::State).is_in(UNFINISHED))
        .to_owned();
    operation::Entity::find()
        .filter(operation::Column::State.is_in(UNFINISHED))
        .filter(due(now))
        .filter(Expr::exists(older_unfinished).not())
        .order_by_asc(operation::Column::Id)
        .limit(CANDIDATES)
}

async fn delete_rows(tx: &DatabaseTransaction, cluster_uuid: Uuid) -> Result<()> {
    let text = cluster_uuid.to_string();
    if let Some(row) = cluster::Entity::find().filter(cluster::Column::Uuid.eq(&text)).one(tx).await? {
        // References that are no UUID lead out of this database, to Barbican or to files.
        let references = [row.ca_cert_ref, row.magnum_cert_ref, row.etcd_ca_cert_ref, row.front_proxy_ca_cert_ref];
        let key_pairs = references.into_iter().flatten().filter(|text| Uuid::try_parse(text).is_ok());
        x509keypair::Entity::delete_many().filter(x509keypair::Column::Uuid.is_in(key_pairs)).exec(tx).await?;
    }
    node::Entity::delete_many().filter(node::Column::ClusterUuid.eq(&text)).exec(tx).await?;
    resource::Entity::delete_many().filter(resource::Column::ClusterUuid.eq(&text)).exec(tx).await?;
    nodegroup::Entity::delete_many().filter(nodegroup::Column::ClusterId.eq(&text)).exec(tx).await?;
    cluster::Entity::delete_many().filter(cluster::Column::Uuid.eq(&text)).exec(tx).await?;
    Ok(())
}

pub(crate) fn from_row(row: operation::Model) -> Result<Operation> {
    let id = row.id;
    let kind = OperationKind::from_word(&row.kind).ok_or_else(|| row::corrupt(TABLE, "kind", id, &row.kind))?;
    let state = OperationState::from_word(&row.state).ok_or_else(|| row::corrupt(TABLE, "state", id, &row.state))?;
    let arguments: Arguments =
        serde_json::from_str(&row.arguments).map_err(|_| row::corrupt(TABLE, "arguments", id, &row.arguments))?;
    Ok(Operation {
        uuid: row::uuid(TABLE, "uuid", id, &row.uuid)?,
        cluster_uuid: row::uuid(TABLE, "cluster_uuid", id, &row.cluster_uuid)?,
        project_id: row.project_id,
        user_id: row.user_id,
        request_id: row.request_id,
        kind,
        arguments,
        state,
        attempts: row.attempts,
        step: row.step,
        waiting_for: row.waiting_for,
        error: row.error,
        cancel_requested: row.cancel_requested,
        lease_owner: row.lease_owner,
        lease_expires_at: utc_opt(row.lease_expires_at),
        not_before: utc(row.not_before),
        deadline_at: utc_opt(row.deadline_at),
        created_at: utc(row.created_at),
        updated_at: utc(row.updated_at),
        finished_at: utc_opt(row.finished_at),
    })
}

fn to_row(operation: &Operation) -> operation::ActiveModel {
    let o = operation.clone();
    operation::ActiveModel {
        id: NotSet,
        uuid: Set(o.uuid.to_string()),
        cluster_uuid: Set(o.cluster_uuid.to_string()),
        project_id: Set(o.project_id),
        user_id: Set(o.user_id),
        request_id: Set(o.request_id),
        kind: Set(o.kind.as_str().to_owned()),
        arguments: Set(json::write(&o.arguments)),
        state: Set(o.state.as_str().to_owned()),
        attempts: Set(o.attempts),
        step: Set(o.step),
        waiting_for: Set(o.waiting_for),
        error: Set(o.error),
        cancel_requested: Set(o.cancel_requested),
        lease_owner: Set(o.lease_owner),
        lease_expires_at: Set(naive(o.lease_expires_at)),
        not_before: Set(o.not_before.naive_utc()),
        deadline_at: Set(naive(o.deadline_at)),
        created_at: Set(o.created_at.naive_utc()),
        updated_at: Set(o.updated_at.naive_utc()),
        finished_at: Set(naive(o.finished_at)),
    }
}
