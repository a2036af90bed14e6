//! `/v1/clusters/{cluster_ident}/nodegroups`: create, change and delete; from 1.9 on.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use magnum_domain::effect::Subject;
use magnum_domain::nodegroup::{MASTER, WORKER};
use magnum_domain::operation::Arguments;
use magnum_domain::{Cluster, ClusterStatus, Labels, Nodegroup, OperationKind};
use magnum_store::{Change, NodegroupChange, StoreError};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::nodegroup::find;
use super::{Api, Segments, allowed, find_cluster, looked_after, operation, template_of};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::read::{as_dictionary, as_integer, as_taints};
use crate::field::schema::NodegroupBody;
use crate::field::{self, Body, table};
use crate::microversion::NODEGROUPS;
use crate::patch::{Patch, Rules};
use crate::query::Query;
use crate::rules;
use crate::rules::size::Size;
use crate::view::answer;
use crate::view::nodegroup::FullNodegroup;
use crate::warning::Warnings;

/// What a patch may touch (§7.4 of the reference).
const PATCH: Rules = Rules {
    fields: &table::NODEGROUP,
    internal: &[
        "name",
        "cluster_id",
        "docker_volume_size",
        "labels",
        "flavor_id",
        "image_id",
        "node_addresses",
        "node_count",
        "role",
        "is_default",
        "stack_id",
        "status",
        "status_reason",
        "version",
    ],
    mandatory: &[],
};
/// What a patch sees of a group.
const PATCHABLE: [&str; 4] = ["min_node_count", "max_node_count", "node_labels", "node_taints"];

/// Adds a node group to a cluster.
#[utoipa::path(post, path = "/v1/clusters/{cluster_ident}/nodegroups", tag = "node groups",
    params(("cluster_ident" = String, Path, description = "UUID or name")), request_body = NodegroupBody,
    responses((status = 202, body = FullNodegroup)))]
pub(crate) async fn create(
    State(api): Api,
    context: Context,
    Segments(cluster): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    context.since(NODEGROUPS, "post")?;
    query.only(&[])?;
    let body = field::read(&table::NODEGROUP, &body.required(table::NODEGROUP.argument)?, &api.options.sizes)?;
    context.may("nodegroup:create")?;
    let cluster = find_cluster(&api, &context.own()?, &cluster).await?;
    if cluster.api_address.as_deref().unwrap_or_default().is_empty() {
        return Err(ApiError::conflict("Cluster API address is not available yet"));
    }
    let taken = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let name = body.text("name").unwrap_or_default();
    if taken.iter().any(|group| group.name == name) {
        return Err(name_taken(&name, &cluster));
    }
    let template = template_of(&api, &cluster).await?;
    let group = group(&cluster, template.image_id.clone(), &name, &body);
    rules::nodegroup::counts(&name, group.node_count, group.min_node_count, group.max_node_count)?;
    let is_master = group.is_master();
    rules::nodegroup::node_labels(&name, is_master, &group.node_labels)?;
    rules::nodegroup::node_taints(&name, is_master, body.value("node_taints").unwrap_or(&Value::Null))?;
    if group.role == MASTER {
        return Err(ApiError::invalid("Creating master nodegroups is currently not supported."));
    }
    rules::nodegroup::bootable(&api, &context.caller, &cluster, &group).await?;
    rules::labels::within(&api, &group.labels)?;
    let uuid = group.uuid;
    let mut groups = taken;
    groups.push(group.clone());
    // What the group has from its cluster was said when the cluster was made.
    let is_own = |(name, value): &(&String, &String)| cluster.labels.get(*name) != Some(*value);
    let own: Labels = group.labels.iter().filter(is_own).map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut told = rules::effects::told(&api, &template, Subject::Nodegroup, |name| body.value(name))?;
    told.extend(rules::labels::told(&api, &template, &own));
    let warnings = Warnings::new(told);
    let change = Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        new_nodegroup: Some(group),
        limits: Some(rules::size::limits(&api)),
        ..Change::default()
    };
    looked_after(&api, &cluster).await?;
    rules::size::fits(&api, &template, &Size { cluster: &cluster, groups: &groups, remove: &[], at_once: 0 }).await?;
    let arguments = Arguments { nodegroup: Some(uuid), warnings: warnings.texts(), ..Arguments::default() };
    let create = operation(&api, &context, &cluster, OperationKind::NodegroupCreate, arguments);
    api.store.request_operation(create, &allowed(OperationKind::NodegroupCreate), change).await.map_err(|error| {
        match error {
            StoreError::Duplicate { .. } => name_taken(&name, &cluster),
            other => other.into(),
        }
    })?;
    let group = find(&api, cluster.uuid, &uuid.to_string()).await?;
    Ok(warnings.on(answer(StatusCode::ACCEPTED, &FullNodegroup::new(&group, &cluster.labels, &context.base))?))
}

fn name_taken(name: &str, cluster: &Cluster) -> ApiError {
    ApiError::conflict(format!(
        "A node group with name {name} already exists in the cluster {}.",
        cluster.display_name()
    ))
}

/// The row: what the body says, else what the cluster says.
fn group(cluster: &Cluster, image: Option<String>, name: &str, body: &Body) -> Nodegroup {
    Nodegroup {
        id: 0,
        uuid: Uuid::new_v4(),
        name: name.to_owned(),
        cluster_id: cluster.uuid,
        project_id: cluster.project_id.clone(),
        docker_volume_size: body.integer("docker_volume_size"),
        labels: labels(cluster, body),
        flavor_id: body.text("flavor_id").or_else(|| cluster.flavor_id.clone()),
        image_id: body.text("image_id").or(image),
        node_addresses: Vec::new(),
        node_count: body.integer("node_count").unwrap_or(1),
        max_node_count: body.integer("max_node_count"),
        min_node_count: body.integer("min_node_count").unwrap_or(0),
        role: body.text("role").unwrap_or_else(|| WORKER.to_owned()),
        is_default: false,
        stack_id: None,
        status: Some(ClusterStatus::CreateInProgress),
        status_reason: None,
        version: None,
        node_labels: body.dictionary("node_labels").unwrap_or_default(),
        node_taints: body.value("node_taints").map(as_taints).unwrap_or_default(),
        created_at: None,
        updated_at: None,
    }
}

/// The labels of a group: its own, or its cluster's with its own laid over. An empty dictionary stays empty here.
fn labels(cluster: &Cluster, body: &Body) -> Labels {
    let own = body.value("labels").filter(|value| !value.is_null()).and_then(as_dictionary);
    match own {
        Some(own) if body.boolean("merge_labels") == Some(true) => {
            let mut labels = cluster.labels.clone();
            labels.extend(own);
            labels
        }
        Some(own) => own,
        None => cluster.labels.clone(),
    }
}

/// Changes the bounds, labels or taints of a node group.
#[utoipa::path(patch, path = "/v1/clusters/{cluster_ident}/nodegroups/{nodegroup_ident}", tag = "node groups",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("nodegroup_ident" = String, Path, description = "UUID, name or integer id")),
    request_body = Vec<crate::openapi::PatchItem>, responses((status = 202, body = FullNodegroup)))]
pub(crate) async fn update(
    State(api): Api,
    context: Context,
    Segments((cluster, group)): Segments<(String, String)>,
    query: Query,
    body: Json,
) -> Result<Response> {
    context.since(NODEGROUPS, "patch")?;
    query.only(&[])?;
    let patch = Patch::read(body.optional(), &PATCH)?;
    context.may("nodegroup:update")?;
    let cluster = find_cluster(&api, &context.own()?, &cluster).await?;
    let before = find(&api, cluster.uuid, &group).await?;
    let differs = patch.apply(&stored(&before)?, &PATCH, &api.options.sizes)?;
    let mut warnings = Warnings::default();
    if !differs.is_empty() {
        warnings = change_group(&api, &context, &cluster, &before, &differs).await?;
    }
    let after = find(&api, cluster.uuid, &before.uuid.to_string()).await?;
    Ok(warnings.on(answer(StatusCode::ACCEPTED, &FullNodegroup::new(&after, &cluster.labels, &context.base))?))
}

/// A group as a patch sees it.
fn stored(group: &Nodegroup) -> Result<Map<String, Value>> {
    let internal = |error: serde_json::Error| ApiError::Internal(error.to_string());
    let values = [
        Value::from(group.min_node_count),
        Value::from(group.max_node_count),
        serde_json::to_value(&group.node_labels).map_err(internal)?,
        serde_json::to_value(&group.node_taints).map_err(internal)?,
    ];
    Ok(PATCHABLE.into_iter().map(str::to_owned).zip(values).collect())
}

async fn change_group(
    api: &ApiState,
    context: &Context,
    cluster: &Cluster,
    before: &Nodegroup,
    differs: &Map<String, Value>,
) -> Result<Warnings> {
    let min = differs.get("min_node_count").and_then(as_integer);
    let max = differs.get("max_node_count").map(as_integer);
    let labels = differs.get("node_labels").map(|value| as_dictionary(value).unwrap_or_default());
    let taints = differs.get("node_taints");
    rules::nodegroup::bootable(api, &context.caller, cluster, before).await?;
    let (least, most) = (min.unwrap_or(before.min_node_count), max.unwrap_or(before.max_node_count));
    rules::nodegroup::counts(&before.name, before.node_count, least, most)?;
    if let Some(labels) = &labels {
        rules::nodegroup::node_labels(&before.name, before.is_master(), labels)?;
    }
    if let Some(taints) = taints {
        rules::nodegroup::node_taints(&before.name, before.is_master(), taints)?;
    }
    let change = NodegroupChange {
        status: Some(ClusterStatus::UpdateInProgress),
        status_reason: Some(None),
        min_node_count: min,
        max_node_count: max,
        node_labels: labels,
        node_taints: taints.map(as_taints),
        ..NodegroupChange::default()
    };
    let change = Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        nodegroups: vec![(before.uuid, change)],
        ..Change::default()
    };
    looked_after(api, cluster).await?;
    let template = template_of(api, cluster).await?;
    let warnings = Warnings::new(rules::effects::told(api, &template, Subject::Nodegroup, |name| differs.get(name))?);
    let arguments = Arguments { nodegroup: Some(before.uuid), warnings: warnings.texts(), ..Arguments::default() };
    let update = operation(api, context, cluster, OperationKind::NodegroupUpdate, arguments);
    api.store.request_operation(update, &allowed(OperationKind::NodegroupUpdate), change).await?;
    Ok(warnings)
}

/// Removes a node group and its nodes.
#[utoipa::path(delete, path = "/v1/clusters/{cluster_ident}/nodegroups/{nodegroup_ident}", tag = "node groups",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("nodegroup_ident" = String, Path, description = "UUID, name or integer id")),
    responses((status = 204)))]
pub(crate) async fn delete(
    State(api): Api,
    context: Context,
    Segments((cluster, group)): Segments<(String, String)>,
    query: Query,
) -> Result<Response> {
    context.since(NODEGROUPS, "delete")?;
    query.only(&[])?;
    context.may("nodegroup:delete")?;
    let cluster = find_cluster(&api, &context.own()?, &cluster).await?;
    let group = find(&api, cluster.uuid, &group).await?;
    if group.is_default {
        return Err(ApiError::invalid("Deleting a default nodegroup is not supported."));
    }
    let going = NodegroupChange { status: Some(ClusterStatus::DeleteInProgress), ..NodegroupChange::default() };
    let change = Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        nodegroups: vec![(group.uuid, going)],
        ..Change::default()
    };
    looked_after(&api, &cluster).await?;
    let arguments = Arguments { nodegroup: Some(group.uuid), ..Arguments::default() };
    let delete = operation(&api, &context, &cluster, OperationKind::NodegroupDelete, arguments);
    api.store.request_operation(delete, &allowed(OperationKind::NodegroupDelete), change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
