//! `/v1/clusters/{cluster_ident}/actions`: resize and upgrade.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use magnum_domain::nodes;
use magnum_domain::operation::Arguments;
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, Node, Nodegroup, OperationKind};
use magnum_store::{Change, Ident, NodegroupChange};
use uuid::Uuid;

use super::cluster_create::NO_ZERO_NODES;
use super::{
    Api, DryRunQuery, Segments, allowed, find_cluster, looked_after, nameable, operation, refuse_status, template_of,
    wrong_status,
};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::dry_run::Imagined;
use crate::error::{ApiError, Result};
use crate::field::schema::{ResizeBody, UpgradeBody};
use crate::field::{self, table};
use crate::microversion::{ACTIONS, UPGRADE, ZERO_NODES};
use crate::query::Query;
use crate::rules;
use crate::rules::size::Size;
use crate::view::plan::PlanView;
use crate::view::{Accepted, answer};

/// What upstream calls the check of an upgrade's status.
const UPGRADING: &str = "Upgrading a cluster";

/// Changes the size of one node group; from 1.7 on.
#[utoipa::path(post, path = "/v1/clusters/{cluster_ident}/actions/resize", tag = "clusters", request_body = ResizeBody,
    params(("cluster_ident" = String, Path, description = "UUID or name"), DryRunQuery),
    responses((status = 202, body = Accepted), (status = 200, body = PlanView, description = "Dry run")))]
pub(crate) async fn resize(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    context.since(ACTIONS, "resize")?;
    let is_dry = query.only(&["dry_run"])?.boolean("dry_run")?;
    let body = field::read(&table::RESIZE, &body.required(table::RESIZE.argument)?, &api.options.sizes)?;
    let cluster = find_cluster(&api, &context.own()?, &ident).await?;
    context.may_with("cluster:resize", &cluster.project_id, &cluster.user_id)?;
    let group = group(&api, &cluster, body.text("nodegroup").as_deref()).await?;
    let count = body.integer("node_count").unwrap_or_default();
    if count == 0 && context.version < ZERO_NODES {
        return Err(ApiError::invalid(NO_ZERO_NODES));
    }
    let template = template_of(&api, &cluster).await?;
    if group.is_master() {
        masters(&api, &template, &cluster, count)?;
    } else {
        rules::nodegroup::resize(&group, count)?;
    }
    let remove = to_remove(&api, &group, body.texts("nodes_to_remove")).await?;
    let mut nodegroups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    nodegroups.iter_mut().filter(|other| other.uuid == group.uuid).for_each(|group| group.node_count = count);
    if !is_dry {
        looked_after(&api, &cluster).await?;
    }
    let size = Size { cluster: &cluster, groups: &nodegroups, remove: &remove, at_once: 0 };
    rules::size::fits(&api, &template, &size).await?;
    if is_dry {
        let imagined = Imagined::of(&api, cluster, template, nodegroups, remove).await?;
        let plan = api.planner.plan(&imagined.snapshot()?).await?;
        return answer(StatusCode::OK, &PlanView::new(&plan));
    }
    let arguments = Arguments {
        nodegroup: Some(group.uuid),
        previous_node_count: Some(group.node_count),
        node_count: Some(count),
        nodes_to_remove: remove,
        ..Arguments::default()
    };
    let resized = NodegroupChange { node_count: Some(count), ..in_progress() };
    let change = Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        nodegroups: vec![(group.uuid, resized)],
        limits: Some(rules::size::limits(&api)),
        ..Change::default()
    };
    let resize = operation(&api, &context, &cluster, OperationKind::Resize, arguments);
    api.store.request_operation(resize, &allowed(OperationKind::Resize), change).await?;
    Accepted::response(cluster.uuid)
}

fn in_progress() -> NodegroupChange {
    NodegroupChange {
        status: Some(ClusterStatus::UpdateInProgress),
        status_reason: Some(None),
        ..NodegroupChange::default()
    }
}

/// A group of a cluster by UUID, name or database key; the default workers when none is named.
async fn group(api: &ApiState, cluster: &Cluster, ident: Option<&str>) -> Result<Nodegroup> {
    if let Some(ident) = ident {
        nameable("Nodegroup", ident)?;
        return Ok(api.store.get_nodegroup(cluster.uuid, &Ident::parse_with_id(ident)).await?);
    }
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    groups
        .into_iter()
        .find(|group| group.is_default && !group.is_master())
        .ok_or_else(|| ApiError::conflict("The cluster has no default group of workers. Name a nodegroup."))
}

fn masters(api: &ApiState, template: &ClusterTemplate, cluster: &Cluster, count: i32) -> Result<()> {
    if !api.planner.resizes_masters(template) {
        return Err(ApiError::invalid("Resizing the master nodegroup is not supported by this driver."));
    }
    rules::cluster::odd(count)?;
    rules::cluster::balanced(count, cluster)
}

/// The nodes of a group that a request names, by UUID from here on: a name or an address is given again once its node is
/// gone, and must not take the next one along when the operation is retried. Drivers that keep no nodes here know the
/// names themselves.
///
/// # Errors
/// When one of the names is no node of the group. Nothing is removed then.
async fn to_remove(api: &ApiState, group: &Nodegroup, names: Vec<String>) -> Result<Vec<String>> {
    if names.is_empty() {
        return Ok(names);
    }
    let nodes = api.store.nodes(group.cluster_id).await?;
    if nodes.is_empty() {
        return Ok(names);
    }
    let of_group = || nodes.iter().filter(|node| node.nodegroup_uuid == group.uuid);
    let mut found = Vec::with_capacity(names.len());
    for name in &names {
        let Some(node) = nodes::find(of_group(), name) else {
            return Err(ApiError::invalid(format!(
                "Node {name} of nodes_to_remove could not be found in nodegroup {}. Name it by UUID, name or address.",
                group.name
            )));
        };
        let uuid = node.uuid.to_string();
        if !found.contains(&uuid) {
            found.push(uuid);
        }
    }
    Ok(found)
}

/// Moves a cluster to another template; from 1.8 on.
#[utoipa::path(post, path = "/v1/clusters/{cluster_ident}/actions/upgrade", tag = "clusters",
    params(("cluster_ident" = String, Path, description = "UUID or name")), request_body = UpgradeBody,
    responses((status = 202, body = Accepted)))]
pub(crate) async fn upgrade(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    context.since(ACTIONS, "upgrade")?;
    query.only(&[])?;
    let body = field::read(&table::UPGRADE, &body.required(table::UPGRADE.argument)?, &api.options.sizes)?;
    if context.version < UPGRADE {
        return Err(ApiError::invalid("Cluster upgrade is not supported in the provided microversion."));
    }
    let scope = context.scope("cluster:upgrade_all_projects")?;
    let cluster = find_cluster(&api, &scope, &ident).await?;
    context.may_with("cluster:upgrade", &cluster.project_id, &cluster.user_id)?;
    let wanted = body.text("cluster_template").unwrap_or_default();
    nameable("ClusterTemplate", &wanted)?;
    let visibility = context.templates("cluster:upgrade_all_projects")?;
    let target = api.store.get_template(&visibility, &Ident::parse(&wanted)).await?;
    let current = template_of(&api, &cluster).await?;
    let group = group(&api, &cluster, body.text("nodegroup").as_deref()).await?;
    if !group.is_default && target.uuid != current.uuid {
        return Err(invalid(&format!(
            "Nodegroup {} can be upgraded only to match cluster's template ({}).",
            group.name,
            current.name.as_deref().unwrap_or(&cluster.cluster_template_id)
        )));
    }
    refuse_status(&api, UPGRADING, &cluster, allowed(OperationKind::Upgrade)).await?;
    if !api.planner.supports(&current, OperationKind::Upgrade) {
        return Err(ApiError::invalid("'upgrade_cluster' is not supported by this driver."));
    }
    if let Some(difference) = difference(&current, &target) {
        return Err(invalid(&difference));
    }
    let most = body.integer("max_batch_size").unwrap_or(1);
    let nodes_to_replace = replaced(&api, &cluster, &group).await?;
    let at_once = nodes_to_replace.len().min(usize::try_from(most).unwrap_or(1));
    // Each batch is there before the one it replaces goes.
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let size = Size { cluster: &cluster, groups: &groups, remove: &[], at_once };
    rules::size::fits(&api, &target, &size).await?;
    let arguments = Arguments {
        nodegroup: Some(group.uuid),
        cluster_template: Some(target.uuid),
        nodes_to_replace,
        max_batch_size: Some(most),
        ..Arguments::default()
    };
    let change = Change {
        cluster_status: Some(ClusterStatus::UpdateInProgress),
        nodegroups: vec![(group.uuid, in_progress())],
        ..Change::default()
    };
    let upgrade = operation(&api, &context, &cluster, OperationKind::Upgrade, arguments);
    let allowed = allowed(OperationKind::Upgrade);
    api.store.request_operation(upgrade, &allowed, change).await.map_err(wrong_status(UPGRADING))?;
    Accepted::response(cluster.uuid)
}

/// Upstream's answer to a template that a cluster can't move to.
fn invalid(reason: &str) -> ApiError {
    ApiError::conflict(format!("Cluster Template is not valid for upgrade: {reason}"))
}

/// What nodes made from two templates would not have in common, though they have to make one cluster.
fn difference(current: &ClusterTemplate, target: &ClusterTemplate) -> Option<String> {
    let text = |value: Option<&String>| value.cloned().unwrap_or_else(|| "none".to_owned());
    let compared = [
        ("COE", current.coe.clone(), target.coe.clone()),
        ("server type", current.server_type.clone(), target.server_type.clone()),
        ("distribution", text(current.cluster_distro.as_ref()), text(target.cluster_distro.as_ref())),
        // One that names none has the one that its type leads to, which is the same for both.
        (
            "driver",
            text(current.driver.as_ref().or(target.driver.as_ref())),
            text(target.driver.as_ref().or(current.driver.as_ref())),
        ),
        ("network driver", text(current.network_driver.as_ref()), text(target.network_driver.as_ref())),
        ("tls_disabled", current.tls_disabled.to_string(), target.tls_disabled.to_string()),
    ];
    let (what, from, to) = compared.into_iter().find(|(_, from, to)| from != to)?;
    Some(format!("The {what} of a cluster can not change from {from} to {to}."))
}

/// The nodes that an upgrade of a group replaces. The default groups make the cluster, and are upgraded together.
async fn replaced(api: &ApiState, cluster: &Cluster, group: &Nodegroup) -> Result<Vec<Uuid>> {
    let groups = api.store.nodegroups_of(&[cluster.uuid]).await?;
    let is_upgraded = |other: &Nodegroup| other.uuid == group.uuid || (group.is_default && other.is_default);
    let upgraded: Vec<Uuid> = groups.iter().filter(|other| is_upgraded(other)).map(|other| other.uuid).collect();
    let nodes = api.store.nodes(cluster.uuid).await?;
    let stays = |node: &&Node| !node.is_leaving() && upgraded.contains(&node.nodegroup_uuid);
    Ok(nodes.iter().filter(stays).map(|node| node.uuid).collect())
}
