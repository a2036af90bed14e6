//! Processes of this machine: which ones live, and ending them for sure.

use std::io;
use std::path::Path;
use std::time::Duration;

use magnum_domain::launch::{PROCESS_FILE, ProcessMark};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a process that was told to end is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Reads which process is the node's first; `None` when it never ran.
pub(crate) fn read_mark(folder: &Path) -> io::Result<Option<ProcessMark>> {
    match std::fs::read(folder.join(PROCESS_FILE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the process is still the one that was meant, and alive.
pub(crate) fn is_alive(mark: &ProcessMark) -> bool {
    let this_boot =
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").is_ok_and(|boot_id| boot_id.trim() == mark.boot_id);
    this_boot
        && std::fs::read_to_string(format!("/proc/{}/stat", mark.pid))
            .is_ok_and(|stat| parse_stat(&stat).is_some_and(|(state, started)| state && started == mark.started))
}

/// Of a line of `/proc/PID/stat`: whether it is neither a zombie nor dead, and its start time.
fn parse_stat(stat: &str) -> Option<(bool, u64)> {
    // The second field is the program's name in brackets, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((!matches!(state, "Z" | "X" | "x"), started))
}

/// Sends a signal; that the process is gone already is as good.
pub(crate) fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the process is gone; false when it is still there after `limit`.
pub(crate) async fn gone_within(mark: &ProcessMark, limit: Duration) -> bool {
    let end = tokio::time::Instant::now() + limit;
    while is_alive(mark) {
        if tokio::time::Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn mark_of(pid: u32) -> ProcessMark {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        ProcessMark {
            pid: i32::try_from(pid).unwrap(),
            started: parse_stat(&stat).unwrap().1,
            boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned(),
        }
    }

    #[test]
    fn stat_lines_are_read_whatever_the_program_is_called() {
        let rest = "1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 1000";
        for (line, expected) in [
            (format!("12 (a b) c) S {rest}"), Some((true, 777))),
            (format!("12 (x) Z {rest}"), Some((false, 777))),
            ("12 (x) S 1".to_owned(), None),
            ("nonsense".to_owned(), None),
        ] {
            assert_eq!(parse_stat(&line), expected, "{line}");
        }
    }

    #[test]
    fn a_mark_means_one_process_of_one_boot() {
        let own = mark_of(std::process::id());
        assert!(is_alive(&own));
        assert!(!is_alive(&ProcessMark { started: own.started + 1, ..own.clone() }), "the id was given away again");
        assert!(!is_alive(&ProcessMark { boot_id: "before".to_owned(), ..own }), "the machine was restarted");
    }

    #[tokio::test]
    async fn a_zombie_counts_as_gone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mark = mark_of(child.id());
        assert!(!gone_within(&mark, Duration::ZERO).await);
        signal(mark.pid, Signal::SIGKILL).unwrap();
        assert!(gone_within(&mark, Duration::from_secs(5)).await, "not reaped yet, and gone all the same");
        child.wait().unwrap();
        signal(mark.pid, Signal::SIGKILL).unwrap();
    }
}
