//! Federations in answers.

use magnum_domain::{Federation, Labels};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::links::{LinkSchema, Links, Place};
use super::when::When;
use crate::link::BaseUrl;

/// A federation as lists have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShortFederation<'a> {
    /// Identity.
    uuid: Uuid,
    /// Name, not unique.
    name: Option<&'a str>,
    /// UUID of the cluster with the control plane.
    hostcluster_id: Option<&'a str>,
    /// UUIDs of the member clusters.
    member_ids: &'a [String],
    /// Where its life stands.
    status: Option<&'a str>,
    /// What its maker said of it.
    properties: &'a Labels,
    /// Where it is.
    #[schema(value_type = Vec<LinkSchema>)]
    links: Links<'a>,
}

impl<'a> ShortFederation<'a> {
    /// The view of a row.
    pub(crate) fn new(federation: &'a Federation, base: &'a BaseUrl) -> Self {
        Self {
            uuid: federation.uuid,
            name: federation.name.as_deref(),
            hostcluster_id: federation.hostcluster_id.as_deref(),
            member_ids: &federation.member_ids,
            status: federation.status.as_deref(),
            properties: &federation.properties,
            links: Links { base, place: Place::Federation(federation.uuid) },
        }
    }
}

/// A federation with everything that is told of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct FullFederation<'a> {
    #[serde(flatten)]
    short: ShortFederation<'a>,
    /// Why it stands where it stands.
    status_reason: Option<&'a str>,
    /// When it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<When>,
    /// When it was last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<When>,
}

impl<'a> FullFederation<'a> {
    /// The view of a row.
    pub(crate) fn new(federation: &'a Federation, base: &'a BaseUrl) -> Self {
        Self {
            short: ShortFederation::new(federation, base),
            status_reason: federation.status_reason.as_deref(),
            created_at: When::maybe(federation.created_at),
            updated_at: When::maybe(federation.updated_at),
        }
    }
}

/// One page of federations.
#[derive(Serialize, ToSchema)]
pub(crate) struct FederationList<T> {
    /// The page.
    pub(crate) federations: Vec<T>,
    /// URL of the next page, when this one is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
