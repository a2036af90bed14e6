//! Looks for anything a cluster could have left on this machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{exec, say};

/// Fails, naming every one, when there is anything left of the cluster or of the server's state folder.
pub(crate) fn expect_none(state_dir: &Path, cluster_uuid: &str) -> Result<()> {
    let mut left = Vec::new();
    for (what, found) in find(state_dir, &[cluster_uuid]) {
        say::note(&format!("{what:<20} {}", if found.is_empty() { "none" } else { "LEFT" }));
        left.extend(found.into_iter().map(|thing| format!("{what}: {thing}")));
    }
    if left.is_empty() { Ok(()) } else { bail!("left behind:\n  {}", left.join("\n  ")) }
}

/// What is left of these clusters and of the server's state folder, by the kind of thing.
pub(crate) fn find(state_dir: &Path, clusters: &[&str]) -> [(&'static str, Vec<String>); 6] {
    let shorts: Vec<&str> = clusters.iter().map(|uuid| uuid.get(..8).unwrap_or(uuid)).collect();
    let folder = state_dir.to_string_lossy();
    let of_clusters = |text: &str| shorts.iter().any(|short| text.contains(short));
    [
        ("network namespaces", names_in("/run/netns", of_clusters)),
        ("network interfaces", interfaces(of_clusters)),
        ("processes", processes(&folder, clusters)),
        ("mounts", lines_of("/proc/mounts", |line| line.contains(&*folder) || of_clusters(line))),
        ("control groups", control_groups(Path::new("/sys/fs/cgroup"), &of_clusters, 4)),
        ("files", names_in(&state_dir.join("clusters").to_string_lossy(), |_| true)),
    ]
}

fn names_in(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| wanted(name)).collect()
}

fn lines_of(file: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().filter(|line| wanted(line)).map(str::to_owned).collect()
}

/// Links of our own network namespace; those of a cluster carry its short name.
fn interfaces(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let text = exec::output(Command::new("ip").args(["-o", "link", "show"])).unwrap_or_default();
    text.lines().filter(|line| wanted(line)).map(str::to_owned).collect()
}

/// Processes with the state folder or a cluster in their command line, but for the server itself.
fn processes(folder: &str, clusters: &[&str]) -> Vec<String> {
    let ids = names_in("/proc", |name| name.bytes().all(|byte| byte.is_ascii_digit()));
    ids.into_iter()
        .filter_map(|id| {
            let line = fs::read(Path::new("/proc").join(&id).join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let named = line.contains(folder) || clusters.iter().any(|uuid| line.contains(uuid));
            let ours = named && !line.contains(" serve ");
            ours.then(|| format!("{id} {}", line.trim_end()))
        })
        .collect()
}

fn control_groups(folder: &Path, wanted: &dyn Fn(&str) -> bool, depth: u8) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if wanted(&entry.file_name().to_string_lossy()) {
            found.push(entry.path().display().to_string());
        } else if depth > 0 {
            found.extend(control_groups(&entry.path(), wanted, depth - 1));
        }
    }
    found
}
