//! Operations as conductors see them: claim and keep. How they come into being is in `request.rs`, how they end in
//! `outcome.rs`.
//!
//! Leases compare with the clock of the process that looks, so the clocks of conductors must agree to well within a
//! lease.

use std::collections::BTreeSet;
use std::time::Duration;

use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{EventState, Operation, OperationKind, OperationState, Timestamp, event::NewEvent, now};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Alias, CaseStatement, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, UpdateMany,
};
use uuid::Uuid;

use crate::entity::operation;
use crate::page::{paged, sort_column, start_query};
use crate::row::{self, clip, naive, utc, utc_opt};
use crate::transaction::retry;
use crate::wakeup::bump;
use crate::{Page, Result, Store, StoreError, json};

/// Its name in errors.
pub(crate) const RESOURCE: &str = "Operation";
/// Step name of the events that tell of an operation as a whole.
pub(crate) const OPERATION_STEP: &str = "operation";
const TABLE: &str = "conductor_operation";
/// How many claimable operations are tried before looking again.
const CANDIDATES: u64 = 16;

/// More operations than any set of conductors works on at the same time.
const MOST_LEASES: u64 = 10_000;

const PENDING: &str = "pending";
const RUNNING: &str = "running";
/// States of operations that are not at their end.
pub(crate) const UNFINISHED: [&str; 2] = [PENDING, RUNNING];

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
        // Before anything of it is carried out: an operation that ends whoever takes it up is counted all the same.
        let was_left_behind = CaseStatement::new()
            .case(operation::Column::State.eq(RUNNING), operation::Column::Interruptions.into_expr().add(1))
            .finally(operation::Column::Interruptions.into_expr());
        let claimed = operation::Entity::update_many()
            // First, since MySQL assigns from left to right: it looks at the state as it was.
            .col_expr(operation::Column::Interruptions, was_left_behind.into())
            .set(row)
            .col_expr(operation::Column::Attempts, operation::Column::Attempts.into_expr().add(1))
            .col_expr(operation::Column::Claims, operation::Column::Claims.into_expr().add(1))
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

    /// The operations that are held, with their holders. At most as many as conductors work on at the same time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leases(&self) -> Result<Vec<(Uuid, String)>> {
        let held = operation::Entity::find()
            .filter(operation::Column::State.eq(RUNNING))
            .filter(operation::Column::LeaseOwner.is_not_null())
            .limit(MOST_LEASES)
            .all(self.read())
            .await?;
        let held = held.into_iter().map(from_row).collect::<Result<Vec<_>>>()?;
        Ok(held.into_iter().filter_map(|row| Some((row.uuid, row.lease_owner?))).collect())
    }

    /// Holds an operation for another `lease` from now. False when it is no longer the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_lease(&self, uuid: Uuid, owner: &str, lease: Duration) -> Result<bool> {
        let row = operation::ActiveModel { lease_expires_at: Set(naive(Some(now() + lease))), ..Default::default() };
        self.update_owned(uuid, owner, row).await
    }

    /// Writes down what an operation does and waits for, also as the reason of the statuses of its cluster and of the
    /// node groups it is about, with the error of the attempt before. False when it is no longer the owner's.
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
        self.update_and_show(uuid, owner, row).await
    }

    async fn update_and_show(&self, uuid: Uuid, owner: &str, row: operation::ActiveModel) -> Result<bool> {
        retry(|| async {
            let tx = self.begin().await?;
            let updated =
                operation::Entity::update_many().set(row.clone()).filter(owned(uuid, owner)).exec(&tx).await?;
            if updated.rows_affected == 0 {
                return Ok(false);
            }
            self.show_progress(&tx, uuid).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Gives an operation back after an attempt that failed, to be claimed by anybody from `not_before` on; `error` says
    /// why. False when it is no longer the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone_operation(
        &self,
        uuid: Uuid,
        owner: &str,
        error: &str,
        not_before: Timestamp,
    ) -> Result<bool> {
        let row = operation::ActiveModel {
            waiting_for: Set(None),
            error: Set(Some(clip(error).into_owned())),
            ..given_back(not_before)
        };
        let postponed = self.update_and_show(uuid, owner, row).await?;
        bump(&self.inner.wakeups.operations);
        Ok(postponed)
    }

    /// Gives an operation back that the owner can't go on with, through no fault of the operation: this claim is no
    /// attempt. False when it is no longer the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hand_back_operation(&self, uuid: Uuid, owner: &str) -> Result<bool> {
        let row = operation::ActiveModel { waiting_for: Set(None), ..given_back(now()) };
        let fewer = operation::Column::Attempts.into_expr().sub(1);
        let update = operation::Entity::update_many().set(row).col_expr(operation::Column::Attempts, fewer);
        let handed_back = self.execute_owned(uuid, owner, update).await?;
        bump(&self.inner.wakeups.operations);
        Ok(handed_back)
    }

    /// Frees an operation whose owner has died while carrying it out, as if its lease had run out. False when it is not
    /// the owner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn free_operation_of_the_dead(&self, uuid: Uuid, owner: &str) -> Result<bool> {
        let more = operation::Column::Interruptions.into_expr().add(1);
        let update =
            operation::Entity::update_many().set(given_back(now())).col_expr(operation::Column::Interruptions, more);
        let freed = self.execute_owned(uuid, owner, update).await?;
        bump(&self.inner.wakeups.operations);
        Ok(freed)
    }

    async fn update_owned(&self, uuid: Uuid, owner: &str, row: operation::ActiveModel) -> Result<bool> {
        self.execute_owned(uuid, owner, operation::Entity::update_many().set(row)).await
    }

    async fn execute_owned(&self, uuid: Uuid, owner: &str, update: UpdateMany<operation::Entity>) -> Result<bool> {
        let update = update.filter(owned(uuid, owner));
        retry(|| async {
            let updated = update.clone().exec(self.write()).await?;
            Ok(updated.rows_affected == 1)
        })
        .await
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
            interruptions: 0,
            claims: 0,
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

    /// Writes an event about an operation that was just asked for, and one for each thing its requester was warned of.
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
        for warning in &operation.arguments.warnings {
            let warned = NewEvent { state: EventState::Warning, message: warning.clone(), ..event.clone() };
            crate::event::insert(tx, &warned).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Clusters with operations that are not finished.
    pub(crate) async fn busy_clusters(&self) -> Result<BTreeSet<Uuid>> {
        let rows: Vec<(i64, String)> = operation::Entity::find()
            .select_only()
            .columns([operation::Column::Id, operation::Column::ClusterUuid])
            .filter(operation::Column::State.is_in(UNFINISHED))
            .into_tuple()
            .all(self.read())
            .await?;
        rows.iter().map(|(id, cluster)| row::uuid(TABLE, "cluster_uuid", *id, cluster)).collect()
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
pub(crate) fn owned(uuid: Uuid, owner: &str) -> Condition {
    Condition::all()
        .add(operation::Column::Uuid.eq(uuid.to_string()))
        .add(operation::Column::LeaseOwner.eq(owner))
        .add(operation::Column::State.eq(RUNNING))
}

/// An operation that nobody holds, to be claimed from `not_before` on.
fn given_back(not_before: Timestamp) -> operation::ActiveModel {
    operation::ActiveModel {
        state: Set(PENDING.to_owned()),
        lease_owner: Set(None),
        lease_expires_at: Set(None),
        not_before: Set(not_before.naive_utc()),
        updated_at: Set(now().naive_utc()),
        ..Default::default()
    }
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
        interruptions: row.interruptions,
        claims: row.claims,
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
        interruptions: Set(o.interruptions),
        claims: Set(o.claims),
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
