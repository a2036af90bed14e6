//! Whether a value is of its label's kind.

use std::str::FromStr;

use ipnet::IpNet;
use magnum_domain::Labels;
use serde::de::IgnoredAny;

use super::{Label, LabelType};

/// Most characters of a tag, as registries have it.
const TAG: usize = 128;

/// What the value should have been; `None` when it is right.
pub(super) fn expected(label: &Label, value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let (is_right, expected) = match label.kind {
        LabelType::Text | LabelType::Secret => (true, String::new()),
        LabelType::Boolean => (is_boolean(value), "true or false".to_owned()),
        LabelType::Integer => (i64::from_str(value).is_ok(), "a whole number".to_owned()),
        LabelType::Size => (u32::from_str(value).is_ok(), "a whole number of GB, 0 or more".to_owned()),
        LabelType::Duration => (u32::from_str(value).is_ok(), "a whole number of seconds, 0 or more".to_owned()),
        LabelType::Version => (is_tag(value), "a version such as v1.23.3: letters, digits and ._+-".to_owned()),
        LabelType::Registry => (
            value.ends_with('/') && is_one_word(value),
            "the prefix of image names, with a slash at its end".to_owned(),
        ),
        LabelType::Image => (is_one_word(value), "the name of an image".to_owned()),
        LabelType::Digest => (is_digest(value), "a SHA-256 of 64 hexadecimal digits".to_owned()),
        LabelType::Url => (is_url(value), "a URL that begins with http:// or https://".to_owned()),
        LabelType::Cidr => (IpNet::from_str(value).is_ok(), "a network such as 10.100.0.0/16".to_owned()),
        LabelType::Cidrs => {
            let all = value.split(',').all(|part| IpNet::from_str(part.trim()).is_ok());
            (all, "networks such as 10.0.0.0/24, separated by commas".to_owned())
        }
        LabelType::Json => (is_json(value), "a JSON document".to_owned()),
        LabelType::Enum => {
            (label.values.iter().any(|word| word == value), format!("one of {}", label.values.join(", ")))
        }
        LabelType::Words => {
            let known = |word: &str| label.values.is_empty() || label.values.iter().any(|known| known == word.trim());
            (value.split(',').all(known), format!("some of {}, separated by commas", label.values.join(", ")))
        }
    };
    (!is_right).then_some(expected)
}

fn is_boolean(value: &str) -> bool {
    ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn is_tag(value: &str) -> bool {
    value.len() <= TAG
        && value.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && value.chars().all(|character| character.is_ascii_alphanumeric() || "._+-".contains(character))
}

fn is_one_word(value: &str) -> bool {
    !value.contains(|character: char| character.is_whitespace() || character.is_control())
}

fn is_digest(value: &str) -> bool {
    let digits = value.strip_prefix("sha256:").unwrap_or(value);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_url(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty()) && is_one_word(value)
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(value).is_ok()
}

/// The label whose value has to name an isolator before agents may run images of Docker.
const ISOLATION: &str = "mesos_slave_isolation";
/// See [`ISOLATION`].
const PROVIDERS: &str = "mesos_slave_image_providers";

/// Upstream's words for a value it refused; `None` when it took it.
pub(super) fn refusal(label: &Label, value: &str, labels: &Labels) -> Option<String> {
    if label.kind == LabelType::Json {
        return (!is_json(value)).then(|| "Json format error".to_owned());
    }
    let is_unknown = |word: &&str| !label.values.iter().any(|known| known == word);
    let lowered = if label.name == PROVIDERS { value.to_lowercase() } else { value.to_owned() };
    let unknown: Vec<&str> = match label.kind {
        LabelType::Enum => lowered.split_whitespace().filter(is_unknown).collect(),
        _ => lowered.split(',').filter(is_unknown).collect(),
    };
    if !unknown.is_empty() {
        return Some(format!(
            "property \"labels/{}\" with value \"{}\" is not supported, supported values are: {}, unspecified",
            label.name,
            super::shorten(&unknown.join(", ")),
            label.values.join(", ")
        ));
    }
    let isolated = labels.get(ISOLATION).is_some_and(|words| words.split(',').any(|word| word == "docker/runtime"));
    let wants_docker = label.name == PROVIDERS && lowered.split(',').any(|word| word == "docker");
    (wants_docker && !isolated).then(|| {
        format!(
            "Docker runtime isolator has to be specified if 'docker' is included in '{PROVIDERS}' Please add \
             'docker/runtime' to '{ISOLATION}' labels flags"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::catalogue;

    #[test]
    fn kinds_are_told_apart() {
        let good = "0123456789abcdef".repeat(4);
        for (name, right, wrong) in [
            ("kube_tag", "v1.23.3-rancher1", "v1 23"),
            ("container_infra_prefix", "registry.example.com/magnum/", "registry.example.com"),
            ("kube_image_digest", good.as_str(), "0123"),
            ("helm_client_url", "https://get.helm.sh/x", "get.helm.sh"),
            ("flannel_network_cidr", "10.100.0.0/16", "10.100.0.0"),
            ("master_lb_allowed_cidrs", "10.0.0.0/8, 2001:db8::/32", "10.0.0.0/8,everywhere"),
            ("flannel_network_subnetlen", "24", "/24"),
            ("boot_volume_size", "10", "10G"),
            ("monitoring_interval_seconds", "30", "30s"),
            ("flannel_backend", "host-gw", "wireguard"),
            ("mesos_slave_isolation", "posix/cpu,posix/mem", "posix/gpu"),
            ("dcos_overlay_network", "{}", "overlay"),
            ("cert_manager_api", "FALSE", "0"),
            ("admission_control_list", "NodeRestriction,Mine", ""),
        ] {
            let label = catalogue().unwrap().label(name).unwrap();
            assert_eq!(expected(label, right), None, "{name}={right}");
            assert_eq!(expected(label, wrong).is_some(), !wrong.is_empty(), "{name}={wrong}");
        }
    }
}
