//! How a node of this machine is started: written by the local driver, carried out by `magnum-agent launch`.
//!
//! A node sees its own folder as [`NODE_FOLDER`], whatever it is called on the machine, so that paths inside the
//! node are short (a socket's has at most 108 bytes) and say nothing of the machine.
//!
//! What is in that folder is the node's word, for its root may change all of it. What the machine has to believe of a
//! node ([`LAUNCH_FILE`], [`PROCESS_FILE`]) is in another folder, the node's *control folder*, which no node sees.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a node sees its own folder.
pub const NODE_FOLDER: &str = "/run/node";
/// Where a node sees the agent's program.
pub const AGENT_PROGRAM: &str = "/run/magnum-agent";
/// Name of the file in the node's control folder that holds its [`ProcessMark`].
pub const PROCESS_FILE: &str = "process.json";
/// Name of the file in the node's control folder that holds its [`LaunchSpec`].
pub const LAUNCH_FILE: &str = "launch.json";
/// Name of the agent's configuration in the node's folder.
pub const CONFIG_FILE: &str = "agent.json";
/// Name of the agent's own folder in the node's folder.
pub const AGENT_FOLDER: &str = "agent";
/// Name of the engine's log in the agent's own folder.
pub const ENGINE_LOG_FILE: &str = "engine.log";
/// Name of the engine's data folder in the node's folder.
pub const DATA_FOLDER: &str = "data";
/// Name of the file in the node's folder that the agent's output goes to.
pub const LOG_FILE: &str = "agent.log";
/// All that the machine touches in a node's folder, whoever has made it; the last two are of earlier releases, which
/// had no control folders.
pub const TOUCHED: [&str; 6] = [CONFIG_FILE, LOG_FILE, AGENT_FOLDER, DATA_FOLDER, PROCESS_FILE, LAUNCH_FILE];

/// Everything `magnum-agent launch` has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Host name of the node.
    pub hostname: String,
    /// Its address, for its `/etc/hosts`.
    pub address: String,
    /// File of its network namespace.
    pub network_namespace: PathBuf,
    /// Its control groups, which exist.
    pub cgroups: Cgroups,
    /// Its folder on the machine.
    pub folder: PathBuf,
    /// Folders of the machine that it shall not see.
    pub hidden: Vec<PathBuf>,
    /// Name servers of its `/etc/resolv.conf`; empty leaves the machine's.
    pub nameservers: Vec<String>,
    /// The agent's configuration, as the node sees it.
    pub agent_config: PathBuf,
}

/// The control groups of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "version")]
pub enum Cgroups {
    /// One folder in each mounted hierarchy.
    V1 {
        /// The folders.
        folders: Vec<PathBuf>,
    },
    /// One folder in the unified hierarchy, which becomes the root that the node sees.
    V2 {
        /// The folder.
        folder: PathBuf,
    },
}

/// Which process a process id meant when it was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMark {
    /// Its id on the machine.
    pub pid: i32,
    /// When it was started, in clock ticks since the machine was (field 22 of `/proc/PID/stat`).
    pub started: u64,
    /// Which run of the machine this was (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Its PID namespace (inode of `/proc/PID/ns/pid`), which no process ever leaves. Earlier releases did not write it.
    #[serde(default)]
    pub pid_namespace: Option<u64>,
}
