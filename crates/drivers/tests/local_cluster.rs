//! Clusters of real engines on this machine, from their first plan to their last trace.
//!
//! Needs root and the packages `docker.io`, `iptables` and `iproute2`; where they are missing, the tests fail with
//! what to install. `MAGNUM_TEST_VERBOSE=1` shows every step with its time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Machine, engines_wanted, pid, processes, say};
use magnum_coe::engine::{EngineClient, SwarmNode};
use magnum_domain::driver::{Driver, DriverError, Snapshot};
use magnum_domain::{HealthStatus, NodePhase};
use uuid::Uuid;

/// A client of the cluster's API, by the address and with the credentials that a tenant gets.
async fn client(machine: &Machine, snapshot: &Snapshot) -> Result<EngineClient, DriverError> {
    let address = machine.driver.facts(snapshot).await?.api_address.unwrap();
    assert!(address.starts_with("tcp://127.0.0.1:"), "{address}");
    if snapshot.template.tls_disabled {
        return Ok(EngineClient::plain(&address).unwrap());
    }
    let authority = magnum_domain::certificate::Authority::Cluster;
    let ca = machine.vault.authority_certificate(&snapshot.cluster, authority).await.unwrap();
    let identity = machine.vault.client_identity(&snapshot.cluster).await.unwrap();
    Ok(EngineClient::tls(&address, &ca, &identity.to_pem().unwrap()).unwrap())
}

/// What the managers say. An engine that was just started with containers to take care of may be slow to answer, more
/// than once.
async fn members(machine: &Machine, cluster: Uuid) -> Vec<SwarmNode> {
    let begun = Instant::now();
    loop {
        let snapshot = machine.snapshot(cluster, false).await;
        let asked = match client(machine, &snapshot).await {
            Ok(client) => client.nodes().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match asked {
            Ok(members) => return members,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(90), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn names(members: &[SwarmNode]) -> BTreeSet<&str> {
    members.iter().map(|member| member.hostname.as_str()).collect()
}

/// Process ids whose command line begins like this, in this test's control groups.
fn pids(machine: &Machine, command: &str) -> Vec<i32> {
    let mark = format!(": {command}");
    let found = processes(&machine.options.cgroup).into_iter().filter(|process| process.contains(&mark));
    found.filter_map(|process| pid(&process)).collect()
}

fn node_folder(machine: &Machine, cluster: Uuid, short: &str) -> PathBuf {
    machine.options.state_dir.join("clusters").join(cluster.to_string()).join("nodes").join(short)
}

/// The first process of a node, as its control folder says.
fn first_process(machine: &Machine, cluster: Uuid, short: &str) -> i32 {
    let control = machine.options.state_dir.join("clusters").join(cluster.to_string()).join("control").join(short);
    let text = std::fs::read(control.join("process.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&text).unwrap()["pid"].as_i64().unwrap().try_into().unwrap()
}

fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

async fn delete(machine: &Machine, cluster: Uuid) {
    let begun = Instant::now();
    machine.settle(cluster, true).await;
    say(&format!("{:>6} ms  in all: deleted", begun.elapsed().as_millis()));
    assert!(machine.store.resources(cluster).await.unwrap().is_empty());
    assert!(machine.store.nodes(cluster).await.unwrap().is_empty());
    let traces = machine.traces(cluster);
    assert!(traces.is_empty(), "left behind: {traces:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_lives_through_its_whole_life() {
    if !engines_wanted() {
        return;
    }
    let mut machine = Machine::new(0).await;
    let begun = Instant::now();
    let cluster = machine.create(1, 2, |_| {}).await;
    machine.settle(cluster, false).await;
    say(&format!("{:>6} ms  in all: created", begun.elapsed().as_millis()));

    // Up: three nodes, ready, under their own names and addresses.
    let found = members(&machine, cluster).await;
    assert_eq!(names(&found), BTreeSet::from(["web-master-0", "web-worker-0", "web-worker-1"]));
    assert!(found.iter().all(SwarmNode::is_ready), "{found:?}");
    let snapshot = machine.snapshot(cluster, false).await;
    let addresses = snapshot.nodes.iter().map(|node| node.address.as_deref().unwrap()).collect::<Vec<_>>();
    assert_eq!(addresses, ["10.77.0.11", "10.77.0.12", "10.77.0.13"]);
    assert!(snapshot.nodes.iter().all(|node| node.phase == NodePhase::Ready && node.join_token_hash.is_none()));
    let facts = machine.driver.facts(&snapshot).await.unwrap();
    assert_eq!(facts.stack_id.unwrap(), format!("magnum-{}", &cluster.simple().to_string()[..8]));
    assert!(facts.container_version.unwrap().starts_with(|c: char| c.is_ascii_digit()));
    machine.health(cluster, Duration::from_secs(5), |health| health.status == HealthStatus::Healthy).await;
    assert!(machine.settle(cluster, false).await.is_empty(), "a settled cluster needs nothing");

    only_certificates_open_the_api(&machine, &snapshot).await;
    nodes_see_nothing_of_the_machine(&machine, cluster);
    a_service_runs(&machine, cluster);

    // Larger and smaller; the swarm forgets those that went.
    machine.resize(cluster, 3, &[]).await;
    let steps = machine.settle(cluster, false).await;
    assert_eq!(steps, ["node.start", "node.engine", "swarm.join"]);
    assert_eq!(members(&machine, cluster).await.len(), 4);
    machine.resize(cluster, 1, &["web-worker-0".to_owned()]).await;
    machine.settle(cluster, false).await;
    let found = members(&machine, cluster).await;
    assert_eq!(names(&found), BTreeSet::from(["web-master-0", "web-worker-1"]));
    assert!(!node_folder(&machine, cluster, "worker-0").exists());

    an_engine_that_dies_shows_and_comes_back(&machine, cluster).await;
    a_dead_node_is_started_again(&machine, cluster).await;

    // `magnum serve` ends and comes back: the nodes run on, and are found.
    let before = pids(&machine, "dockerd");
    machine.restart();
    let snapshot = machine.snapshot(cluster, false).await;
    let health = machine.driver.health(&snapshot).await;
    assert_eq!(health.status, HealthStatus::Unhealthy, "nobody listens yet: {health:?}");
    machine.driver.resume(&snapshot).await.unwrap();
    machine.health(cluster, Duration::from_secs(5), |health| health.status == HealthStatus::Healthy).await;
    assert_eq!(pids(&machine, "dockerd"), before, "the engines were left alone");
    assert!(machine.settle(cluster, false).await.is_empty());

    the_machine_restarts(&mut machine, cluster).await;
    delete(&machine, cluster).await;
}

async fn only_certificates_open_the_api(machine: &Machine, snapshot: &Snapshot) {
    let address = machine.driver.facts(snapshot).await.unwrap().api_address.unwrap();
    assert!(EngineClient::plain(&address).unwrap().nodes().await.is_err(), "plain text");
    let authority = magnum_domain::certificate::Authority::Cluster;
    let ca = machine.vault.authority_certificate(&snapshot.cluster, authority).await.unwrap();
    let kind = magnum_certs::KeyKind::P256;
    let stranger = magnum_certs::generate_authority("stranger", 1, kind).unwrap();
    let identity = magnum_certs::client_certificate(&stranger, 1, kind).unwrap().to_pem().unwrap();
    let client = EngineClient::tls(&address, &ca, &identity).unwrap();
    assert!(client.nodes().await.is_err(), "a stranger's certificate");
}

/// What a node's first process sees: its own name, its own processes, none of the machine's secrets.
fn nodes_see_nothing_of_the_machine(machine: &Machine, cluster: Uuid) {
    let inside = |script: &str| inside(machine, cluster, "worker-0", script);
    assert_eq!(inside("hostname"), "web-worker-0");
    assert_eq!(inside("cat /etc/resolv.conf"), "nameserver 8.8.8.8");
    let state = machine.options.state_dir.display();
    assert_eq!(inside(&format!("ls {state} 2>/dev/null || true; ls /root /home")), "/home:\n\n/root:");
    let networks = inside("grep /run/netns /proc/mounts || true");
    assert!(networks.is_empty(), "it would keep the networks of other nodes: {networks}");
    assert_eq!(inside("cat /proc/1/cmdline").split('\0').next(), Some("/run/magnum-agent"));
    assert!(!inside("ls /proc").lines().any(|entry| entry == std::process::id().to_string()));
    let machine_mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!machine_mounts.contains(&machine.options.state_dir.display().to_string()), "{machine_mounts}");
}

/// Runs a shell command among a node's own processes.
fn inside(machine: &Machine, cluster: Uuid, short: &str, script: &str) -> String {
    let pid = first_process(machine, cluster, short).to_string();
    let output = Command::new("nsenter").args(["-t", &pid, "-a", "sh", "-c", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Containers run, alone and as tasks of a service, from an image made of this machine's `sleep`.
fn a_service_runs(machine: &Machine, cluster: Uuid) {
    const DOCKER: &str = "docker -H unix:///run/engine/docker.sock";
    for short in ["master-0", "worker-0", "worker-1"] {
        let files = "/bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*')";
        inside(machine, cluster, short, &format!("tar -Phc {files} | {DOCKER} import - probe"));
        inside(machine, cluster, short, &format!("{DOCKER} run --rm --network none probe /bin/sleep 0"));
    }
    let service = "--name web --replicas 3 --endpoint-mode dnsrr --no-resolve-image --stop-grace-period 1s";
    inside(machine, cluster, "master-0", &format!("{DOCKER} service create --quiet {service} probe /bin/sleep 1000"));
    let running = inside(machine, cluster, "master-0", &format!("{DOCKER} service ps web -f desired-state=running -q"));
    assert_eq!(running.lines().count(), 3, "{running}");
}

async fn an_engine_that_dies_shows_and_comes_back(machine: &Machine, cluster: Uuid) {
    let (engine, first) = (pids(machine, "dockerd"), first_process(machine, cluster, "worker-1"));
    let group = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let engine = engine.into_iter().find(|pid| group(*pid) == group(first)).unwrap();
    kill(engine);
    let begun = Instant::now();
    loop {
        let snapshot = machine.snapshot(cluster, false).await;
        let health = machine.driver.health(&snapshot).await;
        let seen = snapshot.nodes.iter().any(|node| node.phase < NodePhase::Ready);
        if health.status == HealthStatus::Unhealthy || seen {
            say(&format!("{:>6} ms  a dead engine shows", begun.elapsed().as_millis()));
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "an engine died and nobody noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    machine.health(cluster, Duration::from_secs(60), |health| health.status == HealthStatus::Healthy).await;
    let begun = Instant::now();
    machine.settle(cluster, false).await;
    say(&format!("{:>6} ms  settled again", begun.elapsed().as_millis()));
}

async fn a_dead_node_is_started_again(machine: &Machine, cluster: Uuid) {
    kill(first_process(machine, cluster, "worker-1"));
    machine
        .health(cluster, Duration::from_secs(5), |health| {
            health.status == HealthStatus::Unhealthy && health.reason.contains_key("web-worker-1.Process")
        })
        .await;
    let steps = machine.settle(cluster, false).await;
    assert_eq!(steps[..2], ["node.start", "node.engine"]);
    machine.health(cluster, Duration::from_secs(60), |health| health.status == HealthStatus::Healthy).await;
    assert_eq!(members(machine, cluster).await.len(), 2, "it came back as itself");
}

/// All processes, namespaces and control groups are gone; the folders and the database are not.
async fn the_machine_restarts(machine: &mut Machine, cluster: Uuid) {
    machine.restart();
    for short in ["master-0", "worker-1"] {
        kill(first_process(machine, cluster, short));
    }
    let mark = format!("magnum-{}", &cluster.simple().to_string()[..8]);
    for name in ["", "-master-0", "-worker-1"] {
        assert!(Command::new("ip").args(["netns", "delete", &format!("{mark}{name}")]).status().unwrap().success());
    }
    machine.driver.resume(&machine.snapshot(cluster, false).await).await.unwrap();
    let begun = Instant::now();
    machine.health(cluster, Duration::from_secs(90), |health| health.status == HealthStatus::Healthy).await;
    say(&format!("{:>6} ms  back after a restart of the machine", begun.elapsed().as_millis()));
    machine.settle(cluster, false).await;
    assert_eq!(members(machine, cluster).await.len(), 2, "nobody joined anew");
}

/// The same life on a machine that has nothing but cgroup v2: this test, run again where only that is mounted.
#[test]
fn a_cluster_lives_where_there_is_only_cgroup_v2() {
    if !engines_wanted() {
        return;
    }
    let script = "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$0\" \"$@\"";
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_cluster_lives_through_its_whole_life", "--nocapture"])
        .status()
        .unwrap();
    assert!(status.success(), "see above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_managers_without_tls_take_one_back_that_lost_its_data() {
    if !engines_wanted() {
        return;
    }
    let machine = Machine::new(1).await;
    let begun = Instant::now();
    let cluster = machine.create(3, 0, |template| template.tls_disabled = true).await;
    machine.settle(cluster, false).await;
    say(&format!("{:>6} ms  in all: three managers", begun.elapsed().as_millis()));
    let found = members(&machine, cluster).await;
    assert_eq!(found.iter().filter(|member| member.reachability.as_deref() == Some("reachable")).count(), 3);
    assert_eq!(found.iter().filter(|member| member.leader).count(), 1);

    // The data of one manager is lost with its folder: it joins the others, instead of making a swarm of its own.
    kill(first_process(&machine, cluster, "master-0"));
    while pids(&machine, "dockerd").len() != 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::remove_dir_all(node_folder(&machine, cluster, "master-0")).unwrap();
    let snapshot = machine.snapshot(cluster, false).await;
    let gone = machine.driver.resume(&snapshot).await.unwrap_err().to_string();
    assert!(gone.contains("web-master-0") && gone.contains("gone"), "{gone}");
    let steps = machine.settle(cluster, false).await;
    assert!(!steps.iter().any(|step| step == "swarm.init"), "{steps:?}");
    machine.health(cluster, Duration::from_secs(60), |health| health.status == HealthStatus::Healthy).await;
    let found = members(&machine, cluster).await;
    assert_eq!(found.len(), 3, "its former self is struck off: {found:?}");
    delete(&machine, cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_half_made_is_finished_or_removed() {
    if !engines_wanted() {
        return;
    }
    let mut machine = Machine::new(2).await;
    let cluster = machine.create(1, 1, |_| {}).await;
    // A conductor that ends right after it has started the nodes, and one that ends in the middle of the next step.
    let snapshot = machine.snapshot(cluster, false).await;
    let plan = machine.driver.plan(&snapshot).await.unwrap();
    for stage in &plan.stages[..2] {
        let snapshot = machine.snapshot(cluster, false).await;
        for step in stage {
            machine.driver.apply(step, &snapshot, &Silent).await.unwrap();
            // Done twice, as by one who does not know that it was done.
            machine.driver.apply(step, &snapshot, &Silent).await.unwrap();
        }
    }
    machine.restart();
    let snapshot = machine.snapshot(cluster, false).await;
    // Engines may have come up already while their nodes were started; then it is the swarm that is half made.
    let next = machine.driver.plan(&snapshot).await.unwrap().stages.into_iter().flatten().next().unwrap();
    let aborted = tokio::time::timeout(Duration::from_millis(20), machine.driver.apply(&next, &snapshot, &Silent));
    assert!(aborted.await.is_err());
    let stopped = machine.driver.apply(&plan.stages[1][0], &snapshot, &Stopped).await;
    assert!(matches!(stopped, Err(DriverError::Cancelled)), "{stopped:?}");
    machine.settle(cluster, false).await;
    assert_eq!(members(&machine, cluster).await.len(), 2);

    // Another conductor of the same machine: finds the cluster served, and can delete it all the same.
    let other =
        magnum_drivers::local::LocalDriver::new(machine.options.clone(), machine.store.clone(), machine.vault.clone());
    other.resume(&machine.snapshot(cluster, false).await).await.unwrap();
    assert!(other.plan(&machine.snapshot(cluster, false).await).await.unwrap().is_empty());
    let first = std::mem::replace(&mut machine.driver, other);
    delete(&machine, cluster).await;
    drop(first);
}

struct Silent;

#[async_trait::async_trait]
impl magnum_domain::driver::Progress for Silent {
    async fn waiting_for(&self, _what: &str) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

struct Stopped;

#[async_trait::async_trait]
impl magnum_domain::driver::Progress for Stopped {
    async fn waiting_for(&self, _what: &str) {}

    fn is_cancelled(&self) -> bool {
        true
    }
}
