//! The ledger: everything that was made for a cluster, written down before it is made.
//!
//! Resuming and deleting work from these rows alone, so nothing is lost when a conductor dies between making
//! a thing and saying so.

use serde_json::Value;
use uuid::Uuid;

use crate::Timestamp;

/// Whether a thing of the ledger is known to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceState {
    /// About to be made: it may or may not exist.
    Planned,
    /// Made.
    Made,
}

impl ResourceState {
    /// Its word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Made => "made",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "planned" => Some(Self::Planned),
            "made" => Some(Self::Made),
            _ => None,
        }
    }
}

/// One row of the `conductor_resource` table. Unique by (cluster, kind, name).
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Rises with time: things are removed in the opposite order.
    pub id: i64,
    /// The cluster it was made for.
    pub cluster_uuid: Uuid,
    /// The node it was made for, if it is not the cluster's own.
    pub node_uuid: Option<Uuid>,
    /// What it is, in the driver's words (`network_namespace`, `directory`, `process`, `port`).
    pub kind: String,
    /// What it is called where it lives.
    pub name: String,
    /// What else must be known to find or remove it.
    pub attributes: Value,
    /// Whether it is known to exist.
    pub state: ResourceState,
    /// When it was planned.
    pub created_at: Timestamp,
}
