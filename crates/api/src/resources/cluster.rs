//! `/v1/clusters`: lists, show and delete. Making and changing have files of their own.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use magnum_domain::operation::Arguments;
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, OperationKind};
use magnum_store::{Change, ClusterView, Ident, NodegroupChange, Page};
use uuid::Uuid;

use super::vocabulary::{CLUSTERS, Vocabulary};
use super::{Api, PageQuery, Segments, allowed, find_cluster, looked_after, nameable, operation};
use crate::ApiState;
use crate::context::Context;
use crate::error::Result;
use crate::page::{self, Marker};
use crate::query::Query;
use crate::view::answer;
use crate::view::cluster::{ClusterList, FullCluster, ShortCluster};

/// Lists clusters: the project's own, to administrators all.
#[utoipa::path(get, path = "/v1/clusters", tag = "clusters", params(PageQuery),
    responses((status = 200, body = ClusterList<ShortCluster>)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    list_of(&api, &context, query, &CLUSTERS).await
}

/// A page of clusters by either name.
pub(crate) async fn list_of(api: &ApiState, context: &Context, query: Query, words: &Vocabulary) -> Result<Response> {
    words.may(context, "get_all")?;
    let scope = words.scope(context, "get_all")?;
    let page = page::read(&query.only(&page::PARAMETERS)?, Marker::Uuid, api.options.max_limit)?;
    let clusters = api.store.list_cluster_summaries(&scope, &page).await?;
    let uuids: Vec<Uuid> = clusters.iter().map(|cluster| cluster.uuid).collect();
    let counts = api.store.node_counts(&uuids).await?;
    let views = clusters.iter().map(|cluster| {
        let counts = counts.get(&cluster.uuid).copied().unwrap_or_default();
        ShortCluster::of_summary(cluster, counts, &context.base, context.version)
    });
    let next = next(context, &words.path(""), &page, &uuids);
    if words.is_older() {
        return words.older_list(views, next, &context.base);
    }
    answer(StatusCode::OK, &ClusterList { clusters: views.collect(), next })
}

/// Lists clusters with everything that is told of them.
#[utoipa::path(get, path = "/v1/clusters/detail", tag = "clusters", params(PageQuery),
    responses((status = 200, body = ClusterList<FullCluster>)))]
pub(crate) async fn detail(State(api): Api, context: Context, query: Query) -> Result<Response> {
    detail_of(&api, &context, query, &CLUSTERS).await
}

/// A page of clusters by either name, with everything that is told of them.
pub(crate) async fn detail_of(api: &ApiState, context: &Context, query: Query, words: &Vocabulary) -> Result<Response> {
    words.may(context, "detail")?;
    let scope = words.scope(context, "detail")?;
    let page = page::read(&query.only(&page::PARAMETERS)?, Marker::Uuid, api.options.max_limit)?;
    let clusters = api.store.list_clusters(&scope, &page).await?;
    let uuids: Vec<Uuid> = clusters.iter().map(|cluster| cluster.uuid).collect();
    let groups = api.store.nodegroup_states(&uuids).await?;
    let templates = templates(api, &clusters).await?;
    let views = clusters.iter().map(|cluster| {
        let groups = groups.get(&cluster.uuid).map(Vec::as_slice).unwrap_or_default();
        let template = templates.get(&cluster.cluster_template_id).map(|template| &template.labels);
        FullCluster::new(cluster, groups, template, &context.base, context.version)
    });
    let next = next(context, &words.path("/detail"), &page, &uuids);
    if words.is_older() {
        return words.older_list(views, next, &context.base);
    }
    answer(StatusCode::OK, &ClusterList { clusters: views.collect(), next })
}

/// The templates of a page of clusters: one query.
async fn templates(api: &ApiState, clusters: &[Cluster]) -> Result<HashMap<String, ClusterTemplate>> {
    let mut uuids: Vec<String> = clusters.iter().map(|cluster| cluster.cluster_template_id.clone()).collect();
    uuids.sort_unstable();
    uuids.dedup();
    let templates = api.store.templates_by_uuid(&uuids).await?;
    Ok(templates.into_iter().map(|template| (template.uuid.to_string(), template)).collect())
}

fn next(context: &Context, path: &str, page: &Page, clusters: &[Uuid]) -> Option<String> {
    let last = clusters.last().map(Uuid::to_string);
    page::next(&context.base, path, page, clusters.len(), last)
}

/// Shows a cluster.
#[utoipa::path(get, path = "/v1/clusters/{cluster_ident}", tag = "clusters",
    params(("cluster_ident" = String, Path, description = "UUID or name")),
    responses((status = 200, body = FullCluster)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    show_one(&api, &context, &ident, &CLUSTERS).await
}

/// A cluster by either name.
pub(crate) async fn show_one(api: &ApiState, context: &Context, ident: &str, words: &Vocabulary) -> Result<Response> {
    let scope = words.scope(context, "get_one")?;
    nameable("Cluster", ident)?;
    let shown = api.store.get_shown_cluster(&scope, &Ident::parse(ident)).await?;
    context.may_with(&words.rule("get"), &shown.cluster.project_id, &shown.cluster.user_id)?;
    answer_view(context, &shown, StatusCode::OK, words)
}

/// The answer with a whole cluster, whose labels are compared with nothing.
pub(crate) async fn answer_one(
    api: &ApiState,
    context: &Context,
    cluster: Cluster,
    status: StatusCode,
    words: &Vocabulary,
) -> Result<Response> {
    let nodegroups = api.store.nodegroup_states(&[cluster.uuid]).await?.remove(&cluster.uuid).unwrap_or_default();
    answer_view(context, &ClusterView { cluster, template_labels: None, nodegroups }, status, words)
}

fn answer_view(context: &Context, shown: &ClusterView, status: StatusCode, words: &Vocabulary) -> Result<Response> {
    let ClusterView { cluster, template_labels, nodegroups } = shown;
    let view = FullCluster::new(cluster, nodegroups, template_labels.as_ref(), &context.base, context.version);
    let view = view.with_faults(cluster, nodegroups);
    if words.is_older() {
        return answer(status, &words.shown(&view, &context.base)?);
    }
    answer(status, &view)
}

/// Deletes a cluster, whatever its status. It is gone when showing it answers 404.
#[utoipa::path(delete, path = "/v1/clusters/{cluster_ident}", tag = "clusters",
    params(("cluster_ident" = String, Path, description = "UUID or name")),
    responses((status = 204)))]
pub(crate) async fn delete(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    delete_one(&api, &context, &ident, &CLUSTERS).await
}

/// Deletes a cluster by either name.
pub(crate) async fn delete_one(api: &ApiState, context: &Context, ident: &str, words: &Vocabulary) -> Result<Response> {
    let scope = words.scope(context, "delete")?;
    let cluster = find_cluster(api, &scope, ident).await?;
    context.may_with(&words.rule("delete"), &cluster.project_id, &cluster.user_id)?;
    looked_after(api, &cluster).await?;
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let going = NodegroupChange { status: Some(ClusterStatus::DeleteInProgress), ..NodegroupChange::default() };
    let change = Change {
        cluster_status: Some(ClusterStatus::DeleteInProgress),
        nodegroups: groups.iter().map(|group| (group.uuid, going.clone())).collect(),
        ..Change::default()
    };
    let delete = operation(api, context, &cluster, OperationKind::Delete, Arguments::default());
    api.store.request_operation(delete, &allowed(OperationKind::Delete), change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
