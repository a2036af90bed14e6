//! `/v1/clusters/{cluster_ident}/operations`: what is being done to a cluster. Not part of upstream's interface.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use magnum_domain::{Operation, OperationKind, OperationState};
use magnum_store::{Ident, Page, Scope, SortDir, StoreError};
use uuid::Uuid;

use super::{Api, PageQuery, Segments, find_cluster, template_of};
use crate::ApiState;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::page::{self, Marker};
use crate::query::Query;
use crate::rules;
use crate::rules::size::Size;
use crate::view::answer;
use crate::view::operation::{OperationList, OperationView};

/// A cluster whose history is asked for: there, or gone but not forgotten.
pub(crate) struct Subject {
    /// Its UUID.
    pub(crate) uuid: Uuid,
    /// Its project.
    pub(crate) project_id: String,
    /// Its creator, or who deleted it.
    pub(crate) user_id: String,
}

/// Finds a cluster, or the traces of one that was deleted: operations and events outlive it for a while.
pub(crate) async fn subject(api: &ApiState, context: &Context, ident: &str) -> Result<Subject> {
    // A cluster's history is seen by whoever sees the cluster.
    let scope = context.scope("cluster:get_one_all_projects")?;
    let missing = match find_cluster(api, &scope, ident).await {
        Ok(cluster) => {
            return Ok(Subject { uuid: cluster.uuid, project_id: cluster.project_id, user_id: cluster.user_id });
        }
        Err(error @ ApiError::Store(StoreError::NotFound { .. })) => error,
        Err(error) => return Err(error),
    };
    let Ident::Uuid(uuid) = Ident::parse(ident) else { return Err(missing) };
    let newest = Page { sort_dir: SortDir::Desc, ..Page::first(1) };
    let traces = api.store.list_operations(uuid, &newest).await?;
    match traces.into_iter().next() {
        Some(Operation { project_id, user_id, .. }) if sees(&scope, &project_id) => {
            Ok(Subject { uuid, project_id, user_id })
        }
        _ => Err(missing),
    }
}

fn sees(scope: &Scope, project_id: &str) -> bool {
    match scope {
        Scope::All => true,
        Scope::Project(own) => own == project_id,
    }
}

/// Lists the operations on a cluster; by UUID also on one that was deleted lately.
#[utoipa::path(get, path = "/v1/clusters/{cluster_ident}/operations", tag = "operations",
    params(("cluster_ident" = String, Path, description = "UUID or name"), PageQuery),
    responses((status = 200, body = OperationList)))]
pub(crate) async fn list(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    let page = page::read(&query.only(&page::PARAMETERS)?, Marker::Uuid, api.options.max_limit)?;
    let cluster = subject(&api, &context, &ident).await?;
    context.may_with("cluster:get_operations", &cluster.project_id, &cluster.user_id)?;
    let operations = api.store.list_operations(cluster.uuid, &page).await?;
    let path = format!("/v1/clusters/{}/operations", cluster.uuid);
    let last = operations.last().map(|operation| operation.uuid.to_string());
    let next = page::next(&context.base, &path, &page, operations.len(), last);
    answer(StatusCode::OK, &OperationList { operations: operations.iter().map(OperationView::new).collect(), next })
}

/// An operation of that very cluster.
async fn find(api: &ApiState, cluster: &Subject, ident: &str) -> Result<Operation> {
    let missing = || ApiError::not_found("Operation", &crate::field::read::shorten(&ident.escape_debug().to_string()));
    let uuid = Uuid::try_parse(ident).map_err(|_| missing())?;
    let operation = api.store.get_operation(uuid).await?;
    if operation.cluster_uuid == cluster.uuid { Ok(operation) } else { Err(missing()) }
}

/// Shows an operation.
#[utoipa::path(get, path = "/v1/clusters/{cluster_ident}/operations/{operation}", tag = "operations",
    params(("cluster_ident" = String, Path, description = "UUID or name"), ("operation" = String, Path, description = "UUID")),
    responses((status = 200, body = OperationView)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments((ident, operation)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    let cluster = subject(&api, &context, &ident).await?;
    context.may_with("cluster:get_operations", &cluster.project_id, &cluster.user_id)?;
    answer(StatusCode::OK, &OperationView::new(&find(&api, &cluster, &operation).await?))
}

/// Asks for an operation to stop. It ends at its next safe point.
#[utoipa::path(post, path = "/v1/clusters/{cluster_ident}/operations/{operation}/cancel", tag = "operations",
    params(("cluster_ident" = String, Path, description = "UUID or name"), ("operation" = String, Path, description = "UUID")),
    responses((status = 202, body = OperationView)))]
pub(crate) async fn cancel(
    State(api): Api,
    context: Context,
    Segments((ident, operation)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    let cluster = subject(&api, &context, &ident).await?;
    context.may_with("cluster:cancel_operation", &cluster.project_id, &cluster.user_id)?;
    let operation = find(&api, &cluster, &operation).await?;
    let cancelled = api.store.request_cancel(operation.uuid).await?;
    answer(StatusCode::ACCEPTED, &OperationView::new(&cancelled))
}

/// What was accepted once is looked at anew: the limits may be lower by now, the machine fuller, and the operation from
/// before there was a limit.
async fn still_fits(api: &ApiState, operation: &Operation) -> Result<()> {
    let makes_nodes = !matches!(operation.kind, OperationKind::Delete | OperationKind::NodegroupDelete);
    if !makes_nodes || !matches!(operation.state, OperationState::Failed | OperationState::Cancelled) {
        return Ok(());
    }
    let cluster = match api.store.get_cluster(&Scope::All, &Ident::Uuid(operation.cluster_uuid)).await {
        // There is nothing to do it to, which the store says in its own words.
        Err(StoreError::NotFound { .. }) => return Ok(()),
        found => found?,
    };
    let arguments = &operation.arguments;
    let template = match arguments.cluster_template {
        Some(uuid) => api.store.templates_by_uuid(&[uuid.to_string()]).await?.into_iter().next(),
        None => Some(template_of(api, &cluster).await?),
    };
    let template = template.ok_or_else(|| ApiError::conflict("The template of the operation is gone."))?;
    let mut groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    if let Some(count) = arguments.node_count {
        let about = groups.iter_mut().filter(|group| Some(group.uuid) == arguments.nodegroup);
        about.for_each(|group| group.node_count = count);
    }
    let batch = arguments.max_batch_size.and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
    let at_once = match operation.kind {
        OperationKind::Upgrade => batch.min(arguments.nodes_to_replace.len()),
        OperationKind::RotateCa => 1,
        _ => 0,
    };
    let size = Size { cluster: &cluster, groups: &groups, remove: &arguments.nodes_to_remove, at_once };
    rules::size::fits(api, &template, &size).await
}

/// Has an operation that failed or was cancelled done again, from where it stopped.
#[utoipa::path(post, path = "/v1/clusters/{cluster_ident}/operations/{operation}/retry", tag = "operations",
    params(("cluster_ident" = String, Path, description = "UUID or name"), ("operation" = String, Path, description = "UUID")),
    responses((status = 202, body = OperationView)))]
pub(crate) async fn retry(
    State(api): Api,
    context: Context,
    Segments((ident, operation)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    let cluster = subject(&api, &context, &ident).await?;
    context.may_with("cluster:retry_operation", &cluster.project_id, &cluster.user_id)?;
    let operation = find(&api, &cluster, &operation).await?;
    still_fits(&api, &operation).await?;
    let retried = api.store.retry_operation(operation.uuid).await?;
    answer(StatusCode::ACCEPTED, &OperationView::new(&retried))
}
