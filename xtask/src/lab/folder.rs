//! Where the kept lab is, and who may change it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

use crate::workspace::Workspace;
use crate::{debian, stop};

/// How long another command may be at work on the kept lab.
const LOCK_LIMIT: Duration = Duration::from_secs(300);

/// The folder of the kept lab. Users of packages must be able to enter it: where they can't enter the target folder,
/// it is elsewhere.
pub(super) fn kept(workspace: &Workspace) -> PathBuf {
    let inside = workspace.in_target("lab");
    if can_be_entered(&workspace.in_target("")) || !debian::is_root() {
        return inside;
    }
    let name: String = inside.to_string_lossy().chars().map(|c| if c == '/' { '-' } else { c }).collect();
    Path::new("/var/tmp").join(format!("magnum-lab{name}"))
}

pub(super) fn lock_file(workspace: &Workspace) -> PathBuf {
    workspace.in_target("lab.lock")
}

/// Waits until nobody else is at work on the kept lab.
pub(super) fn lock(path: &Path) -> Result<Flock<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let lock = stop::poll(LOCK_LIMIT, Duration::from_millis(100), || {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
    })?;
    lock.with_context(|| format!("another command is at work on the lab; it holds {}", path.display()))
}

pub(super) fn open_to_all(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).context("cannot open the lab's folder to its users")
}

/// Everything of a folder that package users must be able to enter: whether they can.
fn can_be_entered(folder: &Path) -> bool {
    folder
        .ancestors()
        .filter(|folder| folder.exists())
        .all(|folder| fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}
