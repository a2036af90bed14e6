//! Tasks of the swarm's services, as somebody sees them who wants a member to be rid of its own.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::EngineClient;
use super::error::EngineError;
use super::swarm::path_part;

/// States that a task does not leave again.
const ENDED: [&str; 6] = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"];
/// What the swarm wants of a task that is to run: after the service's restart delay, and at once.
const WANTED: [&str; 2] = ["ready", "running"];
/// After so many failures on other members a replica is taken not to run there at all.
const FAILURES: usize = 2;

/// What still holds a drained member up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// Tasks of it that have not ended.
    pub running: usize,
    /// Replicas that ran on it, are wanted, and run nowhere else yet.
    pub moving: usize,
}

impl Departure {
    /// Whether nobody misses the member when it goes.
    #[must_use]
    pub const fn is_over(self) -> bool {
        self.running == 0 && self.moving == 0
    }
}

/// One of `GET /tasks`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Task {
    #[serde(rename = "NodeID")]
    node: String,
    #[serde(rename = "ServiceID")]
    service: String,
    /// The replica's number; 0 for a task of which each member has one.
    slot: u64,
    created_at: DateTime<Utc>,
    desired_state: String,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Status {
    state: String,
    /// Why it is no further.
    err: String,
}

impl Task {
    fn replica(&self) -> (&str, u64) {
        (&self.service, self.slot)
    }

    fn has_ended(&self) -> bool {
        ENDED.contains(&self.status.state.as_str())
    }

    fn is_wanted(&self) -> bool {
        WANTED.contains(&self.desired_state.as_str())
    }

    fn has_failed(&self) -> bool {
        ["failed", "rejected"].contains(&self.status.state.as_str())
    }

    /// Whether the swarm has looked for a member for it in vain: constraints, ports, resources.
    fn has_no_place(&self) -> bool {
        self.status.state == "pending" && !self.status.err.is_empty()
    }
}

impl EngineClient {
    /// How far a drained member is: one request, a second one while it has or had replicas of services.
    ///
    /// # Errors
    /// When the swarm can't be asked.
    pub async fn departure(&self, node_id: &str) -> Result<Departure, EngineError> {
        let own = self.tasks(&json!({ "node": [node_id] })).await?;
        let running = own.iter().filter(|task| !task.has_ended()).count();
        let replicas: BTreeSet<(&str, u64)> = own.iter().filter(|task| task.slot > 0).map(Task::replica).collect();
        if replicas.is_empty() {
            return Ok(Departure { running, moving: 0 });
        }
        let services: BTreeSet<&str> = replicas.iter().map(|(service, _)| *service).collect();
        let all = self.tasks(&json!({ "service": services })).await?;
        // What is given up or scaled away by now, or has no place, is not waited for.
        let is_awaited = |task: &&Task| task.is_wanted() && !task.has_no_place();
        let mut missing: BTreeSet<(&str, u64)> = all.iter().filter(is_awaited).map(Task::replica).collect();
        missing.retain(|replica| {
            let of = |task: &&Task| task.replica() == *replica;
            let left = own.iter().filter(of).map(|task| task.created_at).max();
            let elsewhere = || all.iter().filter(of).filter(|task| task.node != node_id);
            let failures = elsewhere().filter(|task| task.has_failed() && Some(task.created_at) > left).count();
            left.is_some() && failures < FAILURES && !elsewhere().any(|task| task.status.state == "running")
        });
        Ok(Departure { running, moving: missing.len() })
    }

    async fn tasks(&self, filters: &Value) -> Result<Vec<Task>, EngineError> {
        self.get(&format!("/tasks?filters={}", path_part(&filters.to_string()))).await
    }
}
