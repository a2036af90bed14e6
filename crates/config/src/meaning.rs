//! What values come to: files that are missing, halves of something, contradictions, defaults that are not allowed.
//!
//! An error here is something that the service would not start with, or that it would replace by something else; a
//! warning is something that will not do what its author thinks.

use std::fs::File;
use std::path::Path;

use url::Url;

use crate::address;
use crate::identity;
use crate::report::{Finding, FindingKind, Severity};
use crate::sections::IdentityBackend;
use crate::settings::Settings;
use crate::table::PathKind;
use crate::value::GetError;

/// One group of things to look at.
type Rule = fn(&Settings, &mut Vec<Finding>) -> Result<(), GetError>;

/// Most connections that are ever opened to a database.
const MOST_CONNECTIONS: u32 = 100;

/// Everything there is to say. An option that is asked for in a wrong form is a mistake in the program; it is told too.
pub(crate) fn findings(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rules: [Rule; 9] =
        [who_callers_are, keys, paths, halves, addresses, ignored_addresses, drivers, numbers, origins];
    for rule in rules {
        if let Err(error) = rule(settings, &mut findings) {
            findings.push(Finding {
                severity: Severity::Error,
                kind: FindingKind::Senseless,
                origin: crate::report::Origin::Default,
                group: String::new(),
                name: None,
                message: error.to_string(),
            });
        }
    }
    findings
}

fn who_callers_are(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    findings.extend(identity::decide(settings.values())?.1);
    Ok(())
}

/// Where keys of clusters are kept is never replaced in silence.
fn keys(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    let (group, name) = ("certificates", "cert_manager_type");
    let advice = "set it to x509keypair, with which keys are in the database, where upstream finds them as well, or \
                  leave it out, with which they are there sealed with the key of the state folder";
    match settings.certificates.cert_manager_type.as_deref() {
        Some("barbican") => findings.push(settings.finding(
            Severity::Error,
            group,
            name,
            format!("is barbican, and keys can't be kept in Barbican yet: {advice}"),
        )),
        Some("local") => findings.push(settings.finding(
            Severity::Error,
            group,
            name,
            format!("is local, and keys are not kept in files: {advice}"),
        )),
        None if settings.identity.backend == Some(IdentityBackend::Keystone) => findings.push(settings.finding(
            Severity::Warning,
            group,
            name,
            format!("is not set, with which upstream keeps keys in Barbican, and this program does not: {advice}"),
        )),
        _ => {}
    }
    Ok(())
}

/// Whether a group has something to say while callers are known as they are.
fn is_in_effect(settings: &Settings, group: &str) -> bool {
    let of_a_cloud = identity::GROUPS.contains(&group) || group.ends_with("_client");
    !of_a_cloud || settings.identity.backend == Some(IdentityBackend::Keystone)
}

/// Files that options name.
fn paths(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    for (_, group, option) in settings.values().table().places() {
        let (Some(kind), None) = (option.path, &option.ignored) else { continue };
        if settings.given(&group.name, &option.name).is_none() || !is_in_effect(settings, &group.name) {
            continue;
        }
        let names: Vec<String> = match option.kind {
            crate::OptionType::Multi | crate::OptionType::List => settings.get(&group.name, &option.name)?,
            _ => settings.get::<Option<String>>(&group.name, &option.name)?.into_iter().collect(),
        };
        // The usual names need not be there.
        let usual = option.default.as_deref();
        for name in names.iter().filter(|name| !name.is_empty() && Some(name.as_str()) != usual) {
            let found = settings.find_file(name).unwrap_or_else(|| Path::new(name).to_owned());
            let problem = match kind {
                PathKind::File => File::open(&found).and_then(|file| file.metadata()).map(|data| !data.is_file()),
                PathKind::Expected => std::fs::metadata(&found).map(|_| false),
            };
            let words = match problem {
                Ok(false) => continue,
                Ok(true) => "is not a file".to_owned(),
                Err(error) => format!("can't be read: {error}"),
            };
            let severity = if kind == PathKind::File { Severity::Error } else { Severity::Warning };
            findings.push(settings.finding(
                severity,
                &group.name,
                &option.name,
                format!("names {name}, which {words}"),
            ));
        }
    }
    Ok(())
}

fn is_set(settings: &Settings, group: &str, name: &str) -> Result<bool, GetError> {
    Ok(settings.get::<Option<String>>(group, name)?.is_some_and(|text| !text.trim().is_empty()))
}

/// One of two things that are nothing without each other.
fn halves(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    let (certificate, key) = (is_set(settings, "api", "ssl_cert_file")?, is_set(settings, "api", "ssl_key_file")?);
    for (here, there, missing) in [(certificate, key, "ssl_key_file"), (key, certificate, "ssl_cert_file")] {
        if here && !there {
            let given = if missing == "ssl_key_file" { "ssl_cert_file" } else { "ssl_key_file" };
            let message = format!("is missing, and {given} is nothing without it");
            let mut finding = settings.finding(Severity::Error, "api", missing, message);
            finding.origin = settings.given("api", given).cloned().unwrap_or(finding.origin);
            findings.push(finding);
        }
    }
    if certificate && key && !settings.api.enabled_ssl {
        let message = "is not set: `magnum serve` uses ssl_cert_file and ssl_key_file all the same, `magnum api` and \
                       magnum-api, which are meant to stand behind a proxy, do not";
        let mut finding = settings.finding(Severity::Warning, "api", "enabled_ssl", message);
        finding.origin = settings.given("api", "ssl_cert_file").cloned().unwrap_or(finding.origin);
        findings.push(finding);
    }
    if !certificate && !key && settings.api.enabled_ssl {
        let message = "needs ssl_cert_file and ssl_key_file: `magnum serve` makes a certificate of its own, `magnum api` \
                       and magnum-api do not start";
        findings.push(settings.finding(Severity::Warning, "api", "enabled_ssl", message));
    }
    let clients = ["glance_client", "nova_client", "neutron_client"];
    let groups = clients.map(|group| (group, "cert_file", "key_file"));
    for (group, certificate, key) in
        groups.into_iter().chain(identity::GROUPS.map(|group| (group, "certfile", "keyfile")))
    {
        if is_in_effect(settings, group) && is_set(settings, group, key)? && !is_set(settings, group, certificate)? {
            let message = format!("is nothing without {certificate}");
            findings.push(settings.finding(Severity::Error, group, key, message));
        }
    }
    Ok(())
}

fn addresses(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    for (group, name) in [
        ("keystone_authtoken", "auth_url"),
        ("keystone_authtoken", "www_authenticate_uri"),
        ("keystone_authtoken", "identity_uri"),
        ("keystone_auth", "auth_url"),
        ("identity", "public_url"),
    ] {
        let Some(address) = settings.get::<Option<String>>(group, name)? else { continue };
        if address.trim().is_empty() || !is_in_effect(settings, group) {
            continue;
        }
        if let Err(problem) = address::read_web_address(&address) {
            findings.push(settings.finding(Severity::Error, group, name, problem.to_string()));
        }
    }
    Ok(())
}

/// What nothing here reads is no harm, but whoever wrote it may take it to upstream again.
fn ignored_addresses(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    for (group, name) in [("DEFAULT", "transport_url"), ("oslo_messaging_notifications", "transport_url")] {
        let Some(text) = settings.get::<Option<String>>(group, name)? else { continue };
        if settings.given(group, name).is_some()
            && let Err(error) = address::read_transport_url(&text)
        {
            findings.push(settings.finding(Severity::Warning, group, name, error.to_string()));
        }
    }
    let servers: Option<Vec<String>> = settings.get("keystone_authtoken", "memcached_servers")?;
    for server in servers.unwrap_or_default() {
        if let Err(error) = address::read_memcached_server(&server) {
            findings.push(settings.finding(
                Severity::Warning,
                "keystone_authtoken",
                "memcached_servers",
                error.to_string(),
            ));
        }
    }
    Ok(())
}

/// Defaults that are not among what is allowed.
fn drivers(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    // Those that upstream's releases have had.
    for (engine, supported) in [
        ("kubernetes", &["flannel", "calico", "cilium"][..]),
        ("swarm", &["docker", "flannel"]),
        ("mesos", &["docker"]),
    ] {
        let (allowed_option, default_option) =
            (format!("{engine}_allowed_network_drivers"), format!("{engine}_default_network_driver"));
        let group = "cluster_template";
        let allowed: Vec<String> = settings.get(group, &allowed_option)?;
        let default: String = settings.get(group, &default_option)?;
        for name in allowed.iter().filter(|name| *name != "all" && !supported.contains(&name.as_str())) {
            let near = crate::resolve::nearest(name, supported.iter().copied());
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let message = format!("names {name}, which {engine} does not have{near}");
            findings.push(settings.finding(Severity::Warning, group, &allowed_option, message));
        }
        if default.is_empty() {
            continue;
        }
        let all = allowed.iter().any(|name| name == "all");
        let problem = if !supported.contains(&default.as_str()) {
            Some(format!("is {default}, which {engine} does not have: it can be {}", supported.join(", ")))
        } else if !all && !allowed.contains(&default) {
            let allowed = allowed.join(", ");
            Some(format!(
                "is {default}, which is not among the allowed ({allowed}): templates that name none are refused"
            ))
        } else {
            None
        };
        if let Some(problem) = problem {
            // Where one of the two is set, that is where to look.
            let mut finding = settings.finding(Severity::Warning, group, &default_option, problem);
            if let (None, Some(origin)) =
                (settings.given(group, &default_option), settings.given(group, &allowed_option))
            {
                finding.origin = origin.clone();
            }
            findings.push(finding);
        }
    }
    Ok(())
}

/// Numbers that don't go together.
fn numbers(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    let mut warn = |group: &str, name: &str, message: String| {
        findings.push(settings.finding(Severity::Warning, group, name, message));
    };
    let database = &settings.database;
    if database.max_pool_size.saturating_add(database.max_overflow) > MOST_CONNECTIONS {
        let message = format!("and max_overflow are more than {MOST_CONNECTIONS}: no more connections are opened");
        warn("database", "max_pool_size", message);
    }
    if settings.conductor.lease > settings.service.service_down_time {
        let message =
            "is longer than [DEFAULT] service_down_time: a conductor counts as down while it holds operations";
        warn("conductor", "lease", message.to_owned());
    }
    let limits = &settings.limits;
    if limits.requests_per_second.is_some_and(|rate| limits.request_burst < rate) {
        warn("limits", "request_burst", "is less than requests_per_second, which can't be reached then".to_owned());
    }
    let ports = settings.local.api_ports;
    if settings.local.enabled && (ports.first..=ports.last).contains(&settings.api.port) {
        warn("local", "api_ports", format!("includes {}, which is [api] port", settings.api.port));
    }
    if settings.local.enabled {
        match settings.local.subnet {
            ipnet::IpNet::V6(_) => findings.push(settings.finding(
                Severity::Error,
                "local",
                "subnet",
                "is a network of IPv6, but local nodes have IPv4 addresses",
            )),
            ipnet::IpNet::V4(subnet) if subnet.prefix_len() > 28 => findings.push(settings.finding(
                Severity::Warning,
                "local",
                "subnet",
                format!("has {} addresses, too few for a cluster", 1_u32 << (32 - subnet.prefix_len())),
            )),
            ipnet::IpNet::V4(_) => {}
        }
    }
    if settings.service.state_path.is_relative() {
        findings.push(settings.finding(
            Severity::Warning,
            "DEFAULT",
            "state_path",
            "is relative: which folder it is depends on where the program is started",
        ));
    }
    Ok(())
}

/// Origins as browsers write them.
fn origins(settings: &Settings, findings: &mut Vec<Finding>) -> Result<(), GetError> {
    let named: Vec<String> = settings.values().named_groups("cors.").map(str::to_owned).collect();
    for group in std::iter::once("cors".to_owned()).chain(named) {
        let allowed: Option<Vec<String>> = settings.get(&group, "allowed_origin")?;
        for origin in allowed.unwrap_or_default().iter().filter(|origin| *origin != "*" && !origin.is_empty()) {
            let right = origin.parse::<Url>().ok().map(|url| url.origin().ascii_serialization());
            if right.as_ref() != Some(origin) {
                let right = right.filter(|right| right != "null");
                let right = right.unwrap_or_else(|| "https://dashboard.example".to_owned());
                let message = format!("is {origin}, which no browser sends: it must be as {right}");
                findings.push(settings.finding(Severity::Warning, &group, "allowed_origin", message));
            }
        }
    }
    Ok(())
}
