//! What happened to a cluster, step by step, for the tenant to read while it happens.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// How far the thing an event tells of had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// It began.
    Started,
    /// It still goes on; the message says what it waits for.
    Waiting,
    /// It is done.
    Done,
    /// It failed; the message says why.
    Failed,
    /// Worth knowing, no step.
    Info,
    /// Worth a look.
    Warning,
}

impl EventState {
    /// Its word in the database and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::from(word)).ok()
    }
}

/// An event about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The cluster.
    pub cluster_uuid: Uuid,
    /// The operation it belongs to.
    pub operation_uuid: Option<Uuid>,
    /// Name of the node it is about.
    pub node: Option<String>,
    /// Name of the step, such as `node.start`.
    pub step: String,
    /// How far it is.
    pub state: EventState,
    /// A sentence for the tenant. Never holds a secret.
    pub message: String,
}

/// One row of the `conductor_event` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Rises with time over all clusters: the cursor of a stream.
    pub id: i64,
    /// The cluster.
    pub cluster_uuid: Uuid,
    /// The operation it belongs to.
    pub operation_uuid: Option<Uuid>,
    /// Name of the node it is about.
    pub node: Option<String>,
    /// Name of the step.
    pub step: String,
    /// How far it is.
    pub state: EventState,
    /// A sentence for the tenant.
    pub message: String,
    /// When.
    pub created_at: Timestamp,
}
