//! `/v1/certificates`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use magnum_certs::{CertError, sign_csr};
use magnum_domain::certificate::Authority;
use magnum_domain::operation::Arguments;
use magnum_domain::{Cluster, ClusterStatus, OperationKind};
use magnum_store::{Change, StoreError};

use super::{Api, Segments, allowed, find_cluster, operation, refuse_status, template_of, wrong_status};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::schema::CertificateBody;
use crate::field::{self, table};
use crate::microversion::BAYS_GONE;
use crate::query::Query;
use crate::rules;
use crate::rules::size::Size;
use crate::throttle::Throttle;
use crate::view::certificate::CertificateView;
use crate::view::links::{Links, Place};
use crate::view::{Accepted, answer};

/// What upstream calls the check of a rotation's status.
const UPDATING: &str = "Updating a cluster";

/// Shows the certificate of a cluster's authority.
#[utoipa::path(get, path = "/v1/certificates/{cluster_ident}", tag = "certificates",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("ca_cert_type" = Option<String>, Query, description = "`etcd`, `front_proxy`; else the cluster's own")),
    responses((status = 200, body = CertificateView)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    let query = query.only(&["ca_cert_type"])?;
    authority(&api, &context, &ident, query.text("ca_cert_type")).await
}

/// The same, with the type of authority in the path.
#[utoipa::path(get, path = "/v1/certificates/{cluster_ident}/{ca_cert_type}", tag = "certificates",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("ca_cert_type" = String, Path, description = "`etcd`, `front_proxy`; else the cluster's own")),
    responses((status = 200, body = CertificateView)))]
pub(crate) async fn show_type(
    State(api): Api,
    context: Context,
    Segments((ident, kind)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    authority(&api, &context, &ident, Some(&kind)).await
}

async fn authority(api: &ApiState, context: &Context, ident: &str, kind: Option<&str>) -> Result<Response> {
    let cluster = find_cluster(api, &context.own()?, ident).await?;
    context.may_with("certificate:get", &cluster.project_id, &cluster.user_id)?;
    let pem = api.vault.authority_certificate(&cluster, Authority::from_word(kind)).await.map_err(unavailable)?;
    let links = Links { base: &context.base, place: Place::Certificate(cluster.uuid) };
    let view = CertificateView { cluster_uuid: cluster.uuid, links, csr: None, pem: &pem, ca_cert_type: None };
    answer(StatusCode::OK, &view)
}

/// Has a certificate signed by a cluster's authority.
#[utoipa::path(post, path = "/v1/certificates", tag = "certificates", request_body = CertificateBody,
    responses((status = 201, body = CertificateView)))]
pub(crate) async fn create(
    State(api): Api,
    Extension(throttle): Extension<Arc<Throttle>>,
    context: Context,
    query: Query,
    body: Json,
) -> Result<Response> {
    query.only(&[])?;
    let body = body.required(table::CERTIFICATE.argument)?;
    let is_bay = context.version < BAYS_GONE && body.get("bay_uuid").is_some();
    let spec = if is_bay { &table::CERTIFICATE_OF_BAY } else { &table::CERTIFICATE };
    let mut body = field::read(spec, &body, &api.options.sizes)?;
    if body.text("cluster_uuid").is_none() {
        body.rename("bay_uuid", "cluster_uuid");
    }
    let ident = body.text("cluster_uuid").unwrap_or_default();
    let cluster = named_in_body(&api, &context, &ident).await?;
    context.may_with("certificate:create", &cluster.project_id, &cluster.user_id)?;
    let csr: Arc<str> = body.text("csr").unwrap_or_default().into();
    let kind = body.text("ca_cert_type");
    let authority = api.vault.authority(&cluster, Authority::from_word(kind.as_deref())).await.map_err(unavailable)?;
    let (request, rules) = (Arc::clone(&csr), api.options.signing.clone());
    // RSA takes milliseconds, and clients choose the size of their keys.
    let turn = throttle.signature(&cluster.project_id).await?;
    let signed = tokio::task::spawn_blocking(move || sign_csr(&authority, &request, &rules))
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    drop(turn);
    let pem = signed.map_err(unavailable)?;
    let view = CertificateView {
        cluster_uuid: cluster.uuid,
        links: Links { base: &context.base, place: Place::Certificate(cluster.uuid) },
        csr: Some(&csr),
        pem: pem.trim(),
        ca_cert_type: kind.as_deref(),
    };
    answer(StatusCode::CREATED, &view)
}

/// A cluster that a body names: if there is none, the body is wrong.
async fn named_in_body(api: &ApiState, context: &Context, ident: &str) -> Result<Cluster> {
    find_cluster(api, &context.own()?, ident).await.map_err(|error| match error {
        ApiError::NotFound(message) => ApiError::Invalid(message),
        error @ ApiError::Store(StoreError::NotFound { .. }) => ApiError::invalid(error.to_string()),
        other => other,
    })
}

/// What a failure of the certificates means to the caller.
fn unavailable(error: CertError) -> ApiError {
    match error {
        error if error.is_clients_fault() => ApiError::invalid(error.to_string()),
        CertError::Missing(what) => ApiError::conflict(format!(
            "The cluster has no {what}. While it is being made, try again later; otherwise it has no use for one."
        )),
        CertError::AuthorityExpired(_) => {
            ApiError::conflict(format!("{error}. Rotate the cluster's certificate authority."))
        }
        CertError::Store(error) => error.into(),
        other => ApiError::Internal(other.to_string()),
    }
}

/// Replaces the certificate authorities of a cluster.
#[utoipa::path(patch, path = "/v1/certificates/{cluster_ident}", tag = "certificates",
    params(("cluster_ident" = String, Path, description = "UUID or name")),
    responses((status = 202, body = Accepted)))]
pub(crate) async fn rotate(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    query.only(&[])?;
    if let Some(body) = body.optional() {
        field::read(&table::ROTATION, &body, &api.options.sizes)?;
    }
    let cluster = find_cluster(&api, &context.own()?, &ident).await?;
    context.may_with("certificate:rotate_ca", &cluster.project_id, &cluster.user_id)?;
    let template = template_of(&api, &cluster).await?;
    if template.tls_disabled {
        return Err(ApiError::invalid("Rotating the CA certificate on a non-TLS cluster is not supported"));
    }
    refuse_status(&api, UPDATING, &cluster, allowed(OperationKind::RotateCa)).await?;
    if !api.planner.supports(&template, OperationKind::RotateCa) {
        return Err(ApiError::invalid("'rotate_ca_certificate' is not supported by this driver."));
    }
    // Where nodes give way to new ones, each new one is there before an old one goes.
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let size = Size { cluster: &cluster, groups: &groups, remove: &[], at_once: 1 };
    rules::size::fits(&api, &template, &size).await?;
    let change = Change { cluster_status: Some(ClusterStatus::UpdateInProgress), ..Change::default() };
    let rotate = operation(&api, &context, &cluster, OperationKind::RotateCa, Arguments::default());
    let allowed = allowed(OperationKind::RotateCa);
    api.store.request_operation(rotate, &allowed, change).await.map_err(wrong_status(UPDATING))?;
    Accepted::response(cluster.uuid)
}
