//! `/v1/quotas`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use magnum_domain::quota::CLUSTER;
use magnum_store::StoreError;

use super::{Api, PageQuery, Segments, nameable};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::schema::QuotaBody;
use crate::field::{self, Body, BodySpec, table};
use crate::page::{self, Marker};
use crate::query::Query;
use crate::view::answer;
use crate::view::quota::{QuotaList, QuotaView};

/// Lists quotas: the project's own, with `all_tenants` those of all projects.
#[utoipa::path(get, path = "/v1/quotas", tag = "quotas",
    params(PageQuery, ("all_tenants" = Option<bool>, Query, description = "Those of all projects")),
    responses((status = 200, body = QuotaList)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    let query = query.only(&["limit", "marker", "sort_key", "sort_dir", "all_tenants"])?;
    let page = page::read(&query, Marker::Integer, api.options.max_limit)?;
    let all = query.boolean("all_tenants")?;
    context.may("quota:get_all")?;
    let project = if all && context.caller.is_admin { None } else { Some(context.project()?) };
    let quotas = api.store.list_quotas(project, &page).await?;
    let last = quotas.last().map(|quota| quota.id.to_string());
    let next = page::next(&context.base, "/v1/quotas", &page, quotas.len(), last);
    answer(StatusCode::OK, &QuotaList { quotas: quotas.iter().map(QuotaView::new).collect(), next })
}

/// Shows the quota of a project; the default where it has none.
#[utoipa::path(get, path = "/v1/quotas/{project_id}/{resource}", tag = "quotas",
    params(("project_id" = String, Path), ("resource" = String, Path, description = "`Cluster`")),
    responses((status = 200, body = QuotaView)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments((project, resource)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    context.may("quota:get")?;
    if !context.caller.is_admin && context.caller.project_id.as_deref() != Some(&project) {
        return Err(ApiError::Forbidden("Not authorized.".to_owned()));
    }
    nameable("Project", &project)?;
    nameable("Quota", &resource)?;
    match api.store.get_quota(&project, &resource).await {
        Ok(quota) => answer(StatusCode::OK, &QuotaView::new(&quota)),
        Err(StoreError::NotFound { .. }) => {
            answer(StatusCode::OK, &QuotaView::preset(&project, api.options.max_clusters_per_project))
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives a project a quota.
#[utoipa::path(post, path = "/v1/quotas", tag = "quotas", request_body = QuotaBody,
    responses((status = 201, body = QuotaView)))]
pub(crate) async fn create(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    query.only(&[])?;
    let body = read(&api, &table::QUOTA, body)?;
    context.may("quota:create")?;
    let project = project_of(&body)?;
    api.cloud.project(&context.caller, &project).await?;
    let limit = body.integer("hard_limit").unwrap_or(1);
    let quota = api.store.create_quota(&project, CLUSTER, limit).await.map_err(|error| match error {
        StoreError::Duplicate { .. } => {
            ApiError::conflict(format!("Quota for project {project} already exists for resource {CLUSTER}."))
        }
        other => other.into(),
    })?;
    answer(StatusCode::CREATED, &QuotaView::new(&quota))
}

/// Changes the quota of a project. No JSON Patch: a plain object, which has to hold `hard_limit`.
#[utoipa::path(patch, path = "/v1/quotas/{project_id}/{resource}", tag = "quotas", request_body = QuotaBody,
    params(("project_id" = String, Path), ("resource" = String, Path, description = "`Cluster`")),
    responses((status = 202, body = QuotaView)))]
pub(crate) async fn update(
    State(api): Api,
    context: Context,
    Segments((project, resource)): Segments<(String, String)>,
    query: Query,
    body: Json,
) -> Result<Response> {
    query.only(&[])?;
    let body = read(&api, &table::QUOTA_PATCH, body)?;
    context.may("quota:update")?;
    change(&api, &project, &resource, &body).await
}

/// The same, with project and resource in the body.
#[utoipa::path(patch, path = "/v1/quotas", tag = "quotas", request_body = QuotaBody,
    responses((status = 202, body = QuotaView)))]
pub(crate) async fn update_named(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    query.only(&[])?;
    let body = read(&api, &table::QUOTA_PATCH, body)?;
    context.may("quota:update")?;
    let (project, resource) = (project_of(&body)?, resource_of(&body));
    change(&api, &project, &resource, &body).await
}

async fn change(api: &ApiState, project: &str, resource: &str, body: &Body) -> Result<Response> {
    nameable("Project", project)?;
    nameable("Quota", resource)?;
    let limit = body.integer("hard_limit").ok_or_else(|| {
        ApiError::invalid("Invalid input for field/attribute hard_limit. Value: 'None'. Mandatory field missing.")
    })?;
    let quota = api.store.update_quota(project, resource, limit).await.map_err(missing(project, resource))?;
    answer(StatusCode::ACCEPTED, &QuotaView::new(&quota))
}

/// Takes the quota of a project away; the default holds again.
#[utoipa::path(delete, path = "/v1/quotas/{project_id}/{resource}", tag = "quotas",
    params(("project_id" = String, Path), ("resource" = String, Path, description = "`Cluster`")),
    responses((status = 204)))]
pub(crate) async fn delete(
    State(api): Api,
    context: Context,
    Segments((project, resource)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    context.may("quota:delete")?;
    remove(&api, &project, &resource).await
}

/// The same, with project and resource in the body.
#[utoipa::path(delete, path = "/v1/quotas", tag = "quotas", request_body = QuotaBody, responses((status = 204)))]
pub(crate) async fn delete_named(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    query.only(&[])?;
    let body = read(&api, &table::QUOTA, body)?;
    context.may("quota:delete")?;
    let (project, resource) = (project_of(&body)?, resource_of(&body));
    remove(&api, &project, &resource).await
}

async fn remove(api: &ApiState, project: &str, resource: &str) -> Result<Response> {
    nameable("Project", project)?;
    nameable("Quota", resource)?;
    api.store.delete_quota(project, resource).await.map_err(missing(project, resource))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn read(api: &ApiState, spec: &BodySpec, body: Json) -> Result<Body> {
    field::read(spec, &body.required(spec.argument)?, &api.options.sizes)
}

fn project_of(body: &Body) -> Result<String> {
    body.text("project_id").ok_or_else(|| ApiError::invalid("Must provide a valid project ID."))
}

fn resource_of(body: &Body) -> String {
    body.text("resource").unwrap_or_else(|| CLUSTER.to_owned())
}

fn missing<'a>(project: &'a str, resource: &'a str) -> impl Fn(StoreError) -> ApiError + 'a {
    move |error| match error {
        StoreError::NotFound { .. } => {
            ApiError::NotFound(format!("Quota could not be found: project_id {project} resource {resource}."))
        }
        other => other.into(),
    }
}
