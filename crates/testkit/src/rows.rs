//! Plain rows.

use magnum_domain::driver::Snapshot;
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, Labels, Node, NodePhase, Nodegroup, OperationKind, now};
use magnum_store::NewCluster;
use uuid::Uuid;

/// A template of a swarm on local nodes.
#[must_use]
pub fn template() -> ClusterTemplate {
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
        network_driver: Some("docker".to_owned()),
        volume_driver: None,
        dns_nameserver: None,
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

/// A cluster of this template, which is being created.
#[must_use]
pub fn cluster(name: &str, template: &ClusterTemplate) -> Cluster {
    Cluster {
        id: 0,
        uuid: Uuid::new_v4(),
        name: Some(name.to_owned()),
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

/// One of the cluster's default node groups, such as `default-worker`.
#[must_use]
pub fn nodegroup(cluster: &Cluster, name: &str, role: &str, count: i32) -> Nodegroup {
    Nodegroup {
        id: 0,
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

/// A node that is planned and nothing more.
#[must_use]
pub fn node(cluster: &Cluster, name: &str) -> Node {
    Node {
        uuid: Uuid::new_v4(),
        cluster_uuid: cluster.uuid,
        nodegroup_uuid: Uuid::new_v4(),
        name: name.to_owned(),
        position: 0,
        is_master: false,
        address: None,
        phase: NodePhase::Planned,
        message: None,
        join_token_hash: None,
        certificate_fingerprint: None,
        desired: None,
        observed: None,
        last_seen_at: None,
        created_at: now(),
        updated_at: now(),
    }
}

/// A new cluster called `web`: its rows are there, nothing else.
#[must_use]
pub fn snapshot(masters: i32, workers: i32) -> Snapshot {
    let template = template();
    let cluster = cluster("web", &template);
    let nodegroups = vec![
        nodegroup(&cluster, "default-master", "master", masters),
        nodegroup(&cluster, "default-worker", "worker", workers),
    ];
    let mut nodes = Vec::new();
    for (group, word) in nodegroups.iter().zip(["master", "worker"]) {
        for position in 0..group.node_count {
            let mut node = node(&cluster, &format!("web-{word}-{position}"));
            node.nodegroup_uuid = group.uuid;
            node.position = position;
            node.is_master = group.is_master();
            nodes.push(node);
        }
    }
    Snapshot {
        cluster,
        template,
        nodegroups,
        nodes,
        resources: Vec::new(),
        deleting: false,
        outdated: Vec::new(),
        rotation: None,
    }
}

/// An operation of the cluster's owner, without a deadline.
#[must_use]
pub fn operation(cluster: &Cluster, kind: OperationKind) -> NewOperation {
    NewOperation {
        uuid: Uuid::new_v4(),
        cluster_uuid: cluster.uuid,
        project_id: cluster.project_id.clone(),
        user_id: cluster.user_id.clone(),
        request_id: None,
        kind,
        arguments: Arguments::default(),
        deadline_at: None,
    }
}

/// What an accepted request for this cluster writes, with as many masters and workers.
#[must_use]
pub fn create_of(cluster: Cluster, masters: i32, workers: i32) -> NewCluster {
    let groups = [("master", masters), ("worker", workers)];
    let nodegroups = groups.map(|(role, count)| nodegroup(&cluster, &format!("default-{role}"), role, count)).to_vec();
    let operation = operation(&cluster, OperationKind::Create);
    NewCluster { cluster, nodegroups, operation, quota: 10 }
}
