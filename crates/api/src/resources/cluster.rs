//! `/v1/clusters`: lists, show and delete. Making and changing have files of their own.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use magnum_domain::operation::Arguments;
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, Nodegroup, OperationKind};
use magnum_store::{Change, NodegroupChange, Page, Scope};
use uuid::Uuid;

use super::{Api, PageQuery, Segments, find_cluster, operation};
use crate::ApiState;
use crate::context::Context;
use crate::error::Result;
use crate::page::{self, Marker};
use crate::query::Query;
use crate::view::answer;
use crate::view::cluster::{ClusterList, FullCluster, ShortCluster, Sizes};

/// Lists clusters: the project's own, to administrators all.
#[utoipa::path(get, path = "/v1/clusters", tag = "clusters", params(PageQuery),
    responses((status = 200, body = ClusterList<ShortCluster>)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    context.may("cluster:get_all")?;
    let scope = context.scope("cluster:get_all_all_projects")?;
    let (page, clusters, groups) = rows(&api, query, &scope).await?;
    let mut sizes: HashMap<Uuid, Sizes> = HashMap::with_capacity(clusters.len());
    for group in &groups {
        sizes.entry(group.cluster_id).or_default().add(group);
    }
    let views = clusters.iter().map(|cluster| {
        let sizes = sizes.get(&cluster.uuid).copied().unwrap_or_default();
        ShortCluster::new(cluster, sizes, &context.base, context.version)
    });
    let next = next(&context, "/v1/clusters", &page, &clusters);
    answer(StatusCode::OK, &ClusterList { clusters: views.collect(), next })
}

/// Lists clusters with everything that is told of them.
#[utoipa::path(get, path = "/v1/clusters/detail", tag = "clusters", params(PageQuery),
    responses((status = 200, body = ClusterList<FullCluster>)))]
pub(crate) async fn detail(State(api): Api, context: Context, query: Query) -> Result<Response> {
    context.may("cluster:detail")?;
    let scope = context.scope("cluster:detail_all_projects")?;
    let (page, clusters, groups) = rows(&api, query, &scope).await?;
    let mut by_cluster: HashMap<Uuid, Vec<&Nodegroup>> = HashMap::with_capacity(clusters.len());
    for group in &groups {
        by_cluster.entry(group.cluster_id).or_default().push(group);
    }
    let templates = templates(&api, &clusters).await?;
    let views = clusters.iter().map(|cluster| {
        let groups = by_cluster.get(&cluster.uuid).map(Vec::as_slice).unwrap_or_default();
        let template = templates.get(&cluster.cluster_template_id);
        FullCluster::new(cluster, groups, template, &context.base, context.version)
    });
    let next = next(&context, "/v1/clusters/detail", &page, &clusters);
    answer(StatusCode::OK, &ClusterList { clusters: views.collect(), next })
}

/// A page of clusters and all their node groups: two queries, however long the page.
async fn rows(api: &ApiState, query: Query, scope: &Scope) -> Result<(Page, Vec<Cluster>, Vec<Nodegroup>)> {
    let page = page::read(&query.only(&page::PARAMETERS)?, Marker::Uuid, api.options.max_limit)?;
    let clusters = api.store.list_clusters(scope, &page).await?;
    let uuids: Vec<Uuid> = clusters.iter().map(|cluster| cluster.uuid).collect();
    let groups = api.store.nodegroups_of(&uuids).await?;
    Ok((page, clusters, groups))
}

/// The templates of a page of clusters: one query.
async fn templates(api: &ApiState, clusters: &[Cluster]) -> Result<HashMap<String, ClusterTemplate>> {
    let mut uuids: Vec<String> = clusters.iter().map(|cluster| cluster.cluster_template_id.clone()).collect();
    uuids.sort_unstable();
    uuids.dedup();
    let templates = api.store.templates_by_uuid(&uuids).await?;
    Ok(templates.into_iter().map(|template| (template.uuid.to_string(), template)).collect())
}

fn next(context: &Context, path: &str, page: &Page, clusters: &[Cluster]) -> Option<String> {
    let last = clusters.last().map(|cluster| cluster.uuid.to_string());
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
    let scope = context.scope("cluster:get_one_all_projects")?;
    let cluster = find_cluster(&api, &scope, &ident).await?;
    context.may_with("cluster:get", &cluster.project_id, &cluster.user_id)?;
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let groups: Vec<&Nodegroup> = groups.iter().collect();
    let templates = templates(&api, std::slice::from_ref(&cluster)).await?;
    let template = templates.get(&cluster.cluster_template_id);
    let view = FullCluster::new(&cluster, &groups, template, &context.base, context.version);
    answer(StatusCode::OK, &view.with_faults(&cluster, &groups))
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
    let scope = context.scope("cluster:delete_all_projects")?;
    let cluster = find_cluster(&api, &scope, &ident).await?;
    context.may_with("cluster:delete", &cluster.project_id, &cluster.user_id)?;
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let going = NodegroupChange { status: Some(ClusterStatus::DeleteInProgress), ..NodegroupChange::default() };
    let change = Change {
        cluster_status: Some(ClusterStatus::DeleteInProgress),
        nodegroups: groups.iter().map(|group| (group.uuid, going.clone())).collect(),
        new_nodegroup: None,
    };
    let delete = operation(&api, &context, &cluster, OperationKind::Delete, Arguments::default());
    api.store.request_operation(delete, &|_| true, change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
