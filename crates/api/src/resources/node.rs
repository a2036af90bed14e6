//! `/v1/clusters/{cluster_ident}/nodes`. Not part of upstream's interface.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Api, Segments, find_cluster};
use crate::context::Context;
use crate::error::Result;
use crate::query::Query;
use crate::view::answer;
use crate::view::node::{NodeList, NodeView};

/// Lists the nodes of a cluster, with how far each has come.
#[utoipa::path(get, path = "/v1/clusters/{cluster_ident}/nodes", tag = "operations",
    params(("cluster_ident" = String, Path, description = "UUID or name")),
    responses((status = 200, body = NodeList)))]
pub(crate) async fn list(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    let scope = context.scope("cluster:get_one_all_projects")?;
    let cluster = find_cluster(&api, &scope, &ident).await?;
    context.may_with("cluster:get", &cluster.project_id, &cluster.user_id)?;
    let nodes = api.store.nodes(cluster.uuid).await?;
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    answer(StatusCode::OK, &NodeList { nodes: nodes.iter().map(|node| NodeView::new(node, &groups)).collect() })
}
