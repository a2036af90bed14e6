//! What can go wrong in the local driver, and whether trying again may mend it.

use std::path::{Path, PathBuf};

use magnum_domain::driver::DriverError;

/// Why something could not be done to a local cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// A program of the machine failed.
    #[error("`{command}`: {why}")]
    Command {
        /// With its arguments.
        command: String,
        /// What it said.
        why: String,
    },
    /// A file could not be worked with.
    #[error("could not {what} {path}: {source}")]
    Io {
        /// What was to be done with it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A socket could not be opened.
    #[error("could not {what}: {source}")]
    Socket {
        /// What was to be done, with the address.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The database could not be used.
    #[error("the database could not be used: {0}")]
    Store(#[from] magnum_store::StoreError),
    /// Keys or certificates could not be made or read.
    #[error("the cluster's certificates: {0}")]
    Certificates(#[from] magnum_certs::CertError),
    /// An engine did not do what it was asked.
    #[error("{0}")]
    Engine(#[from] magnum_coe::EngineError),
    /// Something of a node is not as it should be; may mend itself.
    #[error("node {node}: {why}")]
    Node {
        /// Its name.
        node: String,
        /// What is wrong, in words.
        why: String,
    },
    /// Trying again is no use.
    #[error("{0}")]
    Hopeless(String),
    /// The step was asked to end.
    #[error("cancelled")]
    Cancelled,
}

impl LocalError {
    pub(crate) fn io(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }

    pub(crate) fn node(node: &str, why: impl Into<String>) -> Self {
        Self::Node { node: node.to_owned(), why: why.into() }
    }
}

impl From<LocalError> for DriverError {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Cancelled => Self::Cancelled,
            LocalError::Hopeless(why) => Self::Fatal(why),
            other => Self::Transient(other.to_string()),
        }
    }
}
