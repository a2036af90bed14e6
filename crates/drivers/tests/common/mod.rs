//! A conductor in small, over a database and a state folder of its own, for tests with real engines.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use magnum_certs::{SealKey, Vault};
use magnum_domain::driver::{Driver, NodeDemand, Progress, Snapshot, Step};
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, Labels, Nodegroup, OperationKind};
use magnum_drivers::local::{LocalDriver, LocalOptions};
use magnum_store::{ConnectOptions, Ident, NewCluster, NodegroupChange, Scope, Store};
use tempfile::TempDir;
use uuid::Uuid;

/// Whether tests with engines shall run. They do, unless turned off by `MAGNUM_TEST_ENGINES=off`, which is said aloud.
pub fn engines_wanted() -> bool {
    let wanted = std::env::var("MAGNUM_TEST_ENGINES").as_deref() != Ok("off");
    if !wanted {
        eprintln!("MAGNUM_TEST_ENGINES=off: not run, nothing is proven about real engines");
    }
    wanted
}

/// The agent of this build: `MAGNUM_TEST_AGENT`. Cargo builds no other package's programs for a test, so without that it is
/// asked to, with the features of all, for which everything is compiled already.
fn agent() -> &'static Path {
    static AGENT: OnceLock<PathBuf> = OnceLock::new();
    AGENT.get_or_init(|| {
        if let Some(agent) = std::env::var_os("MAGNUM_TEST_AGENT") {
            return agent.into();
        }
        // target/debug/deps/<this test>
        let own = std::env::current_exe().unwrap();
        let profile = own.parent().and_then(Path::parent).unwrap();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--all-features", "--bin", "magnum-agent", "--target-dir"])
            .arg(profile.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "magnum-agent can't be built");
        profile.join("magnum-agent")
    })
}

/// Says what the steps wait for, when `MAGNUM_TEST_VERBOSE` is set.
struct Watcher<'a>(&'a Step);

#[async_trait]
impl Progress for Watcher<'_> {
    async fn waiting_for(&self, what: &str) {
        say(&format!("    {}: {what}", self.0.kind));
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

pub fn say(what: &str) {
    if std::env::var_os("MAGNUM_TEST_VERBOSE").is_some() {
        eprintln!("{what}");
    }
}

/// One machine with its database. Each test has its own, with control groups and ports of its own.
pub struct Machine {
    pub store: Store,
    pub vault: Vault,
    pub options: LocalOptions,
    pub driver: LocalDriver,
    _folder: TempDir,
}

impl Drop for Machine {
    /// A test that failed half way leaves no engines running.
    fn drop(&mut self) {
        for pid in processes(&self.options.cgroup).iter().filter_map(|process| pid(process)) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        let begun = Instant::now();
        while !processes(&self.options.cgroup).is_empty() && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
        for cluster in std::fs::read_dir(self.options.state_dir.join("clusters")).into_iter().flatten().flatten() {
            let mark = format!("magnum-{}", &cluster.file_name().to_string_lossy()[..8]);
            let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
            for name in names.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with(&mark)) {
                let _ = Command::new("ip").args(["netns", "delete"]).arg(name).status();
            }
        }
        for root in groups(&self.options.cgroup, "") {
            remove_groups(Path::new(&root));
        }
    }
}

fn remove_groups(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove_groups(&entry.path());
    }
    let _ = std::fs::remove_dir(folder);
}

/// The process id in a line of [`processes`].
pub fn pid(process: &str) -> Option<i32> {
    process.strip_prefix("process ")?.split(':').next()?.parse().ok()
}

impl Machine {
    /// `index` tells the tests of one binary apart.
    pub async fn new(index: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}/magnum.sqlite", folder.path().display());
        let seal = SealKey::ephemeral().unwrap();
        let store = Store::connect(&url, &ConnectOptions::default()).await.unwrap().with_seal(seal.clone());
        store.migrate().await.unwrap();
        let vault = Vault::new(store.clone(), seal);
        let mut options = LocalOptions::new(folder.path().join("state"), agent().to_owned());
        options.cgroup = format!("magnum-test-{}-{index}", std::process::id());
        options.api_ports = 24800 + index * 20..=24819 + index * 20;
        let driver = LocalDriver::new(options.clone(), store.clone(), vault.clone());
        Self { store, vault, options, driver, _folder: folder }
    }

    /// What a restart of `magnum serve` is to the nodes.
    pub fn restart(&mut self) {
        self.driver = LocalDriver::new(self.options.clone(), self.store.clone(), self.vault.clone());
    }

    /// Writes what an accepted `POST /v1/clusters` writes.
    pub async fn create(&self, masters: i32, workers: i32, change: impl FnOnce(&mut ClusterTemplate)) -> Uuid {
        let mut template = template();
        change(&mut template);
        let template = self.store.create_template(&template).await.unwrap();
        let demand = NodeDemand::of_new_cluster((masters + workers).try_into().unwrap());
        self.driver.preflight(&template, &Labels::new(), demand).await.unwrap();
        let cluster = cluster(&template);
        let groups = [("master", masters), ("worker", workers)];
        let nodegroups = groups.map(|(role, count)| nodegroup(&cluster, role, count)).to_vec();
        let operation = NewOperation {
            uuid: Uuid::new_v4(),
            cluster_uuid: cluster.uuid,
            project_id: cluster.project_id.clone(),
            user_id: cluster.user_id.clone(),
            request_id: None,
            kind: OperationKind::Create,
            arguments: Arguments::default(),
            deadline_at: None,
        };
        let new = NewCluster { cluster, nodegroups, operation, quota: 10 };
        let cluster = self.store.create_cluster(new).await.unwrap();
        self.vault.create_cluster_certificates(&cluster, &template.coe).await.unwrap();
        self.store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
        cluster.uuid
    }

    pub async fn resize(&self, cluster: Uuid, workers: i32, remove: &[String]) {
        let groups = self.store.nodegroups_of(&[cluster]).await.unwrap();
        let group = groups.iter().find(|group| !group.is_master()).unwrap();
        let change = NodegroupChange { node_count: Some(workers), ..NodegroupChange::default() };
        self.store.update_nodegroup(group.uuid, &change).await.unwrap();
        self.store.reconcile_nodes(cluster, remove).await.unwrap();
    }

    pub async fn snapshot(&self, cluster: Uuid, deleting: bool) -> Snapshot {
        let cluster = self.store.get_cluster(&Scope::All, &Ident::Uuid(cluster)).await.unwrap();
        let templates = self.store.templates_by_uuid(std::slice::from_ref(&cluster.cluster_template_id)).await.unwrap();
        Snapshot {
            template: templates.into_iter().next().unwrap(),
            nodegroups: self.store.nodegroups_of(&[cluster.uuid]).await.unwrap(),
            nodes: self.store.nodes(cluster.uuid).await.unwrap(),
            resources: self.store.resources(cluster.uuid).await.unwrap(),
            cluster,
            deleting,
            outdated: Vec::new(),
            rotation: None,
        }
    }

    /// Plans and applies until there is nothing left to do, as the conductor does. Returns the kinds of steps.
    pub async fn settle(&self, cluster: Uuid, deleting: bool) -> Vec<String> {
        let mut done = Vec::new();
        for _round in 0..5 {
            let plan = self.driver.plan(&self.snapshot(cluster, deleting).await).await.unwrap();
            if plan.is_empty() {
                return done;
            }
            for stage in plan.stages {
                let snapshot = self.snapshot(cluster, deleting).await;
                let begun = Instant::now();
                join_all(stage.iter().map(|step| self.apply(step, &snapshot))).await;
                let kinds = stage.iter().map(|step| step.kind.clone()).collect::<Vec<_>>();
                say(&format!("{:>6} ms  {}", begun.elapsed().as_millis(), kinds.join(" ")));
                done.extend(kinds);
            }
        }
        panic!("the cluster does not settle: {done:?}");
    }

    async fn apply(&self, step: &Step, snapshot: &Snapshot) {
        let watcher = Watcher(step);
        let applied = tokio::time::timeout(step.timeout, self.driver.apply(step, snapshot, &watcher)).await;
        match applied {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{}: {error}", step.title),
            Err(_elapsed) => panic!("{}: not done after {:?}", step.title, step.timeout),
        }
    }

    /// Waits until a look at the cluster's health satisfies.
    pub async fn health(&self, cluster: Uuid, limit: Duration, fine: impl Fn(&magnum_domain::driver::Health) -> bool) {
        let begun = Instant::now();
        loop {
            let health = self.driver.health(&self.snapshot(cluster, false).await).await;
            if fine(&health) {
                say(&format!("{:>6} ms  health {health:?}", begun.elapsed().as_millis()));
                return;
            }
            assert!(begun.elapsed() < limit, "after {limit:?}: {health:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything on the machine that bears a cluster's marks.
    pub fn traces(&self, cluster: Uuid) -> Vec<String> {
        let mark = &cluster.simple().to_string()[..8];
        let mut found = Vec::new();
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            found.extend(Some(name(entry)).filter(|name| name.contains(mark)).map(|name| format!("namespace {name}")));
        }
        for file in ["/proc/mounts", "/proc/net/dev"] {
            let text = std::fs::read_to_string(file).unwrap();
            found.extend(text.lines().filter(|line| line.contains(mark)).map(|line| format!("{file}: {line}")));
        }
        let folder = self.options.state_dir.join("clusters").join(cluster.to_string());
        found.extend(folder.exists().then(|| folder.display().to_string()));
        found.extend(groups(&self.options.cgroup, mark));
        found.extend(processes(&self.options.cgroup));
        found
    }
}

/// Control groups of a cluster in all hierarchies.
fn groups(root: &str, mark: &str) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let hierarchies =
        mounts.lines().filter(|line| line.split(' ').nth(2).is_some_and(|kind| kind.starts_with("cgroup")));
    let folders = hierarchies.map(|line| Path::new(line.split(' ').nth(1).unwrap()).join(root).join(mark));
    folders.filter(|folder| folder.exists()).map(|folder| folder.display().to_string()).collect()
}

/// Living processes in control groups of this test.
pub fn processes(root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let groups = std::fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        // One without a command line has ended, and waits to be buried by the machine's first process.
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if groups.contains(root) && !command.is_empty() {
            found.push(format!("process {}: {}", entry.file_name().display(), command.replace('\0', " ")));
        }
    }
    found
}

fn template() -> ClusterTemplate {
    ClusterTemplate {
        id: 0,
        uuid: Uuid::new_v4(),
        name: Some("swarm".to_owned()),
        project_id: "project".to_owned(),
        user_id: "user".to_owned(),
        coe: "swarm-mode".to_owned(),
        image_id: Some("local".to_owned()),
        flavor_id: None,
        master_flavor_id: None,
        keypair_id: None,
        external_network_id: None,
        fixed_network: None,
        fixed_subnet: None,
        network_driver: None,
        volume_driver: None,
        dns_nameserver: Some("8.8.8.8".to_owned()),
        apiserver_port: None,
        docker_volume_size: None,
        docker_storage_driver: None,
        cluster_distro: Some("local".to_owned()),
        http_proxy: None,
        https_proxy: None,
        no_proxy: None,
        registry_enabled: false,
        labels: Labels::new(),
        tls_disabled: false,
        public: false,
        server_type: "vm".to_owned(),
        insecure_registry: None,
        master_lb_enabled: false,
        floating_ip_enabled: Some(false),
        hidden: false,
        tags: None,
        driver: None,
        created_at: None,
        updated_at: None,
    }
}

fn cluster(template: &ClusterTemplate) -> Cluster {
    Cluster {
        id: 0,
        uuid: Uuid::new_v4(),
        name: Some("web".to_owned()),
        project_id: "project".to_owned(),
        user_id: "user".to_owned(),
        cluster_template_id: template.uuid.to_string(),
        keypair: None,
        docker_volume_size: None,
        labels: Labels::new(),
        master_flavor_id: None,
        flavor_id: None,
        stack_id: None,
        api_address: None,
        status: ClusterStatus::CreateInProgress,
        status_reason: None,
        health_status: None,
        health_status_reason: Labels::new(),
        create_timeout: None,
        discovery_url: None,
        coe_version: None,
        container_version: None,
        ca_cert_ref: None,
        magnum_cert_ref: None,
        etcd_ca_cert_ref: None,
        front_proxy_ca_cert_ref: None,
        fixed_network: None,
        fixed_subnet: None,
        floating_ip_enabled: Some(false),
        master_lb_enabled: false,
        created_at: None,
        updated_at: None,
    }
}

fn nodegroup(cluster: &Cluster, role: &str, count: i32) -> Nodegroup {
    Nodegroup {
        id: 0,
        uuid: Uuid::new_v4(),
        name: format!("default-{role}"),
        cluster_id: cluster.uuid,
        project_id: cluster.project_id.clone(),
        docker_volume_size: None,
        labels: Labels::new(),
        flavor_id: None,
        image_id: None,
        node_addresses: Vec::new(),
        node_count: count,
        max_node_count: None,
        min_node_count: 0,
        role: role.to_owned(),
        is_default: true,
        stack_id: None,
        status: Some(ClusterStatus::CreateInProgress),
        status_reason: None,
        version: None,
        node_labels: Labels::new(),
        node_taints: Vec::new(),
        created_at: None,
        updated_at: None,
    }
}
