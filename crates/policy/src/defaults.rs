//! The table of default rules.

use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::source::LoadError;

/// A rule as this service ships it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultRule {
    /// What a policy file overrides.
    pub name: String,
    /// The check in the notation of policy files.
    pub check: String,
    /// The token scopes it is meant for; empty for any.
    #[serde(default)]
    pub scope: Vec<Scope>,
    /// The older default.
    #[serde(default)]
    pub deprecated: Option<DeprecatedCheck>,
    /// What being allowed means.
    pub description: String,
    /// The requests that ask this rule, as `METHOD path`. Empty for rules that only others refer to.
    #[serde(default)]
    pub operations: Vec<String>,
}

/// The older default of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeprecatedCheck {
    /// The name under which a policy file may still override it.
    pub name: String,
    /// What it demanded.
    pub check: String,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One project.
    Project,
    /// The whole installation.
    System,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Project => "project",
            Self::System => "system",
        })
    }
}

static TABLE: LazyLock<Result<Vec<DefaultRule>, String>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../data/policy.yaml")).map_err(|error| error.to_string()));

/// Every rule this service asks about, in the order of the table.
///
/// # Errors
/// If the built-in table cannot be read, which the tests of this crate rule out.
pub fn default_rules() -> Result<&'static [DefaultRule], LoadError> {
    match &*TABLE {
        Ok(rules) => Ok(rules),
        Err(message) => Err(LoadError::Defaults(message.clone())),
    }
}

/// A policy file with every default commented out: a place to start from.
///
/// # Errors
/// As [`default_rules`].
pub fn sample() -> Result<String, LoadError> {
    let mut text = String::from("# Uncomment a line to change its rule. What is commented out is the default.\n");
    for rule in default_rules()? {
        // Writing to a String does not fail.
        let _ = write!(text, "\n# {}\n", rule.description);
        for operation in &rule.operations {
            let _ = writeln!(text, "# {operation}");
        }
        if !rule.scope.is_empty() {
            let scopes: Vec<String> = rule.scope.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "# Scopes: {}", scopes.join(", "));
        }
        if let Some(deprecated) = &rule.deprecated {
            let _ = writeln!(text, "# Without enforce_new_defaults also: {}", deprecated.check);
        }
        let _ = writeln!(text, "#\"{}\": \"{}\"", rule.name, rule.check);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::parse::parse_text;

    #[test]
    fn the_table_is_sound() {
        let rules = default_rules().unwrap();
        assert!(rules.len() > 60);
        for rule in rules {
            assert_eq!(rules.iter().filter(|other| other.name == rule.name).count(), 1, "{} is there twice", rule.name);
            assert_eq!(parse_text(&rule.check).problems, Vec::<String>::new(), "{}", rule.name);
            assert!(rule.description.ends_with('.'), "{}", rule.name);
            assert_eq!(rule.name.contains(':'), !rule.operations.is_empty(), "{}", rule.name);
            for operation in &rule.operations {
                let (method, path) = operation.split_once(' ').unwrap();
                assert!(matches!(method, "GET" | "POST" | "PATCH" | "DELETE"), "{operation}");
                assert!(path.starts_with("/v1/"), "{operation}");
            }
        }
    }

    #[test]
    fn the_sample_uncommented_is_the_table() {
        let text: String = sample()
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("#\""))
            .map(|line| format!("\"{line}\n"))
            .collect();
        let read: serde_json::Map<String, serde_json::Value> = serde_saphyr::from_str(&text).unwrap();
        let rules = default_rules().unwrap();
        assert_eq!(read.len(), rules.len());
        for rule in rules {
            assert_eq!(read[&rule.name], rule.check.as_str());
        }
    }
}
