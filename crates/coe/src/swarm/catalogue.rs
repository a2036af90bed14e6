//! The tables of `data/swarm.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// All that is particular to Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Words by which a template's `coe` names it.
    pub names: Vec<String>,
    /// Network drivers.
    pub network_drivers: NetworkDrivers,
    /// Volume drivers.
    pub volume_drivers: VolumeDrivers,
    /// Ports.
    pub ports: Vec<Port>,
    /// Labels.
    pub labels: Vec<Label>,
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

/// A label that templates and clusters may carry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Its key.
    pub name: String,
    /// What its value may be.
    pub kind: LabelKind,
    /// For [`LabelKind::OneOf`]: the words.
    #[serde(default)]
    pub values: Vec<String>,
    /// What holds where it is not set.
    pub default: String,
    /// Whether it does something.
    pub effect: Effect,
    /// For a person to read.
    pub note: String,
}

/// What a label's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// `true` or `false`, in any case.
    Bool,
    /// Anything.
    Text,
    /// Comma-separated words.
    List,
    /// One of [`Label::values`].
    OneOf,
}

/// Whether a label does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It does.
    Used,
    /// It is kept and shown; [`Label::note`] says why it does nothing.
    Accepted,
}

impl Label {
    /// Whether the label may have that value; the error is a sentence for the tenant.
    ///
    /// # Errors
    /// With what it may be.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let expected = match self.kind {
            LabelKind::Bool if !["true", "false"].contains(&value.to_ascii_lowercase().as_str()) => {
                "true or false".to_owned()
            }
            LabelKind::OneOf if !self.values.iter().any(|word| word == value) => self.values.join(", "),
            _ => return Ok(()),
        };
        Err(format!("Invalid value '{value}' for label {}: expected one of {expected}.", self.name))
    }
}

impl Catalogue {
    /// The label of that name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name == name)
    }
}

static CATALOGUE: LazyLock<Result<Catalogue, String>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/swarm.yaml")).map_err(|error| error.to_string()));

/// The tables.
///
/// # Errors
/// Never in a build whose tests have passed: the file is part of the program.
pub fn catalogue() -> Result<&'static Catalogue, &'static str> {
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
        for label in &catalogue.labels {
            assert_eq!(label.kind == LabelKind::OneOf, !label.values.is_empty(), "{}", label.name);
            assert_eq!(label.check(&label.default), Ok(()), "{}", label.name);
        }
    }

    #[test]
    fn labels_are_checked() {
        let catalogue = catalogue().unwrap();
        let check = |name: &str, value: &str| catalogue.label(name).unwrap().check(value);
        assert_eq!(check("rexray_preempt", "True"), Ok(()));
        assert!(check("rexray_preempt", "maybe").unwrap_err().contains("true or false"));
        assert_eq!(check("swarm_strategy", "binpack"), Ok(()));
        assert!(check("swarm_strategy", "clever").unwrap_err().contains("spread, binpack, random"));
        assert_eq!(check("availability_zone", "any thing"), Ok(()));
        assert_eq!(catalogue.label("unknown"), None);
    }
}
