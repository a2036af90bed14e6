//! How operations end: what becomes of the rows of the cluster.

use magnum_domain::driver::Facts;
use magnum_domain::event::NewEvent;
use magnum_domain::{ClusterStatus, EventState, Labels, Operation, OperationKind, OperationState, now};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::{cluster, cluster_template, node, nodegroup, operation, resource, x509keypair};
use crate::operation::{OPERATION_STEP, cancel_unfinished, from_row, owned, unfinished};
use crate::page::chunks;
use crate::row::{clip, naive};
use crate::transaction::{LockScope, retry};
use crate::upstream::select_at;
use crate::wakeup::bump;
use crate::{NodegroupChange, Result, Store, StoreError, json, uuid_column};

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
    /// Its status; `None`, or another operation that waits, leaves it as it is.
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
    /// Ends an operation and writes what came of it, with a last event, all or nothing. False, with nothing written,
    /// when it is no longer the owner's.
    ///
    /// While others wait behind it the cluster keeps its status; while a delete does, its node groups do as well.
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

    /// Ends a delete: the cluster with its node groups, nodes, ledger and key pairs goes; its operations and events
    /// stay readable for a while. False, with nothing written, when the operation is no longer the owner's.
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
            self.delete_rows(&tx, operation.cluster_uuid).await?;
            self.forget_lock(&tx, LockScope::Cluster(operation.cluster_uuid)).await?;
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
        self.lock(tx, LockScope::Cluster(found.cluster_uuid)).await?;
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
            cluster_template_id: match outcome.cluster_template {
                Some(uuid) => Set(Some(
                    self.stored_spelling::<cluster_template::Entity>(tx, cluster_template::Column::Uuid, uuid).await?,
                )),
                None => NotSet,
            },
            labels: some(&outcome.labels.as_ref().map(json::write)),
            ..Default::default()
        };
        let waiting = unfinished(operation.cluster_uuid).all(tx).await?;
        let delete_waits = waiting.iter().any(|row| row.kind == OperationKind::Delete.as_str());
        // The last of several changes says how it ended: it has brought about what all of them wanted.
        if let Some(status) = outcome.status.clone().filter(|_| waiting.is_empty()) {
            row.status = Set(Some(status.into()));
            row.status_reason = Set(outcome.status_reason.as_deref().map(|reason| clip(reason).into_owned()));
        }
        match self.update_cluster_row(tx, operation.cluster_uuid, row).await {
            // Gone already: the operation may end all the same.
            Err(StoreError::NotFound { .. }) => return Ok(()),
            other => other?,
        }
        for group in &outcome.nodegroups {
            let mut change = group.change.clone();
            if delete_waits {
                (change.status, change.status_reason) = (None, None);
            }
            match self.change_nodegroup(tx, group.uuid, &change).await {
                Err(StoreError::NotFound { .. }) => {}
                other => other?,
            }
        }
        for removed in chunks(&outcome.removed_nodegroups) {
            nodegroup::Entity::delete_many()
                .filter(self.is(nodegroup::Column::ClusterId, operation.cluster_uuid))
                .filter(self.is_any(nodegroup::Column::Uuid, removed.iter().copied()))
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    async fn delete_rows(&self, tx: &DatabaseTransaction, cluster_uuid: Uuid) -> Result<()> {
        let text = cluster_uuid.to_string();
        let is_cluster = self.is(cluster::Column::Uuid, cluster_uuid);
        let select = select_at::<cluster::Entity>(self.head()).filter(is_cluster.clone());
        if let Some(row) = select.one(tx).await? {
            // References that are no UUID lead out of this database, to Barbican or to files.
            let references = [row.ca_cert_ref, row.magnum_cert_ref, row.etcd_ca_cert_ref, row.front_proxy_ca_cert_ref];
            let key_pairs = references.iter().flatten().filter_map(|text| uuid_column::read(text));
            let is_theirs = self.is_any(x509keypair::Column::Uuid, key_pairs);
            x509keypair::Entity::delete_many().filter(is_theirs).exec(tx).await?;
        }
        node::Entity::delete_many().filter(node::Column::ClusterUuid.eq(&text)).exec(tx).await?;
        resource::Entity::delete_many().filter(resource::Column::ClusterUuid.eq(&text)).exec(tx).await?;
        nodegroup::Entity::delete_many().filter(self.is(nodegroup::Column::ClusterId, cluster_uuid)).exec(tx).await?;
        cluster::Entity::delete_many().filter(is_cluster).exec(tx).await?;
        Ok(())
    }
}
