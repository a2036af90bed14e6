//! Rows for tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use magnum_domain::driver::Snapshot;
use magnum_domain::{
    Cluster, ClusterStatus, ClusterTemplate, Labels, Node, NodePhase, Nodegroup, Resource, ResourceState, now,
};
use serde_json::json;
use uuid::Uuid;

use super::LocalOptions;

pub(crate) fn options() -> LocalOptions {
    LocalOptions::new("/var/lib/magnum".into(), "/usr/bin/magnum-agent".into())
}

pub(crate) fn template() -> ClusterTemplate {
    ClusterTemplate {
        id: 1,
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
        created_at: Some(now()),
        updated_at: None,
    }
}

pub(crate) fn cluster(name: &str) -> Cluster {
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
        floating_ip_enabled: Some(false),
        master_lb_enabled: false,
        created_at: Some(now()),
        updated_at: None,
    }
}

pub(crate) fn nodegroup(cluster: &Cluster, name: &str, role: &str, count: i32) -> Nodegroup {
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
        is_default: true,
        stack_id: None,
        status: None,
        status_reason: None,
        version: None,
        node_labels: Labels::new(),
        node_taints: Vec::new(),
        created_at: Some(now()),
        updated_at: None,
    }
}

pub(crate) fn node(cluster: &Cluster, name: &str) -> Node {
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

/// A new cluster: its rows are there, nothing else.
pub(crate) fn snapshot(masters: i32, workers: i32) -> Snapshot {
    let cluster = cluster("web");
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
        template: template(),
        nodegroups,
        nodes,
        resources: Vec::new(),
        deleting: false,
        outdated: Vec::new(),
        rotation: None,
    }
}

pub(crate) fn resource(snapshot: &Snapshot, node: Option<Uuid>, kind: &str, state: ResourceState) -> Resource {
    let id = i64::try_from(snapshot.resources.len()).unwrap() + 1;
    Resource {
        id,
        cluster_uuid: snapshot.cluster.uuid,
        node_uuid: node,
        kind: kind.to_owned(),
        name: format!("{kind}-{id}"),
        attributes: json!({}),
        state,
        created_at: now(),
    }
}
