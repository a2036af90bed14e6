//! The labels of all engines and drivers, from the one table `data/labels.yaml`, and from files of the same form that
//! sites have (`site.rs`).
//!
//! An unknown label, or a value of the wrong kind, is accepted as upstream accepts it; [`LabelCatalogue::findings`] says
//! what a tenant should hear of it. What upstream refused in the days of an engine, [`LabelCatalogue::refusal`] refuses.

mod check;
mod document;
mod site;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use magnum_domain::{Labels, text};
use serde::Deserialize;

/// Longest part of a name or value that is repeated in a message, in characters.
const QUOTED: usize = 64;

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelCatalogue {
    /// Groups of drivers that labels belong to.
    pub drivers: Vec<Drivers>,
    /// The labels, in the order of the document.
    pub labels: Vec<Label>,
}

/// A group of drivers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drivers {
    /// The word by which labels name it.
    pub name: String,
    /// Engines that these drivers make, as templates name them.
    pub engines: Vec<String>,
    /// The drivers' own names.
    pub about: String,
    /// Names of drivers of this program, whose labels are read as they stand here and no others.
    #[serde(default)]
    pub names: Vec<String>,
}

/// A label that templates, clusters and node groups may carry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Its key.
    pub name: String,
    /// Groups of drivers it is for.
    #[serde(rename = "for")]
    pub drivers: Vec<String>,
    /// What its value may be.
    #[serde(rename = "type", default)]
    pub kind: LabelType,
    /// For [`LabelType::Enum`] and [`LabelType::Words`]: the words.
    #[serde(default)]
    pub values: Vec<String>,
    /// What holds where it is not set.
    #[serde(default)]
    pub default: Option<String>,
    /// The same, where a group of drivers differs.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
    /// Release that brought it; nothing: Stein or before.
    #[serde(default)]
    pub since: Option<String>,
    /// Last release that knew it.
    #[serde(default)]
    pub until: Option<String>,
    /// What came in its place.
    #[serde(default)]
    pub instead: Option<String>,
    /// Whether it does something.
    #[serde(default)]
    pub effect: Effect,
    /// Whether upstream refused other values in the days of the label's engine.
    #[serde(default)]
    pub strict: bool,
    /// What it means.
    pub about: String,
}

/// What a label's value may be. The empty text stands for "not set" everywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelType {
    /// Anything.
    #[default]
    Text,
    /// `true` or `false`, in any case: nodes know no other spelling.
    Boolean,
    /// A whole number.
    Integer,
    /// A whole number of GB, 0 or more.
    Size,
    /// A whole number of seconds, 0 or more.
    Duration,
    /// Tag of an image or package.
    Version,
    /// What image names begin with: ends in a slash.
    Registry,
    /// Name of an image.
    Image,
    /// SHA-256 in hexadecimal.
    Digest,
    /// An address of the web.
    Url,
    /// A network.
    Cidr,
    /// Networks, separated by commas.
    Cidrs,
    /// A JSON document.
    Json,
    /// Anything, and never repeated.
    Secret,
    /// One of [`Label::values`].
    Enum,
    /// Words separated by commas; of [`Label::values`], where there are some.
    Words,
}

/// Whether a label does something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It does, with the drivers it is for.
    #[default]
    Used,
    /// It is kept and shown; [`Label::about`] says why it does nothing.
    None,
}

/// Something a tenant should hear about a label that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// No driver knows it.
    Unknown {
        /// The label.
        label: String,
        /// The known label most like it.
        nearest: Option<&'static str>,
    },
    /// Its value is not what it may be.
    Value {
        /// The label.
        label: String,
        /// Its value; nothing for secrets.
        value: Option<String>,
        /// What it may be.
        expected: String,
    },
    /// It is for other engines.
    Elsewhere {
        /// The label.
        label: String,
        /// The engines it is for.
        engines: Vec<&'static str>,
    },
    /// The driver does not read it, though others for the same engine do.
    Unread {
        /// The label.
        label: String,
        /// The driver.
        driver: String,
    },
    /// Another label has come in its place.
    Replaced {
        /// The label.
        label: String,
        /// Last release that knew it.
        until: &'static str,
        /// What came in its place.
        instead: &'static str,
    },
    /// It is known, and does nothing.
    Idle {
        /// The label.
        label: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { label, nearest: None } => write!(f, "Label {} is not known.", shorten(label)),
            Self::Unknown { label, nearest: Some(nearest) } => {
                write!(f, "Label {} is not known. Did you mean {nearest}?", shorten(label))
            }
            Self::Value { label, value: Some(value), expected } => {
                write!(f, "Label {label} is '{}'. It should be {expected}.", shorten(value))
            }
            Self::Value { label, value: None, expected } => write!(f, "Label {label} should be {expected}."),
            Self::Elsewhere { label, engines } => {
                write!(f, "Label {label} is for {} only and does nothing here.", engines.join(" and "))
            }
            Self::Unread { label, driver } => write!(f, "Label {label} has no effect with the driver {driver}."),
            Self::Replaced { label, until, instead } => {
                write!(f, "Label {label} was last known in {until}. Use {instead} instead.")
            }
            Self::Idle { label } => write!(f, "Label {label} does nothing: no driver reads it."),
        }
    }
}

/// Cut to a length that fits into a header, and without what does not belong into one line.
fn shorten(text: &str) -> String {
    text::shorten(&text::clean(text, text::MESSAGE), QUOTED).into_owned()
}

impl LabelCatalogue {
    /// The label of that name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name == name)
    }

    /// Engines that a label is for, each once.
    pub fn engines<'a>(&'a self, label: &'a Label) -> impl Iterator<Item = &'a str> {
        let groups = self.drivers.iter().filter(|group| label.drivers.contains(&group.name));
        let mut engines: Vec<&str> = Vec::new();
        for engine in groups.flat_map(|group| &group.engines) {
            if !engines.contains(&engine.as_str()) {
                engines.push(engine);
            }
        }
        engines.into_iter()
    }

    /// The label most like a name that is none, if one is like it at all.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        // The comparison's cost grows with the square of the length, and no label is that long.
        if name.chars().count() > QUOTED {
            return None;
        }
        let written = name.to_lowercase();
        self.labels
            .iter()
            .map(|label| (strsim::damerau_levenshtein(&written, &label.name), label.name.as_str()))
            .filter(|(distance, name)| *distance <= (name.len().max(written.len()) / 4).max(1))
            .min()
            .map(|(_, name)| name)
    }

    /// What a tenant should hear of labels for an engine, in the order of their names. `driver` is the driver that makes the
    /// cluster, if it is known.
    #[must_use]
    pub fn findings(&'static self, engine: &str, driver: Option<&str>, labels: &Labels) -> Vec<Finding> {
        labels.iter().filter_map(|(name, value)| self.finding(engine, driver, name, value)).collect()
    }

    /// Whether a driver of this program reads a label; `None` where the table does not know the driver.
    fn is_read_by(&self, label: &Label, driver: &str) -> Option<bool> {
        let mut groups = self.drivers.iter().filter(|group| group.names.iter().any(|name| name == driver)).peekable();
        groups.peek()?;
        Some(groups.any(|group| label.drivers.contains(&group.name)))
    }

    fn finding(&'static self, engine: &str, driver: Option<&str>, name: &str, value: &str) -> Option<Finding> {
        let label = name.to_owned();
        let Some(known) = self.label(name) else {
            return Some(Finding::Unknown { label, nearest: self.nearest(name) });
        };
        let engines: Vec<&str> = self.engines(known).collect();
        if !engines.contains(&engine) {
            return Some(Finding::Elsewhere { label, engines });
        }
        if known.effect == Effect::None {
            return Some(Finding::Idle { label });
        }
        if let Some(driver) = driver.filter(|driver| self.is_read_by(known, driver) == Some(false)) {
            return Some(Finding::Unread { label, driver: driver.to_owned() });
        }
        if let (Some(until), Some(instead)) = (&known.until, &known.instead) {
            return Some(Finding::Replaced { label, until, instead });
        }
        let expected = check::expected(known, value)?;
        let value = (known.kind != LabelType::Secret).then(|| value.to_owned());
        Some(Finding::Value { label, value, expected })
    }

    /// Why upstream refused these labels in the days of their engine, in its words.
    #[must_use]
    pub fn refusal(&self, engine: &str, labels: &Labels) -> Option<String> {
        let strict = self.labels.iter().filter(|label| label.strict);
        let mut ours = strict.filter(|label| self.engines(label).any(|word| word == engine));
        ours.find_map(|label| check::refusal(label, labels.get(&label.name)?, labels))
    }
}

static CATALOGUE: LazyLock<Result<LabelCatalogue, String>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/labels.yaml")).map_err(|error| error.to_string()));

pub use site::{SiteLabelError, install, with_files};

/// The table, with the labels of sites where [`install`] has added some.
///
/// # Errors
/// Never in a build whose tests have passed: the file is part of the program.
pub fn catalogue() -> Result<&'static LabelCatalogue, &'static str> {
    site::WITH_SITES.get().map_or_else(built_in, Ok)
}

fn built_in() -> Result<&'static LabelCatalogue, &'static str> {
    CATALOGUE.as_ref().map_err(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn findings_say_what_to_change() {
        let long = "x".repeat(500);
        for (engine, name, value, expected) in [
            ("kubernetes", "kube_tag", "v1.28.9", ""),
            ("kubernetes", "kube_dashboard_enabled", "True", ""),
            ("kubernetes", "boot_volume_size", "", ""),
            ("swarm-mode", "availability_zone", "any thing", ""),
            ("kubernetes", "kube_tagg", "v1", "Label kube_tagg is not known. Did you mean kube_tag?"),
            ("kubernetes", "KUBE_TAG", "v1", "Label KUBE_TAG is not known. Did you mean kube_tag?"),
            ("kubernetes", "owner", "me", "Label owner is not known."),
            ("kubernetes", "a\nb", "", "Label a b is not known."),
            (
                "kubernetes",
                "kube_dashboard_enabled",
                "yes",
                "Label kube_dashboard_enabled is 'yes'. It should be true or false.",
            ),
            (
                "kubernetes",
                "etcd_volume_size",
                "-1",
                "Label etcd_volume_size is '-1'. It should be a whole number of GB, 0 or more.",
            ),
            (
                "kubernetes",
                "swarm_strategy",
                "spread",
                "Label swarm_strategy is for swarm and swarm-mode only and does nothing here.",
            ),
            (
                "kubernetes",
                "tiller_enabled",
                "true",
                "Label tiller_enabled was last known in Zed. Use helm_client_tag instead.",
            ),
            (
                "kubernetes",
                "kube_dashboard_version",
                "v2",
                "Label kube_dashboard_version does nothing: no driver reads it.",
            ),
            ("kubernetes", &long, "", &format!("Label {}... is not known.", "x".repeat(64))),
        ] {
            let found = catalogue().unwrap().findings(engine, None, &labels(&[(name, value)]));
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join("; "), expected, "{engine} {name}={value}");
        }
    }

    #[test]
    fn what_upstream_refused_is_refused_for_its_engine() {
        let catalogue = catalogue().unwrap();
        let supported = "is not supported, supported values are: spread, binpack, random, unspecified";
        for (engine, pairs, expected) in [
            ("swarm", &[("swarm_strategy", "binpack")][..], None),
            ("swarm", &[("swarm_strategy", "")], None),
            (
                "swarm",
                &[("swarm_strategy", "clever")],
                Some(format!("property \"labels/swarm_strategy\" with value \"clever\" {supported}")),
            ),
            ("kubernetes", &[("swarm_strategy", "clever")], None),
            ("mesos", &[("mesos_slave_isolation", "posix/cpu,posix/mem")], None),
            (
                "mesos",
                &[("mesos_slave_isolation", "posix/cpu,magic")],
                Some("property \"labels/mesos_slave_isolation\" with value \"magic\" is not supported".to_owned()),
            ),
            (
                "mesos",
                &[("mesos_slave_image_providers", "docker")],
                Some("Docker runtime isolator has to be specified".to_owned()),
            ),
            ("mesos", &[("mesos_slave_image_providers", "Docker"), ("mesos_slave_isolation", "docker/runtime")], None),
            (
                "mesos",
                &[("mesos_slave_image_providers", "rkt")],
                Some("property \"labels/mesos_slave_image_providers\" with value \"rkt\"".to_owned()),
            ),
            ("mesos", &[("mesos_slave_executor_env_variables", "{\"A\": \"b\"}")], None),
            ("mesos", &[("mesos_slave_executor_env_variables", "A=b")], Some("Json format error".to_owned())),
        ] {
            let found = catalogue.refusal(engine, &labels(pairs));
            match expected {
                None => assert_eq!(found, None, "{engine} {pairs:?}"),
                Some(says) => assert!(found.as_ref().is_some_and(|f| f.starts_with(&says)), "{pairs:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn secrets_are_not_repeated() {
        let catalogue = catalogue().unwrap();
        for label in catalogue.labels.iter().filter(|label| label.kind == LabelType::Secret) {
            let found = catalogue.findings("kubernetes", None, &labels(&[(&label.name, "hunter2")]));
            assert!(!format!("{found:?}").contains("hunter2"), "{}", label.name);
        }
    }
}
