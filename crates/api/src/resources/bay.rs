//! `/v1/bays`: clusters by the name they had before 1.11. What is done is done in the files of clusters.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::cluster_update::Manner;
use super::vocabulary::{BAYS, Vocabulary};
use super::{Api, PageQuery, Segments, cluster, cluster_create, cluster_update, find_cluster};
use crate::body::Json;
use crate::context::Context;
use crate::error::Result;
use crate::field::schema::BayBody;
use crate::microversion::{ASYNC_BAYS, ROLLBACK};
use crate::query::Query;
use crate::view::Accepted;
use crate::view::older::{Bay, BayList, DetailedBayList};

const WORDS: &Vocabulary = &BAYS;

/// Lists clusters as bays; before 1.11.
#[utoipa::path(get, path = "/v1/bays", tag = "bays", params(PageQuery), responses((status = 200, body = BayList)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    WORDS.known_at(&context)?;
    cluster::list_of(&api, &context, query, WORDS).await
}

/// Lists clusters as bays, with everything that is told of them; before 1.11.
#[utoipa::path(get, path = "/v1/bays/detail", tag = "bays", params(PageQuery),
    responses((status = 200, body = DetailedBayList)))]
pub(crate) async fn detail(State(api): Api, context: Context, query: Query) -> Result<Response> {
    WORDS.known_at(&context)?;
    cluster::detail_of(&api, &context, query, WORDS).await
}

/// Shows a cluster as a bay; before 1.11.
#[utoipa::path(get, path = "/v1/bays/{bay_ident}", tag = "bays",
    params(("bay_ident" = String, Path, description = "UUID or name")), responses((status = 200, body = Bay)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    WORDS.known_at(&context)?;
    query.only(&[])?;
    cluster::show_one(&api, &context, &ident, WORDS).await
}

/// Makes a cluster; before 1.11. At 1.1 the answer is the bay as it is in the moment it was accepted.
#[utoipa::path(post, path = "/v1/bays", tag = "bays", request_body = BayBody,
    responses((status = 202, body = Accepted, description = "From 1.2 on"), (status = 201, body = Bay)))]
pub(crate) async fn create(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    WORDS.known_at(&context)?;
    query.only(&[])?;
    let wanted = cluster_create::wanted(&api, &context, body, WORDS).await?;
    let made = api.store.create_cluster(wanted.new).await?;
    if context.version >= ASYNC_BAYS {
        return Ok(wanted.warnings.on(Accepted::response(made.uuid)?));
    }
    let location = context.base.join(&WORDS.path(&format!("/{}", made.uuid)));
    let shown = cluster::answer_one(&api, &context, made, StatusCode::CREATED, WORDS).await?;
    let mut response = wanted.warnings.on(shown);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Changes the size of a cluster; before 1.11. At 1.1 the answer is the bay with its new size.
#[utoipa::path(patch, path = "/v1/bays/{bay_ident}", tag = "bays",
    params(("bay_ident" = String, Path, description = "UUID or name"),
           ("rollback" = Option<bool>, Query, description = "Whether a failed update goes back; from 1.3 on")),
    request_body = Vec<crate::openapi::PatchItem>,
    responses((status = 202, body = Accepted, description = "From 1.2 on"), (status = 200, body = Bay)))]
pub(crate) async fn update(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    WORDS.known_at(&context)?;
    let known: &[&str] = if context.version < ROLLBACK { &[] } else { &["rollback"] };
    let rollback = query.only(known)?.boolean("rollback")?;
    let manner = Manner { is_dry: false, rollback };
    let accepted = cluster_update::change(&api, &context, &ident, body, manner, WORDS).await?;
    if context.version >= ASYNC_BAYS {
        return Ok(accepted);
    }
    let cluster = find_cluster(&api, &context.own()?, &ident).await?;
    cluster::answer_one(&api, &context, cluster, StatusCode::OK, WORDS).await
}

/// Deletes a cluster, whatever its status; before 1.11.
#[utoipa::path(delete, path = "/v1/bays/{bay_ident}", tag = "bays",
    params(("bay_ident" = String, Path, description = "UUID or name")), responses((status = 204)))]
pub(crate) async fn delete(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    WORDS.known_at(&context)?;
    query.only(&[])?;
    cluster::delete_one(&api, &context, &ident, WORDS).await
}
