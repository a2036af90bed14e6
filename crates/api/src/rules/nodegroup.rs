//! What must hold of a node group (§7.3 of the reference). Upstream answers these with 409.

use magnum_domain::nodegroup::is_reserved;
use magnum_domain::{Caller, Cluster, Labels, Nodegroup};
use serde_json::Value;

use super::resources::{self, Named};
use crate::ApiState;
use crate::error::{ApiError, Result};

/// Namespaces of labels the kubelet may set on its own node.
const ALLOWED_PREFIXES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// Labels within the restricted namespaces that it may set all the same.
const ALLOWED_LABELS: [&str; 12] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Effects of taints.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Upstream's message for an attribute of a node group.
fn invalid(attribute: &str, name: &str, explanation: &str) -> ApiError {
    ApiError::conflict(format!("{attribute} for {name} is invalid ({explanation})."))
}

/// The bounds must fit together and hold the size.
pub(crate) fn counts(name: &str, count: i32, min: i32, max: Option<i32>) -> Result<()> {
    let bound = max.filter(|max| *max != 0);
    if let Some(max) = bound.filter(|max| min > *max) {
        let explanation = format!("min_node_count ({min}) should be less or equal to max_node_count ({max})");
        return Err(invalid("max_node_count", name, &explanation));
    }
    if let Some(max) = bound.filter(|max| count > *max) {
        let explanation = format!("node_count ({count}) should be less or equal to max_node_count ({max})");
        return Err(invalid("max_node_count", name, &explanation));
    }
    if min > count {
        let explanation = format!("min_node_count ({min}) should be less or equal to node_count ({count})");
        return Err(invalid("min_node_count", name, &explanation));
    }
    Ok(())
}

/// Masters take neither labels nor taints; the kubelet refuses labels of certain namespaces.
pub(crate) fn node_labels(name: &str, is_master: bool, labels: &Labels) -> Result<()> {
    if is_master && !labels.is_empty() {
        return Err(invalid("node_labels", name, "node_labels may not be set on master nodegroups"));
    }
    if let Some(key) = labels.keys().find(|key| is_reserved(key)) {
        let explanation = format!("node label '{key}' is set by the service, from the group's role and name");
        return Err(invalid("node_labels", name, &explanation));
    }
    let refused = labels.keys().find(|key| is_restricted(key));
    if let Some(key) = refused {
        let explanation = format!(
            "node label '{key}' is in a restricted Kubernetes namespace; the kubelet will refuse to start. Labels in the \
             kubernetes.io/ and k8s.io/ namespaces must use one of the allowed prefixes ({}) or be one of the allowed \
             labels ({}).",
            ALLOWED_PREFIXES.join(", "),
            ALLOWED_LABELS.join(", ")
        );
        return Err(invalid("node_labels", name, &explanation));
    }
    Ok(())
}

fn is_restricted(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else { return false };
    let kubernetes = ["kubernetes.io", "k8s.io"]
        .iter()
        .any(|zone| prefix == *zone || prefix.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')));
    kubernetes && !ALLOWED_PREFIXES.contains(&prefix) && !ALLOWED_LABELS.contains(&key)
}

/// Taints are objects with `key`, `effect` and perhaps `value`, all of them text.
pub(crate) fn node_taints(name: &str, is_master: bool, taints: &Value) -> Result<()> {
    let Value::Array(taints) = taints else { return Ok(()) };
    if is_master && !taints.is_empty() {
        return Err(invalid("node_taints", name, "node_taints may not be set on master nodegroups"));
    }
    for (at, taint) in taints.iter().enumerate() {
        if let Some(explanation) = taint_problem(at, taint) {
            return Err(invalid("node_taints", name, &explanation));
        }
    }
    Ok(())
}

fn taint_problem(at: usize, taint: &Value) -> Option<String> {
    let Value::Object(fields) = taint else {
        return Some(format!("node_taints[{at}] must be an object with key, effect and optional value"));
    };
    let unknown: Vec<&str> =
        fields.keys().map(String::as_str).filter(|key| !matches!(*key, "key" | "value" | "effect")).collect();
    if !unknown.is_empty() {
        return Some(format!(
            "node_taints[{at}] contains unrecognised field(s) {}; allowed fields are key, value, effect",
            crate::field::read::shorten(&unknown.join(", "))
        ));
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    if text("key").is_none_or(str::is_empty) {
        return Some(format!("node_taints[{at}].key is required"));
    }
    if fields.get("value").is_some_and(|value| !value.is_string() && !value.is_null()) {
        return Some(format!("node_taints[{at}].value must be text"));
    }
    if text("effect").is_none_or(|effect| !EFFECTS.contains(&effect)) {
        return Some(format!("node_taints[{at}].effect must be one of {}", EFFECTS.join(", ")));
    }
    let unprintable = ["key", "value"].into_iter().filter_map(text).any(|text| text.chars().any(char::is_control));
    unprintable.then(|| format!("node_taints[{at}] holds control characters"))
}

/// The size asked for must be within the bounds of a group of workers.
pub(crate) fn resize(group: &Nodegroup, count: i32) -> Result<()> {
    let max = group.max_node_count.filter(|max| *max != 0);
    if count < group.min_node_count || max.is_some_and(|max| count > max) {
        let max = group.max_node_count.map_or_else(|| "None".to_owned(), |max| max.to_string());
        return Err(ApiError::invalid(format!(
            "Resizing {} outside the allowed range: min_node_count = {}, max_node_count = {max}",
            group.name, group.min_node_count
        )));
    }
    Ok(())
}

/// The group's flavor must have something to boot from. The cluster's label decides, as upstream has it: a group has no
/// boot volumes of its own.
///
/// # Errors
/// When the flavor is not there or has no disk, and nodes have no boot volume.
pub(crate) async fn bootable(api: &ApiState, caller: &Caller, cluster: &Cluster, group: &Nodegroup) -> Result<()> {
    let boot_volume = resources::boot_volume(&cluster.labels, api.options.default_boot_volume_size)?;
    if boot_volume > 0 {
        return Ok(());
    }
    let named = Named { flavor: group.flavor_id.as_deref(), ..Named::default() };
    resources::look_up(api.cloud.as_ref(), caller, named).await.bootable(boot_volume)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_upstreams() {
        let table = [
            (
                counts("n", 1, 3, Some(2)),
                "max_node_count for n is invalid (min_node_count (3) should be less or equal to max_node_count (2)).",
            ),
            (
                counts("n", 5, 0, Some(3)),
                "max_node_count for n is invalid (node_count (5) should be less or equal to max_node_count (3)).",
            ),
            (
                counts("n", 1, 2, None),
                "min_node_count for n is invalid (min_node_count (2) should be less or equal to node_count (1)).",
            ),
            (
                node_taints("n", false, &json!([{"effect": "NoSchedule"}])),
                "node_taints for n is invalid (node_taints[0].key is required).",
            ),
            (
                node_taints("n", false, &json!([{"key": "k", "effect": "Never"}])),
                "node_taints for n is invalid (node_taints[0].effect must be one of NoSchedule, PreferNoSchedule, NoExecute).",
            ),
            (
                node_taints("n", false, &json!([{"key": "k", "effect": "NoSchedule", "foo": 1}])),
                "node_taints for n is invalid (node_taints[0] contains unrecognised field(s) foo; allowed fields are key, value, effect).",
            ),
            (
                node_taints("n", false, &json!(["x"])),
                "node_taints for n is invalid (node_taints[0] must be an object with key, effect and optional value).",
            ),
        ];
        for (result, expected) in table {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
        assert!(counts("n", 5, 0, Some(0)).is_ok(), "0 means no maximum");
        assert!(node_taints("n", false, &json!([{"key": "k", "value": "v", "effect": "NoExecute"}])).is_ok());
    }

    #[test]
    fn labels_of_kubernetes_are_restricted() {
        for (key, allowed) in [
            ("a", true),
            ("example.com/a", true),
            ("kubernetes.io/os", true),
            ("node.kubernetes.io/anything", true),
            ("node-role.kubernetes.io/master", false),
            ("k8s.io/a", false),
            ("sub.k8s.io/a", false),
            ("notk8s.io/a", true),
            ("magnum.openstack.org/role", false),
            ("magnum.openstack.org/anything", false),
            ("magnum.role", false),
            ("magnum.roles", true),
        ] {
            let labels = Labels::from([(key.to_owned(), String::new())]);
            assert_eq!(node_labels("n", false, &labels).is_ok(), allowed, "{key}");
        }
    }
}
