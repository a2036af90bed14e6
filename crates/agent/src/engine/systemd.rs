//! The engine as a systemd unit, on real machines.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Layout, log};
use crate::error::AgentError;
use crate::files;

const UNIT: &str = "magnum-engine.service";

/// The engine's unit.
pub(super) struct Unit {
    folder: PathBuf,
    systemctl: PathBuf,
    journalctl: PathBuf,
}

impl Unit {
    pub(super) fn of_machine() -> Self {
        // Programs are found by the search path, so that no distribution's layout is assumed.
        Self { folder: "/etc/systemd/system".into(), systemctl: "systemctl".into(), journalctl: "journalctl".into() }
    }

    /// Writes the unit and starts it, now and at every start of the machine.
    pub(super) async fn start(&self, layout: &Layout) -> Result<(), AgentError> {
        files::write_private(&self.folder.join(UNIT), unit_file(layout).as_bytes())?;
        self.systemctl(&["daemon-reload"]).await?;
        // A unit that failed too often does not start before it is told that this is history; one that is new has none.
        let _ = self.systemctl(&["reset-failed", UNIT]).await;
        self.systemctl(&["enable", "--now", UNIT]).await.map(drop)
    }

    pub(super) async fn stop(&self) -> Result<(), AgentError> {
        if !self.folder.join(UNIT).exists() {
            return Ok(());
        }
        self.systemctl(&["disable", "--now", UNIT]).await.map(drop)
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
        self.systemctl(&["show", "--property=ActiveState", "--value", UNIT]).await
    }

    async fn systemctl(&self, arguments: &[&str]) -> Result<String, AgentError> {
        run(&self.systemctl, arguments).await
    }

    pub(super) async fn last_lines(&self) -> String {
        let lines = run(&self.journalctl, &["--unit", UNIT, "--lines", "3", "--output", "cat", "--no-pager"]).await;
        lines.map(|text| log::shorten(text.as_bytes())).unwrap_or_default()
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
async fn run(program: &Path, arguments: &[&str]) -> Result<String, AgentError> {
    let command = || format!("{} {}", program.display(), arguments.join(" "));
    let failed = |why: String| AgentError::Program { program: command(), why };
    let output = Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(failed(format!("{}: {}", output.status, log::shorten(&output.stderr))))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A systemd that writes down what it is asked, and whose unit is in the state that a file says.
    fn machine(folder: &Path) -> (Unit, Layout) {
        let script = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let place = folder.display();
        let systemctl = script(
            "systemctl",
            format!(
                "echo \"$*\" >> {place}/calls\ncase $1 in show) cat {place}/state ;; enable) test ! -e {place}/broken \
                 || {{ echo 'Job failed.' >&2; exit 1; }} ;; esac\n"
            ),
        );
        let journalctl = script("journalctl", "printf 'one\\ntwo\\nno space left on device\\n'\n".to_owned());
        let layout = Layout {
            configuration: folder.join("a b/engine.json"),
            environment: folder.join("engine.env"),
            log: folder.join("engine.log"),
            data: folder.join("data"),
            run: folder.join("run"),
            socket: folder.join("run/docker.sock"),
            pid_file: folder.join("run/docker.pid"),
        };
        (Unit { folder: folder.to_owned(), systemctl, journalctl }, layout)
    }

    #[tokio::test]
    async fn the_unit_is_written_enabled_and_disabled() {
        let folder = tempfile::tempdir().unwrap();
        let (unit, layout) = machine(folder.path());
        unit.stop().await.unwrap();
        assert!(!folder.path().join("calls").exists(), "there was nothing to stop");

        unit.start(&layout).await.unwrap();
        unit.stop().await.unwrap();
        let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
        let wanted = [
            "daemon-reload",
            "reset-failed magnum-engine.service",
            "enable --now magnum-engine.service",
            "disable --now magnum-engine.service",
        ];
        assert_eq!(calls.lines().collect::<Vec<_>>(), wanted);
        let written = fs::read_to_string(folder.path().join(UNIT)).unwrap();
        let start = format!("ExecStart=dockerd --config-file \"{}\"\n", layout.configuration.display());
        assert!(written.contains(&start), "{written}");
        assert!(written.contains(&format!("EnvironmentFile=-{}\n", layout.environment.display())));
    }

    #[tokio::test]
    async fn its_state_is_read_and_its_failure_explained() {
        let folder = tempfile::tempdir().unwrap();
        let (unit, layout) = machine(folder.path());
        for (state, active, failed) in [
            ("active", true, None),
            ("activating", true, None),
            ("deactivating", false, None),
            ("failed", false, Some("does not run (its unit is failed)")),
            ("inactive", false, Some("does not run (its unit is inactive)")),
        ] {
            fs::write(folder.path().join("state"), format!("{state}\n")).unwrap();
            assert_eq!(unit.is_active().await.unwrap(), active, "{state}");
            assert_eq!(unit.failed().await.unwrap().as_deref(), failed, "{state}");
        }
        fs::write(folder.path().join("broken"), "").unwrap();
        let error = unit.start(&layout).await.unwrap_err().to_string();
        assert!(error.ends_with("failed: exit status: 1: Job failed."), "{error}");
        assert_eq!(unit.last_lines().await, "one; two; no space left on device");
    }

    #[tokio::test]
    async fn a_machine_without_systemd_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (mut unit, _) = machine(folder.path());
        unit.systemctl = "/nowhere/systemctl".into();
        let error = unit.is_active().await.unwrap_err().to_string();
        assert!(error.starts_with("`/nowhere/systemctl show") && error.contains("No such file"), "{error}");
    }
}
