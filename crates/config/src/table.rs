//! The table of options.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::error::ConfigError;
use crate::option_type::{OptionType, Parsed};

/// Every option there is.
#[derive(Debug, Clone)]
pub struct Table {
    groups: Vec<Group>,
    /// (group, option) to positions; the group as [`normal_group`] has it.
    current: HashMap<(String, String), Place>,
    /// The same for former names, with the rank among the option's names.
    former: HashMap<(String, String), (Place, usize)>,
}

/// Position of a group in the table, and of an option in that.
pub(crate) type Place = (usize, usize);

/// A section of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// As in the file. A name that ends with `.*` stands for all that begin so.
    pub name: String,
    /// What its options are about.
    pub help: String,
    /// Why nothing in it has an effect here.
    #[serde(default)]
    pub ignored: Option<String>,
    /// Whether it may have any option.
    #[serde(default)]
    pub open: bool,
    #[serde(default)]
    include: Vec<String>,
    /// Whether that holds for all its options: see [`OptionSpec::guarded`].
    #[serde(default)]
    pub guarded: bool,
    /// Its options.
    #[serde(default)]
    pub options: Vec<OptionSpec>,
}

impl Group {
    /// Whether it stands for all groups whose names begin as its own does.
    pub(crate) fn is_pattern(&self) -> bool {
        self.name.ends_with('*')
    }
}

/// An option.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSpec {
    /// As in the file, with underscores.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: OptionType,
    /// What holds when it is not given, as it would be given. Nothing: it is not set then.
    #[serde(default)]
    pub default: Option<String>,
    /// The smallest number allowed.
    #[serde(default)]
    pub min: Option<i64>,
    /// The largest number allowed.
    #[serde(default)]
    pub max: Option<i64>,
    /// The values allowed; any if empty.
    #[serde(default)]
    pub choices: Vec<String>,
    /// Former names, with `group.` before them if that was another.
    #[serde(default)]
    pub deprecated: Vec<String>,
    /// Whether its value is never shown.
    #[serde(default)]
    pub secret: bool,
    /// Whether a change is taken over while the program runs.
    #[serde(default)]
    pub mutable: bool,
    /// Why it has no effect here.
    #[serde(default)]
    pub ignored: Option<String>,
    /// Whether a misspelling of it is an error: what holds without it would be dangerous.
    #[serde(default)]
    pub guarded: bool,
    /// What has to be where it says.
    #[serde(default)]
    pub path: Option<PathKind>,
    /// What it does.
    pub help: String,
}

/// What has to be where an option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// A file that can be read; without it the service does not start.
    File,
    /// A file or folder that should be there.
    Expected,
}

impl OptionSpec {
    /// Reads a value and checks it against the limits. Nothing for a number that is left empty.
    ///
    /// # Errors
    /// What the value must be instead, without the value.
    pub fn parse(&self, text: &str) -> Result<Option<Parsed>, String> {
        let parsed = self.kind.parse(text)?;
        #[expect(clippy::cast_precision_loss, reason = "limits are small")]
        let outside = match &parsed {
            Some(Parsed::Integer(number)) => {
                self.min.is_some_and(|min| *number < min) || self.max.is_some_and(|max| *number > max)
            }
            Some(Parsed::Number(number)) => {
                self.min.is_some_and(|min| *number < min as f64) || self.max.is_some_and(|max| *number > max as f64)
            }
            _ => false,
        };
        if outside {
            return Err(match (self.min, self.max) {
                (Some(min), Some(max)) => format!("must be from {min} to {max}"),
                (Some(min), None) => format!("must be {min} or more"),
                (_, max) => format!("must be {} or less", max.unwrap_or(i64::MAX)),
            });
        }
        let known = |value: &str| self.choices.iter().any(|choice| choice == value);
        if !self.choices.is_empty() && !known(text.trim()) {
            return Err(format!("must be one of {}", self.choices.join(", ")));
        }
        Ok(parsed)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sets: HashMap<String, Vec<OptionSpec>>,
    groups: Vec<Group>,
}

static TABLE: LazyLock<Result<Table, String>> = LazyLock::new(|| Table::parse(include_str!("../data/options.yaml")));

impl Table {
    /// The built-in table.
    ///
    /// # Errors
    /// If it cannot be read, which the tests of this crate rule out.
    pub fn built_in() -> Result<&'static Self, ConfigError> {
        TABLE.as_ref().map_err(|message| ConfigError::Table(message.clone()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let mut table = Self { groups: written.groups, current: HashMap::new(), former: HashMap::new() };
        for (group_index, group) in table.groups.iter_mut().enumerate() {
            for set in &group.include {
                let options = written.sets.get(set).ok_or_else(|| format!("there is no set {set}"))?;
                group.options.extend(options.iter().cloned());
            }
            let own = normal_group(&group.name);
            for (index, option) in group.options.iter_mut().enumerate() {
                let place = (group_index, index);
                option.ignored = option.ignored.take().or_else(|| group.ignored.clone());
                option.guarded = (option.guarded || group.guarded) && option.ignored.is_none();
                if table.current.insert((own.clone(), option.name.clone()), place).is_some() {
                    return Err(format!("[{}] {} is there twice", group.name, option.name));
                }
                for (rank, former) in option.deprecated.iter().enumerate() {
                    let (group, name) = former.rsplit_once('.').unwrap_or((&own, former));
                    table.former.insert((normal_group(group), name.to_owned()), (place, rank + 1));
                }
            }
        }
        Ok(table)
    }

    /// The same with a group of its own for each name that a pattern such as `cors.*` stands for.
    pub(crate) fn with_named<'a>(&self, names: impl Iterator<Item = &'a str>) -> Self {
        let mut table = self.clone();
        for name in names {
            let Some(pattern) = table.group(name).filter(|group| group.is_pattern() && !group.open) else { continue };
            let own = Group { name: normal_group(name), ..pattern.clone() };
            if own.is_pattern() {
                continue;
            }
            let group_index = table.groups.len();
            for (index, option) in own.options.iter().enumerate() {
                table.current.insert((own.name.clone(), option.name.clone()), (group_index, index));
            }
            table.groups.push(own);
        }
        table
    }

    /// The groups in their order.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The option of that name.
    #[must_use]
    pub fn option(&self, group: &str, name: &str) -> Option<&OptionSpec> {
        self.at(self.find(group, name)?.0)
    }

    pub(crate) fn at(&self, (group, option): Place) -> Option<&OptionSpec> {
        self.groups.get(group)?.options.get(option)
    }

    /// Where an option is, by its name or a former one, and how old that name is (0 for the present one).
    pub(crate) fn find(&self, group: &str, name: &str) -> Option<(Place, usize)> {
        let key = (normal_group(group), normal_name(name));
        self.current.get(&key).map(|place| (*place, 0)).or_else(|| self.former.get(&key).copied())
    }

    /// The group of that name.
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        let name = normal_group(name);
        let stands_for = |group: &&Group| {
            let beginning = group.name.strip_suffix('*');
            beginning.is_some_and(|beginning| name.len() > beginning.len() && name.starts_with(beginning))
        };
        let own = self.groups.iter().find(|group| normal_group(&group.name) == name);
        own.or_else(|| self.groups.iter().find(stands_for))
    }

    /// Whether options once were in a group of that name.
    pub(crate) fn is_former_group(&self, name: &str) -> bool {
        let name = normal_group(name);
        self.former.keys().any(|(group, _)| *group == name)
    }

    /// Every place, in the order of the table.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Place, &Group, &OptionSpec)> {
        self.groups.iter().enumerate().flat_map(|(group_index, group)| {
            group.options.iter().enumerate().map(move |(index, option)| ((group_index, index), group, option))
        })
    }
}

/// Upper and lower case are alike in names of groups, but `DEFAULT` is written so.
pub(crate) fn normal_group(name: &str) -> String {
    if name == "DEFAULT" { name.to_owned() } else { name.to_lowercase() }
}

/// Options may be written with hyphens.
pub(crate) fn normal_name(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let table = Table::built_in().unwrap();
        assert!(table.current.len() > 250, "{}", table.current.len());
        for (_, group, option) in table.places() {
            let which = format!("[{}] {}", group.name, option.name);
            assert_eq!(option.name, normal_name(&option.name), "{which}");
            assert!(option.help.ends_with('.'), "{which}");
            assert!(group.help.ends_with('.'), "{which}");
            if let Some(default) = &option.default {
                let parsed = option.parse(default);
                assert!(matches!(parsed, Ok(Some(_))), "{which}: {default}");
            }
            for former in &option.deprecated {
                let (former_group, name) = former.rsplit_once('.').unwrap_or((&group.name, former));
                let key = (normal_group(former_group), name.to_owned());
                assert!(!table.current.contains_key(&key), "{which}: {former} is a present name");
                assert!(table.former.contains_key(&key), "{which}: {former}");
            }
        }
        for group in table.groups() {
            assert_eq!(group.open, group.options.is_empty(), "{}", group.name);
            assert!(!group.open || group.ignored.is_some(), "{}", group.name);
        }
    }

    #[test]
    fn finds_by_any_name() {
        let table = Table::built_in().unwrap();
        let name = |group, name| table.find(group, name).and_then(|(place, _)| table.at(place)).map(|spec| &*spec.name);
        assert_eq!(name("api", "port"), Some("port"));
        assert_eq!(name("API", "port"), Some("port"));
        assert_eq!(name("api", "PORT"), None);
        assert_eq!(name("default", "debug"), None, "DEFAULT is written in capitals");
        assert_eq!(name("keystone_auth", "auth-url"), Some("auth_url"));
        assert_eq!(name("keystone_auth", "tenant_name"), Some("project_name"));
        assert_eq!(
            name("bay", "etcd_discovery_service_endpoint_format"),
            Some("etcd_discovery_service_endpoint_format")
        );
        assert!(table.group("cors.horizon").is_some_and(Group::is_pattern));
        let named = table.with_named(["cors.horizon", "CORS.Horizon", "cors.*", "api", "nothing"].into_iter());
        assert_eq!(named.groups().len(), table.groups().len() + 1);
        assert!(named.find("cors.horizon", "max_age").is_some() && table.find("cors.horizon", "max_age").is_none());
        assert!(table.group("cors.").is_none());
        assert!(table.is_former_group("baymodel"));
    }
}
