//! The fields of bays and bay models, by which clusters and templates go in versions before 1.11 (§14 of the
//! reference). What is shown of them is the same table.

use super::Preset::{Boolean as Is, Dictionary as Empty, Integer as Count, Word as Says};
use super::address::AddressType;
use super::table::{COES, GIGABYTES, MINUTES, PROXY, SOME_NODES, STATUSES, TEXT, field, fixed};
use super::{BodySpec, FieldSpec, FieldType};

/// `POST` and `PATCH /v1/bays`.
pub(crate) const BAY: BodySpec = BodySpec {
    argument: "bay",
    fields: &[
        FieldSpec::ignored("uuid", FieldType::Uuid),
        field("name", FieldType::Name { max: 242 }, "Name, not unique; made up when it is not given."),
        field("baymodel_id", FieldType::FreeText, "UUID or name of the bay model.").mandatory(),
        field("node_count", SOME_NODES, "Number of workers.").or(Count(1)).not_null(),
        field("master_count", SOME_NODES, "Number of masters, odd.").or(Count(1)).not_null(),
        field("docker_volume_size", GIGABYTES, "Size of the volume for containers, in GB."),
        field("labels", FieldType::Dictionary, "Labels; empty means the bay model's."),
        field("master_flavor_id", TEXT, "Name or id of the flavor of masters."),
        field("flavor_id", TEXT, "Name or id of the flavor of workers."),
        field("bay_create_timeout", MINUTES, "Minutes that creation may take.").or(Count(60)),
        fixed("links"),
        fixed("stack_id"),
        FieldSpec::ignored("status", FieldType::Word(STATUSES)),
        FieldSpec::ignored("status_reason", FieldType::FreeText),
        field("discovery_url", FieldType::Address(AddressType::Url), "Discovery URL of etcd."),
        fixed("api_address"),
        fixed("coe_version"),
        fixed("container_version"),
        fixed("node_addresses"),
        fixed("master_addresses"),
        FieldSpec::ignored("bay_faults", FieldType::Dictionary),
        field("fixed_network", TEXT, "Name or id of an existing network for the nodes."),
        field("fixed_subnet", TEXT, "Name or id of an existing subnet for the nodes."),
        field("floating_ip_enabled", FieldType::Boolean, "Whether nodes get floating IPs."),
        field("master_lb_enabled", FieldType::Boolean, "Whether a load balancer stands before the masters."),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};

/// `POST` and `PATCH /v1/baymodels`.
pub(crate) const BAY_MODEL: BodySpec = BodySpec {
    argument: "baymodel",
    fields: &[
        field("uuid", FieldType::Uuid, "Identity; made up when it is not given."),
        field("name", TEXT, "Name, not unique; made up when it is not given."),
        // Missed by its own rule, which has words of its own for it.
        field("coe", FieldType::Word(COES), "Container orchestration engine."),
        field("image_id", TEXT, "Name or id of the image of the nodes.").mandatory(),
        field("flavor_id", TEXT, "Name or id of the flavor of workers."),
        field("master_flavor_id", TEXT, "Name or id of the flavor of masters."),
        field("dns_nameserver", FieldType::NameServers, "IPv4 address of the name server."),
        field("keypair_id", TEXT, "Key pair for the nodes.").mandatory(),
        field("external_network_id", TEXT, "Name or id of the network that leads outside."),
        field("fixed_network", TEXT, "Name or id of an existing network for the nodes."),
        field("fixed_subnet", TEXT, "Name or id of an existing subnet for the nodes."),
        field("network_driver", TEXT, "Network driver of the engine."),
        field("apiserver_port", FieldType::Integer { min: 1024, max: 65535 }, "Port of the engine's API."),
        field("docker_volume_size", GIGABYTES, "Size of the volume for containers, in GB."),
        field("cluster_distro", TEXT, "Distribution of the image; the image's own word wins."),
        fixed("links"),
        field("http_proxy", PROXY, "Proxy for HTTP."),
        field("https_proxy", PROXY, "Proxy for HTTPS."),
        field(
            "no_proxy",
            FieldType::Address(AddressType::NoProxy),
            "Hosts reached without a proxy, separated by commas.",
        ),
        field("volume_driver", TEXT, "Volume driver of the engine."),
        field("registry_enabled", FieldType::Boolean, "Whether bays have a registry of their own.")
            .or(Is(false))
            .null_is_preset(),
        field("labels", FieldType::Dictionary, "Labels that bays inherit.").or(Empty).null_is_preset(),
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
        field("floating_ip_enabled", FieldType::Boolean, "Whether nodes get floating IPs.").or(Is(true)),
        field("hidden", FieldType::Boolean, "Whether it is kept out of lists.").or(Is(false)).null_is_preset(),
        field("tags", FieldType::Text { min: 0, max: 255 }, "Words, separated by commas."),
        fixed("created_at"),
        fixed("updated_at"),
    ],
};
