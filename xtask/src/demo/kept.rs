//! What `--keep` leaves running, and how `--stop` takes it down.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{CHANGE_LIMIT, leftovers};
use crate::openstack::Openstack;
use crate::server::{Magnum, Programs};
use crate::workspace::Workspace;
use crate::{python, say, stop};

/// A demo that goes on running after its command has ended.
#[derive(Debug)]
pub(super) struct Kept {
    /// The server's process.
    pub(super) pid: u32,
    /// Holds everything of the demo.
    pub(super) folder: PathBuf,
    /// The server's state folder, in `folder`.
    pub(super) state_dir: PathBuf,
    /// UUID of the cluster.
    pub(super) cluster: String,
}

impl Kept {
    fn file(workspace: &Workspace) -> PathBuf {
        workspace.in_target("xtask/demo.json")
    }

    /// The one kept by an earlier run, if any.
    pub(super) fn read(workspace: &Workspace) -> Option<Self> {
        let value: Value = serde_json::from_str(&fs::read_to_string(Self::file(workspace)).ok()?).ok()?;
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            pid: value.get("pid")?.as_u64()?.try_into().ok()?,
            folder: text("folder")?.into(),
            state_dir: text("state_dir")?.into(),
            cluster: text("cluster")?,
        })
    }

    /// Remembers it for `--stop`.
    pub(super) fn write(&self, workspace: &Workspace) -> Result<()> {
        let value = json!({
            "pid": self.pid, "folder": self.folder, "state_dir": self.state_dir, "cluster": self.cluster,
        });
        let file = Self::file(workspace);
        fs::write(&file, format!("{value:#}\n")).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Whether its server still runs; a process id alone could be somebody else's by now.
    pub(super) fn is_running(&self) -> bool {
        let line = fs::read(Path::new("/proc").join(self.pid.to_string()).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*self.state_dir.to_string_lossy())
    }
}

/// Takes down what `--keep` left: cluster, server, files.
pub(super) fn stop(workspace: &Workspace) -> Result<()> {
    let Some(kept) = Kept::read(workspace) else { bail!("no demo was kept: there is nothing to stop") };
    // A server that is gone is started once more, since only it knows how to take its clusters down.
    let mut restarted = None;
    if !kept.is_running() && kept.state_dir.is_dir() {
        say::step("The kept server is gone; starting it once more to delete its cluster");
        let programs = Programs { magnum: workspace.in_target("debug/magnum") };
        let log = workspace.in_target("xtask/demo-serve.log");
        restarted = Some(Magnum::start(&programs, "serve", &kept.state_dir, log, &[])?);
    }
    let openstack = Openstack::new(python::openstack_client(workspace, true)?, kept.state_dir.join("clouds.yaml"));
    if kept.state_dir.is_dir() {
        say::step("Deleting the kept cluster");
        delete_all_clusters(&openstack)?;
    }
    match &mut restarted {
        Some(server) => server.stop()?,
        None => end(&kept)?,
    }
    say::step("What is left of it on this machine");
    leftovers::expect_none(&kept.state_dir, &kept.cluster)?;
    if kept.folder.is_dir() {
        fs::remove_dir_all(&kept.folder).with_context(|| format!("cannot remove {}", kept.folder.display()))?;
    }
    fs::remove_file(Kept::file(workspace)).context("cannot remove the note of the kept demo")
}

/// Deletes every cluster of the demo's project, the reader's own included, and waits until they are gone.
pub(super) fn delete_all_clusters(openstack: &Openstack) -> Result<()> {
    let list = || -> Result<Vec<String>> {
        let rows = openstack.json("coe cluster list")?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        Ok(rows.iter().filter_map(|row| row.get("uuid")?.as_str().map(str::to_owned)).collect())
    };
    let clusters = list()?;
    if clusters.is_empty() {
        return Ok(());
    }
    openstack.run(&format!("coe cluster delete {}", clusters.join(" ")))?;
    let began = Instant::now();
    let gone = stop::poll(CHANGE_LIMIT, Duration::from_millis(300), || Ok(list()?.is_empty().then_some(())))?;
    gone.with_context(|| format!("the clusters are still there after {}", say::seconds(began.elapsed())))
}

/// SIGTERM to the kept server, which is no child of ours.
fn end(kept: &Kept) -> Result<()> {
    if !kept.is_running() {
        return Ok(());
    }
    kill(Pid::from_raw(i32::try_from(kept.pid)?), Signal::SIGTERM).context("cannot stop the kept server")?;
    let ended =
        stop::poll(Duration::from_secs(30), Duration::from_millis(50), || Ok((!kept.is_running()).then_some(())))?;
    ended.with_context(|| format!("the server with process id {} does not end", kept.pid))
}
