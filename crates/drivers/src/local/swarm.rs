//! Membership in the swarm: founding it, taking nodes in one by one, and letting them go.

use std::time::Duration;

use magnum_coe::engine::{Availability, Departure, EngineClient, Role, SwarmNode};
use magnum_coe::swarm::CONTROL_PORT;
use magnum_domain::agent::{DesiredNode, SwarmSpec};
use magnum_domain::driver::{Progress, Snapshot};
use magnum_domain::{Node, ResourceState};
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
        self.become_member(snapshot, node, SwarmSpec::Init { advertise }, progress).await
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
        if let Some(stale) = plan::member_row(snapshot, node.uuid).filter(|known| Some(*known) != joined.as_deref()) {
            // The node's data was lost: to the managers it is another one now.
            self.demote(snapshot, node, stale, progress).await?;
            strike_off(&engine, stale).await?;
        }
        let role = if node.is_master { Role::Manager } else { Role::Worker };
        let spec = SwarmSpec::Join {
            managers: others(snapshot, node),
            token: engine.join_token(role).await?.expose_secret().to_owned(),
            advertise: address(node)?.to_owned(),
        };
        self.become_member(snapshot, &row, spec, progress).await?;
        // Used once: whoever reads it off the node's configuration later can do nothing with it.
        engine.rotate_join_token(role).await?;
        self.await_listed(&engine, node, progress).await?;
        self.strike_off_namesakes(snapshot, node, progress).await
    }

    /// Strikes off what earlier attempts of a node to join have left behind: an engine that was too slow joins anew, and
    /// each time it is a new member.
    async fn strike_off_namesakes(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let row = self.store.get_node(node.uuid).await?;
        let Some(own) = row.observed.and_then(|seen| seen.swarm_node_id) else { return Ok(()) };
        let name = names::hostname(node);
        let members = self.managers(snapshot, progress).await?.nodes().await?;
        for other in members.iter().filter(|member| member.hostname == name && member.id != own) {
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

    /// Asks the node's agent for membership, and writes down the identity it got.
    async fn become_member(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        swarm: SwarmSpec,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let ledger = Ledger { store: &self.store, cluster: node.cluster_uuid };
        let name = node.uuid.to_string();
        let mut membership =
            ledger.plan(Some(node.uuid), ResourceKind::SwarmMember, &name, serde_json::json!({})).await?;
        let engine = super::engine::spec(snapshot, node, &self.options);
        let row = self.store.get_node(node.uuid).await?;
        self.desire(&row, DesiredNode { generation: 0, engine, swarm }).await?;
        let folder = names::node_folder(&self.options.state_dir, &snapshot.cluster, node);
        let id = self
            .await_node(node.uuid, progress, |row| {
                let seen = row.observed.clone().unwrap_or_default();
                if let Some(id) = seen.swarm_node_id {
                    return Ok(Awaited::Done(id));
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
        membership.attributes = ledger::member(&id);
        ledger.made(&membership).await
    }

    /// Waits until the managers call the node ready.
    async fn await_listed(
        &self,
        engine: &EngineClient,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let row = self.store.get_node(node.uuid).await?;
        let id = row.observed.and_then(|seen| seen.swarm_node_id).unwrap_or_default();
        loop {
            if progress.is_cancelled() {
                return Err(LocalError::Cancelled);
            }
            let nodes = engine.nodes().await?;
            if nodes.iter().any(|listed| listed.id == id && listed.is_ready()) {
                return Ok(());
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
