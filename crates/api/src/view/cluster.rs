//! Clusters in answers.

use std::collections::BTreeMap;

use magnum_domain::{Cluster, Labels};
use magnum_store::{ClusterSummary, NodeCounts, NodegroupState};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Count;
use super::labels::{Differences, Shown};
use super::links::{LinkSchema, Links, Place};
use super::when::When;
use crate::link::BaseUrl;
use crate::microversion::{CLUSTER_ID, Microversion};

/// A cluster as lists have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShortCluster<'a> {
    /// Identity.
    uuid: Uuid,
    /// Name, not unique.
    name: Option<&'a str>,
    /// UUID of the template.
    cluster_template_id: &'a str,
    /// Key pair for the nodes.
    keypair: Option<&'a str>,
    /// Wanted number of workers, over all node groups.
    node_count: Count,
    /// Wanted number of masters.
    master_count: Count,
    /// GB.
    docker_volume_size: Option<i32>,
    /// Effective labels.
    #[schema(value_type = HashMap<String, String>)]
    labels: Shown<'a>,
    /// Flavor of masters.
    master_flavor_id: Option<&'a str>,
    /// Flavor of workers.
    flavor_id: Option<&'a str>,
    /// Minutes that creation may take.
    create_timeout: Option<i32>,
    /// Where it is.
    #[schema(value_type = Vec<LinkSchema>)]
    links: Links<'a>,
    /// Identifier at the infrastructure; up to 1.12.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    stack_id: Option<Option<&'a str>>,
    /// Identifier at the infrastructure; from 1.13 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cluster_id: Option<Option<&'a str>>,
    /// Where its life stands.
    status: &'a str,
    /// What the last health check said.
    health_status: Option<&'a str>,
    /// Always false.
    merge_labels: bool,
}

impl<'a> ShortCluster<'a> {
    /// The view of what was read for a list.
    pub(crate) fn of_summary(
        cluster: &'a ClusterSummary,
        counts: NodeCounts,
        base: &'a BaseUrl,
        version: Microversion,
    ) -> Self {
        let identifier = Some(cluster.stack_id.as_deref());
        let is_new = version >= CLUSTER_ID;
        Self {
            uuid: cluster.uuid,
            name: cluster.name.as_deref(),
            cluster_template_id: &cluster.cluster_template_id,
            keypair: cluster.keypair.as_deref(),
            node_count: counts.workers,
            master_count: counts.masters,
            docker_volume_size: cluster.docker_volume_size,
            labels: Shown::from(&cluster.labels),
            master_flavor_id: cluster.master_flavor_id.as_deref(),
            flavor_id: cluster.flavor_id.as_deref(),
            create_timeout: cluster.create_timeout,
            links: Links { base, place: Place::Cluster(cluster.uuid) },
            stack_id: identifier.filter(|_| !is_new),
            cluster_id: identifier.filter(|_| is_new),
            status: cluster.status.as_str(),
            health_status: cluster.health_status.as_ref().map(|status| status.as_str()),
            merge_labels: false,
        }
    }

    /// The view of a row and the node groups that belong to it.
    fn new(cluster: &'a Cluster, counts: NodeCounts, base: &'a BaseUrl, version: Microversion) -> Self {
        let identifier = Some(cluster.stack_id.as_deref());
        let is_new = version >= CLUSTER_ID;
        Self {
            uuid: cluster.uuid,
            name: cluster.name.as_deref(),
            cluster_template_id: &cluster.cluster_template_id,
            keypair: cluster.keypair.as_deref(),
            node_count: counts.workers,
            master_count: counts.masters,
            docker_volume_size: cluster.docker_volume_size,
            labels: Shown::from(&cluster.labels),
            master_flavor_id: cluster.master_flavor_id.as_deref(),
            flavor_id: cluster.flavor_id.as_deref(),
            create_timeout: cluster.create_timeout,
            links: Links { base, place: Place::Cluster(cluster.uuid) },
            stack_id: identifier.filter(|_| !is_new),
            cluster_id: identifier.filter(|_| is_new),
            status: cluster.status.as_str(),
            health_status: cluster.health_status.as_ref().map(|status| status.as_str()),
            merge_labels: false,
        }
    }
}

/// A cluster with everything that is told of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct FullCluster<'a> {
    #[serde(flatten)]
    short: ShortCluster<'a>,
    /// Why it is in its status.
    status_reason: Option<&'a str>,
    /// Per checked thing: how it was.
    health_status_reason: &'a Labels,
    /// Discovery URL of etcd.
    discovery_url: Option<&'a str>,
    /// URL of the engine's API, once known.
    api_address: Option<&'a str>,
    /// Version of the orchestration engine.
    coe_version: Option<&'a str>,
    /// Version of the container engine.
    container_version: Option<&'a str>,
    /// Owning project.
    project_id: &'a str,
    /// Creator.
    user_id: &'a str,
    /// Addresses of the workers.
    node_addresses: Vec<&'a str>,
    /// Addresses of the masters.
    master_addresses: Vec<&'a str>,
    /// Network of the nodes.
    fixed_network: Option<&'a str>,
    /// Subnet of the nodes.
    fixed_subnet: Option<&'a str>,
    /// Whether nodes get floating IPs.
    floating_ip_enabled: Option<bool>,
    /// Labels with another value than the template's; shows the template's.
    #[schema(value_type = HashMap<String, String>)]
    labels_overridden: BTreeMap<&'a str, &'a str>,
    /// Labels the template has not.
    #[schema(value_type = HashMap<String, String>)]
    labels_added: BTreeMap<&'a str, &'a str>,
    /// Labels only the template has.
    #[schema(value_type = HashMap<String, String>)]
    labels_skipped: BTreeMap<&'a str, &'a str>,
    /// Whether a load balancer stands before the masters.
    master_lb_enabled: bool,
    /// When it was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<When>,
    /// When it was last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<When>,
    /// Why node groups failed, by name; only where one cluster is shown and has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashMap<String, String>>)]
    faults: Option<BTreeMap<&'a str, &'a str>>,
}

impl<'a> FullCluster<'a> {
    /// The view of a row, its node groups and the labels of its template (which may be gone).
    pub(crate) fn new(
        cluster: &'a Cluster,
        groups: &'a [NodegroupState],
        template_labels: Option<&'a Labels>,
        base: &'a BaseUrl,
        version: Microversion,
    ) -> Self {
        let addresses = |master: bool| {
            let groups = groups.iter().filter(move |group| group.is_master() == master);
            groups.flat_map(|group| group.node_addresses.iter().map(String::as_str)).collect()
        };
        let differences = template_labels.map(|labels| Differences::new(&cluster.labels, labels)).unwrap_or_default();
        Self {
            short: ShortCluster::new(cluster, counts(groups), base, version),
            status_reason: cluster.status_reason.as_deref(),
            health_status_reason: &cluster.health_status_reason,
            discovery_url: cluster.discovery_url.as_deref(),
            api_address: cluster.api_address.as_deref(),
            coe_version: cluster.coe_version.as_deref(),
            container_version: cluster.container_version.as_deref(),
            project_id: &cluster.project_id,
            user_id: &cluster.user_id,
            node_addresses: addresses(false),
            master_addresses: addresses(true),
            fixed_network: cluster.fixed_network.as_deref(),
            fixed_subnet: cluster.fixed_subnet.as_deref(),
            floating_ip_enabled: cluster.floating_ip_enabled,
            labels_overridden: differences.overridden,
            labels_added: differences.added,
            labels_skipped: differences.skipped,
            master_lb_enabled: cluster.master_lb_enabled,
            created_at: When::maybe(cluster.created_at),
            updated_at: When::maybe(cluster.updated_at),
            faults: None,
        }
    }

    /// The same with the reasons of failed node groups, if the cluster has failed.
    pub(crate) fn with_faults(mut self, cluster: &Cluster, groups: &'a [NodegroupState]) -> Self {
        if cluster.status.is_failed() {
            let failed = groups.iter().filter(|group| group.status.as_ref().is_some_and(|status| status.is_failed()));
            self.faults =
                Some(failed.map(|group| (&*group.name, group.status_reason.as_deref().unwrap_or_default())).collect());
        }
        self
    }
}

/// Adds the groups of a cluster up.
fn counts(groups: &[NodegroupState]) -> NodeCounts {
    let mut counts = NodeCounts::default();
    for group in groups {
        counts.add(&group.role, group.node_count);
    }
    counts
}

/// One page of clusters.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClusterList<T> {
    /// The page.
    pub(crate) clusters: Vec<T>,
    /// URL of the next page, when this one is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
