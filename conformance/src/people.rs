//! Who sends requests.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The table `people.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Identifiers of projects by name.
    pub projects: BTreeMap<String, String>,
    /// Everybody.
    pub people: Vec<Person>,
    /// Identifiers of the cloud's networks, by their place in its table.
    pub networks: Vec<String>,
    /// Identifiers of the cloud's subnets, by their place in its table.
    pub subnets: Vec<String>,
}

/// Somebody with a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Name, which is also the token where tokens are ours to choose.
    pub name: String,
    /// Identifier.
    pub user_id: String,
    /// Name of the project that the token is for.
    pub project: String,
    /// Roles in it, implied ones included.
    pub roles: Vec<String>,
}

impl People {
    /// The table that comes with this crate.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn load() -> Result<Self> {
        crate::data_file("people.yaml")
    }

    /// Somebody by name.
    #[must_use]
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }

    /// A project's identifier.
    ///
    /// # Errors
    /// When there is no such project in the table.
    pub fn project(&self, name: &str) -> Result<&str> {
        self.projects.get(name).map(String::as_str).with_context(|| format!("no project {name} in people.yaml"))
    }
}
