//! The two links every resource has.

use std::fmt;

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::link::BaseUrl;

/// Where a resource is, below `/v1`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A cluster template.
    ClusterTemplate(Uuid),
    /// A cluster.
    Cluster(Uuid),
    /// A node group of a cluster.
    Nodegroup(Uuid, Uuid),
    /// The certificates of a cluster.
    Certificate(Uuid),
    /// A federation.
    Federation(Uuid),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterTemplate(uuid) => write!(f, "clustertemplates/{uuid}"),
            Self::Cluster(uuid) => write!(f, "clusters/{uuid}"),
            Self::Nodegroup(cluster, group) => write!(f, "clusters/{cluster}/nodegroups/{group}"),
            Self::Certificate(cluster) => write!(f, "certificates/{cluster}"),
            Self::Federation(uuid) => write!(f, "federations/{uuid}"),
        }
    }
}

/// `self` and `bookmark`; the latter has no version in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links<'a> {
    /// Where the service is.
    pub(crate) base: &'a BaseUrl,
    /// Where the resource is.
    pub(crate) place: Place,
}

struct Link<'a> {
    links: Links<'a>,
    bookmark: bool,
}

struct Href<'a>(&'a Link<'a>);

impl fmt::Display for Href<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Link { links, bookmark } = self.0;
        write!(f, "{}{}/{}", links.base, if *bookmark { "" } else { "/v1" }, links.place)
    }
}

struct Text<'a>(Href<'a>);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Link<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut link = serializer.serialize_struct("Link", 2)?;
        link.serialize_field("href", &Text(Href(self)))?;
        link.serialize_field("rel", if self.bookmark { "bookmark" } else { "self" })?;
        link.end()
    }
}

impl Serialize for Links<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(2))?;
        list.serialize_element(&Link { links: *self, bookmark: false })?;
        list.serialize_element(&Link { links: *self, bookmark: true })?;
        list.end()
    }
}

/// The form of one link, for the document of the API.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct LinkSchema {
    /// URL.
    href: String,
    /// `self` or `bookmark`.
    rel: String,
}
