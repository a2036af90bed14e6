//! Kills the server, and now and then a node's engine or agent, at random moments.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::super::processes::{self, Usage};
use super::super::random::Random;
use crate::http::Api;
use crate::server::Magnum;
use crate::stop;

/// Pause between looks at the clock and at memory.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause between looks at memory.
const SAMPLE: Duration = Duration::from_secs(1);

/// The server, which is started again at the same place each time.
pub(super) struct Victim {
    program: PathBuf,
    address: String,
    state_dir: PathBuf,
    logs: PathBuf,
    started: Mutex<(usize, Option<Magnum>)>,
}

impl Victim {
    /// A server on this address that is not started yet.
    pub(super) fn new(program: &Path, address: String, state_dir: &Path, logs: &Path) -> Self {
        Self {
            program: program.to_owned(),
            address,
            state_dir: state_dir.to_owned(),
            logs: logs.to_owned(),
            started: Mutex::default(),
        }
    }

    /// Starts it; does not wait.
    pub(super) fn start(&self) -> Result<()> {
        let mut started = self.started()?;
        started.0 += 1;
        let log = self.logs.join(format!("serve-{:03}.log", started.0));
        let mut command = Command::new(&self.program);
        command.arg("serve");
        started.1 = Some(Magnum::launch(command, self.address.clone(), &self.state_dir, log, &["--no-tls"])?);
        Ok(())
    }

    pub(super) fn api(&self) -> Api {
        Api::plain(self.address.clone())
    }

    /// `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn wait_ready(&self) -> Result<()> {
        self.with(Magnum::wait_ready)
    }

    /// SIGKILL.
    fn kill(&self) -> Result<()> {
        self.with(Magnum::kill)
    }

    /// SIGTERM.
    pub(super) fn stop(&self) -> Result<()> {
        self.with(Magnum::stop)
    }

    /// What it takes at this moment.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.with(|magnum| Ok(magnum.pid().and_then(Usage::of))).ok().flatten()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Magnum) -> Result<T>) -> Result<T> {
        act(self.started()?.1.as_mut().ok_or_else(|| anyhow!("the server was not started"))?)
    }

    fn started(&self) -> Result<std::sync::MutexGuard<'_, (usize, Option<Magnum>)>> {
        self.started.lock().map_err(|_| anyhow!("a thread that held the server failed"))
    }

    /// Lines of all its logs that tell of a panic.
    pub(super) fn panics(&self) -> Vec<String> {
        let logs = fs::read_dir(&self.logs).into_iter().flatten().flatten();
        let texts = logs.map(|log| String::from_utf8_lossy(&fs::read(log.path()).unwrap_or_default()).into_owned());
        let panics = |text: String| text.lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect();
        texts.flat_map(|text| -> Vec<String> { panics(text) }).collect()
    }

    /// Size of the database's files in KiB.
    pub(super) fn database(&self) -> u64 {
        let size = |name: &str| fs::metadata(self.state_dir.join(name)).map_or(0, |file| file.len());
        (size("magnum.sqlite") + size("magnum.sqlite-wal")) / 1024
    }
}

/// What the killer has done and seen.
#[derive(Debug, Default)]
pub(super) struct Killed {
    pub(super) servers: usize,
    /// Command lines of the nodes' processes.
    pub(super) of_nodes: Vec<String>,
    /// The most that the server took.
    pub(super) peak: Usage,
    /// It ended by itself.
    pub(super) ended: Vec<String>,
}

/// What is killed, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Server,
    Node,
}

/// The moments of all kills, in order, as parts of the span. Some of the server's come right after another, while it
/// starts.
fn plan(kills: u32, seed: u64) -> Vec<(f64, Target)> {
    let mut random = Random::new(seed, 1000);
    let mut moments: Vec<(f64, Target)> = Vec::new();
    for number in 0..kills {
        moments.push((0.02 + 0.96 * random.fraction(), Target::Server));
        if number % 4 == 3 {
            moments.push((0.10 + 0.85 * random.fraction(), Target::Node));
        }
    }
    moments.sort_by(|one, other| one.0.total_cmp(&other.0));
    moments
}

/// Kills until the plan is done, or `is_over`; the server runs afterwards.
pub(super) fn run(
    victim: &Victim,
    kills: u32,
    seed: u64,
    span: Duration,
    is_over: impl Fn() -> bool,
) -> Result<Killed> {
    let mut random = Random::new(seed, 1001);
    let mut killed = Killed::default();
    let began = Instant::now();
    let mut sampled = began;
    for (part, target) in plan(kills, seed) {
        while began.elapsed() < span.mul_f64(part) && !is_over() {
            stop::check()?;
            thread::sleep(PAUSE);
            if sampled.elapsed() > SAMPLE {
                sampled = Instant::now();
                sample(victim, &mut killed)?;
            }
        }
        match target {
            Target::Server => {
                victim.kill()?;
                killed.servers += 1;
                victim.start()?;
            }
            Target::Node => {
                let processes = processes::of_nodes(&victim.state_dir);
                if let Some((pid, command)) = random.pick(&processes) {
                    processes::end(*pid);
                    killed.of_nodes.push(command.chars().take(60).collect());
                }
            }
        }
    }
    while !is_over() {
        stop::check()?;
        thread::sleep(SAMPLE);
        sample(victim, &mut killed)?;
    }
    Ok(killed)
}

/// Looks at the server; starts it again if it has ended by itself, which is a fault.
fn sample(victim: &Victim, killed: &mut Killed) -> Result<()> {
    if let Some(status) = victim.with(Magnum::ended)? {
        killed.ended.push(status.to_string());
        return victim.start();
    }
    let usage = victim.usage().unwrap_or_default();
    killed.peak = Usage {
        rss: killed.peak.rss.max(usage.rss),
        pss: killed.peak.pss.max(usage.pss),
        descriptors: killed.peak.descriptors.max(usage.descriptors),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_in_order_within_the_span_and_the_same_for_a_seed() {
        let moments = plan(60, 9);
        assert_eq!(moments.iter().filter(|(_, target)| *target == Target::Server).count(), 60);
        assert_eq!(moments.len(), 75);
        assert!(moments.is_sorted_by(|one, other| one.0 <= other.0));
        assert!(moments.iter().all(|(part, _)| (0.0..1.0).contains(part)));
        assert_eq!(moments, plan(60, 9));
        assert_ne!(moments, plan(60, 10));
        assert!(plan(0, 9).is_empty());
    }
}
