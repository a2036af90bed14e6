//! The rows of nodes follow the sizes of node groups.

use std::collections::{BTreeSet, HashMap, HashSet};

use magnum_domain::{Cluster, ClusterStatus, Node, NodePhase, Nodegroup, now};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::node;
use crate::node::planned;
use crate::operation::{from_row, unfinished};
use crate::transaction::{LockScope, retry};
use crate::wakeup::bump;
use crate::{Result, Store};

/// Longest host name that Linux and DNS both take.
const LONGEST_NAME: usize = 63;
/// Most of it that a group's name may take.
const LONGEST_GROUP: usize = 24;
/// What the names of the groups that every cluster has begin with.
const DEFAULT_PREFIX: &str = "default-";

/// What has to change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Group, position, name, whether a master.
    add: Vec<(Uuid, i32, String, bool)>,
    /// Nodes to be removed.
    leave: Vec<Uuid>,
}

impl Store {
    /// Makes a cluster's node rows fit its node groups: plans nodes at the lowest free positions where there are too
    /// few, marks as leaving where there are too many: first those that `remove` names by UUID, name or address, then
    /// those with the highest position. The same goes for those that unfinished operations name: their groups are as
    /// small already. All nodes of a group that is gone or being deleted leave. Called again, it
    /// changes nothing. Returns all nodes of the cluster.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] when the cluster is gone.
    pub async fn reconcile_nodes(&self, cluster: Uuid, remove: &[String]) -> Result<Vec<Node>> {
        let nodes = retry(|| async {
            let tx = self.begin().await?;
            self.lock(&tx, LockScope::Cluster(cluster)).await?;
            let row = self.find_cluster(&tx, cluster).await?;
            let groups = self.nodegroups_in(&tx, cluster).await?;
            let nodes = self.nodes_in(&tx, cluster).await?;
            let mut named = remove.to_vec();
            for waiting in unfinished(cluster).all(&tx).await? {
                named.extend(from_row(waiting)?.arguments.nodes_to_remove);
            }
            let difference = difference(&row, &groups, &nodes, &named);
            if difference == Difference::default() {
                return Ok(nodes);
            }
            write(&tx, cluster, difference).await?;
            let nodes = self.nodes_in(&tx, cluster).await?;
            tx.commit().await?;
            Ok(nodes)
        })
        .await?;
        bump(&self.inner.wakeups.nodes);
        Ok(nodes)
    }
}

async fn write(tx: &DatabaseTransaction, cluster: Uuid, difference: Difference) -> Result<()> {
    let rows = difference
        .add
        .into_iter()
        .map(|(group, position, name, is_master)| planned(cluster, group, name, position, is_master));
    node::Entity::insert_many(rows).exec_without_returning(tx).await?;
    if !difference.leave.is_empty() {
        let row = node::ActiveModel {
            phase: Set(NodePhase::Leaving.as_str().to_owned()),
            updated_at: Set(now().naive_utc()),
            ..Default::default()
        };
        node::Entity::update_many()
            .set(row)
            .filter(node::Column::Uuid.is_in(difference.leave.iter().map(Uuid::to_string)))
            .exec(tx)
            .await?;
    }
    Ok(())
}

fn difference(cluster: &Cluster, groups: &[Nodegroup], nodes: &[Node], remove: &[String]) -> Difference {
    let mut difference = Difference::default();
    let words = group_words(groups);
    let mut by_group: HashMap<Uuid, Vec<&Node>> = HashMap::new();
    for node in nodes {
        by_group.entry(node.nodegroup_uuid).or_default().push(node);
    }
    for group in groups {
        let nodes = by_group.remove(&group.uuid).unwrap_or_default();
        let staying: Vec<&Node> = nodes.iter().copied().filter(|node| !is_leaving(node)).collect();
        let wanted = wanted(group);
        if staying.len() < wanted {
            // A position is free once its row is gone, not when its node begins to leave: both would have one name.
            let taken: HashSet<i32> = nodes.iter().map(|node| node.position).collect();
            let free = (0..).filter(|position| !taken.contains(position));
            let word = words.get(&group.uuid).map_or("node", String::as_str);
            difference.add.extend(free.take(wanted - staying.len()).map(|position| {
                let name = node_name(&cluster.display_name(), word, position);
                (group.uuid, position, name, group.is_master())
            }));
        } else {
            difference.leave.extend(surplus(&staying, wanted, remove));
        }
    }
    let orphans = by_group.into_values().flatten().filter(|node| !is_leaving(node)).map(|node| node.uuid);
    difference.leave.extend(orphans.collect::<BTreeSet<_>>());
    difference
}

fn is_leaving(node: &Node) -> bool {
    matches!(node.phase, NodePhase::Leaving | NodePhase::Gone)
}

fn wanted(group: &Nodegroup) -> usize {
    if group.status == Some(ClusterStatus::DeleteInProgress) {
        return 0;
    }
    usize::try_from(group.node_count).unwrap_or(0)
}

fn surplus(staying: &[&Node], wanted: usize, remove: &[String]) -> Vec<Uuid> {
    let named = |node: &Node| {
        let uuid = node.uuid.to_string();
        remove.iter().any(|word| *word == uuid || *word == node.name || Some(word) == node.address.as_ref())
    };
    let mut order: Vec<&Node> = staying.to_vec();
    order.sort_by_key(|node| (!named(node), std::cmp::Reverse(node.position)));
    order.iter().take(staying.len() - wanted).map(|node| node.uuid).collect()
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
mod tests {
    use super::*;

    #[test]
    fn names_are_host_names() {
        let long = "c".repeat(242);
        let cases = [
            ("web", "worker", 0, "web-worker-0".to_owned()),
            ("web_1.x", "master", 12, "web-1-x-master-12".to_owned()),
            (long.as_str(), "worker", 7, format!("{}-worker-7", "c".repeat(54))),
        ];
        for (cluster, group, position, expected) in cases {
            let name = node_name(cluster, group, position);
            assert_eq!(name, expected);
            assert!(name.len() <= LONGEST_NAME);
        }
    }
}
