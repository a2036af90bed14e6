//! Which nodes a cluster should have: what its node groups want, compared with the nodes that there are. The store
//! makes the rows follow, a dry run shows what would follow; both ask here.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::{Cluster, ClusterStatus, Node, NodePhase, Nodegroup, now};

/// Most nodes of one cluster, whatever its rows say. The limits of requests are the operator's, and lower; this one keeps
/// a number that came into the database in another way from being turned into rows.
pub const MOST_NODES: usize = 10_000;

/// Longest host name that Linux and DNS both take.
const LONGEST_NAME: usize = 63;
/// Most of it that a group's name may take.
const LONGEST_GROUP: usize = 24;
/// What the names of the groups that every cluster has begin with.
const DEFAULT_PREFIX: &str = "default-";

/// A node that is wanted and not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNode {
    /// Its node group.
    pub nodegroup: Uuid,
    /// Its position within the group.
    pub position: i32,
    /// Its host name.
    pub name: String,
    /// Whether it runs the control plane.
    pub is_master: bool,
}

impl NewNode {
    /// The node as it is before anything of it is made, with an identity of its own.
    #[must_use]
    pub fn planned(self, cluster: Uuid) -> Node {
        let now = now();
        Node {
            uuid: Uuid::new_v4(),
            cluster_uuid: cluster,
            nodegroup_uuid: self.nodegroup,
            name: self.name,
            position: self.position,
            is_master: self.is_master,
            address: None,
            phase: NodePhase::Planned,
            message: None,
            join_token_hash: None,
            certificate_fingerprint: None,
            desired: None,
            observed: None,
            last_seen_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// What has to change for a cluster to have the nodes that its groups want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Nodes to be added.
    pub add: Vec<NewNode>,
    /// Nodes to be removed.
    pub leave: Vec<Uuid>,
}

impl Difference {
    /// Whether the cluster has the nodes that it should have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.leave.is_empty()
    }
}

/// The node groups of a cluster want more nodes than any cluster may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "The node groups of the cluster want {wanted} nodes, more than the {MOST_NODES} that any cluster may have: resize them"
)]
pub struct TooManyNodes {
    /// How many they want.
    pub wanted: usize,
}

/// Compares the nodes that node groups want with those that there are.
///
/// Nodes that `named` tells, by UUID, name or address, leave in any case, and others come in their place where the
/// group's size asks for them. Beyond that, the nodes with the highest positions leave where there are too many; where
/// there are too few, nodes are added at the lowest free positions. A position is free once its node is gone, not when
/// it begins to leave: both would have one name. All nodes of a group that is being deleted or is not there leave.
///
/// # Errors
/// [`TooManyNodes`] beyond [`MOST_NODES`], before anything is made of the number.
pub fn difference(
    cluster: &Cluster,
    groups: &[Nodegroup],
    nodes: &[Node],
    named: &[String],
) -> Result<Difference, TooManyNodes> {
    let total = groups.iter().map(wanted).fold(0, usize::saturating_add);
    if total > MOST_NODES {
        return Err(TooManyNodes { wanted: total });
    }
    let mut difference = Difference::default();
    let words = group_words(groups);
    let named = Named::new(named);
    let mut by_group: HashMap<Uuid, Vec<&Node>> = HashMap::new();
    for node in nodes {
        by_group.entry(node.nodegroup_uuid).or_default().push(node);
    }
    for group in groups {
        let nodes = by_group.remove(&group.uuid).unwrap_or_default();
        let present = nodes.iter().copied().filter(|node| !node.is_leaving());
        let (going, mut staying): (Vec<&Node>, Vec<&Node>) = present.partition(|node| named.holds(node));
        difference.leave.extend(going.iter().map(|node| node.uuid));
        let wanted = wanted(group);
        if staying.len() < wanted {
            let taken: HashSet<i32> = nodes.iter().map(|node| node.position).collect();
            let free = (0..).filter(|position| !taken.contains(position));
            let word = words.get(&group.uuid).map_or("node", String::as_str);
            difference.add.extend(free.take(wanted - staying.len()).map(|position| NewNode {
                nodegroup: group.uuid,
                position,
                name: node_name(&cluster.display_name(), word, position),
                is_master: group.is_master(),
            }));
        } else {
            staying.sort_by_key(|node| Reverse(node.position));
            difference.leave.extend(staying.iter().take(staying.len() - wanted).map(|node| node.uuid));
        }
    }
    let orphans = by_group.into_values().flatten().filter(|node| !node.is_leaving()).map(|node| node.uuid);
    difference.leave.extend(orphans.collect::<BTreeSet<_>>());
    Ok(difference)
}

/// The node that a word names by UUID, in any spelling, by name or by address.
pub fn find<'a>(nodes: impl IntoIterator<Item = &'a Node>, word: &str) -> Option<&'a Node> {
    let words = [word.to_owned()];
    let named = Named::new(&words);
    nodes.into_iter().find(|node| named.holds(node))
}

/// Words by which nodes are named, ready to be looked up.
struct Named<'a> {
    uuids: HashSet<Uuid>,
    words: HashSet<&'a str>,
}

impl<'a> Named<'a> {
    fn new(words: &'a [String]) -> Self {
        Self {
            uuids: words.iter().filter_map(|word| Uuid::try_parse(word).ok()).collect(),
            words: words.iter().map(String::as_str).collect(),
        }
    }

    fn holds(&self, node: &Node) -> bool {
        self.uuids.contains(&node.uuid)
            || self.words.contains(node.name.as_str())
            || node.address.as_deref().is_some_and(|address| self.words.contains(address))
    }
}

/// How many nodes a group is to have.
fn wanted(group: &Nodegroup) -> usize {
    if group.status == Some(ClusterStatus::DeleteInProgress) {
        return 0;
    }
    usize::try_from(group.node_count).unwrap_or(0)
}

/// What stands for each group in the names of its nodes: its name without `default-`, as a host name may be spelled.
/// Where two groups would have the same word, the younger one's is made its own by its UUID.
fn group_words(groups: &[Nodegroup]) -> HashMap<Uuid, String> {
    let mut taken = HashSet::new();
    let mut words = HashMap::new();
    for group in groups {
        let name =
            if group.is_default { group.name.strip_prefix(DEFAULT_PREFIX).unwrap_or(&group.name) } else { &group.name };
        let mut word = host_word(name, LONGEST_GROUP);
        if word.is_empty() || taken.contains(&word) {
            let digits = &group.uuid.simple().to_string()[..8];
            word = format!("{}-{digits}", host_word(&word, LONGEST_GROUP - 9)).trim_start_matches('-').to_owned();
        }
        taken.insert(word.clone());
        words.insert(group.uuid, word);
    }
    words
}

fn node_name(cluster: &str, group: &str, position: i32) -> String {
    let rest = format!("-{group}-{position}");
    let cluster = host_word(cluster, LONGEST_NAME.saturating_sub(rest.len()));
    format!("{cluster}{rest}").trim_start_matches('-').to_owned()
}

/// Letters, digits and inner dashes, at most so many.
fn host_word(text: &str, longest: usize) -> String {
    let word: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(longest).collect();
    word.trim_matches('-').to_owned()
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
