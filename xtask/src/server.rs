//! A `magnum serve` of our own: built, started on a free loopback port, stopped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::databases::free_port;
use crate::exec;
use crate::http::Api;
use crate::workspace::Workspace;

/// How long the server may take to its first answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where the programs are after building them.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) magnum: PathBuf,
}

/// Builds server and agent, unoptimised; the agent is static, as it must be to run on any node.
pub(crate) fn build(workspace: &Workspace) -> Result<Programs> {
    exec::run(workspace.cargo().args(["build", "--locked", "-p", "magnum"]))?;
    exec::run(workspace.cargo().args(["rustc", "--locked", "-p", "magnum-agent", "--bin", "magnum-agent"]).args([
        "--",
        "-C",
        "target-feature=+crt-static",
    ]))?;
    Ok(Programs { magnum: workspace.in_target("debug/magnum") })
}

/// Server, agent and the benchmark's helper with optimisation; built all at once, so that they share dependencies.
pub(crate) fn for_bench(workspace: &Workspace, build: bool) -> Result<(Programs, PathBuf)> {
    if build {
        let packages = ["-p", "magnum", "-p", "magnum-agent", "-p", "magnum-bench"];
        exec::run(workspace.cargo().args(["build", "--locked", "--release"]).args(packages))?;
    }
    Ok((Programs { magnum: workspace.in_target("release/magnum") }, workspace.in_target("release/magnum-bench")))
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Magnum {
    process: exec::Server,
    /// How it is spoken to, as nobody.
    pub(crate) api: Api,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    /// From the start of the process to its first answer.
    pub(crate) start_time: Duration,
}

impl Magnum {
    /// Starts it as `serve` or `api`, and waits for its first answer.
    pub(crate) fn start(
        programs: &Programs,
        role: &str,
        state_dir: &Path,
        log: PathBuf,
        arguments: &[&str],
    ) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let api = if arguments.contains(&"--no-tls") {
            Api::plain(address.clone())
        } else {
            Api::tls(address.clone(), state_dir.join("tls/ca.pem"))
        };
        let mut command = Command::new(&programs.magnum);
        command.arg(role).arg("--state-dir").arg(state_dir).args(["--bind", &address]).args(arguments);
        let began = Instant::now();
        let mut process = exec::Server::start(&format!("magnum {role}"), &mut command, log)?;
        process.wait_until(START_LIMIT, || api.get("/healthcheck").is_ok_and(|answer| answer.status == 200))?;
        Ok(Self { process, api, address, start_time: began.elapsed() })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Ends it by SIGTERM.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.process.stop()
    }

    /// Lets it run on after us.
    pub(crate) fn leave_running(&mut self) {
        self.process.leave_running();
    }
}
