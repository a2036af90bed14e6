//! Clusters that are to act as one.
//!
//! No driver of any release makes federations; databases may hold rows of them all the same.

use uuid::Uuid;

use crate::{Labels, Timestamp};

/// One row of the `federation` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federation {
    /// Identity.
    pub uuid: Uuid,
    /// Name, not unique.
    pub name: Option<String>,
    /// Project it belongs to.
    pub project_id: String,
    /// UUID of the cluster with the control plane.
    pub hostcluster_id: Option<String>,
    /// UUIDs of the member clusters.
    pub member_ids: Vec<String>,
    /// Where its life stands, in a cluster's words.
    pub status: Option<String>,
    /// Why it stands there.
    pub status_reason: Option<String>,
    /// What its maker said of it; `dns-zone` at least.
    pub properties: Labels,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}
