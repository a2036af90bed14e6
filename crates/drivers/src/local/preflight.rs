//! Whether this machine can hold the nodes of a cluster: found out before one is accepted, by trying where that is
//! cheap, and answered with one line that says what to do.

use std::path::{Path, PathBuf};

use magnum_domain::driver::NodeDemand;
use magnum_domain::{ClusterTemplate, Labels};
use nix::sys::statvfs::statvfs;

use super::LocalOptions;
use super::cgroup::Hierarchies;
use super::command::{run, search_path};
use super::namespace::Namespace;
use super::network::{self, Addresses};

/// Programs that nodes need, and the Debian package each comes in.
const PROGRAMS: [(&str, &str); 5] = [
    ("ip", "iproute2"),
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
];

/// What a network driver, a storage driver or a label may say here.
struct Rule {
    field: &'static str,
    value: fn(&ClusterTemplate, &Labels) -> Option<String>,
    allowed: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 4] = [
    Rule {
        field: "docker_storage_driver",
        value: |template, _| template.docker_storage_driver.clone(),
        allowed: &["overlay2", "overlay"],
        why: "local nodes keep images in a folder of this machine and need an overlay file system",
    },
    Rule {
        field: "network_driver",
        value: |template, _| template.network_driver.clone(),
        allowed: &["docker"],
        why: "local nodes use the overlay networks that Docker brings along",
    },
    Rule {
        field: "volume_driver",
        value: |template, _| template.volume_driver.clone(),
        allowed: &[],
        why: "REX-Ray needs OpenStack's block storage, which local nodes do not have",
    },
    Rule {
        field: "label swarm_strategy",
        value: |_, labels| labels.get("swarm_strategy").cloned(),
        allowed: &["spread"],
        why: "the scheduler of Docker's swarm mode always spreads tasks",
    },
];

/// What the template asks for that local nodes can't give; `None` when all is well.
pub(crate) fn refuse(
    template: &ClusterTemplate,
    labels: &Labels,
    nodes: u32,
    options: &LocalOptions,
) -> Option<String> {
    for rule in &RULES {
        let Some(value) = (rule.value)(template, labels).filter(|value| !value.is_empty()) else { continue };
        if !rule.allowed.contains(&value.as_str()) {
            let instead = rule
                .allowed
                .first()
                .map_or_else(|| "leave it out".to_owned(), |allowed| format!("use {allowed} or leave it out"));
            return Some(format!(
                "{} {value} is not supported by the local driver: {}; {instead}",
                rule.field, rule.why
            ));
        }
    }
    let room = Addresses(options.subnet).capacity();
    (nodes > room).then(|| {
        format!(
            "{nodes} nodes do not fit into the subnet {}: ask for at most {room}, or configure a larger one",
            options.subnet
        )
    })
}

/// Whether so many nodes more than there are would be too many; `None` when all is well.
pub(crate) fn crowded(there: u64, new: u32, most: u32) -> Option<String> {
    (there + u64::from(new) > u64::from(most)).then(|| {
        format!(
            "{new} nodes more do not fit onto this machine: it has {there} of at most {most} ([local] max_nodes); ask for \
             fewer, or delete what is not needed"
        )
    })
}

/// What this machine lacks; `None` when all is well.
pub(crate) async fn lacks(options: &LocalOptions, demand: NodeDemand) -> Option<String> {
    if let Some(lack) = rights().or_else(programs).or_else(|| agent(&options.agent_binary)) {
        return Some(lack);
    }
    let lack = room(&options.state_dir, options.free_per_node, demand.new);
    let lack = lack.or_else(|| memory(Path::new("/proc/meminfo"), options.memory_per_node, demand.new));
    if let Some(lack) = lack.or_else(|| control_groups(&options.cgroup)) {
        return Some(lack);
    }
    // Where a cluster has nodes, the kernel has what they need.
    if demand.is_new_cluster() { kernel(options).await } else { None }
}

fn rights() -> Option<String> {
    /// Numbers of the capabilities in the mask of `/proc/self/status`.
    const NEEDED: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let missing = NEEDED.iter().filter(|(bit, _)| mask & (1 << bit) == 0).map(|(_, name)| *name).collect::<Vec<_>>();
    let root = nix::unistd::geteuid().is_root();
    (!root || !missing.is_empty()).then(|| {
        let lacking = if missing.is_empty() { String::new() } else { format!(" (missing: {})", missing.join(", ")) };
        format!("local nodes need root's rights to make namespaces{lacking}: start magnum as root")
    })
}

fn programs() -> Option<String> {
    let path = search_path();
    let is_there = |program: &str| path.split(':').any(|folder| Path::new(folder).join(program).is_file());
    let missing = PROGRAMS.iter().filter(|(program, _)| !is_there(program)).collect::<Vec<_>>();
    (!missing.is_empty()).then(|| {
        let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", ");
        let packages = missing.iter().map(|(_, package)| *package).collect::<Vec<_>>().join(" ");
        format!("{programs} not found on this machine: apt-get install --no-install-recommends {packages}")
    })
}

fn agent(binary: &Path) -> Option<String> {
    (!binary.is_file()).then(|| format!("the node agent is missing: put magnum-agent at {}", binary.display()))
}

fn room(state: &Path, per_node: u64, nodes: u32) -> Option<String> {
    // The folder may not be there yet; what counts is the file system it will be on.
    let there = state.ancestors().find(|folder| folder.exists())?;
    let found = statvfs(there).ok()?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let needed = per_node.saturating_mul(u64::from(nodes));
    (free < needed).then(|| {
        format!(
            "{nodes} nodes need {} MiB of disk, {} has {} MiB left: make room or choose another state folder",
            needed >> 20,
            there.display(),
            free >> 20
        )
    })
}

/// A kernel that does not say how much is available is believed to have enough.
fn memory(figures: &Path, per_node: u64, nodes: u32) -> Option<String> {
    let figures = std::fs::read_to_string(figures).ok()?;
    let line = figures.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024);
    let needed = per_node.saturating_mul(u64::from(nodes));
    (available < needed).then(|| {
        format!(
            "{nodes} nodes need {} MiB of memory, this machine has {} MiB left: ask for fewer, or make room",
            needed >> 20,
            available >> 20
        )
    })
}

fn control_groups(group: &str) -> Option<String> {
    let hierarchies = match Hierarchies::find() {
        Ok(Some(found)) => found,
        Ok(None) => return Some("no control groups are mounted: mount cgroup2 on /sys/fs/cgroup".to_owned()),
        Err(error) => return Some(format!("the mounts of this machine can't be read: {error}")),
    };
    let probe = format!("{group}/probe-{}", std::process::id());
    let made = hierarchies.create(&probe);
    hierarchies.remove_if_unused(&probe);
    hierarchies.remove_if_unused(group);
    made.err().map(|error| {
        format!("control groups can't be made ({error}): mount /sys/fs/cgroup writable, or give magnum a delegated one")
    })
}

/// Makes, in a namespace of its own, one of everything that a cluster's network is made of.
async fn kernel(options: &LocalOptions) -> Option<String> {
    static PROBE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one_at_a_time = PROBE.lock().await;
    let namespace = Namespace::new(format!("magnum-probe-{}", std::process::id()));
    if let Err(error) = network::create_cluster(&namespace, Addresses(options.subnet)).await {
        let _ = network::remove(&namespace).await;
        return Some(format!(
            "network namespaces with a bridge can't be made ({error}): load the kernel module bridge"
        ));
    }
    let links = "link add probe0 type veth peer name probe1\nlink add probe2 type vxlan id 1 dstport 4789 dev br0\n";
    let linked = run("ip", &["-netns", namespace.name(), "-batch", "-"], links).await;
    let removed = network::remove(&namespace).await;
    if let Err(error) = linked {
        return Some(format!("veth or vxlan links can't be made ({error}): load the kernel modules veth and vxlan"));
    }
    if let Err(error) = removed {
        return Some(format!("network namespaces can't be removed again: {error}"));
    }
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let loadable = || modules().iter().any(|folder| folder.join("kernel/fs/overlayfs").exists());
    let overlay = known.lines().any(|line| line.ends_with("\toverlay"));
    (!overlay && !loadable())
        .then(|| "the kernel has no overlay file system: load the kernel module overlay".to_owned())
}

/// Folders in which the running kernel's modules may be.
fn modules() -> Vec<PathBuf> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    ["/lib/modules", "/usr/lib/modules"].iter().map(|folder| Path::new(folder).join(release.trim())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::local::testing::{options, template};

    #[test]
    fn what_local_nodes_cannot_give_is_refused_in_words() {
        let fine = Labels::from([("swarm_strategy".to_owned(), "spread".to_owned())]);
        let binpack = Labels::from([("swarm_strategy".to_owned(), "binpack".to_owned())]);
        let with = |change: fn(&mut ClusterTemplate)| {
            let mut template = template();
            change(&mut template);
            template
        };
        for (template, labels, nodes, expected) in [
            (template(), &Labels::new(), 3, None),
            (with(|t| t.docker_storage_driver = Some("overlay2".to_owned())), &fine, 3, None),
            (with(|t| t.docker_storage_driver = Some(String::new())), &fine, 3, None),
            (with(|t| t.docker_storage_driver = Some("devicemapper".to_owned())), &fine, 3, Some("use overlay2")),
            (with(|t| t.network_driver = Some("flannel".to_owned())), &fine, 3, Some("use docker")),
            (with(|t| t.volume_driver = Some("rexray".to_owned())), &fine, 3, Some("leave it out")),
            (template(), &binpack, 3, Some("use spread")),
            (template(), &fine, 245, Some("at most 244")),
        ] {
            let answer = refuse(&template, labels, nodes, &options());
            match (answer, expected) {
                (None, None) => {}
                (Some(answer), Some(expected)) => assert!(answer.contains(expected), "{answer}"),
                (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn a_disk_that_is_too_small_is_named_with_its_room() {
        let state = std::env::temp_dir().join("not").join("there");
        assert_eq!(room(&state, 0, 3), None);
        let lack = room(&state, u64::MAX / 8, 3).unwrap_or_default();
        assert!(lack.contains("MiB left"), "{lack}");
    }

    #[test]
    fn a_machine_holds_so_many_nodes_and_no_more() {
        for (there, new, most, fits) in [
            (0, 250, 250, true),
            (0, 251, 250, false),
            (249, 1, 250, true),
            (250, 0, 250, true),
            (250, 1, 250, false),
            (u64::from(u32::MAX), u32::MAX, 250, false),
        ] {
            assert_eq!(crowded(there, new, most).is_none(), fits, "{there} and {new}");
        }
        let lack = crowded(30, 3, 32).unwrap_or_default();
        assert!(lack.contains("it has 30 of at most 32 ([local] max_nodes)"), "{lack}");
    }

    #[test]
    fn a_memory_that_is_too_small_is_named_with_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let figures = folder.path().join("meminfo");
        assert_eq!(memory(&figures, u64::MAX, 3), None);
        std::fs::write(&figures, "MemTotal: 4096 kB\nMemAvailable:  204800 kB\n").unwrap();
        assert_eq!(memory(&figures, 64 << 20, 3), None);
        let lack = memory(&figures, 64 << 20, 4).unwrap_or_default();
        assert!(lack.contains("4 nodes need 256 MiB of memory, this machine has 200 MiB left"), "{lack}");
    }

    #[test]
    fn a_missing_agent_is_named() {
        let lack = agent(Path::new("/nowhere/magnum-agent")).unwrap_or_default();
        assert!(lack.contains("/nowhere/magnum-agent"), "{lack}");
    }
}
