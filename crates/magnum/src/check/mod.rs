//! What is to be said of a configuration beyond its spelling: what the crates make of the values that are theirs.
//!
//! The same rules are behind `magnum config check` and a start: with an error among the findings nothing starts.
//!
//! - `mod.rs` (here): files, addresses, names
//! - `connect.rs`: whether what the configuration names answers

pub(crate) mod connect;

use std::path::Path;

use magnum_config::{Finding, IdentityBackend, Report, Settings, Severity, nearest};
use magnum_store::DatabaseUrl;
use magnum_store::url::{Server, Target};
use secrecy::ExposeSecret;

use crate::cloud::Cloud;
use crate::wiring;

/// Drivers of upstream's releases, and others that operators know: a name of one is no mistake.
const DRIVERS_ELSEWHERE: [&str; 14] = [
    "dcos_centos_v1",
    "k8s_capi_helm_v1",
    "k8s_cluster_api_debian",
    "k8s_cluster_api_flatcar",
    "k8s_cluster_api_rockylinux",
    "k8s_cluster_api_ubuntu",
    "k8s_cluster_api_ubuntu_focal",
    "k8s_coreos_v1",
    "k8s_fedora_atomic_v1",
    "k8s_fedora_coreos_v1",
    "k8s_fedora_ironic_v1",
    "mesos_ubuntu_v1",
    "swarm_fedora_atomic_v1",
    "swarm_fedora_atomic_v2",
];

/// Everything that is to be said of what the values mean.
pub(crate) fn meaning(settings: &Settings) -> Report {
    let mut findings = settings.meaning().findings;
    for rule in [database, cloud, listener, drivers, certificates, labels, policy] {
        findings.extend(rule(settings));
    }
    Report::sorted(findings)
}

/// An error about an option, in the words of whoever reads its value.
fn error(settings: &Settings, group: &str, name: &str, error: &anyhow::Error) -> Finding {
    settings.finding(Severity::Error, group, name, format!("can't be used: {}", crate::in_words(error)))
}

fn database(settings: &Settings) -> Vec<Finding> {
    let (group, name) = ("database", "connection");
    let target = match DatabaseUrl::parse(settings.database.url().expose_secret()).and_then(|url| url.target()) {
        Ok(target) => target,
        Err(problem) => return vec![error(settings, group, name, &problem.into())],
    };
    let missing = |path: &Path, what: &str| {
        let problem = std::fs::metadata(path).err()?;
        let message = format!("{what} {}: {problem}", path.display());
        Some(settings.finding(Severity::Error, group, name, message))
    };
    match target {
        Target::Sqlite(None) => {
            let message = "is in memory: nothing is kept when the program ends, and no other process sees it";
            vec![settings.finding(Severity::Warning, group, name, message)]
        }
        Target::Sqlite(Some(file)) => {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            // The state folder is made at the first start.
            let made = |folder: &&Path| *folder != settings.service.state_path;
            folder.filter(made).and_then(|folder| missing(folder, "is a file in")).into_iter().collect()
        }
        Target::Postgres(Server { ca, certificate, key, .. }) | Target::MySql(Server { ca, certificate, key, .. }) => {
            let files = [ca, certificate, key].into_iter().flatten();
            files.filter_map(|file| missing(&file, "names the file")).collect()
        }
    }
}

/// Credentials, certificates, interfaces: everything that a cloud is set up with.
fn cloud(settings: &Settings) -> Vec<Finding> {
    if settings.identity.backend != Some(IdentityBackend::Keystone) {
        return Vec::new();
    }
    let problem = match Cloud::configured(settings) {
        Ok(Some(cloud)) => cloud.services(settings).err(),
        Ok(None) => None,
        Err(problem) => Some(problem),
    };
    let Some(problem) = problem else { return Vec::new() };
    let group = match problem.downcast_ref::<magnum_openstack::Error>() {
        Some(magnum_openstack::Error::Options { group, .. }) => group.clone(),
        _ => "keystone_authtoken".to_owned(),
    };
    // The message names group and option itself; the place is that of whatever the group has.
    let given = ["auth_type", "auth_url", "auth_section", "system_scope", "www_authenticate_uri", "identity_uri"];
    let name = given.into_iter().find(|name| settings.given(&group, name).is_some()).unwrap_or("auth_url");
    vec![error(settings, &group, name, &problem)]
}

fn listener(settings: &Settings) -> Vec<Finding> {
    let (Some(certificate), Some(key)) = (&settings.api.ssl_cert_file, &settings.api.ssl_key_file) else {
        return Vec::new();
    };
    // That one of them is missing has been said.
    if !certificate.is_file() || !key.is_file() {
        return Vec::new();
    }
    let config = magnum_certs::tls::server_config_from_files(certificate, key);
    config.err().map(|problem| error(settings, "api", "ssl_cert_file", &problem.into())).into_iter().collect()
}

fn drivers(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let here = [magnum_drivers::local::LocalDriver::NAME];
    let offered: Vec<&str> = wiring::offered(settings).into_iter().map(|(name, _)| name).collect();
    let known = here.into_iter().chain(DRIVERS_ELSEWHERE);
    let hint =
        |name: &str| nearest(name, known.clone()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    if let Some(name) = settings.drivers.default_driver.as_deref().filter(|name| !name.is_empty()) {
        let option = "default_driver";
        if offered.contains(&name) {
        } else if known.clone().any(|driver| driver == name) {
            let message = format!("is {name}, which is not offered here; offered: {}", offered.join(", "));
            findings.push(settings.finding(Severity::Warning, "drivers", option, message));
        } else {
            let message = format!("is {name}, and there is no such driver{}", hint(name));
            findings.push(settings.finding(Severity::Error, "drivers", option, message));
        }
    }
    for name in settings.drivers.disabled_drivers.iter().filter(|name| !name.is_empty()) {
        if known.clone().any(|driver| driver == name) {
            continue;
        }
        // One that stays on because its name was misspelt is worse than one that nobody knows.
        let severity = if nearest(name, here.into_iter()).is_some() { Severity::Error } else { Severity::Warning };
        let message = format!("names {name}, and there is no such driver{}", hint(name));
        findings.push(settings.finding(severity, "drivers", "disabled_drivers", message));
    }
    findings
}

fn certificates(settings: &Settings) -> Vec<Finding> {
    let unknown = |option: &str, names: &[String], known: &[&'static str]| -> Vec<Finding> {
        let strange = names.iter().filter(|name| !name.is_empty() && !known.contains(&name.as_str()));
        let finding = |name: &String| {
            let near = nearest(name, known.iter().copied()).map(|near| format!("; did you mean {near}?"));
            let message = format!("names {name}, which is not known, so that nothing is let through by it");
            settings.finding(Severity::Warning, "x509", option, message + &near.unwrap_or_default())
        };
        strange.map(finding).collect()
    };
    let x509 = &settings.x509;
    let extensions: Vec<&str> = magnum_certs::extension_names().collect();
    let usages: Vec<&str> = magnum_certs::key_usage_names().collect();
    let mut findings = unknown("allowed_extensions", &x509.allowed_extensions, &extensions);
    findings.extend(unknown("allowed_key_usage", &x509.allowed_key_usage, &usages));
    findings
}

/// Labels that sites declare.
fn labels(settings: &Settings) -> Vec<Finding> {
    let (group, name) = ("cluster_template", "label_files");
    match wiring::label_files(settings).and_then(|files| Ok(magnum_coe::label::with_files(&files)?)) {
        Ok(_) => Vec::new(),
        Err(problem) => vec![error(settings, group, name, &problem)],
    }
}

fn policy(settings: &Settings) -> Vec<Finding> {
    let (group, name) = ("oslo_policy", "policy_file");
    match wiring::policy(settings) {
        Err(problem) => vec![error(settings, group, name, &problem)],
        Ok(policy) => {
            let problems = policy.problems();
            problems.iter().map(|it| settings.finding(Severity::Warning, group, name, it.to_string())).collect()
        }
    }
}
