//! The engine as a systemd unit, on real machines.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Layout, log};
use crate::error::AgentError;
use crate::files;

const UNIT: &str = "magnum-engine.service";
/// Found by the search path, so that no distribution's layout is assumed.
const SYSTEMCTL: &str = "systemctl";
const JOURNALCTL: &str = "journalctl";

/// The engine's unit.
pub(super) struct Unit {
    folder: PathBuf,
}

impl Unit {
    pub(super) fn of_machine() -> Self {
        Self { folder: "/etc/systemd/system".into() }
    }

    /// Writes the unit and starts it, now and at every start of the machine.
    pub(super) async fn start(&self, layout: &Layout) -> Result<(), AgentError> {
        files::write_private(&self.folder.join(UNIT), unit_file(layout).as_bytes())?;
        run(SYSTEMCTL, &["daemon-reload"]).await?;
        // A unit that failed too often does not start before it is told that this is history; one that is new has none.
        let _ = run(SYSTEMCTL, &["reset-failed", UNIT]).await;
        run(SYSTEMCTL, &["enable", "--now", "--no-block", UNIT]).await.map(drop)
    }

    pub(super) async fn stop(&self) -> Result<(), AgentError> {
        if !self.folder.join(UNIT).exists() {
            return Ok(());
        }
        run(SYSTEMCTL, &["disable", "--now", UNIT]).await.map(drop)
    }

    pub(super) async fn is_active(&self) -> Result<bool, AgentError> {
        Ok(matches!(self.state().await?.as_str(), "active" | "activating" | "reloading"))
    }

    /// How the unit ended, if it does not run.
    pub(super) async fn failed(&self) -> Result<Option<String>, AgentError> {
        let state = self.state().await?;
        Ok(matches!(state.as_str(), "failed" | "inactive").then(|| format!("does not run (its unit is {state})")))
    }

    async fn state(&self) -> Result<String, AgentError> {
        run(SYSTEMCTL, &["show", "--property=ActiveState", "--value", UNIT]).await
    }

    pub(super) async fn last_lines(&self) -> String {
        let lines = run(JOURNALCTL, &["--unit", UNIT, "--lines", "3", "--output", "cat", "--no-pager"]).await;
        lines.map(|text| log::shorten(&text)).unwrap_or_default()
    }
}

/// The unit, with absolute paths of ours; the engine itself is found by systemd's own search path.
fn unit_file(layout: &Layout) -> String {
    let quoted = |path: &Path| format!("\"{}\"", path.display().to_string().replace('%', "%%").replace('"', "\\\""));
    format!(
        "# Written by magnum-agent; changes are lost.\n\
         [Unit]\n\
         Description=Container engine of this cluster node\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         Conflicts=docker.service docker.socket\n\
         \n\
         [Service]\n\
         Type=notify\n\
         EnvironmentFile=-{environment}\n\
         ExecStart=dockerd --config-file {configuration}\n\
         ExecReload=kill -s HUP $MAINPID\n\
         Restart=always\n\
         RestartSec=2\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         TasksMax=infinity\n\
         Delegate=yes\n\
         KillMode=process\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        // The file name of an environment is not a command line, and is not unquoted.
        environment = layout.environment.display().to_string().replace('%', "%%"),
        configuration = quoted(&layout.configuration),
    )
}

/// Runs a program to its end and returns what it printed.
async fn run(program: &str, arguments: &[&str]) -> Result<String, AgentError> {
    let failed = |why: String| AgentError::Program { program: format!("{program} {}", arguments.join(" ")), why };
    let output = Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(failed(format!("{}: {}", output.status, log::shorten(&String::from_utf8_lossy(&output.stderr)))))
    }
}
