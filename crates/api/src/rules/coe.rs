//! What each orchestration engine takes for its network and volume drivers, as a table.

use crate::error::{ApiError, Result};
use crate::options::NetworkDrivers;

/// One engine.
pub(crate) struct Coe {
    /// Its word.
    pub(crate) name: &'static str,
    /// Network drivers it can have.
    pub(crate) network_drivers: &'static [&'static str],
    /// Those that may be named unless the operator says otherwise.
    pub(crate) allowed_network_drivers: &'static [&'static str],
    /// What a template gets that names none, unless the operator says otherwise.
    pub(crate) network_driver: &'static str,
    /// Volume drivers it can have.
    pub(crate) volume_drivers: &'static [&'static str],
}

/// All of upstream's releases: Mesos until Zed, Swarm until 2023.2, DC/OS as a contributed driver.
pub(crate) const TABLE: &[Coe] = &[
    Coe {
        name: "kubernetes",
        network_drivers: &["flannel", "calico", "cilium"],
        allowed_network_drivers: &["flannel", "calico"],
        network_driver: "flannel",
        volume_drivers: &["cinder"],
    },
    Coe {
        name: "swarm",
        network_drivers: &["docker", "flannel"],
        allowed_network_drivers: &[ALL],
        network_driver: "docker",
        volume_drivers: &["rexray"],
    },
    Coe {
        name: "swarm-mode",
        network_drivers: &["docker", "flannel"],
        allowed_network_drivers: &[ALL],
        network_driver: "docker",
        volume_drivers: &["rexray"],
    },
    Coe {
        name: "mesos",
        network_drivers: &["docker"],
        allowed_network_drivers: &[ALL],
        network_driver: "docker",
        volume_drivers: &["rexray"],
    },
    Coe {
        name: "dcos",
        network_drivers: &["docker"],
        allowed_network_drivers: &[ALL],
        network_driver: "docker",
        volume_drivers: &["rexray"],
    },
];

/// Allows every driver that is supported.
const ALL: &str = "all";

/// The engine of a word.
pub(crate) fn find(coe: &str) -> Result<&'static Coe> {
    TABLE
        .iter()
        .find(|known| known.name == coe)
        .ok_or_else(|| ApiError::invalid(format!("Requested COE type {coe} is not supported.")))
}

impl Coe {
    /// The network driver a template gets: its own, checked, or the default.
    pub(crate) fn network(&self, driver: Option<&str>, options: Option<&NetworkDrivers>) -> Result<String> {
        let preset = options.and_then(|options| options.preset.as_deref()).unwrap_or(self.network_driver);
        let driver = driver.unwrap_or(preset);
        if !self.network_drivers.contains(&driver) {
            return Err(ApiError::invalid(format!(
                "Network driver type {driver} is not supported, expecting a {}/unspecified network driver.",
                self.network_drivers.join("/")
            )));
        }
        let allowed: Vec<&str> = match options.and_then(|options| options.allowed.as_ref()) {
            Some(allowed) => allowed.iter().map(String::as_str).collect(),
            None => self.allowed_network_drivers.to_vec(),
        };
        if !allowed.contains(&ALL) && !allowed.contains(&driver) {
            // The blank at the end is upstream's.
            return Err(ApiError::invalid(format!(
                "Network driver type {driver} is not allowed, expecting a {}/unspecified network driver. ",
                allowed.join("/")
            )));
        }
        Ok(driver.to_owned())
    }

    /// Checks a volume driver.
    pub(crate) fn volume(&self, driver: Option<&str>) -> Result<()> {
        match driver {
            Some(driver) if !self.volume_drivers.contains(&driver) => Err(ApiError::invalid(format!(
                "Volume driver type {driver} is not supported, expecting a {}/unspecified volume driver.",
                self.volume_drivers.join("/")
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::table::COES;

    #[test]
    fn the_table_has_every_engine_once() {
        let names: Vec<&str> = TABLE.iter().map(|coe| coe.name).collect();
        assert_eq!(names, COES);
        for coe in TABLE {
            assert!(coe.network_drivers.contains(&coe.network_driver), "{}", coe.name);
        }
    }

    #[test]
    fn drivers_are_supported_first_and_allowed_then() {
        let kubernetes = find("kubernetes").unwrap();
        assert_eq!(kubernetes.network(None, None).unwrap(), "flannel");
        assert_eq!(kubernetes.network(Some("calico"), None).unwrap(), "calico");
        assert_eq!(
            kubernetes.network(Some("weave"), None).unwrap_err().to_string(),
            "Network driver type weave is not supported, expecting a flannel/calico/cilium/unspecified network driver."
        );
        assert_eq!(
            kubernetes.network(Some("cilium"), None).unwrap_err().to_string(),
            "Network driver type cilium is not allowed, expecting a flannel/calico/unspecified network driver. "
        );
        let all = NetworkDrivers { allowed: Some(vec!["all".to_owned()]), preset: Some("cilium".to_owned()) };
        assert_eq!(kubernetes.network(None, Some(&all)).unwrap(), "cilium");
        assert!(find("swarm-mode").unwrap().volume(Some("cinder")).is_err());
        assert!(find("nomad").is_err());
    }
}
