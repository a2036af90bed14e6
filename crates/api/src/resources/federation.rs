//! `/v1/federations`.
//!
//! No release of upstream can make or change one: it accepts that and does nothing. Here it is refused, with the
//! reason. What a database holds from before is shown, and can be deleted.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use magnum_domain::Federation;
use magnum_store::Ident;
use serde_json::{Map, Value};
use uuid::Uuid;

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
use crate::view::federation::{FederationList, FullFederation, ShortFederation};
use crate::view::{Accepted, answer};

/// What a patch may touch (§13 of the reference).
const PATCH: Rules = Rules { fields: &table::FEDERATION, internal: &[], mandatory: &[] };
/// What may really change.
const CHANGEABLE: [&str; 2] = ["member_ids", "properties"];

/// Lists the project's federations.
#[utoipa::path(get, path = "/v1/federations", tag = "federations", params(PageQuery),
    responses((status = 200, body = FederationList<ShortFederation>)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    let (federations, next) = rows(&api, &context, query, "federation:get_all", "/v1/federations").await?;
    let federations = federations.iter().map(|row| ShortFederation::new(row, &context.base)).collect();
    answer(StatusCode::OK, &FederationList { federations, next })
}

/// Lists the project's federations with everything that is told of them.
#[utoipa::path(get, path = "/v1/federations/detail", tag = "federations", params(PageQuery),
    responses((status = 200, body = FederationList<FullFederation>)))]
pub(crate) async fn detail(State(api): Api, context: Context, query: Query) -> Result<Response> {
    let (federations, next) = rows(&api, &context, query, "federation:detail", "/v1/federations/detail").await?;
    let federations = federations.iter().map(|row| FullFederation::new(row, &context.base)).collect();
    answer(StatusCode::OK, &FederationList { federations, next })
}

/// A page, and where the next one is.
async fn rows(
    api: &ApiState,
    context: &Context,
    query: Query,
    rule: &str,
    path: &str,
) -> Result<(Vec<Federation>, Option<String>)> {
    let page = page::read(&query.only(&page::PARAMETERS)?, Marker::Uuid, api.options.max_limit)?;
    context.may(rule)?;
    let rows = api.store.list_federations(context.project()?, &page).await?;
    let last = rows.last().map(|row| row.uuid.to_string());
    let next = page::next(&context.base, path, &page, rows.len(), last);
    Ok((rows, next))
}

/// Shows a federation.
#[utoipa::path(get, path = "/v1/federations/{federation_ident}", tag = "federations",
    params(("federation_ident" = String, Path, description = "UUID or name")),
    responses((status = 200, body = FullFederation)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    let federation = find(&api, &context, &ident, "federation:get").await?;
    answer(StatusCode::OK, &FullFederation::new(&federation, &context.base))
}

/// A federation of the caller's project, if they may do that with it.
async fn find(api: &ApiState, context: &Context, ident: &str, rule: &str) -> Result<Federation> {
    nameable("Federation", ident)?;
    let federation = api.store.get_federation(context.project()?, &Ident::parse(ident)).await?;
    context.may_with(rule, &federation.project_id, "")?;
    Ok(federation)
}

/// Refuses to make a federation, once the request is found to be right otherwise.
#[utoipa::path(post, path = "/v1/federations", tag = "federations", request_body = FederationBody,
    responses((status = 409)))]
pub(crate) async fn create(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    query.only(&[])?;
    let body = field::read(&table::FEDERATION, &body.required(table::FEDERATION.argument)?, &api.options.sizes)?;
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
        "Federations can not be made: no driver knows how to, in this service or upstream. Nothing was changed.",
    ))
}

/// Refuses to change a federation, once the request is found to be right otherwise.
#[utoipa::path(patch, path = "/v1/federations/{federation_ident}", tag = "federations",
    params(("federation_ident" = String, Path, description = "UUID or name"),
           ("rollback" = Option<bool>, Query, description = "From 1.3 on")),
    request_body = Vec<crate::openapi::PatchItem>,
    responses((status = 202, body = Accepted, description = "Nothing was to be changed"), (status = 409)))]
pub(crate) async fn update(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    let known: &[&str] = if context.version < ROLLBACK { &[] } else { &["rollback"] };
    query.only(known)?.boolean("rollback")?;
    let mut body = body.optional();
    let mut patch = Patch::read(body.clone(), &PATCH)?;
    let federation = find(&api, &context, &ident, "federation:update").await?;
    let moves = match membership(body.as_mut()) {
        None => false,
        Some((joins, member)) => {
            may_move(&api, &context, &federation, joins, &member).await?;
            patch = Patch::read(body, &PATCH)?;
            true
        }
    };
    let differs = patch.apply(&stored(&federation, &context)?, &PATCH, &api.options.sizes)?;
    let refused: Vec<&str> = differs.keys().map(String::as_str).filter(|name| !CHANGEABLE.contains(name)).collect();
    if !refused.is_empty() {
        return Err(ApiError::invalid(format!("cannot change federation property(ies) {}.", refused.join(", "))));
    }
    if moves || !differs.is_empty() {
        return Err(ApiError::conflict(
            "Federations can not be changed: no driver knows how to, in this service or upstream. \
             Nothing was changed.",
        ));
    }
    Accepted::response(federation.uuid)
}

/// Takes the first change of a patch out if it has one cluster join (true) or leave, which is no JSON Patch: upstream
/// reads a single member as the one to add or remove.
fn membership(body: Option<&mut Value>) -> Option<(bool, String)> {
    let items = body?.as_array_mut()?;
    let first = items.first().filter(|first| first.get("path").is_some_and(|path| path == "/member_ids"))?;
    let member = first.get("value")?.as_str()?.to_owned();
    let joins = match first.get("op")?.as_str()? {
        "add" => true,
        "remove" => false,
        _ => return None,
    };
    items.remove(0);
    Some((joins, member))
}

/// Checks that a cluster is there, and is a member or not, as leaving and joining need.
async fn may_move(api: &ApiState, context: &Context, to: &Federation, joins: bool, member: &str) -> Result<()> {
    let uuid = Uuid::try_parse(member).map_err(|_| ApiError::not_found("Cluster", &field::read::shorten(member)))?;
    api.store.get_cluster(&context.own()?, &uuid.into()).await?;
    let name = to.name.as_deref().unwrap_or_default();
    match (joins, to.member_ids.iter().any(|known| known == member)) {
        (true, true) => Err(ApiError::conflict(format!(
            "A cluster with UUID {member} is already a member of the federation {name}."
        ))),
        (false, false) => {
            Err(ApiError::NotFound(format!("Cluster {member} is not a member of the federation {name}.")))
        }
        _ => Ok(()),
    }
}

/// A federation as a patch sees it: as it is shown.
fn stored(federation: &Federation, context: &Context) -> Result<Map<String, Value>> {
    match serde_json::to_value(FullFederation::new(federation, &context.base)) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(ApiError::Internal("a federation is no JSON object".to_owned())),
    }
}

/// Deletes a federation. There is nothing of it but the row.
#[utoipa::path(delete, path = "/v1/federations/{federation_ident}", tag = "federations",
    params(("federation_ident" = String, Path, description = "UUID or name")), responses((status = 204)))]
pub(crate) async fn delete(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    let federation = find(&api, &context, &ident, "federation:delete").await?;
    api.store.delete_federation(federation.uuid).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
