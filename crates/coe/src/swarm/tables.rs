//! The tables of `data/swarm.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// All that is particular to Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwarmTables {
    /// Words by which a template's `coe` names it.
    pub names: Vec<String>,
    /// Network drivers.
    pub network_drivers: NetworkDrivers,
    /// Volume drivers.
    pub volume_drivers: VolumeDrivers,
    /// Ports.
    pub ports: Vec<Port>,
}

/// Network drivers of a COE.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkDrivers {
    /// Taken when the template names none.
    pub default: String,
    /// Words that a template may name.
    pub supported: Vec<String>,
    /// Those of them that do something.
    pub used: Vec<String>,
}

/// Volume drivers of a COE.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeDrivers {
    /// Words that a template may name.
    pub supported: Vec<String>,
}

/// A port that has to be open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// A word for it.
    pub name: String,
    /// Its number.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// For whom.
    pub between: Reach,
    /// What for.
    pub note: String,
}

/// Transport of a [`Port`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// For whom a [`Port`] is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Tenants' clients, on managers.
    Clients,
    /// The nodes among themselves.
    Nodes,
}

static CATALOGUE: LazyLock<Result<SwarmTables, String>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/swarm.yaml")).map_err(|error| error.to_string()));

/// The tables.
///
/// # Errors
/// Never in a build whose tests have passed: the file is part of the program.
pub fn catalogue() -> Result<&'static SwarmTables, &'static str> {
    CATALOGUE.as_ref().map_err(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::{CONTROL_PORT, PLAIN_PORT, TLS_PORT};

    #[test]
    fn the_file_says_what_the_code_relies_on() {
        let catalogue = catalogue().unwrap();
        let port = |name: &str| catalogue.ports.iter().find(|port| port.name == name).unwrap().port;
        assert_eq!((port("api"), port("api-plain"), port("control")), (TLS_PORT, PLAIN_PORT, CONTROL_PORT));
        let drivers = &catalogue.network_drivers;
        assert!(drivers.supported.contains(&drivers.default));
        assert!(drivers.used.iter().all(|used| drivers.supported.contains(used)));
    }
}
