//! The name under which a conductor holds leases, from which another one on the same machine can tell that it is dead.
//!
//! `host/boot/namespace/pid-start`: the host is for people; the other parts say which process is meant: of which run of the
//! machine, in which PID namespace, with which id, started when. Only who shares the first two may judge the third.

use std::fs;

/// The owner name of this process.
pub(crate) fn of_this_process(host: &str) -> String {
    let pid = std::process::id();
    // A unique stand-in where the kernel does not tell: then nobody judges this process, and leases simply run out.
    let place = place().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let conductor = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}/{place}/{pid}-{}/{}", start_of(pid).unwrap_or(0), &conductor[..8])
}

/// Whether the process behind an owner name is certainly gone.
pub(crate) fn is_dead(owner: &str) -> bool {
    // The host name may hold anything, so the parts are read from the end.
    let mut parts = owner.rsplitn(5, '/');
    let (Some(_), Some(process), Some(namespace), Some(boot)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Some((pid, start)) = process.split_once('-') else { return false };
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return false };
    place().is_some_and(|here| here == format!("{boot}/{namespace}")) && start_of(pid) != Some(start)
}

/// Which run of which machine, and which PID namespace of it.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace = namespace.to_str()?.trim_start_matches("pid:[").trim_end_matches(']').to_owned();
    Some(format!("{}/{namespace}", boot.trim()))
}

/// When a living process was started, in clock ticks since the machine was; nothing if there is none. A zombie does not
/// live: it has ended, and only nobody has asked for its exit status yet.
fn start_of(pid: u32) -> Option<u64> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn start_in(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets and may hold anything; the start is the 22nd.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(start)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_a_process_of_this_machine_that_is_gone_is_dead() {
        let mine = of_this_process("a/host");
        assert!(!is_dead(&mine), "{mine}");
        let place = place().unwrap();
        let pid = std::process::id();
        let start = start_of(pid).unwrap();
        let table = [
            (format!("host/{place}/{pid}-{}/x", start + 1), true),
            (format!("host/{place}/{}-{start}/x", u32::MAX), true),
            (format!("host/{}/{pid}-{}/x", place.replace(|c: char| c.is_ascii_digit(), "0"), start + 1), false),
            ("host/elsewhere/1/2-3/x".to_owned(), false),
            ("gone".to_owned(), false),
            (String::new(), false),
        ];
        for (owner, dead) in table {
            assert_eq!(is_dead(&owner), dead, "{owner}");
        }
    }

    #[test]
    fn a_process_that_is_not_waited_for_does_not_live() {
        let rest = "1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 1000";
        for (state, lives) in [("S", true), ("R", true), ("D", true), ("T", true), ("Z", false), ("X", false)] {
            assert_eq!(start_in(&format!("12 (a) Z b) {state} {rest}")), lives.then_some(777), "{state}");
        }
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        // Ended, and not waited for: it is a zombie from some moment on.
        while start_of(pid).is_some() {
            std::thread::yield_now();
        }
        assert!(fs::metadata(format!("/proc/{pid}")).is_ok(), "it is still there");
        assert!(is_dead(&format!("host/{}/{pid}-1/x", place().unwrap())));
        child.wait().unwrap();
    }
}
