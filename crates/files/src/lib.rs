//! Files that are whole or not there, files that only their owner may read, and folders that somebody else may write
//! into as well.
//!
//! The last are why this crate exists: a service with root's rights that looks after a folder in which another root
//! (of a node, say) plants links, devices and pipes must not be led out of it, held up or filled by what it finds. A
//! [`Folder`] is an open folder; whatever is done through it stays beneath it: no link is followed, no mount is
//! crossed, only regular files with one name are opened, and what is read has a limit.
//!
//! Needs Linux 3.10; from 5.6 on, the kernel itself keeps paths beneath their folder (`openat2`).

mod folder;
mod tree;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub use folder::Folder;

/// Makes a folder that only its owner may enter (mode 0700), with those above it. One that is there stays as it is.
///
/// # Errors
/// When it can't be made.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only its owner may read (mode 0600). Whoever reads it sees all of it or what was there before,
/// also after a loss of power. The folder it is in must be one that nobody else writes into; see [`Folder::write`] for
/// others.
///
/// # Errors
/// When it can't be written; what was there before is then still there.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let (folder, name) = split(path)?;
    Folder::open(folder)?.write(name, content)
}

/// Makes an empty file that only its owner may read (mode 0600), unless it is there.
///
/// # Errors
/// When it can't be made.
pub fn touch_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// Makes a file that only its owner may read (mode 0600), for writing.
///
/// # Errors
/// When it can't be made, among others because it is there already.
pub fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Reads a regular file of at most `limit` bytes; `None` when there is none. The last part of the path is not
/// followed if it is a link.
///
/// # Errors
/// When it can't be read, is larger, or is not a regular file.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let (folder, name) = split(path)?;
    match Folder::open(folder) {
        Ok(folder) => folder.read(name, limit),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file, or a folder with everything in it; that it is gone already is as good. Follows no link and crosses
/// no mount, and copes with any depth.
///
/// # Errors
/// When something of it can't be removed; with its name.
pub fn remove(path: &Path) -> io::Result<()> {
    let (folder, name) = split(path)?;
    match Folder::open(folder) {
        Ok(folder) => folder.remove(name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A path as the folder it is in and its name there.
fn split(path: &Path) -> io::Result<(&Path, &Path)> {
    let name = path.file_name().ok_or_else(|| odd(path))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, Path::new(name)))
}

fn odd(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no name of a file", path.display()))
}
