//! The engine as a process of the agent's own.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::{Layout, log};
use crate::error::AgentError;
use crate::files;

const PROGRAM: &str = "dockerd";
/// How long the engine may take to end: its containers get ten seconds of it.
const STOP_PATIENCE: Duration = Duration::from_secs(25);
const LOOK: Duration = Duration::from_millis(50);

/// An engine that this agent has started, or one that an agent before it has.
enum Process {
    Child(Box<Child>),
    Found(Pid),
}

/// The engine's process, if there is one.
pub(super) struct DockerdProcess {
    process: Option<Process>,
    /// How long the log was when the process was started.
    log_before: u64,
}

impl DockerdProcess {
    /// Finds the engine that an earlier agent has started.
    pub(super) fn find(layout: &Layout) -> Result<Self, AgentError> {
        let text = files::read(&layout.pid_file)?;
        let pid = text.and_then(|text| text.trim().parse().ok()).map(Pid::from_raw).filter(|pid| is_engine(*pid));
        if let Some(pid) = pid {
            tracing::info!(%pid, "the engine runs already");
        }
        Ok(Self { process: pid.map(Process::Found), log_before: 0 })
    }

    pub(super) fn start(&mut self, layout: &Layout) -> Result<(), AgentError> {
        // What an engine that was killed has left: it would take its number for that of a living one.
        files::remove(&layout.pid_file)?;
        files::remove(&layout.socket)?;
        log::cap(&layout.log)?;
        let (output, log_before) = log::open(&layout.log)?;
        let errors = output.try_clone().map_err(AgentError::file("open", &layout.log))?;
        let environment = files::read(&layout.environment)?.unwrap_or_default();
        let child = Command::new(PROGRAM)
            .arg("--config-file")
            .arg(&layout.configuration)
            .envs(environment.lines().filter_map(|line| line.split_once('=')))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| AgentError::Program {
                program: PROGRAM.to_owned(),
                why: match error.kind() {
                    std::io::ErrorKind::NotFound => "it is not installed".to_owned(),
                    _ => error.to_string(),
                },
            })?;
        *self = Self { process: Some(Process::Child(Box::new(child))), log_before };
        Ok(())
    }

    /// The last lines it wrote, in one.
    pub(super) fn last_lines(&self, layout: &Layout) -> String {
        log::last_lines(&layout.log, self.log_before)
    }

    /// How the process ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<String>, AgentError> {
        match &mut self.process {
            None => Ok(Some("is not running".to_owned())),
            Some(Process::Found(pid)) if is_engine(*pid) => Ok(None),
            Some(Process::Found(_)) => Ok(Some("has ended".to_owned())),
            Some(Process::Child(child)) => {
                let status = child.try_wait().map_err(AgentError::system("look at the engine's process"))?;
                Ok(status.map(|status| format!("has ended ({status})")))
            }
        }
    }

    /// Ends the process: gently, and after a while not so gently.
    pub(super) async fn stop(&mut self) -> Result<(), AgentError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        self.signal(pid, Signal::SIGTERM)?;
        let end = Instant::now() + STOP_PATIENCE;
        while self.ended()?.is_none() {
            if Instant::now() >= end {
                tracing::warn!("the engine does not end; killing it");
                self.signal(pid, Signal::SIGKILL)?;
                while self.ended()?.is_none() {
                    sleep(LOOK).await;
                }
            }
            sleep(LOOK).await;
        }
        self.process = None;
        Ok(())
    }

    fn pid(&mut self) -> Option<Pid> {
        match self.process.as_mut()? {
            Process::Found(pid) => Some(*pid).filter(|pid| is_engine(*pid)),
            // None once it has been waited for: then the number may mean another process.
            Process::Child(child) => child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw),
        }
    }

    fn signal(&self, pid: Pid, signal: Signal) -> Result<(), AgentError> {
        match kill(pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(AgentError::system("end the engine")(errno.into())),
        }
    }
}

/// Whether that process lives and is an engine. One that has ended but was not waited for yet does not live.
fn is_engine(pid: Pid) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
    let state = fs::read_to_string(folder.join("stat")).unwrap_or_default();
    let dead = state.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
    name.trim() == PROGRAM && !dead
}
