//! What can go wrong on a node.

use std::io;
use std::path::{Path, PathBuf};

use magnum_coe::EngineError;

/// Why a node is not as it should be. The text goes to the tenant, and holds no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// A file could not be worked with.
    #[error("could not {what} {}: {source}", path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is not valid: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The node's key or certificate request could not be made.
    #[error("could not make the node's {what}: {source}")]
    Key {
        /// Which of them.
        what: &'static str,
        /// Why not.
        source: rcgen::Error,
    },
    /// The conductor did not answer. Trying again may help.
    #[error("the conductor does not answer: {0}")]
    NoAnswer(String),
    /// The conductor said no.
    #[error("the conductor refuses ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// A program of the node failed.
    #[error("`{program}` failed: {why}")]
    Program {
        /// Its name.
        program: String,
        /// What it said.
        why: String,
    },
    /// The engine does not run.
    #[error("the container engine {why}")]
    EngineDown {
        /// What became of it, with the last lines of its log.
        why: String,
    },
    /// The engine did not do what it was asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The node is in a swarm but takes no part in it.
    #[error("the node takes no part in its swarm: {0}")]
    Membership(String),
    /// The operating system refused something basic.
    #[error("could not {what}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// What an engine says of a configuration that it will never take, whatever else happens on the machine.
const REFUSALS: [&str; 5] = [
    "unable to configure the Docker daemon",
    "is not valid: invalid",
    "invalid mirror",
    "is not an ip address",
    "bad attribute format",
];

impl AgentError {
    /// Whether the engine refuses its configuration: starting it again does not help, other settings do.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::EngineDown { why } if REFUSALS.iter().any(|words| why.contains(words)))
    }

    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    pub(crate) fn invalid(path: &Path, why: impl ToString) -> Self {
        Self::Invalid { path: path.to_owned(), why: why.to_string() }
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
