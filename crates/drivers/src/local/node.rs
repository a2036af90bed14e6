//! One node: starting it, waiting for its engine, removing it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use magnum_domain::agent::{AgentConfig, DesiredNode, Supervisor, SwarmSpec};
use magnum_domain::driver::{Progress, Snapshot};
use magnum_domain::launch::{LOG_FILE, LaunchSpec, NODE_FOLDER};
use magnum_domain::{Node, NodePhase, ResourceState, text};
use nix::sys::signal::Signal;
use serde_json::json;
use uuid::Uuid;

use super::command::search_path;
use super::error::LocalError;
use super::ledger::{Ledger, ResourceKind, remove_folder};
use super::network::{self, Addresses};
use super::{Shared, engine, listener, names, plan, process, secret};

/// Folders of the machine that hold nobody's business but its owner's.
const PRIVATE: [&str; 2] = ["/root", "/home"];
/// How long what an earlier start has left may take to end.
const LEFTOVERS: Duration = Duration::from_secs(10);
/// How long the launcher may take.
const LAUNCH: Duration = Duration::from_secs(30);
/// An agent that has not been heard of after this time is started anew.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the start of a node waits for its engine before another node is started; the step that follows waits on.
const FIRST_LOOK: Duration = Duration::from_secs(20);
/// Lines of a log that an error carries.
const LOG_LINES: usize = 3;
/// Name of the agent's configuration in the node's folder.
const AGENT_CONFIG: &str = "agent.json";
/// Name of the launch specification in the node's folder.
const LAUNCH_SPEC: &str = "launch.json";
/// Name of the agent's folder in the node's folder.
const AGENT: &str = "agent";
/// Name of the engine's data folder in the node's folder.
const DATA: &str = "data";

impl Shared {
    /// Starts a node's first process, unless it runs, and gives its engine a while to come up: whoever is next starts
    /// afterwards, so that no more engines start side by side than there are places.
    pub(super) async fn start_node(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        self.start_process(snapshot, node, progress).await?;
        let folder = names::node_folder(&self.options.state_dir, &snapshot.cluster, node);
        let first_look = self.await_node(node.uuid, progress, |row| {
            // By its phase, since what was observed may be of the process before. What is wrong is for the step that
            // waits for the engine to say.
            let has_problem = row.observed.as_ref().is_some_and(|seen| seen.problem.is_some());
            let is_seen = row.phase >= NodePhase::EngineReady
                || (row.phase == NodePhase::Joined && has_problem)
                || !is_running(&folder);
            Ok(if is_seen {
                Awaited::Done(())
            } else {
                Awaited::Waiting(format!("node {}: starting the container engine", row.name))
            })
        });
        tokio::time::timeout(FIRST_LOOK, first_look).await.unwrap_or(Ok(()))
    }

    /// Starts a node's first process, unless it runs. What it keeps in its folder is used again.
    async fn start_process(&self, snapshot: &Snapshot, node: &Node, progress: &dyn Progress) -> Result<(), LocalError> {
        let _alone = self.lock(node.uuid).await;
        // The row as it is now: another task may have started the node, or removed it, since the snapshot was taken.
        let node = &self.store.get_node(node.uuid).await?;
        let folder = names::node_folder(&self.options.state_dir, &snapshot.cluster, node);
        let ledger = Ledger { store: &self.store, cluster: node.cluster_uuid };
        let name = self.places.name_of(&folder);
        if node.is_leaving() {
            return Ok(());
        }
        if self.is_up(snapshot, node) {
            if !was_started(snapshot, node.uuid) {
                // An earlier attempt ended between starting it and saying so.
                let row = ledger.plan(Some(node.uuid), ResourceKind::Process, &name, json!({})).await?;
                ledger.made(&row).await?;
            }
            return Ok(());
        }
        progress.waiting_for(&format!("node {}: making its network", node.name)).await;
        let address = self.address(snapshot, node)?;
        self.make_folder(&ledger, node, &folder).await?;
        let cgroup = names::node_cgroup(&self.options.cgroup, &snapshot.cluster, node);
        self.make_cgroup(&ledger, node, &cgroup).await?;
        self.make_network(&ledger, snapshot, node, address).await?;

        progress.waiting_for(&format!("node {}: starting its agent", node.name)).await;
        let row = ledger.plan(Some(node.uuid), ResourceKind::Process, &name, json!({})).await?;
        self.desire_at_start(snapshot, node, &folder).await?;
        let token = secret::token()?;
        let config = self.agent_config(snapshot, node, address, &cgroup, &token.plain).await?;
        write_private(&folder.join(AGENT_CONFIG), &config)?;
        let spec = self.launch_spec(snapshot, node, address, &cgroup, &folder);
        write_private(&folder.join(LAUNCH_SPEC), &spec)?;
        self.store.set_node_started(node.uuid, &address.to_string(), &token.hash).await?;
        self.launch(node, &folder.join(LAUNCH_SPEC)).await?;
        ledger.made(&row).await
    }

    /// Whether a node's first process lives in the node's network.
    pub(super) fn is_up(&self, snapshot: &Snapshot, node: &Node) -> bool {
        is_running(&names::node_folder(&self.options.state_dir, &snapshot.cluster, node))
            && names::node_namespace(&snapshot.cluster, node).exists()
    }

    /// Every node without an address gets the lowest free one, in the order of the rows: attempts and neighbours that
    /// look at the same rows come to the same answer.
    fn address(&self, snapshot: &Snapshot, node: &Node) -> Result<Ipv4Addr, LocalError> {
        allocate(snapshot, Addresses(self.options.subnet), node).ok_or_else(|| {
            LocalError::Hopeless(format!("node {}: the subnet {} has no address left", node.name, self.options.subnet))
        })
    }

    async fn make_folder(&self, ledger: &Ledger<'_>, node: &Node, folder: &Path) -> Result<(), LocalError> {
        let row = ledger.plan(Some(node.uuid), ResourceKind::Folder, &self.places.name_of(folder), json!({})).await?;
        private_folder(folder)?;
        ledger.made(&row).await
    }

    async fn make_cgroup(&self, ledger: &Ledger<'_>, node: &Node, name: &str) -> Result<(), LocalError> {
        let row = ledger.plan(Some(node.uuid), ResourceKind::Cgroup, name, json!({})).await?;
        let hierarchies = &self.places.hierarchies;
        // Whatever an earlier start has left in there would be in the way of this one.
        let emptied = hierarchies.remove(name, LEFTOVERS).await;
        emptied.map_err(|source| LocalError::io("empty control group", Path::new(name), source))?;
        hierarchies.create(name).map_err(|source| LocalError::io("make control group", Path::new(name), source))?;
        ledger.made(&row).await
    }

    async fn make_network(
        &self,
        ledger: &Ledger<'_>,
        snapshot: &Snapshot,
        node: &Node,
        address: Ipv4Addr,
    ) -> Result<(), LocalError> {
        let namespace = names::node_namespace(&snapshot.cluster, node);
        let attributes = json!({ "address": address.to_string() });
        let row = ledger.plan(Some(node.uuid), ResourceKind::Namespace, namespace.name(), attributes).await?;
        let cluster = names::cluster_namespace(node.cluster_uuid);
        network::create_node(&cluster, &namespace, address, Addresses(self.options.subnet)).await?;
        ledger.made(&row).await
    }

    /// What the node shall be before its agent first asks. A node whose data is gone must not act on what was asked
    /// of the one before it, nor remember it: it would make a second swarm.
    async fn desire_at_start(&self, snapshot: &Snapshot, node: &Node, folder: &Path) -> Result<(), LocalError> {
        let engine = engine::spec(snapshot, node, &self.options);
        let kept = node.desired.as_ref().filter(|_| folder.join(DATA).is_dir());
        if kept.is_none() {
            remove_folder(&folder.join(AGENT))?;
        }
        let swarm = kept.map_or(SwarmSpec::Wait, |desired| desired.swarm.clone());
        self.desire(node, DesiredNode { generation: 0, engine, swarm }).await?;
        Ok(())
    }

    /// Sets what a node shall be, if that is anything new; returns its generation.
    pub(super) async fn desire(&self, node: &Node, mut wanted: DesiredNode) -> Result<i64, LocalError> {
        let before = node.desired.as_ref().map_or(0, |desired| desired.generation);
        wanted.generation = before;
        if node.desired.as_ref() == Some(&wanted) {
            return Ok(before);
        }
        wanted.generation = before + 1;
        let generation = wanted.generation;
        self.store.set_node_desired(node.uuid, &wanted).await?;
        Ok(generation)
    }

    async fn agent_config(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        address: Ipv4Addr,
        cgroup: &str,
        token: &str,
    ) -> Result<AgentConfig, LocalError> {
        let gateway = Addresses(self.options.subnet).gateway();
        Ok(AgentConfig {
            server: format!("https://{gateway}:{}", listener::PORT),
            ca: self.trusted_authorities(snapshot.cluster.uuid).await?,
            join_token: token.to_owned(),
            node: node.uuid,
            name: names::hostname(node),
            address: address.to_string(),
            directory: Path::new(NODE_FOLDER).join(AGENT),
            data_directory: Path::new(NODE_FOLDER).join(DATA),
            run_directory: "/run/engine".into(),
            supervisor: Supervisor::Agent,
            cgroup_parent: self.places.hierarchies.engine_parent(cgroup),
        })
    }

    fn launch_spec(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        address: Ipv4Addr,
        cgroup: &str,
        folder: &Path,
    ) -> LaunchSpec {
        let mut hidden = PRIVATE.map(Into::into).to_vec();
        hidden.push(self.options.state_dir.clone());
        LaunchSpec {
            hostname: names::hostname(node),
            address: address.to_string(),
            network_namespace: names::node_namespace(&snapshot.cluster, node).path(),
            cgroups: self.places.hierarchies.group(cgroup),
            folder: folder.to_owned(),
            hidden,
            nameservers: engine::nameservers(&snapshot.template),
            agent_config: Path::new(NODE_FOLDER).join(AGENT_CONFIG),
        }
    }

    async fn launch(&self, node: &Node, spec: &Path) -> Result<(), LocalError> {
        let output = tokio::process::Command::new(&self.options.agent_binary)
            .arg("launch")
            .arg(spec)
            // Nothing of this process's surroundings is the node's business; some of it may be secret.
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", "/run")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LAUNCH, output)
            .await
            .map_err(|_elapsed| LocalError::node(&node.name, "its launcher does not end"))?
            .map_err(|source| LocalError::io("run", &self.options.agent_binary, source))?;
        if output.status.success() {
            return Ok(());
        }
        let said = text::last_lines(&output.stderr, LOG_LINES, text::MESSAGE);
        Err(LocalError::node(&node.name, format!("could not be launched: {said}")))
    }

    /// Waits until the node's engine runs as wanted.
    pub(super) async fn await_engine(
        &self,
        snapshot: &Snapshot,
        node: &Node,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let row = self.store.get_node(node.uuid).await?;
        let wanted = engine::spec(snapshot, node, &self.options);
        let is_member = plan::member_row(snapshot, node.uuid).is_some();
        let changed = row.desired.as_ref().is_some_and(|desired| desired.engine != wanted);
        let swarm = row.desired.as_ref().map_or(SwarmSpec::Wait, |desired| desired.swarm.clone());
        let mut generation =
            self.desire(&row, DesiredNode { generation: 0, engine: wanted.clone(), swarm: swarm.clone() }).await?;
        if row.observed.as_ref().and_then(|seen| seen.refused_generation) == Some(generation) {
            // It was refused in an attempt before this one. Somebody wants it tried again: the machine may be another.
            generation += 1;
            self.store.set_node_desired(node.uuid, &DesiredNode { generation, engine: wanted, swarm }).await?;
        }
        let folder = names::node_folder(&self.options.state_dir, &snapshot.cluster, node);
        let begun = tokio::time::Instant::now();
        self.await_node(node.uuid, progress, |row| {
            let seen = row.observed.clone().unwrap_or_default();
            let enough = if is_member || changed { seen.generation >= generation } else { seen.engine_ready };
            if row.phase >= NodePhase::EngineReady && enough {
                return Ok(Awaited::Done(()));
            }
            if let Some(error) = refusal(row, generation) {
                return Err(error);
            }
            if !is_running(&folder) {
                return Err(LocalError::node(&row.name, format!("its agent has ended: {}", logs(&folder))));
            }
            if row.phase == NodePhase::Started && begun.elapsed() > SILENCE {
                end_now(&folder);
                return Err(LocalError::node(&row.name, format!("its agent is silent: {}", logs(&folder))));
            }
            Ok(Awaited::Waiting(match (row.phase, seen.problem) {
                (_, Some(problem)) => format!("node {}: {problem}", row.name),
                (NodePhase::Started, _) => format!("node {}: its agent to get its certificate", row.name),
                _ if seen.engine_ready => format!("node {}: coming back into the swarm", row.name),
                _ => format!("node {}: starting the container engine", row.name),
            }))
        })
        .await
    }

    /// Looks at a node's row at every change, until `look` has seen enough.
    pub(super) async fn await_node<T>(
        &self,
        node: Uuid,
        progress: &dyn Progress,
        mut look: impl FnMut(&Node) -> Result<Awaited<T>, LocalError>,
    ) -> Result<T, LocalError> {
        let mut changed = self.store.nodes_changed();
        loop {
            changed.mark_unchanged();
            if progress.is_cancelled() {
                return Err(LocalError::Cancelled);
            }
            match look(&self.store.get_node(node).await?)? {
                Awaited::Done(found) => return Ok(found),
                Awaited::Waiting(what) => progress.waiting_for(&what).await,
            }
            // Changes that another process writes are not announced here: hence the look every second.
            let _ = tokio::time::timeout(Duration::from_secs(1), changed.changed()).await;
        }
    }

    /// Removes all that the ledger has for a node, latest first, and then its row.
    pub(super) async fn destroy_node(
        &self,
        snapshot: &Snapshot,
        node: Uuid,
        progress: &dyn Progress,
    ) -> Result<(), LocalError> {
        let _alone = self.lock(node).await;
        let mut rows = self.store.resources(snapshot.cluster.uuid).await?;
        rows.retain(|row| row.node_uuid == Some(node));
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        for row in rows {
            progress.waiting_for(&format!("removing {} {}", row.kind.replace('_', " "), row.name)).await;
            self.places.remove(&row).await?;
            self.store.delete_resource(row.id).await?;
        }
        match self.store.delete_node(node).await {
            Ok(()) | Err(magnum_store::StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a look at a node's row came to.
pub(super) enum Awaited<T> {
    /// It is as it should be.
    Done(T),
    /// Not yet; in words, for what.
    Waiting(String),
}

/// The error of a node whose engine refuses what is wanted of it: it will not mend itself, and waiting is no use.
fn refusal(node: &Node, generation: i64) -> Option<LocalError> {
    let seen = node.observed.as_ref().filter(|seen| seen.refused_generation == Some(generation))?;
    let why = seen.problem.as_deref().unwrap_or("the container engine refuses its configuration");
    Some(LocalError::Hopeless(format!("node {}: {why}", node.name)))
}

/// Whether the first process of the node with this folder lives.
pub(super) fn is_running(folder: &Path) -> bool {
    process::read_mark(folder).ok().flatten().is_some_and(|mark| process::is_alive(&mark))
}

/// Ends a node at once, for it to be started anew.
pub(super) fn end_now(folder: &Path) {
    if let Ok(Some(mark)) = process::read_mark(folder)
        && process::is_alive(&mark)
        && let Err(error) = process::signal(mark.pid, Signal::SIGKILL)
    {
        tracing::warn!(folder = %folder.display(), %error, "a silent node could not be ended");
    }
}

/// The last lines of the node's logs, for an error.
pub(super) fn logs(folder: &Path) -> String {
    let tail = |path: &Path| {
        let end = fs::read(path).unwrap_or_default();
        text::last_lines(&end, LOG_LINES, text::MESSAGE)
    };
    let found = [folder.join(LOG_FILE), folder.join(AGENT).join("engine.log")]
        .iter()
        .map(|path| tail(path))
        .filter(|lines| !lines.is_empty())
        .collect::<Vec<_>>();
    if found.is_empty() { "its logs are empty".to_owned() } else { found.join(" | ") }
}

fn allocate(snapshot: &Snapshot, addresses: Addresses, wanted: &Node) -> Option<Ipv4Addr> {
    let known = |node: &Node| {
        let planned = || {
            let row = snapshot
                .resources
                .iter()
                .find(|row| row.node_uuid == Some(node.uuid) && row.kind == ResourceKind::Namespace.as_str());
            row.and_then(|row| row.attributes.get("address")?.as_str())
        };
        node.address.as_deref().or_else(planned).and_then(|address| address.parse::<Ipv4Addr>().ok())
    };
    if let Some(address) = snapshot.nodes.iter().find(|node| node.uuid == wanted.uuid).and_then(known) {
        return Some(address);
    }
    let taken = snapshot.nodes.iter().filter_map(known).collect::<Vec<_>>();
    let without = snapshot.nodes.iter().filter(|node| known(node).is_none());
    let free = addresses.free(&taken).collect::<Vec<_>>();
    without.zip(free).find(|(node, _)| node.uuid == wanted.uuid).map(|(_, address)| address)
}

/// Makes a folder that only its owner may enter, and those above it.
pub(super) fn private_folder(folder: &Path) -> Result<(), LocalError> {
    magnum_files::private_folder(folder).map_err(|source| LocalError::io("make", folder, source))
}

/// Writes a file that only its owner may read, all of it or nothing.
fn write_private(path: &Path, content: &impl serde::Serialize) -> Result<(), LocalError> {
    let written = serde_json::to_vec_pretty(content).map_err(std::io::Error::from);
    let written = written.and_then(|text| magnum_files::write_private(path, &text));
    written.map_err(|source| LocalError::io("write", path, source))
}

/// Whether the ledger says that the node was started at least once.
pub(super) fn was_started(snapshot: &Snapshot, node: Uuid) -> bool {
    snapshot.resources.iter().any(|row| {
        row.node_uuid == Some(node) && row.kind == ResourceKind::Process.as_str() && row.state == ResourceState::Made
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::os::unix::fs::PermissionsExt;

    use magnum_domain::agent::ObservedNode;

    use super::*;
    use crate::local::testing::{resource, snapshot};

    #[test]
    fn nodes_get_the_lowest_free_addresses_in_the_order_of_their_rows() {
        let addresses = Addresses("10.77.0.0/24".parse().unwrap());
        let mut snapshot = snapshot(1, 3);
        let of = |snapshot: &Snapshot| {
            let found = snapshot.nodes.iter().map(|node| allocate(snapshot, addresses, node).unwrap().octets()[3]);
            found.collect::<Vec<_>>()
        };
        assert_eq!(of(&snapshot), [11, 12, 13, 14]);
        snapshot.nodes[2].address = Some("10.77.0.11".to_owned());
        assert_eq!(of(&snapshot), [12, 13, 11, 14], "what a node has, it keeps");
        let row =
            resource(&snapshot, Some(snapshot.nodes[0].uuid), ResourceKind::Namespace.as_str(), ResourceState::Planned);
        snapshot.resources.push(magnum_domain::Resource { attributes: json!({ "address": "10.77.0.14" }), ..row });
        assert_eq!(of(&snapshot), [14, 12, 11, 13], "what was planned for a node, it gets");
    }

    #[test]
    fn a_refused_configuration_is_hopeless_and_nothing_else_is() {
        let mut node = snapshot(1, 0).nodes.remove(0);
        for (refused, asked, hopeless) in [(None, 3, false), (Some(2), 3, false), (Some(3), 3, true)] {
            let problem = Some("insecure registry a b is not valid: invalid host".to_owned());
            node.observed = Some(ObservedNode { problem, refused_generation: refused, ..ObservedNode::default() });
            let error = refusal(&node, asked);
            assert_eq!(error.is_some(), hopeless, "{refused:?}");
            if let Some(error) = error {
                assert!(matches!(&error, LocalError::Hopeless(why) if why.contains("insecure registry")), "{error}");
            }
        }
    }

    #[test]
    fn secrets_are_written_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        private_folder(&inner).unwrap();
        private_folder(&inner).unwrap();
        let file = inner.join("agent.json");
        write_private(&file, &json!({ "join_token": "x" })).unwrap();
        write_private(&file, &json!({ "join_token": "y" })).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        assert!(fs::read_to_string(&file).unwrap().contains('y'));
    }

    #[test]
    fn an_error_carries_the_end_of_the_logs() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(logs(folder.path()), "its logs are empty");
        fs::write(folder.path().join(LOG_FILE), format!("{}\none\ntwo\nthree\n", "x".repeat(10_000))).unwrap();
        assert_eq!(logs(folder.path()), "one; two; three");
    }
}
