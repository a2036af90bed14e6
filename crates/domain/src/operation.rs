//! A durable change to a cluster: written in the transaction that accepts the request, carried out by any conductor.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{ClusterStatus, Timestamp};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Bring a new cluster up.
    Create,
    /// Change the size of the default worker group by PATCH.
    Update,
    /// Change the size of one group.
    Resize,
    /// Move to another template.
    Upgrade,
    /// Replace the certificate authorities.
    RotateCa,
    /// Replace the cluster's credential.
    RotateCredential,
    /// Add a node group.
    NodegroupCreate,
    /// Change a node group's bounds, labels or taints.
    NodegroupUpdate,
    /// Remove a node group.
    NodegroupDelete,
    /// Go back to the size before an update that failed and was asked to do so.
    Rollback,
    /// Take the cluster down.
    Delete,
}

impl OperationKind {
    /// Its word in the database, in the API and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Resize => "resize",
            Self::Upgrade => "upgrade",
            Self::RotateCa => "rotate_ca",
            Self::RotateCredential => "rotate_credential",
            Self::NodegroupCreate => "nodegroup_create",
            Self::NodegroupUpdate => "nodegroup_update",
            Self::NodegroupDelete => "nodegroup_delete",
            Self::Rollback => "rollback",
            Self::Delete => "delete",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        serde_json::from_value(Value::from(word)).ok()
    }
}

impl OperationKind {
    /// Whether it may be asked for while a cluster has this status, as far as the status goes: the one table.
    ///
    /// At rest, and after a change that failed, anything may be asked for. While a change is on its way, so may a change
    /// of another node group, which waits for it. A cluster that could not be made, or is being made or deleted, can
    /// only be deleted; an operation that failed can be retried as well.
    #[must_use]
    pub fn is_allowed_in(self, status: &ClusterStatus) -> bool {
        let changeable = status.is_settled()
            || matches!(
                status,
                ClusterStatus::UpdateFailed | ClusterStatus::RollbackFailed | ClusterStatus::ResumeFailed
            );
        match self {
            Self::Delete => true,
            Self::Create => false,
            Self::Update | Self::Upgrade | Self::RotateCa => changeable,
            Self::Resize
            | Self::NodegroupCreate
            | Self::NodegroupUpdate
            | Self::NodegroupDelete
            | Self::RotateCredential => changeable || *status == ClusterStatus::UpdateInProgress,
            // The conductor's own answer to an update that failed.
            Self::Rollback => *status == ClusterStatus::UpdateFailed,
        }
    }
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Waiting for a conductor, or for the operation before it on the same cluster.
    Pending,
    /// Leased by a conductor.
    Running,
    /// Done.
    Succeeded,
    /// Given up, with the reason in `error`; may be retried.
    Failed,
    /// Stopped on request; may be retried.
    Cancelled,
}

impl OperationState {
    /// Its word in the database and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        serde_json::from_value(Value::from(word)).ok()
    }

    /// Whether no conductor will touch it again unless it is retried.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// What an operation was asked to do, beyond its kind. Fields that a kind has no use for are left at their default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Arguments {
    /// The node group that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodegroup: Option<Uuid>,
    /// Its size before the change, to go back to when the change fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_node_count: Option<i32>,
    /// Its size after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_count: Option<i32>,
    /// Nodes that leave in any case: node UUIDs; names or addresses where the driver keeps no nodes here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes_to_remove: Vec<String>,
    /// UUID of the template to move to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_template: Option<Uuid>,
    /// Nodes that others are to take the place of (upgrade).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes_to_replace: Vec<Uuid>,
    /// How many nodes may change at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_batch_size: Option<i32>,
    /// Whether a failed update goes back to the size before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
    /// What the requester was warned of when the request was accepted; each becomes an event of the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// An operation about to be written beside the change it carries out.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// Its identity.
    pub uuid: Uuid,
    /// The cluster it changes.
    pub cluster_uuid: Uuid,
    /// Project of the cluster.
    pub project_id: String,
    /// Who asked.
    pub user_id: String,
    /// Request that asked, to find it in the logs.
    pub request_id: Option<String>,
    /// What it does.
    pub kind: OperationKind,
    /// The details.
    pub arguments: Arguments,
    /// When it must be done; after that it ends as failed.
    pub deadline_at: Option<Timestamp>,
}

/// One row of the `conductor_operation` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its identity.
    pub uuid: Uuid,
    /// The cluster it changes.
    pub cluster_uuid: Uuid,
    /// Project of the cluster.
    pub project_id: String,
    /// Who asked.
    pub user_id: String,
    /// Request that asked.
    pub request_id: Option<String>,
    /// What it does.
    pub kind: OperationKind,
    /// The details.
    pub arguments: Arguments,
    /// Where it stands.
    pub state: OperationState,
    /// Attempts at it so far, the present one included. One that was handed back, because its conductor was stopped,
    /// is none.
    pub attempts: i32,
    /// Of the attempts, those without an end: the conductor ended, or lost its lease, while carrying the operation out.
    pub interruptions: i32,
    /// How often it was claimed, whatever came of it. Never falls, so each claim has a number of its own.
    pub claims: i32,
    /// The step that runs, or ran last.
    pub step: Option<String>,
    /// What it waits for at this moment, in words.
    pub waiting_for: Option<String>,
    /// Why it failed, or why the last attempt did.
    pub error: Option<String>,
    /// Whether somebody asked for it to stop.
    pub cancel_requested: bool,
    /// The conductor that holds it.
    pub lease_owner: Option<String>,
    /// Until when; after that any other may take it.
    pub lease_expires_at: Option<Timestamp>,
    /// Not to be claimed before this time (pause between attempts).
    pub not_before: Timestamp,
    /// When it must be done.
    pub deadline_at: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Operation {
    /// The attempts that came to an end with an error that trying again may mend, if the present one ends so as well.
    #[must_use]
    pub fn failed_attempts(&self) -> i32 {
        self.attempts.saturating_sub(self.interruptions)
    }
}
