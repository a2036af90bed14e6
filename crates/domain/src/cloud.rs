//! The cloud that names in templates and clusters are looked up in: images, flavors, networks, key pairs, projects.
//!
//! With OpenStack these are Glance, Nova, Neutron and Keystone, asked in the caller's name; on one machine it is a table.

use async_trait::async_trait;
use serde::Deserialize;

use crate::Caller;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
pub enum LookupError {
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
    /// The service does not let the caller look, or this cloud has none: asking again does not help. Says so in words.
    #[error("{0}")]
    Refused(String),
    /// The cloud is not set up so that anybody could look: for the operator to mend. Says so in words.
    #[error("{0}")]
    Misconfigured(String),
    /// The service could not be asked now; asking again may help. Says so in words.
    #[error("{0}")]
    Unavailable(String),
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
/// Every call fails with [`LookupError`] when there is no such thing, several of that name, or nobody to ask.
#[async_trait]
pub trait CloudLookup: Send + Sync {
    /// Image by id or name.
    async fn image(&self, caller: &Caller, name: &str) -> Result<Image, LookupError>;
    /// Flavor by id or name.
    async fn flavor(&self, caller: &Caller, name: &str) -> Result<Flavor, LookupError>;
    /// External network by id or name.
    async fn external_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError>;
    /// Network by id or name.
    async fn fixed_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError>;
    /// Subnet by id or name.
    async fn fixed_subnet(&self, caller: &Caller, name: &str) -> Result<(), LookupError>;
    /// Key pair of the caller by name.
    async fn keypair(&self, caller: &Caller, name: &str) -> Result<(), LookupError>;
    /// Project by id.
    async fn project(&self, caller: &Caller, id: &str) -> Result<(), LookupError>;
}
