//! What things of a cluster are called on this machine. Names follow from the rows alone, so that an attempt finds
//! what the one before has made.

use std::path::{Path, PathBuf};

use magnum_domain::{Cluster, Node};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::namespace::Namespace;

/// Longest host name that Linux takes.
const HOSTNAME_MAX: usize = 63;
/// Longest short name of a node in the name of a namespace.
const SHORT_MAX: usize = 48;

/// `magnum-` and the first eight hex digits of the cluster: also the cluster's `stack_id`.
pub(crate) fn cluster_namespace(cluster: Uuid) -> Namespace {
    Namespace::new(format!("magnum-{}", eight(cluster)))
}

/// The cluster's namespace and the node's short name.
pub(crate) fn node_namespace(cluster: &Cluster, node: &Node) -> Namespace {
    Namespace::new(format!("magnum-{}-{}", eight(cluster.uuid), short(cluster, node)))
}

/// Control group of a whole cluster, relative to the root of a hierarchy.
pub(crate) fn cluster_cgroup(root: &str, cluster: Uuid) -> String {
    format!("{root}/{}", eight(cluster))
}

/// Control group of a node.
pub(crate) fn node_cgroup(root: &str, cluster: &Cluster, node: &Node) -> String {
    format!("{}/{}", cluster_cgroup(root, cluster.uuid), short(cluster, node))
}

/// Folder of a cluster.
pub(crate) fn cluster_folder(state: &Path, cluster: Uuid) -> PathBuf {
    state.join("clusters").join(cluster.to_string())
}

/// Folder of a node.
pub(crate) fn node_folder(state: &Path, cluster: &Cluster, node: &Node) -> PathBuf {
    cluster_folder(state, cluster.uuid).join("nodes").join(short(cluster, node))
}

/// Folder of what this machine has to believe of the node with that folder. Nodes see nothing of it.
pub(crate) fn control_folder(node_folder: &Path) -> PathBuf {
    let cluster = node_folder.parent().and_then(Path::parent).unwrap_or(node_folder);
    cluster.join("control").join(node_folder.file_name().unwrap_or_default())
}

/// The network namespace of the node with that folder.
pub(crate) fn namespace_of_folder(node_folder: &Path) -> Option<Namespace> {
    let part = |folder: &Path| folder.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let cluster = part(node_folder.parent()?.parent()?)?.parse::<Uuid>().ok()?;
    Some(Namespace::new(format!("magnum-{}-{}", eight(cluster), part(node_folder)?)))
}

/// Host name of a node: its name as far as host names go. What is cut off is taken from the cluster's name, since
/// the end tells nodes apart.
pub(crate) fn hostname(node: &Node) -> String {
    let name = plain(&node.name);
    let surplus = name.len().saturating_sub(HOSTNAME_MAX);
    name[surplus..].trim_matches('-').to_owned()
}

/// The end of the node's name that follows the cluster's: `worker-0`.
fn short(cluster: &Cluster, node: &Node) -> String {
    let name = cluster.name.as_deref().and_then(|cluster| node.name.strip_prefix(cluster)).unwrap_or(&node.name);
    let name = name.trim_start_matches('-');
    let mut short = plain(name);
    if short != name || short.len() > SHORT_MAX {
        // Two names that differ in what was replaced or cut off must not meet.
        let hash = Sha256::digest(name.as_bytes());
        short.truncate(SHORT_MAX);
        short = format!("{short}-{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2]);
    }
    short
}

/// Lower case letters, digits and hyphens; everything else becomes a hyphen. Always ASCII.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect::<String>()
}

fn eight(uuid: Uuid) -> String {
    let mut hex = uuid.simple().to_string();
    hex.truncate(8);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::testing::{cluster, node};

    #[test]
    fn names_are_short_plain_and_tell_nodes_apart() {
        let cluster = cluster("web");
        for (name, begins, hash, host) in [
            ("web-master-0", "master-0", 0, "web-master-0"),
            ("web-big_ones-3", "big-ones-3-", 6, "web-big-ones-3"),
            ("other-1", "other-1", 0, "other-1"),
        ] {
            let node = node(&cluster, name);
            let found = short(&cluster, &node);
            assert!(found.starts_with(begins) && found.len() == begins.len() + hash, "{name}: {found}");
            assert_eq!(hostname(&node), host);
        }
        let (one, two) = (node(&cluster, "web-a_b-0"), node(&cluster, "web-a.b-0"));
        assert_ne!(short(&cluster, &one), short(&cluster, &two));
    }

    #[test]
    fn a_nodes_folder_leads_to_all_else_of_it() {
        let cluster = cluster("web");
        let node = node(&cluster, "web-big_ones-3");
        let folder = node_folder(Path::new("/state"), &cluster, &node);
        assert_eq!(namespace_of_folder(&folder), Some(node_namespace(&cluster, &node)));
        assert_eq!(
            control_folder(&folder).parent(),
            Some(&*cluster_folder(Path::new("/state"), cluster.uuid).join("control"))
        );
        assert_eq!(control_folder(&folder).file_name(), folder.file_name());
        for odd in ["/", "/nodes/x", "/state/clusters/none/nodes/x"] {
            assert_eq!(namespace_of_folder(Path::new(odd)), None, "{odd}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_folder_or_over_the_limits() {
        let cluster = cluster("web");
        for name in ["web-../../etc-0", "web-\u{e4}\u{f6}/x-0", &format!("web-{}-7", "y".repeat(300))] {
            let node = node(&cluster, name);
            let namespace = node_namespace(&cluster, &node);
            assert!(namespace.name().len() < 100, "{name}");
            assert!(namespace.name().chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
            assert!(hostname(&node).len() <= HOSTNAME_MAX, "{name}");
            assert!(hostname(&node).ends_with(&node.name[node.name.len() - 2..]), "{name}");
        }
    }
}
