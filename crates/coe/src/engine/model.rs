//! What an engine says, as far as we listen.

use magnum_domain::text;
use serde::{Deserialize, Deserializer, Serialize};

/// `GET /info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineInfo {
    /// Host name.
    #[serde(deserialize_with = "word")]
    pub name: String,
    /// Version of the engine.
    #[serde(deserialize_with = "word")]
    pub server_version: String,
    /// Version of the kernel below it.
    #[serde(deserialize_with = "word")]
    pub kernel_version: String,
    /// Storage driver in use.
    #[serde(deserialize_with = "word")]
    pub driver: String,
    /// `1` or `2`.
    pub cgroup_version: Option<String>,
    /// Labels, `key=value`.
    #[serde(deserialize_with = "messages")]
    pub labels: Vec<String>,
    /// Running containers.
    pub containers_running: u64,
    /// Membership in a swarm.
    pub swarm: SwarmMembership,
    /// What the engine itself thinks is amiss.
    #[serde(deserialize_with = "messages")]
    pub warnings: Vec<String>,
}

/// An engine's place in a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmMembership {
    /// Its identity in the swarm; empty outside one.
    #[serde(rename = "NodeID", deserialize_with = "word")]
    pub node_id: String,
    /// The address others know it by.
    #[serde(deserialize_with = "word")]
    pub node_addr: String,
    /// `inactive`, `pending`, `active`, `error` or `locked`.
    #[serde(deserialize_with = "word")]
    pub local_node_state: String,
    /// Whether it is a manager.
    pub control_available: bool,
    /// Why it is not well.
    #[serde(deserialize_with = "message")]
    pub error: String,
    /// The swarm; managers know it.
    cluster: Option<Identified>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Identified {
    #[serde(rename = "ID", default)]
    id: String,
}

impl SwarmMembership {
    /// Whether the engine is in a swarm, be it one that it can't reach just now.
    #[must_use]
    pub fn is_member(&self) -> bool {
        !matches!(self.local_node_state.as_str(), "" | "inactive")
    }

    /// Whether it takes part in its swarm.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.local_node_state == "active"
    }

    /// The swarm's identity. Workers don't know it.
    #[must_use]
    pub fn swarm_id(&self) -> Option<&str> {
        self.cluster.as_ref().map(|cluster| cluster.id.as_str()).filter(|id| !id.is_empty())
    }
}

/// What a node is in its swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes part in decisions.
    Manager,
    /// Only runs tasks.
    Worker,
}

/// Whether a node is given tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// It is.
    Active,
    /// It keeps those it has.
    Pause,
    /// Those it has go elsewhere.
    Drain,
}

/// A member of a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwarmNode {
    /// Its identity in the swarm.
    pub id: String,
    /// Host name.
    pub hostname: String,
    /// Manager or worker.
    pub role: Role,
    /// Whether it is given tasks.
    pub availability: Availability,
    /// `ready`, `down`, `disconnected` or `unknown`.
    pub state: String,
    /// Why it is in that state, in the engine's words; often empty.
    pub message: String,
    /// The address that managers see.
    pub address: String,
    /// Version of its engine.
    pub engine_version: String,
    /// Of a manager: whether it leads.
    pub leader: bool,
    /// Of a manager: `reachable`, `unreachable` or `unknown`.
    pub reachability: Option<String>,
}

impl SwarmNode {
    /// Whether it takes part in the managers' decisions: from when it is one of them until, some time after it has
    /// been made a worker, they have agreed to go on without it.
    #[must_use]
    pub fn has_a_vote(&self) -> bool {
        self.leader || self.reachability.is_some()
    }

    /// Whether the swarm can use it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == "ready"
    }
}

/// A member as the API shows it, with what changing it takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawNode {
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) version: Version,
    /// Kept as it came, since a change sends back all of it.
    pub(super) spec: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    description: Description,
    #[serde(default)]
    status: Status,
    manager_status: Option<ManagerStatus>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Version {
    pub(super) index: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Description {
    hostname: String,
    engine: Engine,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Engine {
    engine_version: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Status {
    state: String,
    message: String,
    addr: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManagerStatus {
    #[serde(default)]
    leader: bool,
    reachability: Option<String>,
}

impl RawNode {
    pub(super) fn role(&self) -> Result<Role, serde_json::Error> {
        self.word("Role")
    }

    fn word<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.spec.get(key).cloned().unwrap_or_default())
    }

    pub(super) fn into_node(self) -> Result<SwarmNode, serde_json::Error> {
        Ok(SwarmNode {
            role: self.role()?,
            availability: self.word("Availability")?,
            id: clean_word(&self.id),
            hostname: clean_word(&self.description.hostname),
            state: clean_word(&self.status.state),
            message: text::clean(&self.status.message, text::MESSAGE),
            address: clean_word(&self.status.addr),
            engine_version: clean_word(&self.description.engine.engine_version),
            leader: self.manager_status.as_ref().is_some_and(|status| status.leader),
            reachability: self.manager_status.and_then(|status| status.reachability).as_deref().map(clean_word),
        })
    }
}

/// `GET /swarm`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawSwarm {
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) version: Version,
    pub(super) spec: serde_json::Value,
    pub(super) join_tokens: JoinTokens,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JoinTokens {
    pub(super) worker: String,
    pub(super) manager: String,
}

fn clean_word(foreign: &str) -> String {
    text::clean(foreign, text::WORD)
}

fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|foreign| clean_word(&foreign))
}

fn message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|foreign| text::clean(&foreign, text::MESSAGE))
}

/// A list, or null for an empty one.
fn messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(list.iter().map(|foreign| text::clean(foreign, text::MESSAGE)).collect())
}
