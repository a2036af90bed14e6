//! A node's root plants whatever it likes in the node's folder, on which the conductor works with the machine's rights:
//! it reads, overwrites and ends nothing outside of it, and a cluster can be deleted whatever it finds.
//!
//! Real nodes, so it needs root and the packages that `local_cluster.rs` names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{Machine, engines_wanted, pid, processes};
use magnum_domain::driver::{Driver, Progress};
use magnum_domain::launch::{LAUNCH_FILE, LOG_FILE, PROCESS_FILE, ProcessMark, TOUCHED};
use uuid::Uuid;

const SECRET: &str = "password: the machine's own\n";

/// What is planted under each name that the machine touches.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Planted {
    Link,
    LinkToFolder,
    HardLink,
    Pipe,
    Folder,
    Huge,
    Empty,
    Garbage,
}

const ALL: [Planted; 8] = [
    Planted::Link,
    Planted::LinkToFolder,
    Planted::HardLink,
    Planted::Pipe,
    Planted::Folder,
    Planted::Huge,
    Planted::Empty,
    Planted::Garbage,
];

fn plant(what: Planted, path: &Path, outside: &Path) {
    let _ = magnum_files::remove(path);
    match what {
        Planted::Link => symlink(outside.join("clouds.yaml"), path).unwrap(),
        Planted::LinkToFolder => symlink(outside, path).unwrap(),
        Planted::HardLink => fs::hard_link(outside.join("clouds.yaml"), path).unwrap(),
        Planted::Pipe => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        Planted::Folder => {
            fs::create_dir(path).unwrap();
            // As in the agent's own folder: the engine's log leads out.
            symlink(outside.join("clouds.yaml"), path.join("engine.log")).unwrap();
        }
        Planted::Huge => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        Planted::Empty => fs::write(path, "").unwrap(),
        Planted::Garbage => fs::write(path, b"\xff\0{\"pid\": -1\x1b[2J").unwrap(),
    }
}

struct Silent;

#[async_trait::async_trait]
impl Progress for Silent {
    async fn waiting_for(&self, _what: &str) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Plans, and does the steps of these kinds.
async fn apply(machine: &Machine, cluster: Uuid, kinds: &[&str]) {
    let snapshot = machine.snapshot(cluster, false).await;
    let plan = machine.driver.plan(&snapshot).await.unwrap();
    for step in plan.stages.iter().flatten().filter(|step| kinds.contains(&step.kind.as_str())) {
        let snapshot = machine.snapshot(cluster, false).await;
        machine.driver.apply(step, &snapshot, &Silent).await.unwrap_or_else(|error| panic!("{}: {error}", step.title));
    }
}

/// The cluster's only node: its folder, and its control folder.
fn folders(machine: &Machine, cluster: Uuid) -> (PathBuf, PathBuf) {
    let folder = machine.options.state_dir.join("clusters").join(cluster.to_string());
    (folder.join("nodes/master-0"), folder.join("control/master-0"))
}

fn mark(control: &Path) -> ProcessMark {
    serde_json::from_slice(&fs::read(control.join(PROCESS_FILE)).unwrap()).unwrap()
}

/// Ends a node as a loss of power would.
async fn power_off(machine: &Machine, control: &Path) {
    let first = nix::unistd::Pid::from_raw(mark(control).pid);
    nix::sys::signal::kill(first, nix::sys::signal::Signal::SIGKILL).unwrap();
    while !processes(&machine.options.cgroup).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_plants_in_its_folder_leads_nowhere() {
    if !engines_wanted() {
        return;
    }
    let mut machine = Machine::new(10).await;
    // Where nodes see it as well, unlike /tmp.
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(outside.path().join("clouds.yaml"), SECRET).unwrap();
    let untouched = |case: &str| {
        assert_eq!(fs::read_to_string(outside.path().join("clouds.yaml")).unwrap(), SECRET, "{case}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{case}: something was made outside");
    };
    for what in ALL {
        let case = format!("{what:?}");
        let cluster = machine.create(1, 0, |_| {}).await;
        apply(&machine, cluster, &["network.create"]).await;
        // Nobody listens to the agent from here on, so the node gets no further than this.
        machine.restart();
        apply(&machine, cluster, &["node.start"]).await;
        let (folder, control) = folders(&machine, cluster);

        // The node is started again from a folder that its root has prepared.
        power_off(&machine, &control).await;
        for name in TOUCHED {
            plant(what, &folder.join(name), outside.path());
        }
        // What its agent has said, by its logs, is not the machine's own secret.
        let snapshot = machine.snapshot(cluster, false).await;
        let plan = machine.driver.plan(&snapshot).await.unwrap();
        let engine = plan.stages.iter().flatten().find(|step| step.kind == "node.engine").unwrap();
        let error = machine.driver.apply(engine, &snapshot, &Silent).await.unwrap_err().to_string();
        assert!(error.contains("has ended") && !error.contains("password"), "{case}: {error}");
        assert!(!error.chars().any(char::is_control), "{case}: {error:?}");
        apply(&machine, cluster, &["node.start"]).await;
        untouched(&case);
        assert!(!processes(&machine.options.cgroup).is_empty(), "{case}: the node runs");
        assert!(folder.join(LOG_FILE).is_file() && !folder.join(PROCESS_FILE).exists(), "{case}");

        // The cluster goes with all that was planted meanwhile.
        for name in TOUCHED {
            plant(what, &folder.join(name), outside.path());
        }
        machine.settle(cluster, true).await;
        let traces = machine.traces(cluster);
        assert!(traces.is_empty(), "{case} left behind: {traces:#?}");
        untouched(&case);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_ended_for_a_forged_note_and_a_damaged_one_keeps_nothing_alive() {
    if !engines_wanted() {
        return;
    }
    let machine = Machine::new(11).await;
    let mut bystander = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", bystander.id())).unwrap();
    let forged = ProcessMark {
        pid: bystander.id().try_into().unwrap(),
        started: stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap(),
        boot_id: boot_id.trim().to_owned(),
        pid_namespace: None,
    };
    let forged = serde_json::to_vec(&forged).unwrap();
    // (what the node has written, what becomes of the control folder: kept, gone as before there were any, or damaged)
    for (case, note, damage) in [
        ("forged beside the right one", forged.as_slice(), None),
        ("forged, of an earlier release", &forged, Some(None)),
        ("empty, of an earlier release", b"", Some(None)),
        ("our own is empty", b"", Some(Some(&b""[..]))),
        ("our own is damaged", &forged, Some(Some(b"{\"pid\":"))),
    ] {
        let cluster = machine.create(1, 0, |_| {}).await;
        apply(&machine, cluster, &["network.create", "node.start"]).await;
        let (folder, control) = folders(&machine, cluster);
        fs::write(folder.join(PROCESS_FILE), note).unwrap();
        match damage {
            None => {}
            Some(None) => fs::remove_dir_all(&control).unwrap(),
            Some(Some(text)) => {
                fs::write(control.join(PROCESS_FILE), text).unwrap();
                fs::write(control.join(LAUNCH_FILE), text).unwrap();
            }
        }
        machine.settle(cluster, true).await;
        let traces = machine.traces(cluster);
        assert!(traces.is_empty(), "{case} left behind: {traces:#?}");
        assert!(bystander.try_wait().unwrap().is_none(), "{case}: the bystander was ended");
    }

    // A node that an earlier release has started is found by its own note, and goes on.
    let cluster = machine.create(1, 0, |_| {}).await;
    apply(&machine, cluster, &["network.create", "node.start"]).await;
    let (folder, control) = folders(&machine, cluster);
    let mut earlier = serde_json::to_value(mark(&control)).unwrap();
    earlier.as_object_mut().unwrap().remove("pid_namespace");
    fs::write(folder.join(PROCESS_FILE), earlier.to_string()).unwrap();
    fs::remove_dir_all(control.parent().unwrap()).unwrap();
    let plan = machine.driver.plan(&machine.snapshot(cluster, false).await).await.unwrap();
    assert!(!plan.stages.iter().flatten().any(|step| step.kind == "node.start"), "{plan:?}");
    machine.settle(cluster, true).await;
    assert!(machine.traces(cluster).is_empty());
    assert!(processes(&machine.options.cgroup).iter().filter_map(|process| pid(process)).next().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
