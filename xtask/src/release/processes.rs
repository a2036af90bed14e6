//! The server's and the nodes' processes, as the kernel shows them.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Resident memory in KiB.
    pub(super) rss: u64,
    /// Resident memory in KiB, with what is shared counted in parts.
    pub(super) pss: u64,
    /// Open file descriptors.
    pub(super) descriptors: usize,
}

impl Usage {
    /// Of a process; nothing when it is gone.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let folder = Path::new("/proc").join(pid.to_string());
        let memory = fs::read_to_string(folder.join("smaps_rollup")).ok()?;
        let descriptors = fs::read_dir(folder.join("fd")).ok()?.count();
        Some(Self { rss: kib(&memory, "Rss:"), pss: kib(&memory, "Pss:"), descriptors })
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |kib: u64| kib as f64 / 1024.0;
        write!(f, "RSS {:.1} MiB, PSS {:.1} MiB, {} descriptors", mib(self.rss), mib(self.pss), self.descriptors)
    }
}

fn kib(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// Engines and agents of the nodes whose folders are below this one, with their command lines. A node's processes have
/// mounts of their own, whose sources are in that folder; nobody else's have.
pub(super) fn of_nodes(folder: &Path) -> Vec<(i32, String)> {
    let folder = folder.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
        let program = command.split(' ').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        if !matches!(program, "dockerd" | "containerd" | "magnum-agent") {
            continue;
        }
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if mounts.contains(&*folder) {
            found.push((pid, command));
        }
    }
    found.sort();
    found
}

/// Ends a process at once; that it is gone already is as good.
pub(super) fn end(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn memory_is_read_off_the_kernels_table() {
        let text =
            "55d0-7fff ---p 00000000 00:00 0 [rollup]\nRss:               12345 kB\nPss:                 678 kB\n";
        assert_eq!((kib(text, "Rss:"), kib(text, "Pss:"), kib(text, "Swap:")), (12345, 678, 0));
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.rss > 0 && own.descriptors > 2, "{own}");
        assert_eq!(Usage::of(u32::MAX), None);
    }

    #[test]
    fn nobody_elses_engines_are_found() {
        assert_eq!(of_nodes(Path::new("/nowhere/at/all")), []);
    }
}
