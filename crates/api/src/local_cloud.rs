//! The cloud of one machine: a table.

use async_trait::async_trait;
use magnum_domain::Caller;
use magnum_domain::cloud::{CloudLookup, Flavor, Image, LookupError, Network, Thing};
use serde::Deserialize;

/// Answers whether a project exists; the built-in identity knows.
#[async_trait]
pub trait Projects: Send + Sync {
    /// Whether there is such a project.
    ///
    /// # Errors
    /// In words, when it can't be found out.
    async fn exists(&self, id: &str) -> Result<bool, String>;
}

/// What one machine has to offer: a table.
pub struct LocalCloud {
    table: Table,
    projects: Option<std::sync::Arc<dyn Projects>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    images: Vec<Image>,
    flavors: Vec<Flavor>,
    external_networks: Vec<Network>,
    fixed_networks: Vec<Network>,
    fixed_subnets: Vec<Network>,
    #[serde(default)]
    keypairs: Option<Vec<String>>,
}

impl LocalCloud {
    /// The table this program comes with.
    ///
    /// # Errors
    /// If the built-in table can't be read, which a test rules out.
    pub fn built_in() -> Result<Self, String> {
        Self::from_yaml(include_str!("../data/local_cloud.yaml"))
    }

    /// A table of the same form.
    ///
    /// # Errors
    /// In words, with the place, when it can't be read.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        let table = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self { table, projects: None })
    }

    /// The same, with projects looked up. Without, every project is taken to exist.
    #[must_use]
    pub fn with_projects(mut self, projects: std::sync::Arc<dyn Projects>) -> Self {
        self.projects = Some(projects);
        self
    }
}

fn find<'a, T>(
    rows: &'a [T],
    thing: Thing,
    asked: &str,
    key: impl Fn(&T) -> (&str, &str),
) -> Result<&'a T, LookupError> {
    if let Some(row) = rows.iter().find(|row| key(row).0 == asked) {
        return Ok(row);
    }
    let mut named = rows.iter().filter(|row| key(row).1 == asked);
    match (named.next(), named.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => Err(LookupError::NotFound { thing, name: asked.to_owned() }),
        (Some(_), Some(_)) => Err(LookupError::Ambiguous { thing, name: asked.to_owned() }),
    }
}

#[async_trait]
impl CloudLookup for LocalCloud {
    async fn image(&self, _caller: &Caller, name: &str) -> Result<Image, LookupError> {
        find(&self.table.images, Thing::Image, name, |image| (&image.id, &image.name)).cloned()
    }

    async fn flavor(&self, _caller: &Caller, name: &str) -> Result<Flavor, LookupError> {
        find(&self.table.flavors, Thing::Flavor, name, |flavor| (&flavor.id, &flavor.name)).cloned()
    }

    async fn external_network(&self, _caller: &Caller, name: &str) -> Result<(), LookupError> {
        find(&self.table.external_networks, Thing::ExternalNetwork, name, |row| (&row.id, &row.name)).map(drop)
    }

    async fn fixed_network(&self, _caller: &Caller, name: &str) -> Result<(), LookupError> {
        find(&self.table.fixed_networks, Thing::FixedNetwork, name, |row| (&row.id, &row.name)).map(drop)
    }

    async fn fixed_subnet(&self, _caller: &Caller, name: &str) -> Result<(), LookupError> {
        find(&self.table.fixed_subnets, Thing::FixedSubnet, name, |row| (&row.id, &row.name)).map(drop)
    }

    async fn keypair(&self, _caller: &Caller, name: &str) -> Result<(), LookupError> {
        // Without a list there is nobody who would know the keys, and nobody who uses them.
        let Some(known) = &self.table.keypairs else { return Ok(()) };
        find(known, Thing::Keypair, name, |row| (row, row)).map(drop)
    }

    async fn project(&self, _caller: &Caller, id: &str) -> Result<(), LookupError> {
        let Some(projects) = &self.projects else { return Ok(()) };
        match projects.exists(id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(LookupError::NotFound { thing: Thing::Project, name: id.to_owned() }),
            Err(reason) => Err(LookupError::Unavailable(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_sound() {
        let cloud = LocalCloud::built_in().unwrap();
        assert!(cloud.table.images.iter().all(|image| image.os_distro.is_some()));
        assert!(cloud.table.flavors.iter().all(|flavor| flavor.disk > 0));
    }
}
