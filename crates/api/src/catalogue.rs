//! The cloud that names in templates and clusters are looked up in: images, flavors, networks, key pairs, projects.
//!
//! With OpenStack these are Glance, Nova, Neutron and Keystone; on one machine it is [`LocalCatalogue`], a table.

use async_trait::async_trait;
use axum::http::StatusCode;
use magnum_domain::Caller;
use serde::Deserialize;

/// An image nodes are made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Identity.
    pub id: String,
    /// Name; several images may share one.
    pub name: String,
    /// Property `os_distro`; an image without it can't be used.
    #[serde(default)]
    pub os_distro: Option<String>,
    /// Property `magnum_driver`: the driver templates of this image get, unless they name one.
    #[serde(default)]
    pub magnum_driver: Option<String>,
}

/// A size of node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flavor {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: String,
    /// Root disk in GB; 0 needs a boot volume.
    pub disk: i64,
}

/// A network or subnet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Identity.
    pub id: String,
    /// Name; several may share one.
    pub name: String,
}

/// What was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// Image.
    Image,
    /// Flavor.
    Flavor,
    /// Network that leads outside.
    ExternalNetwork,
    /// Network of the nodes.
    FixedNetwork,
    /// Subnet of the nodes.
    FixedSubnet,
    /// Key pair of the requesting user.
    Keypair,
    /// Project.
    Project,
}

/// Why a lookup failed. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// There is none.
    #[error("{}", missing(*thing, name))]
    NotFound {
        /// What.
        thing: Thing,
        /// Name or id asked for.
        name: String,
    },
    /// There are several of that name.
    #[error("{}", several(*thing, name))]
    Ambiguous {
        /// What.
        thing: Thing,
        /// Name asked for.
        name: String,
    },
    /// It is somebody else's.
    #[error("Not authorized for image {0}.")]
    Forbidden(String),
    /// The image does not say which distribution it is.
    #[error("Image {0} doesn't contain os_distro field.")]
    NoDistribution(String),
    /// The service could not be asked.
    #[error("{0}")]
    Unavailable(String),
}

impl CatalogueError {
    /// Missing things are 400, since they are named in a body; key pairs and projects are 404 all the same.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound { thing: Thing::Keypair | Thing::Project, .. } => StatusCode::NOT_FOUND,
            Self::NotFound { .. } | Self::NoDistribution(_) => StatusCode::BAD_REQUEST,
            Self::Ambiguous { .. } => StatusCode::CONFLICT,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn missing(thing: Thing, name: &str) -> String {
    match thing {
        Thing::Image => format!("Image {name} could not be found."),
        Thing::Flavor => format!("Unable to find flavor {name}."),
        Thing::ExternalNetwork => format!("Unable to find external network {name}."),
        Thing::FixedNetwork => format!("Unable to find fixed network {name}."),
        Thing::FixedSubnet => format!("Unable to find fixed subnet {name}."),
        Thing::Keypair => format!("Unable to find keypair {name}."),
        Thing::Project => format!("The project_id {name} could not be found."),
    }
}

fn several(thing: Thing, name: &str) -> String {
    let (things, one) = match thing {
        Thing::Image => ("images", "image"),
        Thing::Flavor => ("flavors", "flavor"),
        Thing::ExternalNetwork => ("external networks", "external network"),
        Thing::FixedNetwork => ("networks", "network"),
        Thing::FixedSubnet => ("subnets", "subnet"),
        Thing::Keypair => ("keypairs", "keypair"),
        Thing::Project => ("projects", "project"),
    };
    format!("Multiple {things} exist with same name '{name}'. Please use the {one} ID instead.")
}

/// Where names are looked up, on behalf of a caller.
///
/// Every call fails with [`CatalogueError`] when there is no such thing, several of that name, or nobody to ask.
#[async_trait]
pub trait Catalogue: Send + Sync {
    /// Image by id or name.
    async fn image(&self, caller: &Caller, name: &str) -> Result<Image, CatalogueError>;
    /// Flavor by id or name.
    async fn flavor(&self, caller: &Caller, name: &str) -> Result<Flavor, CatalogueError>;
    /// External network by id or name.
    async fn external_network(&self, caller: &Caller, name: &str) -> Result<(), CatalogueError>;
    /// Network by id or name.
    async fn fixed_network(&self, caller: &Caller, name: &str) -> Result<(), CatalogueError>;
    /// Subnet by id or name.
    async fn fixed_subnet(&self, caller: &Caller, name: &str) -> Result<(), CatalogueError>;
    /// Key pair of the caller by name.
    async fn keypair(&self, caller: &Caller, name: &str) -> Result<(), CatalogueError>;
    /// Project by id.
    async fn project(&self, caller: &Caller, id: &str) -> Result<(), CatalogueError>;
}

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
pub struct LocalCatalogue {
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
    keypairs: Vec<String>,
}

impl LocalCatalogue {
    /// The table this program comes with.
    ///
    /// # Errors
    /// If the built-in table can't be read, which a test rules out.
    pub fn built_in() -> Result<Self, String> {
        Self::from_yaml(include_str!("../data/local_catalogue.yaml"))
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
) -> Result<&'a T, CatalogueError> {
    if let Some(row) = rows.iter().find(|row| key(row).0 == asked) {
        return Ok(row);
    }
    let mut named = rows.iter().filter(|row| key(row).1 == asked);
    match (named.next(), named.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => Err(CatalogueError::NotFound { thing, name: asked.to_owned() }),
        (Some(_), Some(_)) => Err(CatalogueError::Ambiguous { thing, name: asked.to_owned() }),
    }
}

#[async_trait]
impl Catalogue for LocalCatalogue {
    async fn image(&self, _caller: &Caller, name: &str) -> Result<Image, CatalogueError> {
        find(&self.table.images, Thing::Image, name, |image| (&image.id, &image.name)).cloned()
    }

    async fn flavor(&self, _caller: &Caller, name: &str) -> Result<Flavor, CatalogueError> {
        find(&self.table.flavors, Thing::Flavor, name, |flavor| (&flavor.id, &flavor.name)).cloned()
    }

    async fn external_network(&self, _caller: &Caller, name: &str) -> Result<(), CatalogueError> {
        find(&self.table.external_networks, Thing::ExternalNetwork, name, |row| (&row.id, &row.name)).map(drop)
    }

    async fn fixed_network(&self, _caller: &Caller, name: &str) -> Result<(), CatalogueError> {
        find(&self.table.fixed_networks, Thing::FixedNetwork, name, |row| (&row.id, &row.name)).map(drop)
    }

    async fn fixed_subnet(&self, _caller: &Caller, name: &str) -> Result<(), CatalogueError> {
        find(&self.table.fixed_subnets, Thing::FixedSubnet, name, |row| (&row.id, &row.name)).map(drop)
    }

    async fn keypair(&self, _caller: &Caller, name: &str) -> Result<(), CatalogueError> {
        find(&self.table.keypairs, Thing::Keypair, name, |row| (row, row)).map(drop)
    }

    async fn project(&self, _caller: &Caller, id: &str) -> Result<(), CatalogueError> {
        let Some(projects) = &self.projects else { return Ok(()) };
        match projects.exists(id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CatalogueError::NotFound { thing: Thing::Project, name: id.to_owned() }),
            Err(reason) => Err(CatalogueError::Unavailable(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_sound() {
        let catalogue = LocalCatalogue::built_in().unwrap();
        assert!(catalogue.table.images.iter().all(|image| image.os_distro.is_some()));
        assert!(catalogue.table.flavors.iter().all(|flavor| flavor.disk > 0));
    }
}
