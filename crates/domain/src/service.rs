//! The conductors that have reported themselves (`GET /v1/mservices`).

use crate::Timestamp;

/// One row of the `magnum_service` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Database key; shown by the API.
    pub id: i64,
    /// `[DEFAULT] host` of the process.
    pub host: Option<String>,
    /// `magnum-conductor`.
    pub binary: String,
    /// Heartbeats so far.
    pub report_count: i32,
    /// Whether an operator has taken it out of service.
    pub disabled: bool,
    /// Why.
    pub disabled_reason: Option<String>,
    /// Last heartbeat.
    pub last_seen_up: Option<Timestamp>,
    /// Whether an operator has declared it dead.
    pub forced_down: bool,
    /// When the row was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

impl Service {
    /// Whether its last sign of life is no older than `down_after` at `now`.
    #[must_use]
    pub fn is_up(&self, now: Timestamp, down_after: std::time::Duration) -> bool {
        let seen = self.last_seen_up.or(self.updated_at).or(self.created_at);
        !self.forced_down && seen.is_some_and(|seen| (now - seen).abs().to_std().is_ok_and(|age| age <= down_after))
    }
}
