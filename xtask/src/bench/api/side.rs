//! The three servers that are compared: how each is started, and what it takes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::case::Side;
use crate::databases::free_port;
use crate::exec::{self, Server};
use crate::http::Api;
use crate::lab::template::Values;

/// How long a server may take to its first answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How a server is started on an address.
pub(super) trait Start {
    fn command(&self, address: &str) -> Result<Command>;
}

/// `magnum api` with a configuration file.
pub(super) struct Ours {
    pub(super) program: PathBuf,
    pub(super) configuration: PathBuf,
    pub(super) state: PathBuf,
}

impl Start for Ours {
    fn command(&self, address: &str) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg("api").arg("--config-file").arg(&self.configuration).arg("--state-dir").arg(&self.state);
        command.args(["--no-tls", "--bind", address]);
        Ok(command)
    }
}

/// Upstream by uWSGI, as its documentation has it: two processes.
pub(super) struct Upstream {
    pub(super) program: PathBuf,
    /// Words of the template.
    pub(super) settings: Values,
    /// uWSGI's settings, and the file they are written to.
    pub(super) template: &'static str,
    pub(super) file: PathBuf,
}

impl Start for Upstream {
    fn command(&self, address: &str) -> Result<Command> {
        let (_, port) = address.split_once(':').context("an address without a port")?;
        fs::write(&self.file, self.settings.clone().with("port", port).fill(self.template)?)?;
        let mut command = Command::new(&self.program);
        command.arg("--ini").arg(&self.file);
        Ok(command)
    }
}

/// The handlers of the helper program.
pub(super) struct Bare {
    pub(super) helper: PathBuf,
    pub(super) database: String,
    pub(super) project: String,
}

impl Start for Bare {
    fn command(&self, address: &str) -> Result<Command> {
        let mut command = Command::new(&self.helper);
        command.args(["bare", "--database", &self.database, "--project", &self.project, "--bind", address]);
        Ok(command)
    }
}

/// A server that runs.
pub(super) struct Running {
    server: Server,
    pub(super) side: Side,
    /// `http://127.0.0.1:PORT`.
    pub(super) url: String,
    pub(super) api: Api,
    /// From the start of its process to its first answer.
    pub(super) start: Duration,
}

impl Running {
    /// Starts it on a free port and waits for its first answer, which `helper` looks out for.
    pub(super) fn start(side: Side, how: &dyn Start, helper: &PathBuf, log: PathBuf) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let url = format!("http://{address}");
        let mut waiting = Command::new(helper);
        waiting.args(["first-answer", "--url", &format!("{url}/")]);
        let waiting = thread::spawn(move || exec::output(&mut waiting));
        // The waiting program must be up before the clock starts.
        thread::sleep(Duration::from_millis(300));
        let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut server = Server::start(&format!("{side:?}"), &mut how.command(&address)?, log)?;
        server.wait_until(START_LIMIT, || waiting.is_finished())?;
        let answered = waiting.join().ok().context("the waiting thread ended early")??;
        let answered = Duration::from_micros(answered.trim().parse().context("the waiting program printed no time")?);
        let api = Api::plain(address);
        Ok(Self { server, side, url, api, start: answered.saturating_sub(began) })
    }

    /// Memory of it and the processes it has started, in MiB.
    pub(super) fn memory(&self, kind: Memory) -> Result<f64> {
        let pid = self.server.pid().context("the server does not run")?;
        let kib: f64 = family(pid).into_iter().filter_map(|pid| kind.of(pid)).sum();
        Ok(kib / 1024.0)
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }
}

/// A process and all that come from it.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

/// How memory is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Memory {
    /// Every page of every process.
    Resident,
    /// Of pages that several processes have, a part for each.
    Proportional,
}

impl Memory {
    pub(super) const BOTH: [Self; 2] = [Self::Resident, Self::Proportional];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Resident => "memory, resident (RSS of all processes)",
            Self::Proportional => "memory, what is shared counted once (PSS)",
        }
    }

    /// Of one process, in KiB.
    fn of(self, pid: u32) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let field = match self {
            Self::Resident => "Rss:",
            Self::Proportional => "Pss:",
        };
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }
}
