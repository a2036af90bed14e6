//! How the container engine of a node shall run: from the template and the node's group, by rule alone.

use magnum_coe::swarm::{PLAIN_PORT, TLS_PORT};
use magnum_domain::agent::EngineSpec;
use magnum_domain::driver::Snapshot;
use magnum_domain::nodegroup::{NODE_GROUP, NODE_ROLE, is_reserved};
use magnum_domain::{ClusterTemplate, Node};

use super::network::Addresses;
use super::{LocalOptions, egress_proxy};

/// Port of the engines' API in clusters of this template.
pub(crate) fn port(template: &ClusterTemplate) -> u16 {
    if template.tls_disabled { PLAIN_PORT } else { TLS_PORT }
}

/// Name servers that the template gives.
pub(crate) fn nameservers(template: &ClusterTemplate) -> Vec<String> {
    list(template.dns_nameserver.as_deref())
}

/// The engine of a node.
pub(crate) fn spec(snapshot: &Snapshot, node: &Node, options: &LocalOptions) -> EngineSpec {
    let template = &snapshot.template;
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    // Nodes reach nothing but their own network; what there is to go out by is the proxy on its near end.
    let proxy = options
        .outbound_proxy
        .then(|| format!("http://{}:{}", Addresses(options.subnet).gateway(), egress_proxy::PORT));
    EngineSpec {
        port: port(template),
        tls: !template.tls_disabled,
        storage_driver: given(&template.docker_storage_driver).or_else(|| Some("overlay2".to_owned())),
        insecure_registries: list(template.insecure_registry.as_deref()),
        labels: labels(snapshot, node),
        http_proxy: given(&template.http_proxy),
        https_proxy: given(&template.https_proxy).or(proxy),
        no_proxy: Some(no_proxy(template, options)),
        dns: nameservers(template),
    }
}

/// Labels by which services can be placed: what the node is in the swarm, the role and name of its group, and those
/// that its group asks for. An engine refuses to start with two values of one label, so the group's own come second.
fn labels(snapshot: &Snapshot, node: &Node) -> Vec<String> {
    let place = if node.is_master { "master" } else { "worker" };
    let mut labels = vec![format!("magnum.role={place}")];
    if let Some(group) = snapshot.nodegroups.iter().find(|group| group.uuid == node.nodegroup_uuid) {
        labels.push(format!("magnum.nodegroup={}", group.name));
        labels.push(format!("{NODE_ROLE}={}", group.role));
        labels.push(format!("{NODE_GROUP}={}", group.name));
        let own = group.node_labels.iter().filter(|(key, _)| !is_reserved(key));
        labels.extend(own.map(|(key, value)| format!("{key}={value}")));
    }
    labels
}

/// What the template excepts, and what is always near.
fn no_proxy(template: &ClusterTemplate, options: &LocalOptions) -> String {
    let mut near = list(template.no_proxy.as_deref());
    near.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), options.subnet.to_string()]);
    near.join(",")
}

fn list(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::testing::{options, snapshot};

    #[test]
    fn an_engine_follows_the_template_and_the_group() {
        let mut snapshot = snapshot(1, 1);
        let plain = spec(&snapshot, &snapshot.nodes[0], &options());
        assert_eq!((plain.port, plain.tls), (2376, true));
        assert_eq!(plain.storage_driver.as_deref(), Some("overlay2"));
        assert_eq!(plain.https_proxy.as_deref(), Some("http://10.77.0.1:3128"));
        assert_eq!(plain.no_proxy.as_deref(), Some("localhost,127.0.0.1,10.77.0.0/24"));
        assert_eq!(
            plain.labels,
            [
                "magnum.role=master",
                "magnum.nodegroup=default-master",
                "magnum.openstack.org/role=master",
                "magnum.openstack.org/nodegroup=default-master"
            ]
        );

        snapshot.template.tls_disabled = true;
        snapshot.template.insecure_registry = Some("10.0.0.5:5000".to_owned());
        snapshot.template.https_proxy = Some("http://proxy:8080".to_owned());
        snapshot.template.no_proxy = Some("a.example, b.example".to_owned());
        snapshot.template.dns_nameserver = Some("8.8.8.8,1.1.1.1".to_owned());
        snapshot.nodegroups[1].node_labels.insert("zone".to_owned(), "b".to_owned());
        snapshot.nodegroups[1].node_labels.insert("magnum.openstack.org/role".to_owned(), "forged".to_owned());
        snapshot.nodegroups[1].role = "gpu".to_owned();
        let changed = spec(&snapshot, &snapshot.nodes[1], &LocalOptions { outbound_proxy: false, ..options() });
        assert_eq!((changed.port, changed.tls), (2375, false));
        assert_eq!(changed.insecure_registries, ["10.0.0.5:5000"]);
        assert_eq!(changed.https_proxy.as_deref(), Some("http://proxy:8080"));
        assert_eq!(changed.no_proxy.as_deref(), Some("a.example,b.example,localhost,127.0.0.1,10.77.0.0/24"));
        assert_eq!(changed.dns, ["8.8.8.8", "1.1.1.1"]);
        assert_eq!(
            changed.labels,
            [
                "magnum.role=worker",
                "magnum.nodegroup=default-worker",
                "magnum.openstack.org/role=gpu",
                "magnum.openstack.org/nodegroup=default-worker",
                "zone=b"
            ]
        );
    }

    #[test]
    fn without_a_way_out_no_proxy_is_set() {
        let snapshot = snapshot(1, 0);
        let spec = spec(&snapshot, &snapshot.nodes[0], &LocalOptions { outbound_proxy: false, ..options() });
        assert_eq!((spec.http_proxy, spec.https_proxy), (None, None));
    }
}
