//! Certificates in answers.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::links::{LinkSchema, Links};

/// An authority's certificate, or one that it has signed.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateView<'a> {
    /// The cluster.
    pub(crate) cluster_uuid: Uuid,
    /// Where it is.
    #[schema(value_type = Vec<LinkSchema>)]
    pub(crate) links: Links<'a>,
    /// The request that was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) csr: Option<&'a str>,
    /// The certificate.
    pub(crate) pem: &'a str,
    /// The authority, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_cert_type: Option<&'a str>,
}
