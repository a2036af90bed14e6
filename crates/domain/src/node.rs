//! A node of a cluster: the unit that drivers make and agents look after.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::agent::{DesiredNode, ObservedNode};

/// How far a node has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodePhase {
    /// Wanted, nothing made yet.
    Planned,
    /// Made and started; its agent has not been heard of.
    Started,
    /// Its agent has its certificate.
    Joined,
    /// Its container engine answers.
    EngineReady,
    /// It is a member of the cluster.
    Ready,
    /// To be removed.
    Leaving,
    /// Removed from the infrastructure; the row goes next.
    Gone,
}

impl NodePhase {
    /// Its word in the database and in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Started => "started",
            Self::Joined => "joined",
            Self::EngineReady => "engine_ready",
            Self::Ready => "ready",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::from(word)).ok()
    }
}

/// One row of the `conductor_node` table. Name is unique in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its identity, also what `nodes_to_remove` takes.
    pub uuid: Uuid,
    /// Its cluster.
    pub cluster_uuid: Uuid,
    /// Its node group.
    pub nodegroup_uuid: Uuid,
    /// Host name: `<cluster>-<group>-<index>`.
    pub name: String,
    /// Position within its group, from 0; freed positions are used again.
    pub position: i32,
    /// Whether it runs the control plane.
    pub is_master: bool,
    /// Address in the cluster's network, once given.
    pub address: Option<String>,
    /// How far it has come.
    pub phase: NodePhase,
    /// What it does or what is wrong, in words, from its agent.
    pub message: Option<String>,
    /// SHA-256 (hex) of its one-time join token; null once used.
    pub join_token_hash: Option<String>,
    /// SHA-256 (hex) of the certificate its agent shows.
    pub certificate_fingerprint: Option<String>,
    /// What its agent shall bring about. Sealed in the database, since it may hold a join token of the engine.
    pub desired: Option<DesiredNode>,
    /// What its agent last said.
    pub observed: Option<ObservedNode>,
    /// When its agent was last heard of.
    pub last_seen_at: Option<Timestamp>,
    /// When it was first wanted.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl Node {
    /// Whether it is to go.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, NodePhase::Leaving | NodePhase::Gone)
    }
}
