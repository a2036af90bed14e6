//! The first process of a node: starts the agent, starts it again when it fails, and buries the dead.
//!
//! Two processes and not one: process 1 gets every orphan of the node and has to wait for all of them, and would
//! take away the exit statuses that the agent waits for. It also outlives a failure of the agent, so that the engine
//! and its containers do.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, alarm, getpid};

use crate::error::AgentError;

/// How long the agent may take to stop the engine. What runs then ends with this process.
const STOP_SECONDS: u32 = 40;
/// Pauses between starts of an agent that keeps failing.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An agent that ran this long is started again at once.
const STEADY: Duration = Duration::from_secs(60);

/// Whether this process is the first of a node.
pub(crate) fn is_first_process() -> bool {
    getpid().as_raw() == 1
}

/// Runs the agent until somebody asks the node to stop.
pub(crate) fn run(config: &Path) -> Result<(), AgentError> {
    let signals = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGALRM]);
    // Blocked and waited for, not handled: nothing can come in between, and process 1 gets blocked signals only.
    signals.thread_block().map_err(system("block signals"))?;
    let mut pause = SHORTEST_PAUSE;
    let mut agent = start(config)?;
    let mut started = Instant::now();
    let mut stopping = false;
    loop {
        match signals.wait().map_err(system("wait for signals"))? {
            Signal::SIGCHLD => {
                let Some(status) = bury(&agent) else { continue };
                if stopping {
                    return Ok(());
                }
                pause = if started.elapsed() > STEADY { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                tracing::error!(?status, pause = ?pause, "the agent ended; starting it again");
                alarm::set(u32::try_from(pause.as_secs()).unwrap_or(1));
            }
            Signal::SIGALRM if stopping => {
                tracing::warn!("the engine did not stop in time; ending it with the node");
                return Ok(());
            }
            Signal::SIGALRM => {
                agent = start(config)?;
                started = Instant::now();
            }
            _ => {
                stopping = true;
                alarm::set(STOP_SECONDS);
                match kill(pid(&agent), Signal::SIGTERM) {
                    Err(Errno::ESRCH) => return Ok(()),
                    sent => sent.map_err(system("stop the agent"))?,
                }
            }
        }
    }
}

fn start(config: &Path) -> Result<Child, AgentError> {
    let program = std::env::current_exe().map_err(AgentError::system("find the agent's own program"))?;
    Command::new(program)
        .arg("run")
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .spawn()
        .map_err(AgentError::system("start the agent"))
}

/// Waits for every child that has ended; returns the agent's status if it was among them.
fn bury(agent: &Child) -> Option<WaitStatus> {
    let mut of_agent = None;
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return of_agent,
            Ok(status) if status.pid() == Some(pid(agent)) => of_agent = Some(status),
            Ok(_) | Err(_) => {}
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn system(what: &'static str) -> impl FnOnce(Errno) -> AgentError {
    move |errno| AgentError::system(what)(errno.into())
}
