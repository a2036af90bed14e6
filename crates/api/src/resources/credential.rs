//! `/v1/credentials`; from 1.12 on.

use axum::extract::State;
use axum::response::Response;
use magnum_domain::operation::Arguments;
use magnum_domain::{ClusterStatus, OperationKind};
use magnum_store::Change;

use super::{Api, Segments, allowed, find_cluster, operation, refuse_status, template_of, wrong_status};
use crate::body::Json;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::{self, table};
use crate::microversion::CREDENTIALS;
use crate::query::Query;
use crate::view::Accepted;

/// What messages call it. Upstream says the name of a Python module there.
const ROTATING: &str = "Rotating the credential of a cluster";

/// Replaces the credential a cluster uses for the cloud by one of the calling user.
#[utoipa::path(patch, path = "/v1/credentials/{cluster_ident}", tag = "credentials",
    params(("cluster_ident" = String, Path, description = "UUID or name")),
    responses((status = 202, body = Accepted)))]
pub(crate) async fn rotate(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    context.since(CREDENTIALS, "patch")?;
    query.only(&[])?;
    if let Some(body) = body.optional() {
        field::read(&table::CREDENTIAL, &body, &api.options.sizes)?;
    }
    context.may("credential:rotate")?;
    let cluster = find_cluster(&api, &context.own()?, &ident).await?;
    refuse_status(&api, ROTATING, &cluster, allowed(OperationKind::RotateCredential)).await?;
    let template = template_of(&api, &cluster).await?;
    if !api.planner.supports(&template, OperationKind::RotateCredential) {
        return Err(ApiError::invalid("Credential rotation is not supported by driver."));
    }
    let change = Change { cluster_status: Some(ClusterStatus::UpdateInProgress), ..Change::default() };
    let rotate = operation(&api, &context, &cluster, OperationKind::RotateCredential, Arguments::default());
    let is_allowed = allowed(OperationKind::RotateCredential);
    api.store.request_operation(rotate, &is_allowed, change).await.map_err(wrong_status(ROTATING))?;
    Accepted::response(cluster.uuid)
}
