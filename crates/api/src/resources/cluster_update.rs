//! `PATCH /v1/clusters/{cluster_ident}`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use magnum_domain::operation::Arguments;
use magnum_domain::{Cluster, ClusterStatus, HealthStatus, Nodegroup, OperationKind};
use magnum_store::{Change, NodegroupChange, NodegroupState};
use serde_json::{Map, Value};

use super::cluster_create::NO_ZERO_NODES;
use super::vocabulary::{CLUSTERS, Vocabulary};
use super::{Api, DryRunQuery, Segments, allowed, find_cluster, looked_after, operation, template_of};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::dry_run::Imagined;
use crate::error::{ApiError, Result};
use crate::field::read::{as_dictionary, as_integer};
use crate::microversion::{ROLLBACK, ZERO_NODES};
use crate::patch::Patch;
use crate::query::Query;
use crate::rules;
use crate::rules::size::Size;
use crate::view::cluster::FullCluster;
use crate::view::plan::PlanView;
use crate::view::{Accepted, answer};

/// Changes the size of the default group of workers, or what is known of the cluster's health.
#[utoipa::path(patch, path = "/v1/clusters/{cluster_ident}", tag = "clusters",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("rollback" = Option<bool>, Query, description = "Whether a failed update goes back; from 1.3 on"),
           DryRunQuery),
    request_body = Vec<crate::openapi::PatchItem>,
    responses((status = 202, body = Accepted), (status = 200, body = PlanView, description = "Dry run")))]
pub(crate) async fn update(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    let known: &[&str] = if context.version < ROLLBACK { &["dry_run"] } else { &["dry_run", "rollback"] };
    let query = query.only(known)?;
    let (is_dry, rollback) = (query.boolean("dry_run")?, query.boolean("rollback")?);
    change(&api, &context, &ident, body, Manner { is_dry, rollback }, &CLUSTERS).await
}

/// How a change is to be made.
pub(crate) struct Manner {
    /// Whether it is only to be shown.
    pub(crate) is_dry: bool,
    /// Whether it goes back if it fails.
    pub(crate) rollback: bool,
}

/// Changes a cluster by either name.
pub(crate) async fn change(
    api: &ApiState,
    context: &Context,
    ident: &str,
    body: Json,
    Manner { is_dry, rollback }: Manner,
    words: &Vocabulary,
) -> Result<Response> {
    let patch = Patch::read(body.optional(), &words.patch)?;
    let scope = words.scope(context, "update")?;
    let cluster = find_cluster(api, &scope, ident).await?;
    context.may_with(&words.rule("update"), &cluster.project_id, &cluster.user_id)?;
    if !words.is_older() {
        context.may("cluster:update_health_status")?;
    }
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let differs = patch.apply(&stored(&cluster, &groups, context, words)?, &words.patch, &api.options.sizes)?;
    let refused = differs.keys().map(String::as_str).filter(|name| !words.changeable.contains(name));
    let refused: Vec<&str> = refused.map(|name| words.today(name)).collect();
    if !refused.is_empty() {
        return Err(ApiError::invalid(format!("cannot change cluster property(ies) {}.", refused.join(", "))));
    }
    let count = differs.get("node_count").and_then(as_integer);
    if count == Some(0) && context.version < ZERO_NODES {
        return Err(ApiError::invalid(NO_ZERO_NODES));
    }
    if count.is_some() {
        rules::cluster::update(api, &context.caller, &cluster).await?;
    }
    if let Some(count) = count {
        if !is_dry {
            looked_after(api, &cluster).await?;
        }
        let template = template_of(api, &cluster).await?;
        let wanted = resized(groups.clone(), count)?;
        let size = Size { cluster: &cluster, groups: &wanted, remove: &[], at_once: 0 };
        rules::size::fits(api, &template, &size).await?;
    }
    if is_dry {
        return plan(api, cluster, groups, count).await;
    }
    if let Some(count) = count {
        resize(api, context, &cluster, &groups, count, rollback).await?;
    }
    if differs.contains_key("health_status") || differs.contains_key("health_status_reason") {
        let status =
            differs.get("health_status").and_then(Value::as_str).map(|word| HealthStatus::from(word.to_owned()));
        let status = status.or(cluster.health_status).unwrap_or(HealthStatus::Unknown);
        let reason =
            differs.get("health_status_reason").and_then(as_dictionary).unwrap_or(cluster.health_status_reason);
        api.store.update_health(cluster.uuid, &status, &reason).await?;
    }
    Accepted::response(cluster.uuid)
}

/// The group that `node_count` is about.
fn default_workers(groups: &[Nodegroup]) -> Result<&Nodegroup> {
    groups
        .iter()
        .find(|group| group.is_default && !group.is_master())
        .ok_or_else(|| ApiError::conflict("The cluster has no default group of workers to resize."))
}

/// A cluster as a patch sees it: as it is shown, with the size of the one group that a patch can change.
fn stored(
    cluster: &Cluster,
    groups: &[Nodegroup],
    context: &Context,
    words: &Vocabulary,
) -> Result<Map<String, Value>> {
    let all: Vec<NodegroupState> = groups.iter().map(NodegroupState::from).collect();
    let view = FullCluster::new(cluster, &all, None, &context.base, context.version);
    let mut members = words.shown(&view, &context.base)?;
    if let Ok(workers) = default_workers(groups) {
        members.insert("node_count".to_owned(), workers.node_count.into());
    }
    Ok(members)
}

async fn resize(
    api: &ApiState,
    context: &Context,
    cluster: &Cluster,
    groups: &[Nodegroup],
    count: i32,
    rollback: bool,
) -> Result<()> {
    let group = default_workers(groups)?;
    let arguments = Arguments {
        nodegroup: Some(group.uuid),
        previous_node_count: Some(group.node_count),
        node_count: Some(count),
        rollback,
        ..Arguments::default()
    };
    let resized = NodegroupChange {
        status: Some(ClusterStatus::UpdateInProgress),
        status_reason: Some(None),
        node_count: Some(count),
        ..NodegroupChange::default()
    };
    let change = Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        nodegroups: vec![(group.uuid, resized)],
        limits: Some(rules::size::limits(api)),
        ..Change::default()
    };
    let update = operation(api, context, cluster, OperationKind::Update, arguments);
    api.store.request_operation(update, &allowed(OperationKind::Update), change).await?;
    Ok(())
}

/// The node groups with so many default workers.
fn resized(mut groups: Vec<Nodegroup>, count: i32) -> Result<Vec<Nodegroup>> {
    let uuid = default_workers(&groups)?.uuid;
    groups.iter_mut().filter(|group| group.uuid == uuid).for_each(|group| group.node_count = count);
    Ok(groups)
}

async fn plan(api: &ApiState, cluster: Cluster, nodegroups: Vec<Nodegroup>, count: Option<i32>) -> Result<Response> {
    let nodegroups = match count {
        Some(count) => resized(nodegroups, count)?,
        None => nodegroups,
    };
    let template = template_of(api, &cluster).await?;
    let imagined = Imagined::of(api, cluster, template, nodegroups, Vec::new()).await?;
    let plan = api.planner.plan(&imagined.snapshot()?).await?;
    answer(StatusCode::OK, &PlanView::new(&plan))
}
