//! The two links every resource has.

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

impl Place {
    /// Put together by hand: formatting takes four times as long, and a list has two links for each item.
    fn add_to(self, text: &mut String) {
        let mut add = |word: &str, uuid: Uuid| {
            text.push_str(word);
            text.push_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        };
        match self {
            Self::ClusterTemplate(uuid) => add("/clustertemplates/", uuid),
            Self::Cluster(uuid) => add("/clusters/", uuid),
            Self::Nodegroup(cluster, group) => {
                add("/clusters/", cluster);
                add("/nodegroups/", group);
            }
            Self::Certificate(cluster) => add("/certificates/", cluster),
            Self::Federation(uuid) => add("/federations/", uuid),
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

impl Link<'_> {
    fn href(&self) -> String {
        let base = self.links.base.as_str();
        let mut href = String::with_capacity(base.len() + 128);
        href.push_str(base);
        if !self.bookmark {
            href.push_str("/v1");
        }
        self.links.place.add_to(&mut href);
        href
    }
}

impl Serialize for Link<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut link = serializer.serialize_struct("Link", 2)?;
        link.serialize_field("href", &self.href())?;
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
