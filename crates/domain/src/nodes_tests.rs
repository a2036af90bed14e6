#![allow(clippy::unwrap_used)]

use super::*;
use crate::Labels;

fn cluster(name: &str) -> Cluster {
    Cluster {
        id: 1,
        uuid: Uuid::new_v4(),
        name: Some(name.to_owned()),
        project_id: "project".to_owned(),
        user_id: "user".to_owned(),
        cluster_template_id: Uuid::new_v4().to_string(),
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
        floating_ip_enabled: None,
        master_lb_enabled: false,
        created_at: None,
        updated_at: None,
    }
}

fn group(cluster: &Cluster, name: &str, role: &str, count: i32) -> Nodegroup {
    Nodegroup {
        id: 1,
        uuid: Uuid::new_v4(),
        name: name.to_owned(),
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
        is_default: name.starts_with(DEFAULT_PREFIX),
        stack_id: None,
        status: None,
        status_reason: None,
        version: None,
        node_labels: Labels::new(),
        node_taints: Vec::new(),
        created_at: None,
        updated_at: None,
    }
}

/// The nodes of a cluster after a difference was carried out: the leaving ones are still there.
fn apply(cluster: &Cluster, mut nodes: Vec<Node>, difference: Difference) -> Vec<Node> {
    for node in nodes.iter_mut().filter(|node| difference.leave.contains(&node.uuid)) {
        node.phase = NodePhase::Leaving;
    }
    nodes.extend(difference.add.into_iter().map(|new| new.planned(cluster.uuid)));
    nodes
}

fn names(nodes: &[Node], leaving: bool) -> String {
    let mut names: Vec<&str> =
        nodes.iter().filter(|node| node.is_leaving() == leaving).map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    names.join(" ")
}

/// A cluster of one master and some workers, with addresses 10.0.0.0 and up.
fn up(workers: i32) -> (Cluster, Vec<Nodegroup>, Vec<Node>) {
    let cluster = cluster("c");
    let groups =
        vec![group(&cluster, "default-master", "master", 1), group(&cluster, "default-worker", "worker", workers)];
    let new = difference(&cluster, &groups, &[], &[]).unwrap();
    let mut nodes = apply(&cluster, Vec::new(), new);
    for (at, node) in nodes.iter_mut().enumerate() {
        node.phase = NodePhase::Ready;
        node.address = Some(format!("10.0.0.{at}"));
    }
    (cluster, groups, nodes)
}

#[test]
fn named_nodes_always_go_and_the_count_holds() {
    // Workers there are, workers wanted, named; those that leave, those that are there in the end.
    let table: [(i32, i32, &[&str], &str, &str); 12] = [
        (2, 2, &[], "", "c-master-0 c-worker-0 c-worker-1"),
        (2, 2, &["c-worker-0"], "c-worker-0", "c-master-0 c-worker-1 c-worker-2"),
        (2, 2, &["c-worker-0", "c-worker-0", "10.0.0.1"], "c-worker-0", "c-master-0 c-worker-1 c-worker-2"),
        (2, 2, &["c-worker-0", "c-worker-1"], "c-worker-0 c-worker-1", "c-master-0 c-worker-2 c-worker-3"),
        (2, 1, &["c-worker-0"], "c-worker-0", "c-master-0 c-worker-1"),
        (3, 1, &["c-worker-0"], "c-worker-0 c-worker-2", "c-master-0 c-worker-1"),
        (3, 2, &["c-worker-0", "10.0.0.2"], "c-worker-0 c-worker-1", "c-master-0 c-worker-2 c-worker-3"),
        (
            3,
            1,
            &["c-worker-0", "c-worker-1", "c-worker-2"],
            "c-worker-0 c-worker-1 c-worker-2",
            "c-master-0 c-worker-3",
        ),
        (1, 3, &["c-worker-0"], "c-worker-0", "c-master-0 c-worker-1 c-worker-2 c-worker-3"),
        (2, 0, &["c-worker-1"], "c-worker-0 c-worker-1", "c-master-0"),
        (2, 2, &["nobody", "10.0.0.9"], "", "c-master-0 c-worker-0 c-worker-1"),
        (2, 2, &["c-master-0"], "c-master-0", "c-master-1 c-worker-0 c-worker-1"),
    ];
    for (there, wanted, named, leaving, staying) in table {
        let (cluster, mut groups, nodes) = up(there);
        groups[1].node_count = wanted;
        let by_word: Vec<String> = named.iter().map(|word| (*word).to_owned()).collect();
        let by_uuid: Vec<String> = by_word
            .iter()
            .map(|word| find(&nodes, word).map_or(word.clone(), |node| node.uuid.simple().to_string().to_uppercase()))
            .collect();
        for words in [by_word, by_uuid] {
            let found = difference(&cluster, &groups, &nodes, &words).unwrap();
            let after = apply(&cluster, nodes.clone(), found);
            assert_eq!(names(&after, true), leaving, "{there} to {wanted} without {words:?}");
            assert_eq!(names(&after, false), staying, "{there} to {wanted} without {words:?}");
            let again = difference(&cluster, &groups, &after, &words).unwrap();
            assert!(again.is_empty(), "{there} to {wanted} without {words:?}: {again:?} the second time");
        }
    }
}

/// By UUID, the node is meant that had it when the request came, not the one that has its name later.
#[test]
fn a_replaced_node_does_not_take_its_successor_along() {
    let (cluster, mut groups, nodes) = up(2);
    let named = [find(&nodes, "c-worker-0").unwrap().uuid.to_string()];
    let first = difference(&cluster, &groups, &nodes, &named).unwrap();
    let mut nodes = apply(&cluster, nodes, first);
    nodes.retain(|node| !node.is_leaving());
    groups[1].node_count = 3;
    let second = difference(&cluster, &groups, &nodes, &named).unwrap();
    assert_eq!(second.add[0].name, "c-worker-0", "the position is free again");
    let nodes = apply(&cluster, nodes, second);
    assert!(difference(&cluster, &groups, &nodes, &named).unwrap().is_empty());
}

#[test]
fn a_number_that_no_cluster_can_have_is_refused_before_anything_is_made_of_it() {
    let cluster = cluster("c");
    let groups = |counts: [i32; 2]| counts.map(|count| group(&cluster, "n", "worker", count));
    let most = i32::try_from(MOST_NODES).unwrap();
    for counts in [[i32::MAX, 0], [i32::MAX, i32::MAX], [most, 1]] {
        let refused = difference(&cluster, &groups(counts), &[], &[]).unwrap_err();
        assert!(refused.to_string().contains("more than the 10000 that any cluster may have"), "{refused}");
    }
    assert_eq!(difference(&cluster, &groups([most, -5]), &[], &[]).unwrap().add.len(), MOST_NODES);
    // What is on its way out does not count.
    let mut going = groups([i32::MAX, 2]);
    going[0].status = Some(ClusterStatus::DeleteInProgress);
    assert_eq!(difference(&cluster, &going, &[], &[]).unwrap().add.len(), 2);
}

#[test]
fn names_are_host_names() {
    let long = "c".repeat(242);
    let cases = [
        ("web", "worker", 0, "web-worker-0".to_owned()),
        ("web_1.x", "master", 12, "web-1-x-master-12".to_owned()),
        (long.as_str(), "worker", 7, format!("{}-worker-7", "c".repeat(54))),
    ];
    for (cluster, group, position, expected) in cases {
        let name = node_name(cluster, group, position);
        assert_eq!(name, expected);
        assert!(name.len() <= LONGEST_NAME);
    }
}
