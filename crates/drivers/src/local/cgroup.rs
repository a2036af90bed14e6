//! Control groups of a node, on machines with cgroup v1, v2 or both at once.
//!
//! v1: the group exists in every mounted hierarchy under the same path, and the engine makes its containers' groups
//! below it. v2: the group becomes the root of what the node sees; see `magnum-agent launch`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{self, Signal};
use magnum_domain::launch::Cgroups;

/// How often groups that are being emptied are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The mounted hierarchies of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hierarchies {
    /// Controllers sit in v1 hierarchies; a v2 hierarchy without controllers may be beside them.
    V1(Vec<PathBuf>),
    /// Only the unified hierarchy.
    V2(PathBuf),
}

impl Hierarchies {
    /// Reads them off the mounts of this process; `None` when there are none.
    pub(crate) fn find() -> io::Result<Option<Self>> {
        Ok(Self::parse(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    fn parse(mountinfo: &str) -> Option<Self> {
        let mut unified = None;
        let mut v1 = Vec::new();
        for line in mountinfo.lines() {
            let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
            let Some(place) = mount.split(' ').nth(4) else { continue };
            match filesystem.split(' ').next() {
                Some("cgroup") => v1.push(PathBuf::from(place)),
                Some("cgroup2") => unified = Some(PathBuf::from(place)),
                _ => {}
            }
        }
        if v1.is_empty() {
            return unified.map(Self::V2);
        }
        v1.extend(unified);
        Some(Self::V1(v1))
    }

    fn roots(&self) -> &[PathBuf] {
        match self {
            Self::V1(roots) => roots,
            Self::V2(root) => std::slice::from_ref(root),
        }
    }

    /// The folders of a group, in a form the launcher understands. `path` is relative to the hierarchies' roots.
    pub(crate) fn group(&self, path: &str) -> Cgroups {
        match self {
            Self::V1(roots) => Cgroups::V1 { folders: roots.iter().map(|root| root.join(path)).collect() },
            Self::V2(root) => Cgroups::V2 { folder: root.join(path) },
        }
    }

    /// What the engine has to be told: on v1 the group's path; on v2 nothing, the group is all it sees.
    pub(crate) fn engine_parent(&self, path: &str) -> Option<String> {
        matches!(self, Self::V1(_)).then(|| format!("/{path}"))
    }

    /// Makes the group in every hierarchy, with everything in between.
    pub(crate) fn create(&self, path: &str) -> io::Result<()> {
        for root in self.roots() {
            let mut folder = root.clone();
            for part in path.split('/') {
                if matches!(self, Self::V2(_)) {
                    hand_down_controllers(&folder);
                }
                let above = folder.clone();
                folder.push(part);
                fs::create_dir_all(&folder)?;
                fill_cpuset(&above, &folder)?;
            }
        }
        Ok(())
    }

    /// Ends every process in the group and the groups below, and removes them all. Finds nothing, does nothing.
    pub(crate) async fn remove(&self, path: &str, limit: Duration) -> io::Result<()> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let left = self.members(path);
            for pid in &left {
                process::signal_if(*pid, Signal::KILL, || is_in(*pid, path))?;
            }
            let removed = if left.is_empty() { self.remove_empty(path) } else { Ok(()) };
            match removed {
                Ok(()) if left.is_empty() => return Ok(()),
                _ if tokio::time::Instant::now() < end => tokio::time::sleep(LOOK).await,
                Ok(()) => {
                    let message = format!("processes {left:?} of control group {path} do not end");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Processes in the group and below, over all hierarchies.
    fn members(&self, path: &str) -> BTreeSet<i32> {
        let mut pids = BTreeSet::new();
        for folder in self.roots().iter().flat_map(|root| tree(&root.join(path))) {
            let Ok(text) = fs::read_to_string(folder.join("cgroup.procs")) else { continue };
            // 0 stands for a process that can't be seen from here.
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 1));
        }
        pids
    }

    fn remove_empty(&self, path: &str) -> io::Result<()> {
        for folder in self.roots().iter().flat_map(|root| tree(&root.join(path))) {
            match fs::remove_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io::Error::new(error.kind(), format!("control group {}: {error}", folder.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes a group that others may still use; that it is in use is no error.
    pub(crate) fn remove_if_unused(&self, path: &str) {
        for root in self.roots() {
            let _ = fs::remove_dir(root.join(path));
        }
    }
}

/// Whether a process is in the group or below.
fn is_in(pid: i32, path: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups.lines().any(|line| line.split_once(path).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('/')))
}

/// A folder and those below, deepest first.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        waiting.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
        found.push(folder);
    }
    found.reverse();
    found
}

/// A new v1 cpuset group is empty and takes no process until it is given processors and memory.
fn fill_cpuset(above: &Path, folder: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (from, to) = (above.join(file), folder.join(file));
        // Not there in other hierarchies; in v2 an empty file means "as above".
        let Ok(current) = fs::read_to_string(&to) else { continue };
        if current.trim().is_empty()
            && let Ok(value) = fs::read_to_string(from)
            && !value.trim().is_empty()
        {
            fs::write(to, value)?;
        }
    }
    Ok(())
}

/// v2: lets the groups below `folder` have what controllers there are. One that can't be handed down costs its
/// limits, not the node.
fn hand_down_controllers(folder: &Path) {
    let controllers = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    let handed = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
    let handed = handed.split_whitespace().collect::<BTreeSet<_>>();
    for controller in controllers.split_whitespace().filter(|controller| !handed.contains(controller)) {
        if let Err(error) = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}")) {
            tracing::debug!(folder = %folder.display(), controller, %error, "a controller can't be handed down");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn hierarchies_are_read_off_the_mounts() {
        let v1 = |roots: &[&str]| Some(Hierarchies::V1(roots.iter().map(PathBuf::from).collect()));
        for (mounts, expected) in [
            ("25 1 0:22 / / rw - ext4 /dev/vda rw", None),
            (
                "31 25 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
                Some(Hierarchies::V2("/sys/fs/cgroup".into())),
            ),
            (
                "40 25 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                 41 40 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                 42 40 0:3 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                 43 40 0:4 / /sys/fs/cgroup/memory rw shared:3 master:2 - cgroup cgroup rw,memory",
                v1(&["/sys/fs/cgroup/cpuset", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"]),
            ),
        ] {
            assert_eq!(Hierarchies::parse(mounts), expected, "{mounts}");
        }
    }

    #[test]
    fn a_cpuset_is_filled_from_the_group_above_but_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let (above, below) = (root.path(), root.path().join("below"));
        fs::create_dir(&below).unwrap();
        for (folder, cpus, mems) in [(above, "0-3\n", "0\n"), (&below, "\n", "1\n")] {
            fs::write(folder.join("cpuset.cpus"), cpus).unwrap();
            fs::write(folder.join("cpuset.mems"), mems).unwrap();
        }
        fill_cpuset(above, &below).unwrap();
        assert_eq!(fs::read_to_string(below.join("cpuset.cpus")).unwrap(), "0-3\n");
        assert_eq!(fs::read_to_string(below.join("cpuset.mems")).unwrap(), "1\n");
    }

    #[tokio::test]
    async fn removing_what_is_not_there_is_done_at_once() {
        let root = tempfile::tempdir().unwrap();
        let hierarchies = Hierarchies::V2(root.path().to_owned());
        hierarchies.remove("magnum/none", Duration::ZERO).await.unwrap();
        hierarchies.create("magnum/one/deep").unwrap();
        assert!(root.path().join("magnum/one/deep").is_dir());
        hierarchies.remove("magnum/one", Duration::from_secs(1)).await.unwrap();
        assert!(!root.path().join("magnum/one").exists());
        hierarchies.remove_if_unused("magnum");
        assert!(!root.path().join("magnum").exists());
    }
}
