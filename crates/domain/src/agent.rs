//! What a node's agent and the conductor say to each other (JSON over mutual TLS).
//!
//! 1. The agent starts with an [`AgentConfig`] that holds no secret but a one-time join token.
//! 2. It makes its own key and sends a [`JoinRequest`] with a certificate signing request; the
//!    [`JoinResponse`] is its certificate. The token is worthless from then on.
//! 3. With that certificate it polls for its [`DesiredNode`], brings it about step by step, and sends a
//!    [`Report`] at the start and end of each step.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Path of the join request (POST).
pub const JOIN_PATH: &str = "/agent/v1/join";
/// Path of the desired state (GET). `?after=GENERATION` holds the answer back until there is a newer one or
/// [`POLL_SECONDS`] have passed (then 204).
pub const STATE_PATH: &str = "/agent/v1/state";
/// Path of reports (POST).
pub const REPORT_PATH: &str = "/agent/v1/report";
/// Longest time a poll for the desired state is held open, in seconds.
pub const POLL_SECONDS: u64 = 30;

/// How a node's agent is started: what cloud-init writes to a file on a real machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// `https://address:port` of the conductor's agent listener.
    pub server: String,
    /// PEM of the authority that signs both sides: the cluster's own CA.
    pub ca: String,
    /// One-time join token.
    pub join_token: String,
    /// Identity of the node.
    pub node: Uuid,
    /// Host name of the node.
    pub name: String,
    /// The node's own address, for its certificate.
    pub address: String,
    /// Folder for the agent's key, certificate and engine configuration.
    pub directory: std::path::PathBuf,
    /// Folder for the engine's data (images, volumes).
    pub data_directory: std::path::PathBuf,
    /// Folder for sockets and pid files; short, since a socket path has at most 108 bytes.
    pub run_directory: std::path::PathBuf,
    /// How the engine is kept running.
    pub supervisor: Supervisor,
    /// cgroup below which the engine puts its containers, from the root of each hierarchy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
}

/// Who keeps the engine running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supervisor {
    /// The agent itself, as the first process of the node (local nodes).
    Agent,
    /// systemd (real machines).
    Systemd,
}

/// First thing an agent says.
#[derive(Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Identity of the node.
    pub node: Uuid,
    /// The one-time token.
    pub join_token: String,
    /// PEM of a PKCS#10 request, made with the node's own key.
    pub csr: String,
}

/// Answer to a join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinResponse {
    /// PEM: valid for the agent as client and for the node's engine as server.
    pub certificate: String,
    /// PEM of the cluster's authority.
    pub ca: String,
}

/// What a node shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredNode {
    /// Rises with every change; reports name the one they are about.
    pub generation: i64,
    /// The container engine.
    pub engine: EngineSpec,
    /// Membership in a Docker Swarm, once it is the node's turn.
    pub swarm: SwarmSpec,
}

/// How the container engine runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineSpec {
    /// Port of the engine's API on the node's address.
    pub port: u16,
    /// Whether that API demands certificates of the cluster's authority.
    pub tls: bool,
    /// Storage driver; `None` leaves it to the engine.
    pub storage_driver: Option<String>,
    /// Registries reached without TLS.
    pub insecure_registries: Vec<String>,
    /// Labels of the engine, `key=value`.
    pub labels: Vec<String>,
    /// `HTTP_PROXY` for pulls.
    pub http_proxy: Option<String>,
    /// `HTTPS_PROXY` for pulls.
    pub https_proxy: Option<String>,
    /// `NO_PROXY` for pulls.
    pub no_proxy: Option<String>,
    /// Name servers for containers.
    pub dns: Vec<String>,
}

/// A node's part in a Swarm.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum SwarmSpec {
    /// Wait for one's turn.
    Wait,
    /// Make a new swarm, unless this node is in one already.
    Init {
        /// Address that the other nodes use.
        advertise: String,
    },
    /// Join, unless this node is in that swarm already.
    Join {
        /// `address:port` of managers.
        managers: Vec<String>,
        /// One-time join token of the swarm.
        token: String,
        /// This node's own address.
        advertise: String,
    },
    /// Leave the swarm and stop the engine.
    Leave,
}

impl std::fmt::Debug for SwarmSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wait => "Wait",
            Self::Init { .. } => "Init",
            Self::Join { .. } => "Join",
            Self::Leave => "Leave",
        })
    }
}

/// What an agent says of its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The step, such as `engine.start`.
    pub step: String,
    /// How far it is.
    pub state: crate::EventState,
    /// A sentence for the tenant.
    pub message: String,
    /// How the node is now.
    pub observed: ObservedNode,
}

/// How a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObservedNode {
    /// Generation of the desired state that was last brought about in full.
    pub generation: i64,
    /// Whether the engine answers.
    pub engine_ready: bool,
    /// Version of the engine.
    pub engine_version: Option<String>,
    /// The node's identity in the swarm, once it is a member.
    pub swarm_node_id: Option<String>,
    /// The swarm's identity.
    pub swarm_id: Option<String>,
    /// What goes wrong now, if anything.
    pub problem: Option<String>,
    /// Generation of the desired state that the engine refuses: it will not start until something else is wanted of it.
    pub refused_generation: Option<i64>,
}
