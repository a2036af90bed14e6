//! `/v1/clusters/{cluster_ident}/nodegroups`: list and show; from 1.9 on.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use magnum_domain::Nodegroup;
use magnum_store::Ident;
use uuid::Uuid;

use super::{Api, PageQuery, Segments, find_cluster, nameable};
use crate::ApiState;
use crate::context::Context;
use crate::error::Result;
use crate::microversion::NODEGROUPS;
use crate::page::{self, Marker};
use crate::query::Query;
use crate::view::answer;
use crate::view::nodegroup::{FullNodegroup, NodegroupList, ShortNodegroup};

/// A group of a cluster by UUID, name or database key.
pub(crate) async fn find(api: &ApiState, cluster: Uuid, ident: &str) -> Result<Nodegroup> {
    nameable("Nodegroup", ident)?;
    Ok(api.store.get_nodegroup(cluster, &Ident::parse_with_id(ident)).await?)
}

/// Lists the node groups of a cluster.
#[utoipa::path(get, path = "/v1/clusters/{cluster_ident}/nodegroups", tag = "node groups",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("role" = Option<String>, Query, description = "Only groups of this role"), PageQuery),
    responses((status = 200, body = NodegroupList)))]
pub(crate) async fn list(
    State(api): Api,
    context: Context,
    Segments(cluster): Segments<String>,
    query: Query,
) -> Result<Response> {
    context.since(NODEGROUPS, "get")?;
    let query = query.only(&["limit", "marker", "sort_key", "sort_dir", "role"])?;
    let page = page::read(&query, Marker::Uuid, api.options.max_limit)?;
    context.may("nodegroup:get_all")?;
    let scope = context.scope("nodegroup:get_all_all_projects")?;
    nameable("Cluster", &cluster)?;
    let role = query.text("role").filter(|role| !role.is_empty());
    let (cluster, groups) = api.store.list_nodegroups_of(&scope, &Ident::parse(&cluster), role, &page).await?;
    let path = format!("/v1/clusters/{cluster}/nodegroups");
    let last = groups.last().map(|group| group.uuid.to_string());
    let next = page::next(&context.base, &path, &page, groups.len(), last);
    answer(StatusCode::OK, &NodegroupList { nodegroups: groups.iter().map(ShortNodegroup::of_summary).collect(), next })
}

/// Shows a node group.
#[utoipa::path(get, path = "/v1/clusters/{cluster_ident}/nodegroups/{nodegroup_ident}", tag = "node groups",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("nodegroup_ident" = String, Path, description = "UUID, name or integer id")),
    responses((status = 200, body = FullNodegroup)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments((cluster, group)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    context.since(NODEGROUPS, "get")?;
    query.only(&[])?;
    context.may("nodegroup:get")?;
    let scope = context.scope("nodegroup:get_one_all_projects")?;
    let cluster = find_cluster(&api, &scope, &cluster).await?;
    let group = find(&api, cluster.uuid, &group).await?;
    answer(StatusCode::OK, &FullNodegroup::new(&group, &cluster.labels, &context.base))
}
