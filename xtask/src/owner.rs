//! The unprivileged users that servers run as, and how a program is started as one of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use nix::unistd::{User, chown};
use tempfile::TempDir;

use crate::debian;

/// What a server's environment begins with: nothing of ours but where programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The user a server runs as: the packages' own when we are root, since most refuse root; else ourselves.
#[derive(Debug, Clone)]
pub(crate) struct Owner(Option<User>);

/// What becomes of a program when we are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// The kernel ends it. It is the thread that counts: start it from one that lives as long as we do.
    WithUs,
    /// It goes on.
    ItsOwn,
}

impl Owner {
    /// A user that a package has made.
    pub(crate) fn named(name: &str) -> Result<Self> {
        if !debian::is_root() {
            return Ok(Self(None));
        }
        let user = User::from_name(name)?.ok_or_else(|| anyhow!("there is no user {name}, which its package makes"))?;
        Ok(Self(Some(user)))
    }

    /// Ourselves.
    pub(crate) fn ourselves() -> Self {
        Self(None)
    }

    /// A private folder of this user, for as long as the value lives.
    pub(crate) fn temporary_folder(&self, prefix: &str) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir().context("cannot make a temporary folder")?;
        self.make_private(folder.path())?;
        Ok(folder)
    }

    /// A private folder of this user.
    pub(crate) fn folder(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        self.make_private(path)
    }

    fn make_private(&self, folder: &Path) -> Result<()> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        self.give(folder)
    }

    /// Writes a file that only this user reads.
    pub(crate) fn write(&self, path: &Path, content: &str) -> Result<()> {
        fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        self.give(path)
    }

    /// Makes it theirs.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        if let Some(user) = &self.0 {
            chown(path, Some(user.uid), Some(user.gid))
                .with_context(|| format!("cannot give {} away", path.display()))?;
        }
        Ok(())
    }

    /// The program as this user, in an environment without anything of ours.
    pub(crate) fn command(&self, program: &Path, life: Life) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(user) = &self.0 {
            command.args(["--reuid", &user.uid.to_string(), "--regid", &user.gid.to_string(), "--init-groups"]);
        }
        if life == Life::WithUs {
            command.args(["--pdeathsig", "TERM"]);
        }
        command.arg("--").arg(program).current_dir("/").env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command
    }
}
