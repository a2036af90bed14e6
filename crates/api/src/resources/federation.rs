//! `/v1/federations`.
//!
//! No release of upstream can make one: it accepts them and does nothing. Here making one is refused, with the reason;
//! so there is none to list, show, change or delete.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, PageQuery, Segments, find_cluster, nameable};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::schema::FederationBody;
use crate::field::{self, table};
use crate::microversion::ROLLBACK;
use crate::page::{self, Marker};
use crate::patch::{Patch, Rules};
use crate::query::Query;
use crate::view::answer;

const PATCH: Rules = Rules { fields: &table::FEDERATION, internal: &["member_ids"], mandatory: &[] };

/// One page of federations: always empty.
#[derive(Serialize, ToSchema)]
pub(crate) struct FederationList {
    /// None.
    #[schema(value_type = Vec<Object>)]
    federations: [(); 0],
}

/// Lists federations: there are none.
#[utoipa::path(get, path = "/v1/federations", tag = "federations", params(PageQuery),
    responses((status = 200, body = FederationList)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    context.may("federation:get_all")?;
    empty(&api, query)
}

/// Lists federations with everything that is told of them: there are none.
#[utoipa::path(get, path = "/v1/federations/detail", tag = "federations", params(PageQuery),
    responses((status = 200, body = FederationList)))]
pub(crate) async fn detail(State(api): Api, context: Context, query: Query) -> Result<Response> {
    context.may("federation:detail")?;
    empty(&api, query)
}

fn empty(api: &ApiState, query: Query) -> Result<Response> {
    let page = page::read(&query.only(&page::PARAMETERS)?, Marker::Uuid, api.options.max_limit)?;
    match page.marker {
        Some(marker) => Err(ApiError::not_found("Federation", &marker)),
        None => answer(StatusCode::OK, &FederationList { federations: [] }),
    }
}

/// Shows a federation: there is none.
#[utoipa::path(get, path = "/v1/federations/{federation_ident}", tag = "federations",
    params(("federation_ident" = String, Path, description = "UUID or name")), responses((status = 404)))]
pub(crate) async fn show(context: Context, Segments(ident): Segments<String>, query: Query) -> Result<Response> {
    query.only(&[])?;
    context.may("federation:get")?;
    Err(none(&ident))
}

fn none(ident: &str) -> ApiError {
    nameable("Federation", ident).err().unwrap_or_else(|| ApiError::not_found("Federation", ident))
}

/// Refuses to make a federation, once the request is found to be right otherwise.
#[utoipa::path(post, path = "/v1/federations", tag = "federations", request_body = FederationBody,
    responses((status = 409)))]
pub(crate) async fn create(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    query.only(&[])?;
    let body = field::read(&table::FEDERATION, &body.required(table::FEDERATION.argument)?)?;
    context.may("federation:create")?;
    let Some(host) = body.text("hostcluster_id").filter(|host| !host.is_empty()) else {
        return Err(ApiError::invalid("No hostcluster specified. Please specify a hostcluster_id."));
    };
    find_cluster(&api, &context.own()?, &host).await?;
    let Some(properties) = body.dictionary("properties") else {
        return Err(ApiError::invalid("Please specify a `properties` dict for the federation."));
    };
    if !properties.contains_key("dns-zone") {
        return Err(ApiError::invalid("No DNS zone specified. Please specify a `dns-zone`."));
    }
    Err(ApiError::conflict(
        "Federations can not be made: no driver knows how to, in this service or the original. Nothing was changed.",
    ))
}

/// Changes a federation: there is none.
#[utoipa::path(patch, path = "/v1/federations/{federation_ident}", tag = "federations",
    params(("federation_ident" = String, Path, description = "UUID or name"),
           ("rollback" = Option<bool>, Query, description = "From 1.3 on")),
    request_body = Vec<crate::openapi::PatchItem>, responses((status = 404)))]
pub(crate) async fn update(
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    let known: &[&str] = if context.version < ROLLBACK { &[] } else { &["rollback"] };
    query.only(known)?.boolean("rollback")?;
    context.may("federation:update")?;
    let is_member = |body: &serde_json::Value| {
        let mut paths = body.as_array().into_iter().flatten().filter_map(|item| item.get("path"));
        paths.any(|path| path == "/member_ids")
    };
    match body.optional() {
        // Joining and leaving have a form of their own, of which there is nothing to check without a federation.
        Some(body) if is_member(&body) => {}
        body => drop(Patch::read(body, &PATCH)?),
    }
    Err(none(&ident))
}

/// Deletes a federation: there is none.
#[utoipa::path(delete, path = "/v1/federations/{federation_ident}", tag = "federations",
    params(("federation_ident" = String, Path, description = "UUID or name")), responses((status = 404)))]
pub(crate) async fn delete(context: Context, Segments(ident): Segments<String>, query: Query) -> Result<Response> {
    query.only(&[])?;
    context.may("federation:delete")?;
    Err(none(&ident))
}
