//! Membership in the swarm: founding it, taking nodes in one by one, and letting them go.
//!
//! A node's agent says *that* it is in the swarm; *who* it is there is read off the managers. Its own word for that
//! could be the name of another, who would be struck off in its place.

use std::collections::BTreeSet;
use std::time::Duration;

use magnum_coe::engine::{Availability, Departure, EngineClient, Role, SwarmNode};
use magnum_coe::swarm::CONTROL_PORT;
use magnum_domain::agent::{DesiredNode, SwarmSpec};
use magnum_domain::driver::{Progress, Snapshot};
use magnum_domain::{Node, Resource, ResourceState};
use secrecy::ExposeSecret;

use super::error::LocalError;
use super::ledger::{self, Ledger, ResourceKind};
use super::node::{Awaited, is_running, logs};
use super::{Shared, names, plan};

/// How often the managers are asked while something is waited for.
const LOOK: Duration = Duration::from_millis(50);
/// How long managers may take to agree on a leader.
const ELECTION: Duration = Duration::from_secs(40);
/// How long a drained node's tasks may take to end and to run elsewhere; then the node goes nevertheless.
const DRAIN: Duration = Duration::from_secs(60);
/// How long the managers may take to count their votes without one of them; the leader hands over first.
const DEMOTION: Duration = Duration::from_secs(60);

impl Shared {
    /// Makes the swarm on its first manager.
    pub(super) async fn init_swarm(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        if snapshot.nodes.iter().any(|other| plan::member_row(snapshot, other.uuid).is_some()) {
            return Err(LocalError::Hopeless(format!(
                "the swarm is gone: no manager has kept its data, {} included; delete the cluster and make it anew",
                node.name
            )));
        }
        let advertise = address(node)?.to_owned();
        let membership = self.become_member(snapshot, node, SwarmSpec::Init { advertise }, progress).await?;
        let engine = self.managers(snapshot, progress).await?;
        let id = self.await_listed(&engine, snapshot, node, &BTreeSet::new(), progress).await?;
        self.write_down(membership, &id).await
    }

    /// Takes one node into the swarm, with a token that is replaced afterwards.
    pub(super) async fn join_swarm(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let engine = self.managers(snapshot, progress).await?;
        let row = self.store.get_node(node.uuid).await?;
        let joined = row.observed.as_ref().and_then(|seen| seen.swarm_node_id.clone());
        // The worst that a false word can do here is to make the node join anew.
        if let Some(stale) = plan::member_row(snapshot, node.uuid).filter(|known| Some(*known) != joined.as_deref()) {
            // The node's data was lost: to the managers it is another one now.
            self.demote(snapshot, node, stale, progress).await?;
            strike_off(&engine, stale).await?;
        }
        let before = engine.nodes().await?.into_iter().map(|member| member.id).collect::<BTreeSet<_>>();
        let role = if node.is_master { Role::Manager } else { Role::Worker };
        let spec = SwarmSpec::Join {
            managers: others(snapshot, node),
            token: engine.join_token(role).await?.expose_secret().to_owned(),
            advertise: address(node)?.to_owned(),
        };
        let membership = self.become_member(snapshot, &row, spec, progress).await?;
        // Used once: whoever reads it off the node's configuration later can do nothing with it.
        engine.rotate_join_token(role).await?;
        let id = self.await_listed(&engine, snapshot, node, &before, progress).await?;
        self.write_down(membership, &id).await?;
        self.strike_off_namesakes(snapshot, node, &id, progress).await
    }

    async fn write_down(&self, mut membership: Resource, id: &str) -> Result<(), LocalError> {
        membership.attributes = ledger::member(id);
        let ledger = Ledger { store: &self.store, cluster: membership.cluster_uuid };
        ledger.made(&membership).await
    }

    /// Strikes off what earlier attempts of a node to join have left behind: an engine that was too slow joins anew, and
    /// each time it is a new member.
    async fn strike_off_namesakes(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        own: &str,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let name = names::hostname(node);
        let known = ids_of_others(snapshot, node);
        let members = self.managers(snapshot, progress).await?.nodes().await?;
        // A member's name is its own word as well: it makes nobody a namesake who is known as somebody else.
        let is_former =
            |member: &&SwarmNode| member.hostname == name && member.id != own && !known.contains(&*member.id);
        for other in members.iter().filter(is_former) {
            self.demote(snapshot, node, &other.id, progress).await?;
            strike_off(&self.managers(snapshot, progress).await?, &other.id).await?;
        }
        Ok(())
    }

    /// A client of managers that agree on a leader: after one has ended unasked, that takes them some seconds.
    async fn managers(&self, snapshot: &Snapshot, progress: &dyn Progress) -> Result<EngineClient, LocalError> {
        let engine = self.engine(snapshot).await?;
        let end = tokio::time::Instant::now() + ELECTION;
        loop {
            if progress.is_cancelled() {
                return Err(LocalError::Cancelled);
            }
            let Err(error) = engine.nodes().await else { return Ok(engine) };
            if tokio::time::Instant::now() >= end {
                return Err(error.into());
            }
            progress.waiting_for(&format!("the managers of the swarm: {error}")).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Asks the node's agent for membership, and returns the row of the ledger that its identity is to be written into.
    async fn become_member(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        swarm: SwarmSpec,
        progress: &dyn Progress,
    ) -> Result<Resource, LocalError> {
        let ledger = Ledger { store: &self.store, cluster: node.cluster_uuid };
        let name = node.uuid.to_string();
        let membership = ledger.plan(Some(node.uuid), ResourceKind::SwarmMember, &name, serde_json::json!({})).await?;
        let engine = super::engine::spec(snapshot, node, &self.options);
        let row = self.store.get_node(node.uuid).await?;
        self.desire(&row, DesiredNode { generation: 0, engine, swarm }).await?;
        let folder = names::node_folder(&self.options.state_dir, &snapshot.cluster, node);
        self.await_node(node.uuid, progress, |row| {
            let seen = row.observed.clone().unwrap_or_default();
            if seen.swarm_node_id.is_some() {
                return Ok(Awaited::Done(()));
            }
            if !is_running(&folder) {
                return Err(LocalError::node(&row.name, format!("its agent has ended: {}", logs(&folder))));
            }
            Ok(Awaited::Waiting(match seen.problem {
                Some(problem) => format!("node {}: {problem}", row.name),
                None => format!("node {}: joining the swarm", row.name),
            }))
        })
        .await?;
        Ok(membership)
    }

    /// Waits until the managers call the node ready; returns who it is to them.
    async fn await_listed(
        &self,
        engine: &EngineClient,
        snapshot: &Snapshot,
        node: &Node,
        before: &BTreeSet<String>,
        progress: &dyn Progress,
    ) -> Result<String, LocalError> {
        let row = self.store.get_node(node.uuid).await?;
        let claimed = row.observed.and_then(|seen| seen.swarm_node_id).unwrap_or_default();
        let known = ids_of_others(snapshot, node);
        loop {
            if progress.is_cancelled() {
                return Err(LocalError::Cancelled);
            }
            let members = engine.nodes().await?;
            if let Some(id) = identity(&members, node, before, &known) {
                if id != claimed {
                    tracing::warn!(node = %node.name, %id, %claimed, "its agent says that it is another member");
                }
                return Ok(id.to_owned());
            }
            progress.waiting_for(&format!("node {}: the managers to call it ready", node.name)).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Moves a leaving node's tasks elsewhere: over when they run there, not when they have ended here, so that nodes
    /// that leave one after another never take a service's replicas with them faster than they come back.
    pub(super) async fn drain(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let Some(id) = plan::member_row(snapshot, node.uuid) else { return Ok(()) };
        let engine = self.managers(snapshot, progress).await?;
        if listed(&engine, id).await?.is_none() {
            return Ok(());
        }
        engine.node_set_availability(id, Availability::Drain).await?;
        let end = tokio::time::Instant::now() + DRAIN;
        loop {
            if progress.is_cancelled() {
                return Err(LocalError::Cancelled);
            }
            let departure = engine.departure(id).await?;
            if departure.is_over() {
                return Ok(());
            }
            let Departure { running, moving } = departure;
            if tokio::time::Instant::now() >= end {
                tracing::warn!(node = %node.name, running, moving, "its tasks do not move; the node goes without");
                return Ok(());
            }
            let what = format!("node {}: {running} tasks to end, {moving} to run elsewhere", node.name);
            progress.waiting_for(&what).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes a leaving node leave; a manager becomes a worker first, so that the others agree without it.
    pub(super) async fn leave_swarm(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let Some(id) = plan::member_row(snapshot, node.uuid) else { return Ok(()) };
        self.demote(snapshot, node, id, progress).await?;
        let row = self.store.get_node(node.uuid).await?;
        // As it is: an engine that is to go is not changed any more.
        let engine = match &row.desired {
            Some(desired) => desired.engine.clone(),
            None => super::engine::spec(snapshot, node, &self.options),
        };
        self.desire(&row, DesiredNode { generation: 0, engine, swarm: SwarmSpec::Leave }).await?;
        let folder = names::node_folder(&self.options.state_dir, &snapshot.cluster, node);
        self.await_node(node.uuid, progress, |row| {
            let gone = row.observed.as_ref().is_none_or(|seen| seen.swarm_node_id.is_none());
            if gone || !is_running(&folder) {
                return Ok(Awaited::Done(()));
            }
            Ok(Awaited::Waiting(format!("node {}: leaving the swarm", row.name)))
        })
        .await
    }

    /// Strikes a node off the managers' list, and its membership off the ledger.
    pub(super) async fn remove_member(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let row = snapshot
            .resources
            .iter()
            .find(|row| row.node_uuid == Some(node.uuid) && row.kind == ResourceKind::SwarmMember.as_str());
        let Some(row) = row else { return Ok(()) };
        if let Some(id) = ledger::member_id(row).filter(|_| row.state == ResourceState::Made) {
            self.demote(snapshot, node, id, progress).await?;
            strike_off(&self.managers(snapshot, progress).await?, id).await?;
        }
        self.store.delete_resource(row.id).await?;
        Ok(())
    }

    /// Makes a manager a worker, and waits until the others count their votes without it. One that went before that
    /// would be counted for ever: of two managers, the other one could decide nothing any more.
    async fn demote(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        id: &str,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let end = tokio::time::Instant::now() + DEMOTION;
        loop {
            let engine = self.managers(snapshot, progress).await?;
            let Some(listed) = listed(&engine, id).await? else { return Ok(()) };
            if listed.role == Role::Manager {
                engine.node_demote(id).await?;
            } else if !listed.has_a_vote() {
                return Ok(());
            }
            if tokio::time::Instant::now() >= end {
                return Err(LocalError::node(&node.name, "the other managers still count on its vote"));
            }
            progress.waiting_for(&format!("node {}: the managers to go on without its vote", node.name)).await;
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Identities in the swarm that the ledger has for other nodes.
fn ids_of_others<'a>(snapshot: &'a Snapshot, node: &Node) -> BTreeSet<&'a str> {
    let others = snapshot.nodes.iter().filter(|other| other.uuid != node.uuid);
    others.filter_map(|other| plan::member_row(snapshot, other.uuid)).collect()
}

/// Who of the members a node is that has just joined: one that is ready, that is not known as another node, and that
/// has come since, for nobody else joins meanwhile, and each with a token of its own. Where none has come since, an
/// earlier attempt had got that far; then it is the one at the node's address or, of managers, whose address is not
/// always shown, of its name.
fn identity<'a>(
    members: &'a [SwarmNode],
    node: &Node,
    before: &BTreeSet<String>,
    known: &BTreeSet<&str>,
) -> Option<&'a str> {
    let name = names::hostname(node);
    let may_be = |member: &&SwarmNode| {
        let role = if node.is_master { Role::Manager } else { Role::Worker };
        member.role == role && member.is_ready() && !known.contains(&*member.id)
    };
    let is_at_its_place = |member: &&SwarmNode| match node.is_master {
        false => Some(&*member.address) == node.address.as_deref(),
        true => member.hostname == name,
    };
    let new = members.iter().filter(may_be).filter(|member| !before.contains(&member.id)).collect::<Vec<_>>();
    match new.as_slice() {
        [] => members.iter().filter(may_be).find(is_at_its_place),
        [one] => Some(*one),
        several => several.iter().copied().find(is_at_its_place),
    }
    .map(|member| member.id.as_str())
}

/// Removes a member that is not coming back. That the managers do not know it is as good.
async fn strike_off(engine: &EngineClient, id: &str) -> Result<(), LocalError> {
    if listed(engine, id).await?.is_some() {
        engine.node_remove(id, true).await?;
    }
    Ok(())
}

async fn listed(engine: &EngineClient, id: &str) -> Result<Option<SwarmNode>, LocalError> {
    Ok(engine.nodes().await?.into_iter().find(|node| node.id == id))
}

fn address(node: &Node) -> Result<&str, LocalError> {
    node.address.as_deref().ok_or_else(|| LocalError::node(&node.name, "it has no address yet"))
}

/// Where a node asks to be taken in: the managers that are in the swarm already. One that leaves is asked only when
/// there is no other: it waits until this one has joined.
fn others(snapshot: &Snapshot, node: &Node) -> Vec<String> {
    let is_in =
        |other: &&Node| other.is_master && other.uuid != node.uuid && plan::member_row(snapshot, other.uuid).is_some();
    let (leaving, staying): (Vec<&Node>, Vec<&Node>) =
        snapshot.nodes.iter().filter(is_in).partition(|other| other.is_leaving());
    let asked = if staying.is_empty() { leaving } else { staying };
    let addresses = asked.into_iter().filter_map(|other| other.address.as_deref());
    addresses.map(|address| format!("{address}:{CONTROL_PORT}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::testing::snapshot;

    fn member(id: &str, name: &str, role: Role, address: &str, state: &str) -> SwarmNode {
        SwarmNode {
            id: id.to_owned(),
            hostname: name.to_owned(),
            role,
            availability: Availability::Active,
            state: state.to_owned(),
            message: String::new(),
            address: address.to_owned(),
            engine_version: String::new(),
            leader: false,
            reachability: None,
        }
    }

    #[test]
    fn who_a_node_is_in_the_swarm_is_not_for_it_to_say() {
        let snapshot = snapshot(1, 1);
        let [master, worker] = snapshot.nodes.as_slice() else { return };
        let worker = Node { address: Some("10.77.0.12".to_owned()), ..worker.clone() };
        let manager = || member("m", "web-master-0", Role::Manager, "0.0.0.0", "ready");
        let own = |state| member("w", "web-worker-0", Role::Worker, "10.77.0.12", state);
        let victim = |name: &str| member("v", name, Role::Worker, "10.77.0.13", "ready");
        let (set, known) = (|ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(), ["v"]);
        for (case, node, before, members, expected) in [
            ("new", &worker, set(&["m", "v"]), vec![manager(), victim("x"), own("ready")], Some("w")),
            ("not ready yet", &worker, set(&["m", "v"]), vec![manager(), victim("x"), own("down")], None),
            ("not there yet", &worker, set(&["m", "v"]), vec![manager(), victim("web-worker-0")], None),
            ("of an earlier attempt", &worker, set(&["m", "v", "w"]), vec![manager(), own("ready")], Some("w")),
            (
                "another calls itself that",
                &worker,
                set(&["m", "v", "w"]),
                vec![victim("web-worker-0"), own("ready")],
                Some("w"),
            ),
            ("the first manager", master, set(&[]), vec![manager()], Some("m")),
            ("a worker is no manager", master, set(&[]), vec![own("ready")], None),
        ] {
            let known = known.into_iter().collect::<BTreeSet<_>>();
            assert_eq!(identity(&members, node, &before, &known), expected, "{case}");
        }
    }
}
