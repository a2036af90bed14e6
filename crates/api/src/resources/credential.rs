//! `/v1/credentials`; from 1.12 on.

use axum::extract::State;
use axum::response::Response;
use magnum_domain::operation::Arguments;
use magnum_domain::{ClusterStatus, OperationKind};
use magnum_store::{Change, StoreError};

use super::{Api, Segments, allowed, find_cluster, operation, template_of};
use crate::body::Json;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::{self, table};
use crate::microversion::CREDENTIALS;
use crate::query::Query;
use crate::view::Accepted;

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
    if !OperationKind::RotateCredential.is_allowed_in(&cluster.status) {
        return Err(rotating(&cluster.status));
    }
    let template = template_of(&api, &cluster).await?;
    if !api.planner.supports(&template, OperationKind::RotateCredential) {
        return Err(ApiError::invalid("Credential rotation is not supported by driver."));
    }
    let change = Change { cluster_status: Some(ClusterStatus::UpdateInProgress), ..Change::default() };
    let rotate = operation(&api, &context, &cluster, OperationKind::RotateCredential, Arguments::default());
    api.store.request_operation(rotate, &allowed(OperationKind::RotateCredential), change).await.map_err(|error| {
        match error {
            StoreError::WrongStatus { status, .. } => rotating(&status),
            other => other.into(),
        }
    })?;
    Accepted::response(cluster.uuid)
}

/// Upstream's words, into which the name of one of its modules has slipped.
fn rotating(status: &ClusterStatus) -> ApiError {
    ApiError::invalid(format!(
        "magnum.conductor.handlers.credential_conductor when cluster status is \"{status}\" is not supported."
    ))
}
