//! What the lab's cloud holds, as a cloud to look names up in.

use async_trait::async_trait;
use magnum_domain::Caller;
use magnum_domain::cloud::{CloudLookup, Flavor, Image, LookupError, Thing};
use serde::Deserialize;

use crate::people::People;

/// The lab's table, as far as names are looked up in it.
#[derive(Debug, Deserialize)]
struct Table {
    images: Vec<ImageRow>,
    flavors: Vec<Flavour>,
    keypairs: Vec<Keypair>,
    networks: Vec<NetworkRow>,
    subnets: Vec<Subnet>,
}

#[derive(Debug, Deserialize)]
struct ImageRow {
    name: String,
    id: String,
    project: String,
    visibility: String,
    properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
struct Properties {
    os_distro: Option<String>,
    magnum_driver: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Flavour {
    name: String,
    id: String,
    disk: i64,
}

#[derive(Debug, Deserialize)]
struct Keypair {
    name: String,
    user: String,
}

#[derive(Debug, Deserialize)]
struct NetworkRow {
    name: String,
    project: String,
    #[serde(default)]
    external: bool,
    #[serde(default)]
    shared: bool,
}

#[derive(Debug, Deserialize)]
struct Subnet {
    name: String,
    network: String,
    project: String,
}

/// Shows everybody what the real services would.
pub struct Cloud {
    table: Table,
    people: People,
}

impl Cloud {
    /// The lab's cloud, seen by these people.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn load(people: People) -> anyhow::Result<Self> {
        Ok(Self { table: crate::data_file("../../xtask/src/lab/data/cloud.yaml")?, people })
    }

    /// Whether something of a project shows for somebody.
    fn sees(&self, caller: &Caller, project: &str) -> bool {
        let own = self.people.projects.get(project).is_some_and(|id| caller.project_id.as_ref() == Some(id));
        own || caller.roles.iter().any(|role| role == "admin")
    }

    fn network(&self, caller: &Caller, row: &NetworkRow) -> bool {
        row.shared || row.external || self.sees(caller, &row.project)
    }

    fn networks<'a>(&'a self, caller: &Caller, name: &'a str) -> impl Iterator<Item = &'a NetworkRow> {
        let rows = self.table.networks.iter().zip(&self.people.networks);
        let named = rows.filter(move |(row, id)| row.name == name || *id == name);
        let caller = caller.clone();
        named.filter(move |(row, _)| self.network(&caller, row)).map(|(row, _)| row)
    }
}

/// Exactly one, or why not.
fn one<T>(mut found: impl Iterator<Item = T>, thing: Thing, name: &str) -> Result<T, LookupError> {
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => Err(LookupError::NotFound { thing, name: name.to_owned() }),
        (Some(_), Some(_)) => Err(LookupError::Ambiguous { thing, name: name.to_owned() }),
    }
}

#[async_trait]
impl CloudLookup for Cloud {
    async fn image(&self, caller: &Caller, name: &str) -> Result<Image, LookupError> {
        let seen = |row: &&ImageRow| row.visibility == "public" || self.sees(caller, &row.project);
        let by_id = self.table.images.iter().filter(seen).find(|row| row.id == name);
        let row = match by_id {
            Some(row) => row,
            None => one(self.table.images.iter().filter(seen).filter(|row| row.name == name), Thing::Image, name)?,
        };
        Ok(Image {
            id: row.id.clone(),
            name: row.name.clone(),
            os_distro: row.properties.os_distro.clone(),
            magnum_driver: row.properties.magnum_driver.clone(),
        })
    }

    async fn flavor(&self, _: &Caller, name: &str) -> Result<Flavor, LookupError> {
        let row = one(
            self.table.flavors.iter().filter(|row| row.id == name || row.name == name).take(1),
            Thing::Flavor,
            name,
        )?;
        Ok(Flavor { id: row.id.clone(), name: row.name.clone(), disk: row.disk })
    }

    async fn external_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        one(self.networks(caller, name).filter(|row| row.external), Thing::ExternalNetwork, name).map(drop)
    }

    async fn fixed_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        one(self.networks(caller, name), Thing::FixedNetwork, name).map(drop)
    }

    async fn fixed_subnet(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        let rows = self.table.subnets.iter().zip(&self.people.subnets);
        let named = rows.filter(|(row, id)| row.name == name || *id == name);
        let seen = named.filter(|(row, _)| {
            let shared = self.table.networks.iter().any(|net| net.name == row.network && net.shared);
            shared || self.sees(caller, &row.project)
        });
        one(seen, Thing::FixedSubnet, name).map(drop)
    }

    async fn keypair(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        let own = self.table.keypairs.iter().filter(|row| row.name == name && row.user == caller.user_name);
        one(own, Thing::Keypair, name).map(drop)
    }

    async fn project(&self, _: &Caller, id: &str) -> Result<(), LookupError> {
        one(self.people.projects.values().filter(|known| *known == id), Thing::Project, id).map(drop)
    }
}
