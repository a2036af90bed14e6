//! A `magnum serve` of our own: built, started on a free loopback port, stopped.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
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

/// Server, agent and the attackers, unoptimised.
pub(crate) fn for_release_test(workspace: &Workspace, wants_build: bool) -> Result<(Programs, PathBuf)> {
    let programs = if wants_build {
        exec::run(workspace.cargo().args(["build", "--locked", "-p", "magnum-bench"]))?;
        build(workspace)?
    } else {
        Programs { magnum: workspace.in_target("debug/magnum") }
    };
    Ok((programs, workspace.in_target("debug/magnum-bench")))
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
    /// Starts it as `serve` or `api` on a free port, and waits for its first answer.
    pub(crate) fn start(
        programs: &Programs,
        role: &str,
        state_dir: &Path,
        log: PathBuf,
        arguments: &[&str],
    ) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(&programs.magnum);
        command.arg(role);
        let mut magnum = Self::launch(command, address, state_dir, log, arguments)?;
        magnum.wait_ready()?;
        Ok(magnum)
    }

    /// Starts a command line that ends in the role, at this address; does not wait for it.
    pub(crate) fn launch(
        mut command: Command,
        address: String,
        state_dir: &Path,
        log: PathBuf,
        arguments: &[&str],
    ) -> Result<Self> {
        let api = if arguments.contains(&"--no-tls") {
            Api::plain(address.clone())
        } else {
            Api::tls(address.clone(), state_dir.join("tls/ca.pem"))
        };
        command.arg("--state-dir").arg(state_dir).args(["--bind", &address]).args(arguments);
        let process = exec::Server::start("magnum", &mut command, log)?;
        Ok(Self { process, api, address, start_time: Duration::ZERO })
    }

    /// Waits for its first answer.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        let api = self.api.clone();
        self.process.wait_until(START_LIMIT, || api.get("/healthcheck").is_ok_and(|answer| answer.status == 200))?;
        self.start_time = began.elapsed();
        Ok(())
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
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
