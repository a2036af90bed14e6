//! Files of the node, by the ways of `magnum-files`: whole or not there, private, and never by a link.

use std::io;
use std::path::Path;

use crate::error::AgentError;

/// Longest file that is read: configurations and certificates are a few KiB.
const LONGEST: u64 = 1024 * 1024;

/// Makes a folder that only its owner may enter, with all above it.
pub(crate) fn private_folder(path: &Path) -> Result<(), AgentError> {
    magnum_files::private_folder(path).map_err(AgentError::file("make the folder", path))
}

/// Writes a file that only its owner may read. Whoever reads it sees all of it, or what was there before.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), AgentError> {
    magnum_files::write_private(path, content).map_err(AgentError::file("write", path))
}

/// Reads a text file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, AgentError> {
    let text =
        |bytes| String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"));
    magnum_files::read(path, LONGEST)
        .and_then(|bytes| bytes.map(text).transpose())
        .map_err(AgentError::file("read", path))
}

/// Removes whatever has this name.
pub(crate) fn remove(path: &Path) -> Result<(), AgentError> {
    magnum_files::remove(path).map_err(AgentError::file("remove", path))
}
