//! How many clusters a project may have.

use crate::Timestamp;

/// The only resource there are quotas for.
pub const CLUSTER: &str = "Cluster";

/// One row of the `quotas` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Database key; shown by the API.
    pub id: i64,
    /// Project it binds.
    pub project_id: String,
    /// Always [`CLUSTER`].
    pub resource: String,
    /// Greatest number of clusters, whatever their status.
    pub hard_limit: i32,
    /// When the row was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}
