//! `/v1/baymodels`: cluster templates by the name they had before 1.11. What is done is done in `cluster_template.rs`.

use axum::extract::State;
use axum::response::Response;

use super::vocabulary::{BAY_MODELS, Vocabulary};
use super::{Api, PageQuery, Segments, cluster_template};
use crate::body::Json;
use crate::context::Context;
use crate::error::Result;
use crate::field::schema::BayModelBody;
use crate::query::Query;
use crate::view::older::{BayModel, BayModelList};

const WORDS: &Vocabulary = &BAY_MODELS;

/// Lists cluster templates as bay models: the project's own and public ones; before 1.11.
#[utoipa::path(get, path = "/v1/baymodels", tag = "bay models", params(PageQuery),
    responses((status = 200, body = BayModelList)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    WORDS.known_at(&context)?;
    cluster_template::page_of(&api, &context, query, "get_all", WORDS).await
}

/// The same as the plain list; before 1.11.
#[utoipa::path(get, path = "/v1/baymodels/detail", tag = "bay models", params(PageQuery),
    responses((status = 200, body = BayModelList)))]
pub(crate) async fn detail(State(api): Api, context: Context, query: Query) -> Result<Response> {
    WORDS.known_at(&context)?;
    cluster_template::page_of(&api, &context, query, "detail", WORDS).await
}

/// Shows a cluster template as a bay model; before 1.11.
#[utoipa::path(get, path = "/v1/baymodels/{baymodel_ident}", tag = "bay models",
    params(("baymodel_ident" = String, Path, description = "UUID or name")),
    responses((status = 200, body = BayModel)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    WORDS.known_at(&context)?;
    query.only(&[])?;
    cluster_template::show_one(&api, &context, &ident, WORDS).await
}

/// Makes a cluster template; before 1.11.
#[utoipa::path(post, path = "/v1/baymodels", tag = "bay models", request_body = BayModelBody,
    responses((status = 201, body = BayModel)))]
pub(crate) async fn create(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    WORDS.known_at(&context)?;
    query.only(&[])?;
    cluster_template::make(&api, &context, body, WORDS).await
}

/// Changes a cluster template; before 1.11.
#[utoipa::path(patch, path = "/v1/baymodels/{baymodel_ident}", tag = "bay models",
    params(("baymodel_ident" = String, Path, description = "UUID or name")),
    request_body = Vec<crate::openapi::PatchItem>, responses((status = 200, body = BayModel)))]
pub(crate) async fn update(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    WORDS.known_at(&context)?;
    query.only(&[])?;
    cluster_template::change(&api, &context, &ident, body, WORDS).await
}

/// Deletes a cluster template that no cluster uses; before 1.11.
#[utoipa::path(delete, path = "/v1/baymodels/{baymodel_ident}", tag = "bay models",
    params(("baymodel_ident" = String, Path, description = "UUID or name")), responses((status = 204)))]
pub(crate) async fn delete(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    WORDS.known_at(&context)?;
    query.only(&[])?;
    cluster_template::delete_one(&api, &context, &ident, WORDS).await
}
