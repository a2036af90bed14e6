//! Node groups in answers.

use std::collections::BTreeMap;

use magnum_domain::nodegroup::Taint;
use magnum_domain::{Labels, Nodegroup};
use magnum_store::NodegroupSummary;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::labels::Differences;
use super::links::{LinkSchema, Links, Place};
use super::when::When;
use crate::link::BaseUrl;

/// A node group as lists have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShortNodegroup<'a> {
    /// Identity.
    uuid: Uuid,
    /// Name, unique in the cluster.
    name: &'a str,
    /// Flavor.
    flavor_id: Option<&'a str>,
    /// Image.
    image_id: Option<&'a str>,
    /// Wanted number of nodes.
    node_count: i32,
    /// `master`, `worker` or a word of one's own.
    role: &'a str,
    /// Fewest nodes.
    min_node_count: i32,
    /// Most nodes.
    max_node_count: Option<i32>,
    /// Whether it was made with the cluster.
    is_default: bool,
    /// Identifier at the infrastructure.
    stack_id: Option<&'a str>,
    /// Where its life stands.
    status: Option<&'a str>,
    /// Always false.
    merge_labels: bool,
}

impl<'a> ShortNodegroup<'a> {
    /// The view of what was read for a list.
    pub(crate) fn of_summary(group: &'a NodegroupSummary) -> Self {
        Self {
            uuid: group.uuid,
            name: &group.name,
            flavor_id: group.flavor_id.as_deref(),
            image_id: group.image_id.as_deref(),
            node_count: group.node_count,
            role: &group.role,
            min_node_count: group.min_node_count,
            max_node_count: group.max_node_count,
            is_default: group.is_default,
            stack_id: group.stack_id.as_deref(),
            status: group.status.as_ref().map(|status| status.as_str()),
            merge_labels: false,
        }
    }

    /// The view of a row.
    fn new(group: &'a Nodegroup) -> Self {
        Self {
            uuid: group.uuid,
            name: &group.name,
            flavor_id: group.flavor_id.as_deref(),
            image_id: group.image_id.as_deref(),
            node_count: group.node_count,
            role: &group.role,
            min_node_count: group.min_node_count,
            max_node_count: group.max_node_count,
            is_default: group.is_default,
            stack_id: group.stack_id.as_deref(),
            status: group.status.as_ref().map(|status| status.as_str()),
            merge_labels: false,
        }
    }
}

/// A node group with everything that is told of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct FullNodegroup<'a> {
    /// Database key, by which a group may be named too.
    id: i64,
    #[serde(flatten)]
    short: ShortNodegroup<'a>,
    /// UUID of the cluster.
    cluster_id: Uuid,
    /// Project of the cluster.
    project_id: &'a str,
    /// GB.
    docker_volume_size: Option<i32>,
    /// Labels.
    labels: &'a Labels,
    /// Where it is.
    #[schema(value_type = Vec<LinkSchema>)]
    links: Links<'a>,
    /// Addresses of the nodes that are up.
    node_addresses: &'a [String],
    /// Why it is in its status.
    status_reason: Option<&'a str>,
    /// Unused.
    version: Option<&'a str>,
    /// Labels with another value than the cluster's; shows the cluster's.
    #[schema(value_type = HashMap<String, String>)]
    labels_overridden: BTreeMap<&'a str, &'a str>,
    /// Labels the cluster has not.
    #[schema(value_type = HashMap<String, String>)]
    labels_added: BTreeMap<&'a str, &'a str>,
    /// Labels only the cluster has.
    #[schema(value_type = HashMap<String, String>)]
    labels_skipped: BTreeMap<&'a str, &'a str>,
    /// Labels of the nodes.
    node_labels: &'a Labels,
    /// Taints of the nodes.
    #[schema(value_type = Vec<HashMap<String, String>>)]
    node_taints: &'a [Taint],
    /// When it was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<When>,
    /// When it was last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<When>,
}

impl<'a> FullNodegroup<'a> {
    /// The view of a row, with the labels of its cluster.
    pub(crate) fn new(group: &'a Nodegroup, cluster_labels: &'a Labels, base: &'a BaseUrl) -> Self {
        let differences = Differences::new(&group.labels, cluster_labels);
        Self {
            id: group.id,
            short: ShortNodegroup::new(group),
            cluster_id: group.cluster_id,
            project_id: &group.project_id,
            docker_volume_size: group.docker_volume_size,
            labels: &group.labels,
            links: Links { base, place: Place::Nodegroup(group.cluster_id, group.uuid) },
            node_addresses: &group.node_addresses,
            status_reason: group.status_reason.as_deref(),
            version: group.version.as_deref(),
            labels_overridden: differences.overridden,
            labels_added: differences.added,
            labels_skipped: differences.skipped,
            node_labels: &group.node_labels,
            node_taints: &group.node_taints,
            created_at: When::maybe(group.created_at),
            updated_at: When::maybe(group.updated_at),
        }
    }
}

/// One page of node groups.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodegroupList<'a> {
    /// The page.
    pub(crate) nodegroups: Vec<ShortNodegroup<'a>>,
    /// URL of the next page, when this one is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
