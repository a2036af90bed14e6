//! The discovery documents.

use serde::Serialize;
use utoipa::ToSchema;

use crate::link::BaseUrl;
use crate::microversion::{MAXIMUM, MINIMUM};

/// A link of a discovery document.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionLink {
    href: String,
    rel: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

fn link(href: String, rel: &'static str) -> VersionLink {
    VersionLink { href, rel, kind: None }
}

/// `GET /`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Root {
    name: &'static str,
    description: &'static str,
    versions: [RootVersion; 1],
}

/// A version of the API.
#[derive(Serialize, ToSchema)]
pub(crate) struct RootVersion {
    id: &'static str,
    links: [VersionLink; 1],
    status: &'static str,
    max_version: String,
    min_version: String,
}

impl Root {
    /// The document.
    pub(crate) fn new(base: &BaseUrl) -> Self {
        Self {
            name: "OpenStack Magnum API",
            description: "Magnum is an OpenStack project which aims to provide container cluster management.",
            versions: [RootVersion {
                id: "v1",
                links: [link(base.join("/v1/"), "self")],
                status: "CURRENT",
                max_version: MAXIMUM.to_string(),
                min_version: MINIMUM.to_string(),
            }],
        }
    }
}

/// `GET /v1`.
#[derive(Serialize, ToSchema)]
pub(crate) struct V1 {
    id: &'static str,
    media_types: [MediaType; 1],
    links: [VersionLink; 2],
    clustertemplates: [VersionLink; 2],
    clusters: [VersionLink; 2],
    quotas: [VersionLink; 2],
    certificates: [VersionLink; 2],
    mservices: [VersionLink; 2],
    stats: [VersionLink; 2],
    federations: [VersionLink; 2],
    nodegroups: [VersionLink; 2],
    credentials: [VersionLink; 2],
}

/// A representation.
#[derive(Serialize, ToSchema)]
pub(crate) struct MediaType {
    base: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl V1 {
    /// The document.
    pub(crate) fn new(base: &BaseUrl) -> Self {
        let pair = |path: &str| {
            [link(base.join(&format!("/v1/{path}")), "self"), link(base.join(&format!("/{path}")), "bookmark")]
        };
        Self {
            id: "v1",
            media_types: [MediaType { base: "application/json", kind: "application/vnd.openstack.magnum.v1+json" }],
            links: [
                link(base.join("/v1/"), "self"),
                VersionLink {
                    href: "http://docs.openstack.org/developer/magnum/dev/api-spec-v1.html".to_owned(),
                    rel: "describedby",
                    kind: Some("text/html"),
                },
            ],
            clustertemplates: pair("clustertemplates/"),
            clusters: pair("clusters/"),
            quotas: pair("quotas/"),
            certificates: pair("certificates/"),
            mservices: pair("mservices/"),
            stats: pair("stats/"),
            federations: pair("federations/"),
            nodegroups: pair("clusters/{cluster_id}/nodegroups"),
            credentials: pair("credentials/"),
        }
    }
}
