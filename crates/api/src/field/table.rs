//! The fields of every body, in the order of the reference.

use super::Preset::{Boolean as Is, Dictionary as Empty, Integer as Count, Word as Says};
use super::address::AddressType;
use super::{BodySpec, FieldSpec, FieldType, Measure};

/// Any text of 1 to 255 characters.
pub(super) const TEXT: FieldType = FieldType::Text { min: 1, max: 255 };
/// The address of a proxy.
pub(super) const PROXY: FieldType = FieldType::Address(AddressType::Proxy);
/// A number of nodes.
const NODES: FieldType = FieldType::Amount { min: 0, of: Measure::Nodes };
/// A number of nodes from one.
pub(super) const SOME_NODES: FieldType = FieldType::Amount { min: 1, of: Measure::Nodes };
/// Size of a volume.
pub(super) const GIGABYTES: FieldType = FieldType::Amount { min: 1, of: Measure::Gigabytes };
/// A time for an operation.
pub(super) const MINUTES: FieldType = FieldType::Amount { min: 0, of: Measure::Minutes };
/// A limit on others: it makes nothing, so any number will do.
const LIMIT: FieldType = FieldType::Integer { min: 0, max: i32::MAX };

/// Statuses of clusters and node groups.
pub(crate) const STATUSES: &[&str] = &[
    "CREATE_IN_PROGRESS",
    "CREATE_FAILED",
    "CREATE_COMPLETE",
    "UPDATE_IN_PROGRESS",
    "UPDATE_FAILED",
    "UPDATE_COMPLETE",
    "DELETE_IN_PROGRESS",
    "DELETE_FAILED",
    "DELETE_COMPLETE",
    "RESUME_COMPLETE",
    "RESUME_FAILED",
    "RESTORE_COMPLETE",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_FAILED",
    "ROLLBACK_COMPLETE",
    "SNAPSHOT_COMPLETE",
    "CHECK_COMPLETE",
    "ADOPT_COMPLETE",
];
/// Outcomes of health checks.
const HEALTH: &[&str] = &["HEALTHY", "UNHEALTHY", "UNKNOWN"];
/// Orchestration engines: upstream's of all its releases.
pub(crate) const COES: &[&str] = &["kubernetes", "swarm", "swarm-mode", "mesos", "dcos"];

pub(super) const fn field(name: &'static str, kind: FieldType, about: &'static str) -> FieldSpec {
    FieldSpec::new(name, kind, about)
}

pub(super) const fn fixed(name: &'static str) -> FieldSpec {
    FieldSpec::read_only(name)
}

/// `POST` and `PATCH /v1/clustertemplates`.
pub(crate) const CLUSTER_TEMPLATE: BodySpec = BodySpec {
    argument: "cluster_template",
    fields: &[
        field("uuid", FieldType::Uuid, "Identity; made up when it is not given."),
        field("name", TEXT, "Name, not unique; made up when it is not given."),
        // Missed by its own rule, which has words of its own for it.
        field("coe", FieldType::Word(COES), "Container orchestration engine."),
        field("image_id", TEXT, "Name or id of the image of the nodes.").mandatory(),
        field("flavor_id", TEXT, "Name or id of the flavor of workers."),
        field("master_flavor_id", TEXT, "Name or id of the flavor of masters."),
        field("dns_nameserver", FieldType::NameServers, "IPv4 addresses of name servers, separated by commas."),
        field("keypair_id", TEXT, "Default key pair for the nodes."),
        field("external_network_id", TEXT, "Name or id of the network that leads outside."),
        field("fixed_network", TEXT, "Name or id of an existing network for the nodes."),
        field("fixed_subnet", TEXT, "Name or id of an existing subnet for the nodes."),
        field("network_driver", TEXT, "Network driver of the engine."),
        field("apiserver_port", FieldType::Integer { min: 1024, max: 65535 }, "Port of the engine's API."),
        field("docker_volume_size", GIGABYTES, "Size of the volume for containers, in GB."),
        field("cluster_distro", TEXT, "Distribution of the image; the image's own word wins."),
        field("http_proxy", PROXY, "Proxy for HTTP."),
        field("https_proxy", PROXY, "Proxy for HTTPS."),
        field(
            "no_proxy",
            FieldType::Address(AddressType::NoProxy),
            "Hosts reached without a proxy, separated by commas.",
        ),
        field("volume_driver", TEXT, "Volume driver of the engine."),
        field("registry_enabled", FieldType::Boolean, "Whether clusters have a registry of their own.")
            .or(Is(false))
            .null_is_preset(),
        field("labels", FieldType::Dictionary, "Labels that clusters inherit.").or(Empty).null_is_preset(),
        field("tls_disabled", FieldType::Boolean, "Whether the engine's API is served without TLS.")
            .or(Is(false))
            .null_is_preset(),
        field("public", FieldType::Boolean, "Whether every project sees it.").or(Is(false)).null_is_preset(),
        field("server_type", FieldType::Word(&["vm", "bm"]), "FieldType of server.").or(Says("vm")),
        field("insecure_registry", FieldType::Address(AddressType::Registries), "Registry to use without TLS."),
        field("docker_storage_driver", TEXT, "Storage driver of the container engine."),
        field("master_lb_enabled", FieldType::Boolean, "Whether a load balancer stands before the masters.")
            .or(Is(false))
            .null_is_preset(),
        field("floating_ip_enabled", FieldType::Boolean, "Whether nodes get floating IPs.")
            .or(Is(true))
            .null_is_preset(),
        field("hidden", FieldType::Boolean, "Whether it is kept out of lists and cluster creation.")
            .or(Is(false))
            .null_is_preset(),
        field("tags", FieldType::Text { min: 0, max: 255 }, "Words, separated by commas."),
        field("driver", TEXT, "Name of the driver."),
        fixed("links"),
        fixed("project_id"),
        fixed("user_id"),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// `POST` and `PATCH /v1/clusters`.
pub(crate) const CLUSTER: BodySpec = BodySpec {
    argument: "cluster",
    fields: &[
        FieldSpec::ignored("uuid", FieldType::Uuid),
        field("name", FieldType::Name { max: 242 }, "Name, not unique; made up when it is not given."),
        field("cluster_template_id", FieldType::FreeText, "UUID, name or integer id of the template.").mandatory(),
        field("keypair", TEXT, "Key pair for the nodes."),
        field("node_count", NODES, "Number of workers; 0 from 1.10 on.").or(Count(1)).not_null(),
        field("master_count", SOME_NODES, "Number of masters, odd.").or(Count(1)).not_null(),
        field("docker_volume_size", GIGABYTES, "Size of the volume for containers, in GB."),
        field("labels", FieldType::Dictionary, "Labels; empty means the template's."),
        field("merge_labels", FieldType::Boolean, "Whether the labels are laid over the template's.")
            .or(Is(false))
            .null_is_preset(),
        field("master_flavor_id", TEXT, "Name or id of the flavor of masters."),
        field("flavor_id", TEXT, "Name or id of the flavor of workers."),
        field("create_timeout", MINUTES, "Minutes that creation may take; 0 and null mean 60.").or(Count(60)),
        field("discovery_url", FieldType::Address(AddressType::Url), "Discovery URL of etcd."),
        field("fixed_network", TEXT, "Name or id of an existing network for the nodes."),
        field("fixed_subnet", TEXT, "Name or id of an existing subnet for the nodes."),
        field("floating_ip_enabled", FieldType::Boolean, "Whether nodes get floating IPs."),
        field("master_lb_enabled", FieldType::Boolean, "Whether a load balancer stands before the masters."),
        FieldSpec::ignored("status", FieldType::Word(STATUSES)),
        FieldSpec::ignored("status_reason", FieldType::FreeText),
        FieldSpec::ignored("health_status", FieldType::Word(HEALTH)),
        FieldSpec::ignored("health_status_reason", FieldType::Dictionary),
        FieldSpec::ignored("faults", FieldType::Dictionary),
        FieldSpec::ignored("labels_overridden", FieldType::Dictionary),
        FieldSpec::ignored("labels_added", FieldType::Dictionary),
        FieldSpec::ignored("labels_skipped", FieldType::Dictionary),
        fixed("links"),
        fixed("stack_id"),
        fixed("cluster_id"),
        fixed("api_address"),
        fixed("coe_version"),
        fixed("container_version"),
        fixed("node_addresses"),
        fixed("master_addresses"),
        fixed("project_id"),
        fixed("user_id"),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// `POST /v1/clusters/{id}/actions/resize`.
pub(crate) const RESIZE: BodySpec = BodySpec {
    argument: "cluster_resize_req",
    fields: &[
        field("node_count", NODES, "New number of nodes; 0 from 1.10 on.").mandatory(),
        field(
            "nodes_to_remove",
            FieldType::Texts,
            "Nodes to remove: UUIDs, names or addresses. Others take their place where node_count asks for them.",
        ),
        field("nodegroup", TEXT, "Node group to resize; the default workers when it is not given."),
    ],
};

/// `POST /v1/clusters/{id}/actions/upgrade`.
pub(crate) const UPGRADE: BodySpec = BodySpec {
    argument: "cluster_upgrade_req",
    fields: &[
        field("cluster_template", TEXT, "UUID or name of the template to move to.").mandatory(),
        field("max_batch_size", SOME_NODES, "How many nodes may change at the same time.").or(Count(1)),
        field("nodegroup", TEXT, "Node group to upgrade; the default workers when it is not given."),
    ],
};

/// `POST` and `PATCH /v1/clusters/{id}/nodegroups`.
pub(crate) const NODEGROUP: BodySpec = BodySpec {
    argument: "nodegroup",
    fields: &[
        field("name", TEXT, "Name, unique in the cluster.").mandatory(),
        field("node_count", NODES, "Number of nodes.").or(Count(1)).not_null(),
        field("min_node_count", NODES, "Fewest nodes.").or(Count(0)).not_null(),
        field("max_node_count", NODES, "Most nodes; null and 0: any number."),
        field("role", TEXT, "`worker` or a word of one's own.").or(Says("worker")).null_is_preset(),
        field("flavor_id", TEXT, "Name or id of the flavor; the cluster's when it is not given."),
        field("image_id", TEXT, "Name or id of the image; the template's when it is not given."),
        field("docker_volume_size", GIGABYTES, "Size of the volume for containers, in GB."),
        field("labels", FieldType::Dictionary, "Labels; the cluster's when they are not given."),
        field("merge_labels", FieldType::Boolean, "Whether the labels are laid over the cluster's.")
            .or(Is(false))
            .null_is_preset(),
        field("node_labels", FieldType::Dictionary, "Labels of the nodes."),
        field("node_taints", FieldType::Taints, "Taints of the nodes."),
        FieldSpec::ignored("id", FieldType::Integer { min: 0, max: i32::MAX }),
        FieldSpec::ignored("uuid", FieldType::Uuid),
        FieldSpec::ignored("cluster_id", FieldType::Uuid),
        FieldSpec::ignored("is_default", FieldType::Boolean),
        FieldSpec::ignored("status", FieldType::Word(STATUSES)),
        FieldSpec::ignored("status_reason", FieldType::FreeText),
        FieldSpec::ignored("version", FieldType::FreeText),
        FieldSpec::ignored("labels_overridden", FieldType::Dictionary),
        FieldSpec::ignored("labels_added", FieldType::Dictionary),
        FieldSpec::ignored("labels_skipped", FieldType::Dictionary),
        fixed("links"),
        fixed("project_id"),
        fixed("stack_id"),
        fixed("node_addresses"),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// `POST /v1/certificates`.
pub(crate) const CERTIFICATE: BodySpec = BodySpec {
    argument: "certificate",
    fields: &[
        field("cluster_uuid", FieldType::FreeText, "UUID or name of the cluster.").mandatory(),
        field("csr", FieldType::FreeText, "Certificate signing request: PKCS#10 in PEM.").mandatory(),
        field("ca_cert_type", FieldType::FreeText, "`etcd`, `front_proxy`; anything else means the cluster's own."),
        FieldSpec::ignored("pem", FieldType::FreeText),
        fixed("links"),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// [`CERTIFICATE`] before 1.11, when a cluster could be named as a bay.
pub(crate) const CERTIFICATE_OF_BAY: BodySpec = BodySpec {
    argument: "certificate",
    fields: &[
        field("bay_uuid", FieldType::FreeText, "UUID or name of the cluster."),
        field("cluster_uuid", FieldType::FreeText, "UUID or name of the cluster."),
        field("csr", FieldType::FreeText, "Certificate signing request: PKCS#10 in PEM.").mandatory(),
        field("ca_cert_type", FieldType::FreeText, "`etcd`, `front_proxy`; anything else means the cluster's own."),
        FieldSpec::ignored("pem", FieldType::FreeText),
        fixed("links"),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// `POST` and `PATCH /v1/quotas`.
pub(crate) const QUOTA: BodySpec = BodySpec {
    argument: "quota",
    fields: &[
        field("project_id", TEXT, "The project it binds."),
        field("resource", FieldType::Word(&["Cluster"]), "What it limits.").or(Says("Cluster")).null_is_preset(),
        field("hard_limit", LIMIT, "Greatest number.").or(Count(1)).not_null(),
        FieldSpec::ignored("id", FieldType::Integer { min: 0, max: i32::MAX }),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// `PATCH /v1/quotas`, which upstream's messages call otherwise.
pub(crate) const QUOTA_PATCH: BodySpec = BodySpec { argument: "quotapatch", ..QUOTA };

/// `POST /v1/federations`.
pub(crate) const FEDERATION: BodySpec = BodySpec {
    argument: "federation",
    fields: &[
        field("name", FieldType::Name { max: 242 }, "Name; made up when it is not given."),
        field("hostcluster_id", FieldType::FreeText, "UUID or name of the cluster that holds the control plane."),
        field("member_ids", FieldType::Texts, "UUIDs of the member clusters."),
        field("properties", FieldType::Dictionary, "Has to hold `dns-zone`."),
        FieldSpec::ignored("uuid", FieldType::Uuid),
        FieldSpec::ignored("status", FieldType::Word(STATUSES)),
        FieldSpec::ignored("status_reason", FieldType::FreeText),
        fixed("links"),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// `PATCH /v1/credentials/{id}`: nothing, or an empty object.
pub(crate) const CREDENTIAL: BodySpec = BodySpec { argument: "credential", fields: &[] };

/// `PATCH /v1/certificates/{id}`: nothing, or an empty object.
pub(crate) const ROTATION: BodySpec = BodySpec { argument: "certificate", fields: &[] };
