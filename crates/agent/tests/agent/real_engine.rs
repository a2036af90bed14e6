//! The agent as first process of a node, with a real engine, in namespaces of the test's own.
//!
//! Needs root and the packages `docker.io`, `iptables` and `iproute2`. The test starts itself again inside a network
//! and mount namespace, so that neither the machine's network nor its `/run` sees anything of it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use crate::conductor::{Conductor, PATIENCE, TestNode, Told};
use magnum_certs::{KeyKind, client_certificate, generate_authority};
use magnum_coe::EngineClient;
use magnum_domain::EventState;
use magnum_domain::agent::{DesiredNode, EngineSpec, Report, SwarmSpec};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

const INSIDE: &str = "MAGNUM_AGENT_TEST_INSIDE";
const ADDRESS: &str = "10.99.0.2";
const PORT: u16 = 2376;
/// What the namespaces get: an address for the node, and folders that are not the machine's.
const PREPARE: &str = "set -e
ip link set lo up
ip link add node type veth peer name beyond
ip address add 10.99.0.2/24 dev node
ip link set node up
ip link set beyond up
ip route add default via 10.99.0.1
mount -t tmpfs tmpfs /run
mkdir -p /etc/docker && mount -t tmpfs tmpfs /etc/docker
exec \"$0\" \"$@\"";

#[test]
fn a_node_comes_up_lives_through_failures_and_goes() {
    if std::env::var_os(INSIDE).is_none() {
        return run_again_inside();
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(life());
}

fn run_again_inside() {
    assert!(nix::unistd::geteuid().is_root(), "this test makes namespaces: run it as root");
    let found = std::process::Command::new("dockerd").arg("--version").stdout(Stdio::null()).status();
    assert!(found.is_ok(), "there is no `dockerd`: install docker.io, iptables and iproute2");
    let output = std::process::Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", PREPARE])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "real_engine::a_node_comes_up_lives_through_failures_and_goes", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "inside the namespaces: {}", String::from_utf8_lossy(&said));
}

/// The agent as process 1 of a process namespace.
struct FirstProcess {
    /// `unshare`, which waits for it.
    parent: Child,
    pid: Pid,
}

impl FirstProcess {
    async fn start(node: &TestNode) -> Self {
        let parent = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(env!("CARGO_BIN_EXE_magnum-agent"))
            .args(["run", "--config"])
            .arg(node.config_file())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let number = parent.id().unwrap();
        let children = format!("/proc/{number}/task/{number}/children");
        let pid = eventually("the first process", || fs::read_to_string(&children).ok()?.trim().parse().ok()).await;
        Self { parent, pid: Pid::from_raw(pid) }
    }

    async fn stop(mut self) {
        kill(self.pid, Signal::SIGTERM).unwrap();
        let status = tokio::time::timeout(PATIENCE, self.parent.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

async fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Processes of this node whose command line has that word.
fn processes(node: &TestNode, word: &str) -> Vec<Pid> {
    let folder = node.folder.path().display().to_string();
    let of = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect::<Vec<_>>();
        let matches = words.first()?.ends_with(word) && words.iter().any(|argument| argument.contains(&folder));
        matches.then(|| Pid::from_raw(pid))
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.unwrap())).collect()
}

fn desired(generation: i64, labels: &[&str], swarm: SwarmSpec) -> Option<DesiredNode> {
    let engine = EngineSpec {
        port: PORT,
        tls: true,
        storage_driver: Some("vfs".to_owned()),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..EngineSpec::default()
    };
    Some(DesiredNode { generation, engine, swarm })
}

/// Waits until the node says that it is as that generation wants it, and whatever else is asked for.
async fn settled(conductor: &Conductor, generation: i64, also: impl Fn(&Report) -> bool) -> Report {
    let is_it = |report: &Report| report.observed.generation == generation && also(report);
    conductor.until("the node to settle", |told| told.reports.last().is_some_and(&is_it)).await;
    conductor.told().reports.last().unwrap().clone()
}

async fn life() {
    let conductor = Conductor::new();
    let (address, _server) = conductor.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let node = TestNode::new(&conductor, address, ADDRESS.parse::<IpAddr>().unwrap());
    conductor.desired.send_replace(desired(1, &[], SwarmSpec::Wait));
    let first = FirstProcess::start(&node).await;

    // Up, and open to the cluster's own only.
    let report = settled(&conductor, 1, |report| report.observed.engine_ready).await;
    assert_eq!((report.observed.swarm_node_id, report.observed.problem), (None, None));
    let engine = engine(&conductor.authority, &conductor.authority);
    engine.ping().await.unwrap();
    let stranger = generate_authority("test cluster", 1, KeyKind::P256).unwrap();
    let refused = self::engine(&conductor.authority, &stranger).ping().await.unwrap_err();
    assert!(refused.is_unreachable(), "{refused}");

    // A swarm of its own.
    let init = || SwarmSpec::Init { advertise: ADDRESS.to_owned() };
    conductor.desired.send_replace(desired(2, &[], init()));
    let report = settled(&conductor, 2, |_| true).await;
    let member = report.observed.swarm_node_id.clone().unwrap();
    assert!(report.observed.swarm_id.is_some());
    let nodes = engine.nodes().await.unwrap();
    assert_eq!((nodes.len(), nodes[0].id.as_str(), nodes[0].is_ready()), (1, member.as_str(), true));
    let info = engine.info().await.unwrap();
    assert_eq!((info.driver.as_str(), info.swarm.node_id.as_str()), ("vfs", member.as_str()));

    // The agent fails: the engine does not notice, and the next agent takes it over.
    let engines = processes(&node, "dockerd");
    assert_eq!(engines.len(), 1);
    let agent = *processes(&node, "magnum-agent").iter().max().unwrap();
    let (polls, reports) = {
        let told = conductor.told();
        (told.polls.len(), told.reports.len())
    };
    kill(agent, Signal::SIGKILL).unwrap();
    let is_heard = |told: &Told| told.polls[polls..].contains(&None) && told.reports.len() > reports;
    conductor.until("the next agent", is_heard).await;
    settled(&conductor, 2, |report| report.observed.swarm_node_id.as_deref() == Some(member.as_str())).await;
    assert_eq!(processes(&node, "dockerd"), engines);
    assert_eq!(conductor.joins(), (1, 0));

    // The engine fails: that is said, and it comes back as the same member.
    kill(engines[0], Signal::SIGKILL).unwrap();
    let trouble = conductor.reported("engine.watch", EventState::Warning).await;
    assert!(trouble.message.contains("has ended") && !trouble.observed.engine_ready, "{trouble:?}");
    settled(&conductor, 2, |report| report.observed.engine_ready && report.observed.problem.is_none()).await;
    assert_ne!(processes(&node, "dockerd"), engines);
    assert_eq!(engine.info().await.unwrap().swarm.node_id, member);

    // Another configuration.
    conductor.desired.send_replace(desired(3, &["zone=b"], init()));
    settled(&conductor, 3, |report| report.observed.engine_ready).await;
    assert_eq!(engine.info().await.unwrap().labels, ["zone=b"]);

    // Out of the swarm, and off.
    conductor.desired.send_replace(desired(4, &["zone=b"], SwarmSpec::Leave));
    let report = settled(&conductor, 4, |report| report.step == "node.settled").await;
    assert_eq!((report.observed.engine_ready, report.observed.swarm_node_id), (false, None));
    assert_eq!(processes(&node, "dockerd"), []);

    // Told to stop while the engine runs: it ends in good order, and nothing stays.
    conductor.desired.send_replace(desired(5, &[], SwarmSpec::Wait));
    settled(&conductor, 5, |report| report.observed.engine_ready).await;
    let containerd = processes(&node, "containerd");
    assert!(!containerd.is_empty());
    first.stop().await;
    assert_eq!((processes(&node, "dockerd"), processes(&node, "containerd")), (vec![], vec![]));
    assert!(!node.config.run_directory.join("docker.pid").exists(), "the engine had no time to tidy up");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(node.folder.path().to_str().unwrap()), "{mounts}");
}

/// A client that trusts the one authority and shows a certificate of the other.
fn engine(trusted: &magnum_certs::CertificateAuthority, own: &magnum_certs::CertificateAuthority) -> EngineClient {
    let identity = client_certificate(own, 1, KeyKind::P256).unwrap().to_pem().unwrap();
    EngineClient::tls(&format!("tcp://{ADDRESS}:{PORT}"), trusted.certificate_pem(), &identity).unwrap()
}
