//! What has to be done to a cluster: a pure function of the rows and of what is seen on the machine.
//!
//! The swarm's members are those of the ledger ([`ResourceKind::SwarmMember`], made), since a report of an agent may be
//! older than the node's last start.

use std::collections::BTreeSet;
use std::time::Duration;

use magnum_domain::agent::EngineSpec;
use magnum_domain::driver::{Plan, Snapshot, Step};
use magnum_domain::{Node, NodePhase, ResourceState};
use uuid::Uuid;

use super::authority::{self, Rotation};
use super::ledger::{self, ResourceKind};

/// What the local driver can do to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Make the cluster's network and open its listeners.
    CreateNetwork,
    /// Start a node's first process, with everything it needs.
    StartNode,
    /// Wait for a node's engine.
    AwaitEngine,
    /// Make the swarm on its first manager.
    InitSwarm,
    /// Take one node into the swarm.
    JoinSwarm,
    /// Move a leaving node's tasks elsewhere.
    DrainNode,
    /// Make a node leave the swarm.
    LeaveSwarm,
    /// Strike a node off the swarm's list.
    RemoveMember,
    /// Remove a node from the machine.
    DestroyNode,
    /// Remove what is left of the cluster.
    DestroyNetwork,
    /// Make the certificate authority that takes the place of the cluster's own.
    CreateAuthority,
    /// Make it the cluster's own.
    SwitchAuthority,
    /// Remove the one before.
    RetireAuthority,
}

/// ResourceKind, title and time-out in seconds of each work.
const WORKS: [(Work, &str, &str, u64); 13] = [
    (Work::CreateNetwork, "network.create", "create the network", 30),
    (Work::StartNode, "node.start", "start node {node}", 90),
    (Work::AwaitEngine, "node.engine", "bring up the container engine of node {node}", 180),
    (Work::InitSwarm, "swarm.init", "create the swarm on node {node}", 90),
    (Work::JoinSwarm, "swarm.join", "add node {node} to the swarm", 90),
    (Work::DrainNode, "node.drain", "drain node {node}", 120),
    (Work::LeaveSwarm, "swarm.leave", "take node {node} out of the swarm", 90),
    (Work::RemoveMember, "node.remove", "strike node {node} off the swarm's list", 60),
    (Work::DestroyNode, "node.destroy", "delete node {node}", 60),
    (Work::DestroyNetwork, "network.destroy", "delete the network", 30),
    (Work::CreateAuthority, "authority.create", "create a certificate authority", 60),
    (Work::SwitchAuthority, "authority.switch", "trust the new certificate authority", 30),
    (Work::RetireAuthority, "authority.retire", "delete the old certificate authority", 30),
];

impl Work {
    /// Reads the kind of a step.
    pub(crate) fn of(step: &Step) -> Option<Self> {
        WORKS.iter().find(|(_, kind, ..)| *kind == step.kind).map(|(work, ..)| *work)
    }

    /// Whether it starts or ends processes of a node, rather than wait for what others do.
    pub(crate) fn burdens_machine(self) -> bool {
        matches!(self, Self::StartNode | Self::AwaitEngine | Self::DestroyNode)
    }

    fn step(self, node: Option<(Uuid, &str)>) -> Step {
        // Every work has its row; the tests go through them all.
        let (kind, title, seconds) = WORKS
            .iter()
            .find(|(work, ..)| *work == self)
            .map_or(("unknown", "unknown", 1), |(_, kind, title, seconds)| (*kind, *title, *seconds));
        Step {
            kind: kind.to_owned(),
            node: node.map(|(uuid, _)| uuid),
            title: title.replace("{node}", node.map_or("", |(_, name)| name)),
            timeout: Duration::from_secs(seconds),
        }
    }

    fn on(self, node: &Node) -> Step {
        self.step(Some((node.uuid, &node.name)))
    }
}

/// What is seen on the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Whether the cluster's network namespace is there.
    pub(crate) network: bool,
    /// Whether this process listens for the cluster's agents and clients.
    pub(crate) served: bool,
    /// Nodes whose first process lives.
    pub(crate) running: BTreeSet<Uuid>,
}

/// Compares what is wanted with what is there.
pub(crate) fn plan(snapshot: &Snapshot, observed: &Observed, wanted: impl Fn(&Node) -> EngineSpec) -> Plan {
    if snapshot.deleting { take_down(snapshot) } else { bring_up(snapshot, observed, wanted) }
}

/// Everything of the ledger and every node row goes; the engines are not asked.
fn take_down(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::default();
    let rows = snapshot.nodes.iter().map(|node| (node.uuid, node.name.as_str()));
    let known = snapshot.nodes.iter().map(|node| node.uuid).collect::<BTreeSet<_>>();
    let orphans = snapshot.resources.iter().filter_map(|resource| resource.node_uuid).collect::<BTreeSet<_>>();
    let orphans = orphans.difference(&known).map(|uuid| (*uuid, "(its row is gone)"));
    plan.stage(rows.chain(orphans).map(|node| Work::DestroyNode.step(Some(node))).collect());
    if snapshot.resources.iter().any(|resource| resource.node_uuid.is_none()) {
        plan.stage(vec![Work::DestroyNetwork.step(None)]);
    }
    plan
}

fn bring_up(snapshot: &Snapshot, observed: &Observed, wanted: impl Fn(&Node) -> EngineSpec) -> Plan {
    let is_member = |node: &Node| member_row(snapshot, node.uuid).is_some();
    let (leaving, staying): (Vec<&Node>, Vec<&Node>) = snapshot.nodes.iter().partition(|node| node.is_leaving());
    // Managers first, then in order of creation: that is the order of joining.
    let (mut ordered, workers): (Vec<&Node>, Vec<&Node>) = staying.into_iter().partition(|node| node.is_master);
    ordered.extend(workers);

    let mut plan = Plan::default();
    if !(observed.network && observed.served) {
        plan.stage(vec![Work::CreateNetwork.step(None)]);
    }
    if authority::is_wanted(snapshot) {
        plan.stage(vec![Work::CreateAuthority.step(None)]);
    }
    let is_running = |node: &Node| observed.running.contains(&node.uuid);
    plan.stage(ordered.iter().filter(|node| !is_running(node)).map(|node| Work::StartNode.on(node)).collect());
    let engine_is_as_wanted = |node: &Node| {
        is_running(node)
            && node.phase >= NodePhase::EngineReady
            && node.desired.as_ref().is_some_and(|desired| desired.engine == wanted(node))
            && (is_settled(node) || !is_member(node))
    };
    plan.stage(
        ordered.iter().filter(|node| !engine_is_as_wanted(node)).map(|node| Work::AwaitEngine.on(node)).collect(),
    );

    let needs_to_join = |node: &Node| !is_member(node) || (is_running(node) && has_lost_membership(node));
    let swarm_exists =
        snapshot.nodes.iter().any(|node| node.is_master && is_member(node) && !has_lost_membership(node));
    let founder = if swarm_exists { None } else { ordered.iter().find(|node| node.is_master) };
    plan.stage(founder.map(|node| Work::InitSwarm.on(node)).into_iter().collect());
    // One stage each: a join token is made for one node, and replaced before the next.
    let founder = founder.map(|node| node.uuid);
    for node in ordered.iter().filter(|node| Some(node.uuid) != founder && needs_to_join(node)) {
        plan.stage(vec![Work::JoinSwarm.on(node)]);
    }
    let rotation = Rotation::of(&snapshot.resources);
    if rotation.as_ref().is_some_and(|rotation| rotation.may_switch(snapshot)) {
        plan.stage(vec![Work::SwitchAuthority.step(None)]);
    }
    take_out(&mut plan, &leaving, is_member, is_running);
    if rotation.is_some_and(|rotation| rotation.is_over(snapshot)) {
        plan.stage(vec![Work::RetireAuthority.step(None)]);
    }
    plan
}

/// Drain, leave and strike off what is in the swarm, then remove it from the machine.
fn take_out(plan: &mut Plan, leaving: &[&Node], is_member: impl Fn(&Node) -> bool, is_running: impl Fn(&Node) -> bool) {
    let members = leaving.iter().copied().filter(|node| is_member(node)).collect::<Vec<_>>();
    let alive = members.iter().copied().filter(|node| is_running(node)).collect::<Vec<_>>();
    plan.stage(alive.iter().map(|node| Work::DrainNode.on(node)).collect());
    // Managers one after another, so that those who stay agree on each before the next goes.
    let (managers, workers): (Vec<&Node>, Vec<&Node>) = alive.into_iter().partition(|node| node.is_master);
    for manager in managers {
        plan.stage(vec![Work::LeaveSwarm.on(manager)]);
    }
    plan.stage(workers.into_iter().map(|node| Work::LeaveSwarm.on(node)).collect());
    plan.stage(members.iter().map(|node| Work::RemoveMember.on(node)).collect());
    plan.stage(leaving.iter().map(|node| Work::DestroyNode.on(node)).collect());
}

/// The node's identity in the swarm, when it is known to be a member.
pub(crate) fn member_row(snapshot: &Snapshot, node: Uuid) -> Option<&str> {
    snapshot
        .resources
        .iter()
        .find(|row| row.node_uuid == Some(node) && row.kind == ResourceKind::SwarmMember.as_str())
        .filter(|row| row.state == ResourceState::Made)
        .and_then(ledger::member_id)
}

/// Whether the node's agent has brought about all that is wanted. For a member this includes that its engine is back
/// in the swarm, which takes a moment after each start.
pub(crate) fn is_settled(node: &Node) -> bool {
    let wanted = node.desired.as_ref().map_or(0, |desired| desired.generation);
    node.observed.as_ref().is_some_and(|seen| seen.engine_ready && seen.generation >= wanted)
}

/// Whether all is as it should be with the node and its engine is in no swarm. Only telling for a member: its data is
/// lost.
fn has_lost_membership(node: &Node) -> bool {
    let outside = node.observed.as_ref().is_some_and(|seen| seen.swarm_node_id.is_none());
    node.phase == NodePhase::EngineReady && outside && is_settled(node)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
