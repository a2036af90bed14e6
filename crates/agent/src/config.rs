//! The agent's configuration and what it was last told, on disk.

use std::path::{Path, PathBuf};

use magnum_domain::agent::{AgentConfig, DesiredNode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::AgentError;
use crate::files;

/// Reads the configuration.
pub(crate) fn load(path: &Path) -> Result<AgentConfig, AgentError> {
    let text = files::read(path)?.ok_or_else(|| AgentError::invalid(path, "there is no such file"))?;
    serde_json::from_str(&text).map_err(|error| AgentError::invalid(path, error))
}

/// Takes the join token out of the configuration, once it is of no use any more.
pub(crate) fn erase_token(path: &Path, config: &mut AgentConfig) -> Result<(), AgentError> {
    if config.join_token.is_empty() {
        return Ok(());
    }
    config.join_token.clear();
    let text = serde_json::to_vec_pretty(config).map_err(|error| AgentError::invalid(path, error))?;
    files::write_private(path, &text)
}

/// What outlives a restart of the agent.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// What the conductor last wanted.
    pub(crate) desired: Option<DesiredNode>,
    /// Names of the notes that were given once and are not to be repeated.
    pub(crate) noted: Vec<String>,
}

/// The file of a [`Memory`].
#[derive(Debug, Clone)]
pub(crate) struct MemoryFile(PathBuf);

impl MemoryFile {
    pub(crate) fn new(directory: &Path) -> Self {
        Self(directory.join("state.json"))
    }

    /// What is remembered; nothing, when the file can't be read: the conductor will say it again.
    pub(crate) fn load(&self) -> Memory {
        let read = files::read(&self.0).map(|text| text.map(Zeroizing::new));
        match read {
            Ok(None) => Memory::default(),
            Ok(Some(text)) => serde_json::from_str(&text).unwrap_or_else(|error| {
                tracing::warn!(file = %self.0.display(), %error, "starting without what was remembered");
                Memory::default()
            }),
            Err(error) => {
                tracing::warn!(%error, "starting without what was remembered");
                Memory::default()
            }
        }
    }

    /// Writes it down. It may hold a join token of the swarm, so only root may read it.
    pub(crate) fn save(&self, memory: &Memory) -> Result<(), AgentError> {
        let text = serde_json::to_vec(memory).map_err(|error| AgentError::invalid(&self.0, error))?;
        files::write_private(&self.0, &Zeroizing::new(text))
    }
}
