#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use magnum_certs::Vault;
use magnum_domain::Resource;
use magnum_domain::agent::{DesiredNode, ObservedNode, SwarmSpec};

use super::*;
use crate::local::engine;
use crate::local::testing::{node, options, resource, snapshot};

/// A plan in short: stages by `/`, steps by space; `kind:node` with the node's name after the cluster's.
fn shown(plan: &Plan, snapshot: &Snapshot) -> String {
    let step = |step: &Step| match step.node.and_then(|uuid| snapshot.nodes.iter().find(|node| node.uuid == uuid)) {
        Some(node) => format!("{}:{}", step.kind, node.name.trim_start_matches("web-")),
        None => step.kind.clone(),
    };
    let stage = |stage: &Vec<Step>| stage.iter().map(step).collect::<Vec<_>>().join(" ");
    plan.stages.iter().map(stage).collect::<Vec<_>>().join(" / ")
}

fn planned(snapshot: &Snapshot, observed: &Observed) -> String {
    shown(&plan(snapshot, observed, |node| engine::spec(snapshot, node, &options())), snapshot)
}

/// A cluster that is up, with all that is seen of it.
fn up(masters: i32, workers: i32) -> (Snapshot, Observed) {
    let mut snapshot = snapshot(masters, workers);
    let mut observed = Observed { network: true, served: true, running: BTreeSet::new() };
    for kind in [ResourceKind::Folder, ResourceKind::Cgroup, ResourceKind::Namespace, ResourceKind::Port] {
        snapshot.resources.push(resource(&snapshot, None, kind.as_str(), ResourceState::Made));
    }
    for index in 0..snapshot.nodes.len() {
        let id = format!("id{index}");
        let engine = engine::spec(&snapshot, &snapshot.nodes[index], &options());
        let node = &mut snapshot.nodes[index];
        node.phase = NodePhase::Ready;
        node.address = Some(format!("10.77.0.{}", 11 + index));
        node.desired = Some(DesiredNode { generation: 1, engine, swarm: SwarmSpec::Wait });
        node.observed = Some(ObservedNode { swarm_node_id: Some(id.clone()), ..settled_outside() });
        let uuid = node.uuid;
        observed.running.insert(uuid);
        for kind in [ResourceKind::Folder, ResourceKind::Cgroup, ResourceKind::Namespace, ResourceKind::Process] {
            snapshot.resources.push(resource(&snapshot, Some(uuid), kind.as_str(), ResourceState::Made));
        }
        let row = resource(&snapshot, Some(uuid), ResourceKind::SwarmMember.as_str(), ResourceState::Made);
        snapshot.resources.push(Resource { attributes: ledger::member(&id), ..row });
    }
    (snapshot, observed)
}

/// What the agent of a node says whose engine is well and in no swarm.
fn settled_outside() -> ObservedNode {
    ObservedNode { generation: 1, engine_ready: true, ..ObservedNode::default() }
}

fn add_worker(snapshot: &mut Snapshot, position: i32) -> Uuid {
    let mut added = node(&snapshot.cluster, &format!("web-worker-{position}"));
    added.nodegroup_uuid = snapshot.nodegroups[1].uuid;
    added.position = position;
    snapshot.nodes.push(added);
    snapshot.nodes.last().unwrap().uuid
}

#[test]
fn every_work_is_read_as_it_is_written() {
    for (work, kind, ..) in WORKS {
        let step = work.step(None);
        assert_eq!((step.kind.as_str(), Work::of(&step)), (kind, Some(work)));
        assert!(step.timeout >= Duration::from_secs(30));
    }
    let unknown = Step { kind: "stack.create".to_owned(), ..Work::DrainNode.step(None) };
    assert_eq!(Work::of(&unknown), None);
}

#[test]
fn a_new_cluster_is_planned_from_the_network_to_the_last_worker() {
    let snapshot = snapshot(3, 1);
    assert_eq!(
        planned(&snapshot, &Observed::default()),
        "network.create \
         / node.start:master-0 node.start:master-1 node.start:master-2 node.start:worker-0 \
         / node.engine:master-0 node.engine:master-1 node.engine:master-2 node.engine:worker-0 \
         / swarm.init:master-0 / swarm.join:master-1 / swarm.join:master-2 / swarm.join:worker-0"
    );
}

/// A plan grows with the nodes of its cluster and with nothing else: the largest has three steps for each.
#[test]
fn the_plan_of_the_largest_cluster_stays_small() {
    let snapshot = snapshot(499, 501);
    let plan = plan(&snapshot, &Observed::default(), |node| engine::spec(&snapshot, node, &options()));
    assert_eq!(plan.stages.iter().map(Vec::len).sum::<usize>(), 1 + 3 * 1000);
    let bytes: usize = plan.stages.iter().flatten().map(|step| step.kind.len() + step.title.len()).sum();
    assert!(bytes < 100 * 3001, "{bytes}");
}

#[test]
fn a_cluster_that_is_as_wanted_needs_nothing() {
    let (snapshot, observed) = up(3, 2);
    assert_eq!(planned(&snapshot, &observed), "");
}

#[test]
fn titles_are_for_people() {
    let (mut snapshot, observed) = up(1, 0);
    add_worker(&mut snapshot, 0);
    let plan = plan(&snapshot, &observed, |node| engine::spec(&snapshot, node, &options()));
    let titles = plan.stages.iter().flatten().map(|step| step.title.as_str()).collect::<Vec<_>>();
    assert_eq!(
        titles,
        [
            "start node web-worker-0",
            "bring up the container engine of node web-worker-0",
            "add node web-worker-0 to the swarm"
        ]
    );
}

#[test]
fn whatever_differs_is_mended_and_nothing_else() {
    type Change = fn(&mut Snapshot, &mut Observed);
    let cases: [(&str, Change, &str); 15] = [
        ("a restart of the process", |_, observed| observed.served = false, "network.create"),
        (
            "a restart of the machine",
            |_, observed| *observed = Observed::default(),
            "network.create / node.start:master-0 node.start:worker-0 node.start:worker-1 \
             / node.engine:master-0 node.engine:worker-0 node.engine:worker-1",
        ),
        (
            "a dead node",
            |snapshot, observed| {
                observed.running.remove(&snapshot.nodes[1].uuid);
            },
            "node.start:worker-0 / node.engine:worker-0",
        ),
        ("a dead engine", |snapshot, _| snapshot.nodes[0].phase = NodePhase::Joined, "node.engine:master-0"),
        (
            "other labels for the workers",
            |snapshot, _| drop(snapshot.nodegroups[1].node_labels.insert("zone".to_owned(), "b".to_owned())),
            "node.engine:worker-0 node.engine:worker-1",
        ),
        (
            "a worker more",
            |snapshot, _| {
                add_worker(snapshot, 2);
            },
            "node.start:worker-2 / node.engine:worker-2 / swarm.join:worker-2",
        ),
        (
            "a worker that was started but died before it joined",
            |snapshot, _| {
                let added = add_worker(snapshot, 2);
                snapshot.nodes[3].phase = NodePhase::Started;
                let row = resource(snapshot, Some(added), ResourceKind::SwarmMember.as_str(), ResourceState::Planned);
                snapshot.resources.push(row);
            },
            "node.start:worker-2 / node.engine:worker-2 / swarm.join:worker-2",
        ),
        (
            "two workers less",
            |snapshot, _| snapshot.nodes[1..].iter_mut().for_each(|node| node.phase = NodePhase::Leaving),
            "node.drain:worker-0 node.drain:worker-1 / swarm.leave:worker-0 swarm.leave:worker-1 \
             / node.remove:worker-0 node.remove:worker-1 / node.destroy:worker-0 node.destroy:worker-1",
        ),
        (
            "a dead worker less",
            |snapshot, observed| {
                snapshot.nodes[1].phase = NodePhase::Leaving;
                observed.running.remove(&snapshot.nodes[1].uuid);
            },
            "node.remove:worker-0 / node.destroy:worker-0",
        ),
        (
            "a worker less that was struck off already",
            |snapshot, _| {
                snapshot.nodes[1].phase = NodePhase::Leaving;
                let uuid = snapshot.nodes[1].uuid;
                let member = ResourceKind::SwarmMember.as_str();
                snapshot.resources.retain(|row| row.node_uuid != Some(uuid) || row.kind != member);
            },
            "node.destroy:worker-0",
        ),
        (
            "one worker less and another more",
            |snapshot, _| {
                add_worker(snapshot, 2);
                snapshot.nodes[2].phase = NodePhase::Leaving;
            },
            "node.start:worker-2 / node.engine:worker-2 / swarm.join:worker-2 \
             / node.drain:worker-1 / swarm.leave:worker-1 / node.remove:worker-1 / node.destroy:worker-1",
        ),
        (
            "a worker whose data is lost",
            |snapshot, _| {
                snapshot.nodes[1].phase = NodePhase::EngineReady;
                snapshot.nodes[1].observed = Some(settled_outside());
            },
            "swarm.join:worker-0",
        ),
        (
            "an engine that was just started again",
            |snapshot, _| {
                snapshot.nodes[1].phase = NodePhase::EngineReady;
                snapshot.nodes[1].observed = Some(ObservedNode { generation: 0, ..settled_outside() });
            },
            "node.engine:worker-0",
        ),
        (
            "the only manager whose data is lost",
            |snapshot, _| {
                snapshot.nodes[0].phase = NodePhase::EngineReady;
                snapshot.nodes[0].observed = Some(settled_outside());
            },
            "swarm.init:master-0",
        ),
        (
            "an engine that is not up yet is in no swarm, and has lost nothing",
            |snapshot, _| {
                snapshot.nodes[1].phase = NodePhase::Joined;
                snapshot.nodes[1].observed = Some(ObservedNode::default());
            },
            "node.engine:worker-0",
        ),
    ];
    for (what, change, expected) in cases {
        let (mut snapshot, mut observed) = up(1, 2);
        change(&mut snapshot, &mut observed);
        assert_eq!(planned(&snapshot, &observed), expected, "{what}");
    }
}

#[test]
fn managers_leave_one_after_another() {
    let (mut snapshot, observed) = up(5, 0);
    snapshot.nodes[3..].iter_mut().for_each(|node| node.phase = NodePhase::Leaving);
    assert_eq!(
        planned(&snapshot, &observed),
        "node.drain:master-3 node.drain:master-4 / swarm.leave:master-3 / swarm.leave:master-4 \
         / node.remove:master-3 node.remove:master-4 / node.destroy:master-3 node.destroy:master-4"
    );
}

#[test]
fn a_manager_that_lost_its_data_joins_those_that_did_not() {
    let (mut snapshot, observed) = up(3, 0);
    snapshot.nodes[0].phase = NodePhase::EngineReady;
    snapshot.nodes[0].observed = Some(settled_outside());
    assert_eq!(planned(&snapshot, &observed), "swarm.join:master-0");
}

#[test]
fn taking_down_works_from_rows_alone() {
    let (mut snapshot, observed) = up(1, 1);
    snapshot.deleting = true;
    assert_eq!(planned(&snapshot, &observed), "node.destroy:master-0 node.destroy:worker-0 / network.destroy");
    assert_eq!(
        planned(&snapshot, &Observed::default()),
        "node.destroy:master-0 node.destroy:worker-0 / network.destroy",
        "whatever is seen of it"
    );
    snapshot.nodes.remove(1);
    assert_eq!(
        planned(&snapshot, &observed),
        "node.destroy:master-0 node.destroy / network.destroy",
        "things of a node whose row is gone"
    );
    snapshot.nodes.clear();
    snapshot.resources.retain(|row| row.node_uuid.is_none());
    assert_eq!(planned(&snapshot, &observed), "network.destroy");
    snapshot.resources.clear();
    assert_eq!(planned(&snapshot, &observed), "");
}

/// A node takes the place of another: planned, with the name of a position that is free.
fn replaced(snapshot: &mut Snapshot, index: usize, name: &str) {
    snapshot.nodes[index].phase = NodePhase::Leaving;
    let mut added = node(&snapshot.cluster, name);
    (added.nodegroup_uuid, added.is_master) = (snapshot.nodes[index].nodegroup_uuid, snapshot.nodes[index].is_master);
    snapshot.nodes.push(added);
}

/// From the names in a request to the steps of the plan.
#[test]
fn named_nodes_leave_once_others_are_in_their_place() {
    let start = |names: &[&str]| {
        let steps = |kind: &str| names.iter().map(|name| format!("{kind}:{name}")).collect::<Vec<_>>();
        let joins = steps("swarm.join").join(" / ");
        format!("{} / {} / {joins}", steps("node.start").join(" "), steps("node.engine").join(" "))
    };
    let leave = |names: &[&str]| {
        let kinds = ["node.drain", "swarm.leave", "node.remove", "node.destroy"];
        let steps = |kind: &str| names.iter().map(|name| format!("{kind}:{name}")).collect::<Vec<_>>().join(" ");
        kinds.map(steps).join(" / ")
    };
    // Workers wanted where there are two, the named, the new ones and those that leave.
    let cases: [(i32, &[&str], &[&str], &[&str]); 6] = [
        (2, &["web-worker-0"], &["worker-2"], &["worker-0"]),
        (2, &["web-worker-0", "web-worker-1"], &["worker-2", "worker-3"], &["worker-0", "worker-1"]),
        (3, &["10.77.0.12"], &["worker-2", "worker-3"], &["worker-0"]),
        (1, &["web-worker-0"], &[], &["worker-0"]),
        (1, &["web-worker-0", "web-worker-1"], &["worker-2"], &["worker-0", "worker-1"]),
        (0, &["web-worker-0"], &[], &["worker-0", "worker-1"]),
    ];
    for (wanted, named, new, leaving) in cases {
        let (mut snapshot, observed) = up(1, 2);
        snapshot.nodegroups[1].node_count = wanted;
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let found =
            magnum_domain::nodes::difference(&snapshot.cluster, &snapshot.nodegroups, &snapshot.nodes, &named).unwrap();
        for node in snapshot.nodes.iter_mut().filter(|node| found.leave.contains(&node.uuid)) {
            node.phase = NodePhase::Leaving;
        }
        let cluster = snapshot.cluster.uuid;
        snapshot.nodes.extend(found.add.into_iter().map(|new| new.planned(cluster)));
        let expected = if new.is_empty() { leave(leaving) } else { format!("{} / {}", start(new), leave(leaving)) };
        assert_eq!(planned(&snapshot, &observed), expected, "{wanted} without {named:?}");
    }
}

#[test]
fn the_only_manager_goes_once_another_has_joined() {
    let (mut snapshot, observed) = up(1, 0);
    replaced(&mut snapshot, 0, "web-master-1");
    assert_eq!(
        planned(&snapshot, &observed),
        "node.start:master-1 / node.engine:master-1 / swarm.join:master-1 \
         / node.drain:master-0 / swarm.leave:master-0 / node.remove:master-0 / node.destroy:master-0"
    );
}

#[test]
fn an_authority_is_made_switched_to_and_the_one_before_removed() {
    let (mut snapshot, observed) = up(3, 1);
    let vault_refs = |snapshot: &Snapshot| Vault::next_references(&snapshot.cluster, snapshot.rotation.unwrap());
    snapshot.rotation = Some(Uuid::new_v4());
    assert_eq!(planned(&snapshot, &observed), "authority.create");
    let next = vault_refs(&snapshot);
    let old = snapshot.nodes.iter().map(|node| node.uuid).collect::<Vec<_>>();
    let row = resource(&snapshot, None, ResourceKind::Authority.as_str(), ResourceState::Made);
    let attributes = serde_json::json!({
        "from": {"ca": snapshot.cluster.ca_cert_ref, "client": snapshot.cluster.magnum_cert_ref},
        "to": {"ca": next.ca, "client": next.magnum},
        "nodes": old,
    });
    snapshot.resources.push(Resource { attributes, ..row });
    assert_eq!(planned(&snapshot, &observed), "", "the nodes are replaced by whoever asks for that");

    let mut three = snapshot.clone();
    replaced(&mut three, 0, "web-master-3");
    let plan = planned(&three, &observed);
    assert!(!plan.contains("authority"), "two managers under the old one stay: {plan}");
    for index in [1, 2] {
        three.nodes[index].phase = NodePhase::Leaving;
    }
    let plan = planned(&three, &observed);
    let place = |step: &str| plan.find(step).unwrap_or_else(|| panic!("{step}: {plan}"));
    assert!(place("swarm.join:master-3") < place("authority.switch"), "{plan}");
    assert!(place("authority.switch") < place("node.drain"), "{plan}");
    assert!(!plan.contains("authority.retire"), "{plan}");

    snapshot.cluster.ca_cert_ref = next.ca;
    assert_eq!(planned(&snapshot, &observed), "", "nodes under the old one are left");
    for index in 0..snapshot.nodes.len() {
        let uuid = Uuid::new_v4();
        let before = std::mem::replace(&mut snapshot.nodes[index].uuid, uuid);
        let own = snapshot.resources.iter_mut().filter(|row| row.node_uuid == Some(before));
        own.for_each(|row| row.node_uuid = Some(uuid));
    }
    let running = snapshot.nodes.iter().map(|node| node.uuid).collect();
    let observed = Observed { running, ..observed };
    assert_eq!(planned(&snapshot, &observed), "authority.retire");
    snapshot.resources.retain(|row| row.kind != ResourceKind::Authority.as_str());
    assert_eq!(planned(&snapshot, &observed), "", "it is done");
}
