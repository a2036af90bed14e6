//! Processes that may outlive us: known by number and start time, so that nobody else's is ever ended.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How long a server has to end after SIGTERM. Its data is thrown away, so there is no reason to wait for long.
const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel may take to end what was killed.
const KILLED: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A process that leads a group of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Clock ticks from the start of the machine to that of the process.
    started: u64,
}

/// What `/proc` says of a process.
struct Stat {
    pid: i32,
    group: i32,
    started: u64,
    /// Ended, and not yet waited for.
    zombie: bool,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).context("a process id out of range")?;
        let stat = stat(pid).with_context(|| format!("process {pid} is gone"))?;
        Ok(Self { pid, started: stat.started })
    }

    /// Whether it is still there.
    pub(crate) fn is_running(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.zombie)
    }

    /// It and what is left of its group. While a group has members its number is given to no other.
    fn members(self) -> Vec<i32> {
        if stat(self.pid).is_some_and(|stat| stat.started != self.started) {
            return Vec::new();
        }
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
            .filter(|stat| stat.group == self.pid && stat.started >= self.started && !stat.zombie)
            .map(|stat| stat.pid)
            .collect()
    }

    /// Resident memory of it and its group, in MiB; of what is shared with others, its part.
    pub(crate) fn memory(self) -> u64 {
        let kib: u64 = self.members().into_iter().filter_map(proportional).sum();
        kib / 1024
    }
}

/// Ends them all: SIGTERM to each, then SIGKILL to whatever is left of their groups.
pub(crate) fn end(processes: &[Process]) -> Result<()> {
    for process in processes.iter().filter(|process| process.is_running()) {
        send(process.pid, Signal::SIGTERM)?;
    }
    wait(GRACE, || processes.iter().all(|process| !process.is_running()));
    // A server that has ended in time has ended its own before; others get no more time than they had.
    let left = || processes.iter().flat_map(|process| process.members()).collect::<Vec<_>>();
    for pid in left() {
        send(pid, Signal::SIGKILL)?;
    }
    if wait(KILLED, || left().is_empty()) { Ok(()) } else { bail!("these processes do not end: {:?}", left()) }
}

/// Whether it came true before the time was over. Not cut short when we are asked to end: this is how we end.
fn wait(limit: Duration, done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}

/// Numbers of processes with this in their environment.
pub(crate) fn with_environment(word: &str) -> Vec<i32> {
    let carries = |pid: &i32| {
        fs::read(Path::new("/proc").join(pid.to_string()).join("environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|other| other == word.as_bytes()))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
}

fn send(pid: i32, signal: Signal) -> Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot send {signal} to process {pid}")),
    }
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        pid,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

/// Its share of memory in KiB.
fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Identifies this start of the machine; process numbers of another one mean nothing.
pub(crate) fn boot() -> Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").context("cannot read the machine's boot id")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_ended_with_its_group() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & sleep 60 & wait"]).process_group(0).spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(process.is_running());
        end(&[process]).unwrap();
        assert!(!process.is_running());
        assert_eq!(process.members(), Vec::<i32>::new());
        child.wait().unwrap();
    }

    #[test]
    fn another_process_of_the_same_number_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let earlier = Process { started: 1, ..Process::of(child.id()).unwrap() };
        assert!(!earlier.is_running());
        end(&[earlier]).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "it was ended");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
