//! What becomes of every field of a template, cluster or node group on local clusters. A test asks for a row for each field
//! that the API takes.

use magnum_domain::effect::Effect::{Ignored, Refused, Used};
use magnum_domain::effect::Subject::{Cluster, ClusterTemplate, Nodegroup};
use magnum_domain::effect::{Effect, FieldEffect, Subject};

/// Labels that are read for local clusters: by the driver itself, or for every driver when a cluster is accepted.
pub(super) const LABELS: &[&str] = &["min_node_count", "swarm_strategy"];

const fn ignored(why: &'static str) -> Effect {
    Ignored { unless: &[], why }
}

const fn row(subject: Subject, name: &'static str, effect: Effect) -> FieldEffect {
    FieldEffect { subject, name, effect }
}

const FLAVOR: Effect = ignored("the nodes share the processors and the memory of this machine");
const KEYPAIR: Effect = ignored("nobody logs in to nodes on this machine by SSH");
const VOLUME: Effect = ignored("nodes keep images and containers in a folder of this machine");
const NETWORK: Effect = ignored("every cluster on this machine has a network of its own");
const FLOATING: Effect = Ignored {
    unless: &["false"],
    why: "nodes on this machine have no floating IPs; api_address says how they are reached",
};

/// The table.
pub(super) const FIELDS: &[FieldEffect] = &[
    row(ClusterTemplate, "uuid", Used),
    row(ClusterTemplate, "name", Used),
    row(ClusterTemplate, "coe", Used),
    row(ClusterTemplate, "image_id", Used),
    row(ClusterTemplate, "flavor_id", FLAVOR),
    row(ClusterTemplate, "master_flavor_id", FLAVOR),
    row(ClusterTemplate, "dns_nameserver", Used),
    row(ClusterTemplate, "keypair_id", KEYPAIR),
    row(
        ClusterTemplate,
        "external_network_id",
        ignored("clusters on this machine go out through a proxy, and are reached by a port of its loopback address"),
    ),
    row(ClusterTemplate, "fixed_network", NETWORK),
    row(ClusterTemplate, "fixed_subnet", NETWORK),
    row(ClusterTemplate, "network_driver", Used),
    row(
        ClusterTemplate,
        "apiserver_port",
        ignored("engines listen on port 2376, or 2375 without TLS; api_address says where they are reached"),
    ),
    row(ClusterTemplate, "docker_volume_size", VOLUME),
    row(ClusterTemplate, "cluster_distro", Used),
    row(ClusterTemplate, "http_proxy", Used),
    row(ClusterTemplate, "https_proxy", Used),
    row(ClusterTemplate, "no_proxy", Used),
    row(
        ClusterTemplate,
        "volume_driver",
        Refused("REX-Ray needs OpenStack's block storage, which local nodes do not have; leave it out"),
    ),
    row(
        ClusterTemplate,
        "registry_enabled",
        Ignored { unless: &["false"], why: "no registry is made within clusters on this machine" },
    ),
    row(ClusterTemplate, "labels", Used),
    row(ClusterTemplate, "tls_disabled", Used),
    row(ClusterTemplate, "public", Used),
    row(ClusterTemplate, "server_type", Used),
    row(ClusterTemplate, "insecure_registry", Used),
    row(ClusterTemplate, "docker_storage_driver", Used),
    row(ClusterTemplate, "master_lb_enabled", Used),
    row(ClusterTemplate, "floating_ip_enabled", FLOATING),
    row(ClusterTemplate, "hidden", Used),
    row(ClusterTemplate, "tags", Used),
    row(ClusterTemplate, "driver", Used),
    row(Cluster, "name", Used),
    row(Cluster, "cluster_template_id", Used),
    row(Cluster, "keypair", KEYPAIR),
    row(Cluster, "node_count", Used),
    row(Cluster, "master_count", Used),
    row(Cluster, "docker_volume_size", VOLUME),
    row(Cluster, "labels", Used),
    row(Cluster, "merge_labels", Used),
    row(Cluster, "master_flavor_id", FLAVOR),
    row(Cluster, "flavor_id", FLAVOR),
    row(Cluster, "create_timeout", Used),
    row(Cluster, "discovery_url", ignored("the managers of a swarm find each other without a discovery service")),
    row(Cluster, "fixed_network", NETWORK),
    row(Cluster, "fixed_subnet", NETWORK),
    row(Cluster, "floating_ip_enabled", FLOATING),
    row(Cluster, "master_lb_enabled", Used),
    row(Nodegroup, "name", Used),
    row(Nodegroup, "node_count", Used),
    row(Nodegroup, "min_node_count", Used),
    row(Nodegroup, "max_node_count", Used),
    row(Nodegroup, "role", Used),
    row(Nodegroup, "flavor_id", FLAVOR),
    row(Nodegroup, "image_id", ignored("all nodes run the programs that are installed on this machine")),
    row(Nodegroup, "docker_volume_size", VOLUME),
    row(Nodegroup, "labels", Used),
    row(Nodegroup, "merge_labels", Used),
    row(Nodegroup, "node_labels", Used),
    row(
        Nodegroup,
        "node_taints",
        ignored("Docker's swarm mode has no taints; keep services off the nodes by constraints on their labels"),
    ),
];

#[cfg(test)]
mod tests {
    use magnum_coe::label::{Finding, catalogue};
    use magnum_domain::Labels;

    use super::*;
    use crate::local::LocalDriver;

    /// A label is read, or whoever sets it hears that it is not: a new one that nobody reads can't be for this driver.
    #[test]
    fn every_label_is_read_or_spoken_of() {
        let catalogue = catalogue().unwrap();
        for label in &catalogue.labels {
            let is_for_us = label.drivers.iter().any(|group| group == LocalDriver::NAME);
            assert_eq!(is_for_us, LABELS.contains(&label.name.as_str()), "{}", label.name);
            for engine in ["swarm", "swarm-mode"] {
                let labels = Labels::from([(label.name.clone(), label.default.clone().unwrap_or_default())]);
                let found = catalogue.findings(engine, Some(LocalDriver::NAME), &labels);
                let is_told = found.iter().any(|finding| !matches!(finding, Finding::Value { .. }));
                assert_eq!(is_told, !is_for_us, "{} {engine}: {found:?}", label.name);
            }
        }
        for name in LABELS {
            assert!(catalogue.label(name).is_some(), "{name}");
        }
    }
}
