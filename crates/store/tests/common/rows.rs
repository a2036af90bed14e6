//! Rows to begin with.

use magnum_domain::nodegroup::{MASTER, Taint, WORKER};
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, Labels, Nodegroup, OperationKind};
use magnum_store::{NewCluster, Store};
use uuid::Uuid;

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A template with something in every column.
pub fn template(name: &str) -> ClusterTemplate {
    let text = |text: &str| Some(text.to_owned());
    ClusterTemplate {
        id: 0,
        uuid: Uuid::new_v4(),
        name: text(name),
        project_id: "p1".to_owned(),
        user_id: "u1".to_owned(),
        coe: "swarm".to_owned(),
        image_id: text("fedora-coreos"),
        flavor_id: text("m1.small"),
        master_flavor_id: text("m1.medium"),
        keypair_id: text("key"),
        external_network_id: text("public"),
        fixed_network: text("net"),
        fixed_subnet: text("subnet"),
        network_driver: text("docker"),
        volume_driver: text("rexray"),
        dns_nameserver: text("8.8.8.8"),
        apiserver_port: Some(8080),
        docker_volume_size: Some(5),
        docker_storage_driver: text("overlay2"),
        cluster_distro: text("fedora-coreos"),
        http_proxy: text("http://proxy:1"),
        https_proxy: text("http://proxy:2"),
        no_proxy: text("localhost"),
        registry_enabled: true,
        labels: labels(&[("a", "ä \"quoted\""), ("b", "True")]),
        tls_disabled: true,
        public: true,
        server_type: "bm".to_owned(),
        insecure_registry: text("registry:5000"),
        master_lb_enabled: true,
        floating_ip_enabled: Some(false),
        hidden: true,
        tags: text("one,two"),
        driver: text("local"),
        created_at: None,
        updated_at: None,
    }
}

/// A cluster with something in every column.
pub fn cluster(name: &str, project: &str, template: &ClusterTemplate) -> Cluster {
    let text = |text: &str| Some(text.to_owned());
    Cluster {
        id: 0,
        uuid: Uuid::new_v4(),
        name: text(name),
        project_id: project.to_owned(),
        user_id: "u1".to_owned(),
        cluster_template_id: template.uuid.to_string(),
        keypair: text("key"),
        docker_volume_size: Some(3),
        labels: labels(&[("x", "1")]),
        master_flavor_id: text("m1.medium"),
        flavor_id: text("m1.small"),
        stack_id: text("stack"),
        api_address: text("https://10.0.0.5:2376"),
        status: ClusterStatus::CreateInProgress,
        status_reason: text("why"),
        health_status: Some(magnum_domain::HealthStatus::Unknown),
        health_status_reason: labels(&[("api", "ok")]),
        create_timeout: Some(60),
        discovery_url: text("https://discovery"),
        coe_version: text("27.1"),
        container_version: text("1.7"),
        ca_cert_ref: text("ca"),
        magnum_cert_ref: text("magnum"),
        etcd_ca_cert_ref: text("etcd"),
        front_proxy_ca_cert_ref: text("front"),
        fixed_network: text("net"),
        fixed_subnet: text("subnet"),
        floating_ip_enabled: Some(true),
        master_lb_enabled: true,
        created_at: None,
        updated_at: None,
    }
}

/// A node group with something in every column.
pub fn nodegroup(cluster: &Cluster, name: &str, role: &str, node_count: i32) -> Nodegroup {
    let text = |text: &str| Some(text.to_owned());
    Nodegroup {
        id: 0,
        uuid: Uuid::new_v4(),
        name: name.to_owned(),
        cluster_id: cluster.uuid,
        project_id: cluster.project_id.clone(),
        docker_volume_size: Some(2),
        labels: labels(&[("x", "1")]),
        flavor_id: text("m1.small"),
        image_id: text("image"),
        node_addresses: vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()],
        node_count,
        max_node_count: Some(9),
        min_node_count: 1,
        role: role.to_owned(),
        is_default: name.starts_with("default-"),
        stack_id: text("stack"),
        status: Some(ClusterStatus::CreateInProgress),
        status_reason: text("why"),
        version: text("0"),
        node_labels: labels(&[("disk", "ssd")]),
        node_taints: vec![
            Taint { key: "gpu".to_owned(), value: Some("yes".to_owned()), effect: "NoSchedule".to_owned() },
            Taint { key: "old".to_owned(), value: None, effect: "NoExecute".to_owned() },
        ],
        created_at: None,
        updated_at: None,
    }
}

pub fn operation(cluster: &Cluster, kind: OperationKind) -> NewOperation {
    NewOperation {
        uuid: Uuid::new_v4(),
        cluster_uuid: cluster.uuid,
        project_id: cluster.project_id.clone(),
        user_id: cluster.user_id.clone(),
        request_id: Some("req-1".to_owned()),
        kind,
        arguments: Arguments::default(),
        deadline_at: None,
    }
}

/// Everything for a cluster with one master and two workers, and room for 1000.
pub fn new_cluster(name: &str, project: &str, template: &ClusterTemplate) -> NewCluster {
    let cluster = cluster(name, project, template);
    NewCluster {
        nodegroups: vec![
            nodegroup(&cluster, "default-master", MASTER, 1),
            nodegroup(&cluster, "default-worker", WORKER, 2),
        ],
        operation: operation(&cluster, OperationKind::Create),
        quota: 1000,
        cluster,
    }
}

/// A cluster with its template in a store.
pub async fn a_cluster(store: &Store) -> Cluster {
    let template = store.create_template(&template("t")).await.unwrap();
    store.create_cluster(new_cluster("web", "p1", &template)).await.unwrap()
}
