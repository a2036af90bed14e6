//! Files that are whole or not there, and private ones.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::AgentError;

/// Makes a folder that only its owner may enter, with all above it.
pub(crate) fn private_folder(path: &Path) -> Result<(), AgentError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(AgentError::file("make the folder", path))
}

/// Writes a file that only its owner may read. Whoever reads it sees all of it, or what was there before.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), AgentError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(beside)
        .map_err(AgentError::file("write", beside))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(AgentError::file("write", beside))?;
    fs::rename(beside, path).map_err(AgentError::file("write", path))
}

/// Reads a text file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, AgentError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AgentError::file("read", path)(error)),
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), AgentError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(AgentError::file("remove", path)(error)),
        _ => Ok(()),
    }
}
