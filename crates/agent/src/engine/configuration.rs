//! The engine's configuration file and environment.

use magnum_domain::agent::{AgentConfig, EngineSpec, Supervisor};
use serde_json::{Map, Value, json};

use super::Layout;
use crate::error::AgentError;
use crate::identity::IdentityFiles;

/// Seconds that containers get to end when the engine is stopped.
const SHUTDOWN_SECONDS: u32 = 10;

/// What the engine is started with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    /// `daemon.json`. Everything is in there and nothing on the command line, since the engine refuses what is in both.
    pub(super) daemon: String,
    /// `NAME=value` lines: proxies, which engines before 23.0 take from nowhere else.
    pub(super) environment: String,
}

impl Configuration {
    pub(super) fn new(
        spec: &EngineSpec,
        config: &AgentConfig,
        layout: &Layout,
        identity: &IdentityFiles,
    ) -> Result<Self, AgentError> {
        let daemon = serde_json::to_string_pretty(&daemon(spec, config, layout, identity))
            .map_err(|error| AgentError::invalid(&layout.configuration, error))?;
        Ok(Self { daemon, environment: environment(spec) })
    }
}

fn daemon(spec: &EngineSpec, config: &AgentConfig, layout: &Layout, identity: &IdentityFiles) -> Map<String, Value> {
    let cgroup_driver = match config.supervisor {
        Supervisor::Agent => "cgroupfs",
        Supervisor::Systemd => "systemd",
    };
    let mut daemon = Map::new();
    let mut set = |key: &str, value: Value| {
        daemon.insert(key.to_owned(), value);
    };
    set("data-root", json!(layout.data));
    set("exec-root", json!(layout.run.join("exec")));
    set("pidfile", json!(layout.pid_file));
    set(
        "hosts",
        json!([
            format!("unix://{}", layout.socket.display()),
            format!("tcp://{}:{}", host(&config.address), spec.port)
        ]),
    );
    set("exec-opts", json!([format!("native.cgroupdriver={cgroup_driver}")]));
    set("shutdown-timeout", json!(SHUTDOWN_SECONDS));
    // Said outright in both cases: without it, an engine without TLS waits a while before it starts. Not so the next
    // one: engines take its mere presence for a wish for TLS.
    set("tls", json!(spec.tls));
    if spec.tls {
        set("tlsverify", json!(true));
        set("tlscacert", json!(identity.ca));
        set("tlscert", json!(identity.certificate));
        set("tlskey", json!(identity.key));
    }
    if let Some(parent) = &config.cgroup_parent {
        set("cgroup-parent", json!(parent));
    }
    if let Some(driver) = &spec.storage_driver {
        set("storage-driver", json!(driver));
    }
    for (key, list) in
        [("insecure-registries", &spec.insecure_registries), ("labels", &spec.labels), ("dns", &spec.dns)]
    {
        if !list.is_empty() {
            set(key, json!(list));
        }
    }
    daemon
}

/// An address as it stands in a URL.
fn host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn environment(spec: &EngineSpec) -> String {
    [("HTTP_PROXY", &spec.http_proxy), ("HTTPS_PROXY", &spec.https_proxy), ("NO_PROXY", &spec.no_proxy)]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| (name, value)))
        // A line break would begin a variable of somebody else's choice.
        .filter(|(_, value)| !value.contains(['\n', '\r']))
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(supervisor: Supervisor) -> AgentConfig {
        AgentConfig {
            server: "https://10.0.0.1:9512".to_owned(),
            ca: String::new(),
            join_token: String::new(),
            node: "7d1cd2d0-3f1d-4c0c-9d0e-6f6f4b1f8a10".parse().unwrap(),
            name: "web-worker-0".to_owned(),
            address: "10.0.0.2".to_owned(),
            directory: "/agent".into(),
            data_directory: "/data".into(),
            run_directory: "/run/engine".into(),
            supervisor,
            cgroup_parent: Some("/magnum/a/b".to_owned()),
        }
    }

    fn made(spec: &EngineSpec, supervisor: Supervisor) -> (Value, String) {
        let config = config(supervisor);
        let identity = IdentityFiles::new(&config.directory);
        let made = Configuration::new(spec, &config, &Layout::new(&config), &identity).unwrap();
        (serde_json::from_str(&made.daemon).unwrap(), made.environment)
    }

    #[test]
    fn an_engine_with_tls_demands_certificates_of_the_clusters_authority() {
        let spec = EngineSpec { port: 2376, tls: true, ..EngineSpec::default() };
        let (daemon, environment) = made(&spec, Supervisor::Agent);
        let wanted = json!({
            "data-root": "/data", "exec-root": "/run/engine/exec", "pidfile": "/run/engine/docker.pid",
            "hosts": ["unix:///run/engine/docker.sock", "tcp://10.0.0.2:2376"],
            "exec-opts": ["native.cgroupdriver=cgroupfs"], "shutdown-timeout": 10,
            "tls": true, "tlsverify": true,
            "tlscacert": "/agent/ca.pem", "tlscert": "/agent/cert.pem", "tlskey": "/agent/key.pem",
            "cgroup-parent": "/magnum/a/b",
        });
        assert_eq!(daemon, wanted);
        assert_eq!(environment, "");
    }

    #[test]
    fn what_the_template_asks_for_is_passed_on() {
        let spec = EngineSpec {
            port: 2375,
            storage_driver: Some("vfs".to_owned()),
            insecure_registries: vec!["10.0.0.5:5000".to_owned()],
            labels: vec!["magnum.role=worker".to_owned()],
            dns: vec!["9.9.9.9".to_owned()],
            http_proxy: Some("http://proxy:3128".to_owned()),
            no_proxy: Some("localhost\nLD_PRELOAD=/evil".to_owned()),
            ..EngineSpec::default()
        };
        let (daemon, environment) = made(&spec, Supervisor::Systemd);
        assert_eq!(daemon["tls"], json!(false));
        assert_eq!(daemon.get("tlsverify"), None);
        assert!(daemon.get("tlskey").is_none());
        assert_eq!(daemon["exec-opts"], json!(["native.cgroupdriver=systemd"]));
        assert_eq!(daemon["storage-driver"], json!("vfs"));
        assert_eq!(daemon["insecure-registries"], json!(["10.0.0.5:5000"]));
        assert_eq!(daemon["labels"], json!(["magnum.role=worker"]));
        assert_eq!(daemon["dns"], json!(["9.9.9.9"]));
        assert_eq!(environment, "HTTP_PROXY=http://proxy:3128\n");
    }

    #[test]
    fn an_ipv6_address_is_bracketed() {
        assert_eq!(host("fd00::2"), "[fd00::2]");
        assert_eq!(host("10.0.0.2"), "10.0.0.2");
    }
}
