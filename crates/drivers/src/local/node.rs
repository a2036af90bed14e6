//! One node: starting it, waiting for its engine, removing it.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use magnum_domain::agent::{AgentConfig, DesiredNode, Supervisor, SwarmSpec};
use magnum_domain::driver::{Progress, Snapshot};
use magnum_domain::launch::{
    AGENT_FOLDER, CONFIG_FILE, DATA_FOLDER, ENGINE_LOG_FILE, LAUNCH_FILE, LOG_FILE, LaunchSpec, NODE_FOLDER,
    PROCESS_FILE,
};
use magnum_domain::{Node, NodePhase, ResourceState, text};
use magnum_files::Folder;
use serde_json::json;
use uuid::Uuid;

use super::command::search_path;
use super::error::LocalError;
use super::ledger::{Ledger, ResourceKind};
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
/// How much of the end of a log is looked at, in bytes.
const LOG_END: u64 = 4096;

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
        write_json(&folder, CONFIG_FILE, &config)?;
        let spec = self.launch_spec(snapshot, node, address, &cgroup, &folder);
        let control = names::control_folder(&folder);
        write_json(&control, LAUNCH_FILE, &spec)?;
        self.store.set_node_started(node.uuid, &address.to_string(), &token.hash).await?;
        self.launch(node, &control.join(LAUNCH_FILE)).await?;
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
        private_folder(&names::control_folder(folder))?;
        // Where earlier releases had them; nobody believes them any more.
        in_folder(folder, "clear", |folder| {
            [PROCESS_FILE, LAUNCH_FILE].iter().try_for_each(|name| folder.remove(name))
        })?;
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
        let kept = in_folder(folder, "look into", |folder| {
            let kept = node.desired.as_ref().filter(|_| folder.has_folder(DATA_FOLDER));
            if kept.is_none() {
                // Something else of that name would be in the engine's way.
                [AGENT_FOLDER, DATA_FOLDER].iter().try_for_each(|name| folder.remove(name))?;
            } else if !folder.has_folder(AGENT_FOLDER) {
                folder.remove(AGENT_FOLDER)?;
            }
            Ok(kept)
        })?;
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
            directory: Path::new(NODE_FOLDER).join(AGENT_FOLDER),
            data_directory: Path::new(NODE_FOLDER).join(DATA_FOLDER),
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
            agent_config: Path::new(NODE_FOLDER).join(CONFIG_FILE),
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
    process::read_mark(folder).is_some_and(|mark| process::is_alive(&mark))
}

/// Ends a node at once, for it to be started anew.
pub(super) fn end_now(folder: &Path) {
    if let Some(mark) = process::read_mark(folder)
        && let Err(error) = process::signal(&mark, process::Signal::KILL)
    {
        tracing::warn!(folder = %folder.display(), %error, "a silent node could not be ended");
    }
}

/// The last lines of the node's logs, for an error.
pub(super) fn logs(folder: &Path) -> String {
    let Ok(folder) = Folder::open(folder) else { return "its logs are gone".to_owned() };
    // What is no log counts as an empty one.
    let end = |path: &Path| folder.tail(path, LOG_END).ok().flatten().unwrap_or_default();
    let found = [PathBuf::from(LOG_FILE), Path::new(AGENT_FOLDER).join(ENGINE_LOG_FILE)]
        .iter()
        .map(|path| text::last_lines(&end(path), LOG_LINES, text::MESSAGE))
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

/// Writes a file of a node that only its owner may read, all of it or nothing.
fn write_json(folder: &Path, name: &str, content: &impl serde::Serialize) -> Result<(), LocalError> {
    let text = serde_json::to_vec_pretty(content).map_err(io::Error::from);
    in_folder(folder, "write a file in", |folder| folder.write(name, &text?))
}

/// Works beneath a folder that a node may have planted anything in.
fn in_folder<T>(path: &Path, what: &'static str, work: impl FnOnce(&Folder) -> io::Result<T>) -> Result<T, LocalError> {
    Folder::open(path).and_then(|folder| work(&folder)).map_err(|source| LocalError::io(what, path, source))
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

    use std::fs;
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
        write_json(&inner, "agent.json", &json!({ "join_token": "x" })).unwrap();
        write_json(&inner, "agent.json", &json!({ "join_token": "y" })).unwrap();
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
