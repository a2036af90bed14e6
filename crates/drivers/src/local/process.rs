//! Processes of this machine: which ones live, and ending them for sure.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use magnum_domain::launch::{PROCESS_FILE, ProcessMark};
use magnum_files::Folder;
use rustix::io::Errno;
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};

use super::names;
use super::namespace::Namespace;

/// How often a process that was told to end is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Longest note of a process that is read.
const LONGEST: u64 = 4096;

/// Which process is the first of the node with that folder; `None` when it never ran, or when nobody knows any more:
/// then what is left of it is found by its control group.
pub(crate) fn read_mark(node_folder: &Path) -> Option<ProcessMark> {
    let control = names::control_folder(node_folder);
    if !control.is_dir() {
        return earlier_mark(node_folder);
    }
    let file = control.join(PROCESS_FILE);
    match magnum_files::read(&file, LONGEST).map(|text| text.map(|text| serde_json::from_slice(&text))) {
        Ok(None) => None,
        Ok(Some(Ok(mark))) => Some(mark),
        Ok(Some(Err(error))) => {
            tracing::warn!(file = %file.display(), %error, "it is damaged and counts as absent");
            None
        }
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "it can't be read and counts as absent");
            None
        }
    }
}

/// Earlier releases kept the note where the node can write. It is believed only if it names a process in the node's own
/// network, so that no other can be meant.
fn earlier_mark(node_folder: &Path) -> Option<ProcessMark> {
    let text = Folder::open(node_folder).ok()?.read(PROCESS_FILE, LONGEST).ok()??;
    let mark = serde_json::from_slice::<ProcessMark>(&text).ok()?;
    let namespace = names::namespace_of_folder(node_folder)?;
    is_in_network(mark.pid, &namespace).then_some(mark)
}

/// Whether a process is in that network namespace.
fn is_in_network(pid: i32, namespace: &Namespace) -> bool {
    let same = || {
        let (one, other) = (fs::metadata(format!("/proc/{pid}/ns/net")).ok()?, fs::metadata(namespace.path()).ok()?);
        Some((one.dev(), one.ino()) == (other.dev(), other.ino()))
    };
    namespace.exists() && same() == Some(true)
}

/// Whether the process is still the one that was meant, and alive.
pub(crate) fn is_alive(mark: &ProcessMark) -> bool {
    let this_boot =
        fs::read_to_string("/proc/sys/kernel/random/boot_id").is_ok_and(|boot_id| boot_id.trim() == mark.boot_id);
    let same_namespace = || match mark.pid_namespace {
        Some(meant) => fs::metadata(format!("/proc/{}/ns/pid", mark.pid)).is_ok_and(|found| found.ino() == meant),
        None => true,
    };
    this_boot
        && fs::read_to_string(format!("/proc/{}/stat", mark.pid))
            .is_ok_and(|stat| parse_stat(&stat).is_some_and(|(state, started)| state && started == mark.started))
        && same_namespace()
}

/// Of a line of `/proc/PID/stat`: whether it is neither a zombie nor dead, and its start time.
fn parse_stat(stat: &str) -> Option<(bool, u64)> {
    // The second field is the program's name in brackets, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((!matches!(state, "Z" | "X" | "x"), started))
}

/// Sends a signal to the process that is meant; that it is gone already is as good.
pub(crate) fn signal(mark: &ProcessMark, signal: Signal) -> io::Result<()> {
    signal_if(mark.pid, signal, || is_alive(mark))
}

/// Sends a signal to a process, if it is the right one. It is held while that is found out: its number can't be given
/// to another in between.
pub(crate) fn signal_if(pid: i32, signal: Signal, is_right: impl FnOnce() -> bool) -> io::Result<()> {
    // 0 and negative numbers mean whole groups of processes, and 1 the machine.
    let Some(pid) = Some(pid).filter(|pid| *pid > 1).and_then(Pid::from_raw) else { return Ok(()) };
    let held = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(held) => Some(held),
        Err(Errno::SRCH) => return Ok(()),
        // Kernels before 5.3.
        Err(Errno::NOSYS | Errno::PERM) => None,
        Err(error) => return Err(error.into()),
    };
    if !is_right() {
        return Ok(());
    }
    match held.map_or_else(|| kill_process(pid, signal), |held| pidfd_send_signal(held, signal)) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
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
            pid_namespace: Some(fs::metadata(format!("/proc/{pid}/ns/pid")).unwrap().ino()),
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
        assert!(!is_alive(&ProcessMark { boot_id: "before".to_owned(), ..own.clone() }), "the machine was restarted");
        assert!(!is_alive(&ProcessMark { pid_namespace: Some(1), ..own.clone() }), "a process of somebody else");
        assert!(is_alive(&ProcessMark { pid_namespace: None, ..own }), "written by an earlier release");
    }

    #[tokio::test]
    async fn a_zombie_counts_as_gone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mark = mark_of(child.id());
        assert!(!gone_within(&mark, Duration::ZERO).await);
        signal(&ProcessMark { started: mark.started + 1, ..mark.clone() }, Signal::KILL).unwrap();
        assert!(is_alive(&mark), "another was meant");
        signal(&mark, Signal::KILL).unwrap();
        assert!(gone_within(&mark, Duration::from_secs(60)).await, "not reaped yet, and gone all the same");
        child.wait().unwrap();
        signal(&mark, Signal::KILL).unwrap();
    }

    #[test]
    fn no_note_ever_means_a_group_of_processes_or_the_machine() {
        for pid in [0, 1, -1, i32::MIN] {
            signal_if(pid, Signal::KILL, || panic!("{pid} was looked at")).unwrap();
        }
    }

    /// What stands in a note, in the control folder or where earlier releases had it; a living process that no node
    /// may name is in the machine's own network.
    #[test]
    fn a_note_that_is_damaged_or_forged_counts_as_absent() {
        let own = serde_json::to_string(&mark_of(std::process::id())).unwrap();
        let state = tempfile::tempdir().unwrap();
        for (index, (in_control, note, known)) in [
            (true, own.as_str(), true),
            (true, "", false),
            (true, "{\"pid\": 1", false),
            (true, "null", false),
            (true, &" ".repeat(100_000), false),
            (false, &own, false),
            (false, "", false),
            (false, &"[".repeat(100_000), false),
        ]
        .into_iter()
        .enumerate()
        {
            let node = state.path().join(format!("clusters/{}/nodes/worker-{index}", uuid::Uuid::new_v4()));
            fs::create_dir_all(&node).unwrap();
            let control = names::control_folder(&node);
            if in_control {
                fs::create_dir_all(&control).unwrap();
            }
            fs::write(if in_control { control } else { node.clone() }.join(PROCESS_FILE), note).unwrap();
            assert_eq!(read_mark(&node).is_some(), known, "{in_control} {note:.40}");
        }
    }
}
