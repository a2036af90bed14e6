//! What is shown of clusters, read in as few queries and columns as it takes: MariaDB describes every column of every
//! answer again, so those that nobody looks at cost as much as the others.

use std::collections::HashMap;

use magnum_domain::nodegroup::{MASTER, WORKER};
use magnum_domain::{Cluster, ClusterStatus, Labels, Nodegroup};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IdenStatic, Iterable, QueryFilter, QuerySelect,
    QueryTrait, Select,
};
use uuid::Uuid;

use crate::cluster::RESOURCE;
use crate::entity::{cluster, cluster_template, nodegroup};
use crate::nodegroup::{NodegroupSummary, of_role, read_few_summaries, read_summaries, summaries};
use crate::page::{chunks, filled_up, paged};
use crate::row_reader::{FromRow, Read, RowReader};
use crate::upstream::{UpstreamHead, select_at};
use crate::{Ident, Page, Result, Scope, SortDir, Store, StoreError, json, uuid_column};

/// A cluster with everything that is shown of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterView {
    /// The cluster.
    pub cluster: Cluster,
    /// The labels of its template, whoever may see that; `None` when it is gone.
    pub template_labels: Option<Labels>,
    /// Its node groups, by key.
    pub nodegroups: Vec<NodegroupState>,
}

/// What a cluster shows of one of its node groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodegroupState {
    /// Database key.
    pub id: i64,
    /// Name, unique in the cluster.
    pub name: String,
    /// `master`, `worker` or a word of one's own.
    pub role: String,
    /// Wanted number of nodes.
    pub node_count: i32,
    /// Addresses of the nodes that are up.
    pub node_addresses: Vec<String>,
    /// Where its life stands.
    pub status: Option<ClusterStatus>,
    /// Why it failed.
    pub status_reason: Option<String>,
}

impl NodegroupState {
    /// Whether its nodes are masters.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.role == MASTER
    }
}

impl From<&Nodegroup> for NodegroupState {
    fn from(group: &Nodegroup) -> Self {
        Self {
            id: group.id,
            name: group.name.clone(),
            role: group.role.clone(),
            node_count: group.node_count,
            node_addresses: group.node_addresses.clone(),
            status: group.status.clone(),
            status_reason: group.status_reason.clone(),
        }
    }
}

/// The columns of a [`NodegroupState`], in the order in which they are read.
const STATE: [nodegroup::Column; 7] = [
    nodegroup::Column::Id,
    nodegroup::Column::Name,
    nodegroup::Column::Role,
    nodegroup::Column::NodeCount,
    nodegroup::Column::NodeAddresses,
    nodegroup::Column::Status,
    nodegroup::Column::StatusReason,
];

impl Store {
    /// One cluster as it is shown: by UUID in one query, by name in two.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Ambiguous`] when several have that name.
    pub async fn get_shown_cluster(&self, scope: &Scope, ident: &Ident) -> Result<ClusterView> {
        let uuid = match ident {
            Ident::Uuid(uuid) => *uuid,
            other => self.get_cluster_uuid(scope, other).await?,
        };
        let select = self.in_scope(self.cached_select("shown", shown), scope);
        let select = select.filter(self.is(cluster::Column::Uuid, uuid));
        let rows = self.read().query_all_raw(select.build(self.read().get_database_backend())).await?;
        let not_found = || StoreError::not_found(RESOURCE, ident);
        let mut first = RowReader::of(rows.first().ok_or_else(not_found)?)?;
        // What is left out of lists is not there for others either.
        let cluster = Option::<Cluster>::from_row(&mut first)?.ok_or_else(not_found)?;
        let labels = json::read_labels(first.text()?, "cluster_template.labels");
        let template_labels = first.integer()?.map(|_| labels);
        let mut nodegroups = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut row = RowReader::of(row)?;
            row.skip(cluster::Column::iter().count() + 2);
            nodegroups.extend(Option::<NodegroupState>::from_row(&mut row)?);
        }
        nodegroups.sort_unstable_by_key(|group| group.id);
        Ok(ClusterView { cluster, template_labels, nodegroups })
    }

    /// What several clusters show of their node groups, by key: one query for up to 512 clusters.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nodegroup_states(&self, clusters: &[Uuid]) -> Result<HashMap<Uuid, Vec<NodegroupState>>> {
        let mut states: HashMap<Uuid, Vec<NodegroupState>> = HashMap::with_capacity(clusters.len());
        for chunk in chunks(clusters) {
            let rows = self
                .nameable(nodegroup::Entity::find(), nodegroup::Column::Uuid)
                .select_only()
                .column(nodegroup::Column::ClusterId)
                .columns(STATE)
                .filter(self.is_any(nodegroup::Column::ClusterId, filled_up(chunk).copied()))
                .into_model::<Read<Option<(Uuid, NodegroupState)>>>()
                .all(self.read())
                .await?;
            for (cluster, state) in rows.into_iter().filter_map(|Read(row)| row) {
                states.entry(cluster).or_default().push(state);
            }
        }
        for groups in states.values_mut() {
            groups.sort_unstable_by_key(|group| group.id);
        }
        Ok(states)
    }

    /// One page of the node groups of a cluster, and the cluster's UUID. The first page of a cluster that is named by
    /// UUID and has groups takes one query.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown cluster or marker; [`StoreError::Ambiguous`] when several clusters have
    /// that name; [`StoreError::InvalidSortKey`].
    pub async fn list_nodegroups_of(
        &self,
        scope: &Scope,
        cluster: &Ident,
        role: Option<&str>,
        page: &Page,
    ) -> Result<(Uuid, Vec<NodegroupSummary>)> {
        if let (Ident::Uuid(uuid), None) = (cluster, &page.marker) {
            let groups = self.first_nodegroups(scope, *uuid, role, page).await?;
            if !groups.is_empty() {
                return Ok((*uuid, groups));
            }
        }
        let uuid = self.get_cluster_uuid(scope, cluster).await?;
        Ok((uuid, self.list_nodegroups(uuid, role, page).await?))
    }

    /// The first page of the node groups of a cluster that is in a scope; nothing if it is not.
    async fn first_nodegroups(
        &self,
        scope: &Scope,
        uuid: Uuid,
        role: Option<&str>,
        page: &Page,
    ) -> Result<Vec<NodegroupSummary>> {
        let sort = self.sort_column::<nodegroup::Entity>(page)?;
        let mut wanted = Condition::all().add(self.is(cluster::Column::Uuid, uuid));
        if let Scope::Project(project) = scope {
            wanted = wanted.add(cluster::Column::ProjectId.eq(project));
        }
        let select =
            of_role(self.cached_select("summaries of clusters", |_| summaries_of_clusters()), role).filter(wanted);
        let select = self.nameable(select, nodegroup::Column::Uuid);
        if sort.as_str() == nodegroup::Column::Id.as_str() {
            // Clusters have few groups: what fits a page is sorted here, which costs the database a fifth of the query.
            let few = read_few_summaries(select.clone(), page.limit, self.read()).await?;
            if let Some(mut groups) = few {
                groups.sort_unstable_by_key(|group| group.id);
                if page.sort_dir == SortDir::Desc {
                    groups.reverse();
                }
                return Ok(groups);
            }
        }
        let select = paged(select, nodegroup::Column::Id, sort, page, None);
        read_summaries(select, self.read()).await
    }
}

/// Clusters, each with its template's labels and key, once for each of its node groups.
fn shown(head: UpstreamHead) -> Select<cluster::Entity> {
    let mut select = select_at::<cluster::Entity>(head)
        .columns([cluster_template::Column::Labels, cluster_template::Column::Id])
        .columns(STATE);
    let (of_template, own) = (cluster::Column::ClusterTemplateId.into_expr(), cluster::Column::Uuid.into_expr());
    QueryTrait::query(&mut select)
        .left_join(
            cluster_template::Entity,
            of_template.equals((cluster_template::Entity, cluster_template::Column::Uuid)),
        )
        .left_join(nodegroup::Entity, own.equals((nodegroup::Entity, nodegroup::Column::ClusterId)));
    select
}

/// What lists show of node groups, to be filtered by what their clusters are.
fn summaries_of_clusters() -> Select<nodegroup::Entity> {
    let mut select = summaries();
    let of_cluster = nodegroup::Column::ClusterId.into_expr();
    QueryTrait::query(&mut select)
        .inner_join(cluster::Entity, of_cluster.equals((cluster::Entity, cluster::Column::Uuid)));
    select
}

/// `None` where a cluster has no group.
impl FromRow for Option<NodegroupState> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let Some(id) = row.integer()? else { return Ok(None) };
        Ok(Some(NodegroupState {
            id: id.into(),
            name: row.string()?.unwrap_or_default(),
            role: row.string()?.unwrap_or_else(|| WORKER.to_owned()),
            node_count: row.integer()?.unwrap_or(1),
            node_addresses: json::read(row.text()?, "nodegroup.node_addresses"),
            status: row.string()?.map(ClusterStatus::from),
            status_reason: row.string()?,
        }))
    }
}

/// A group with its cluster; groups whose cluster can't be read belong to none.
impl FromRow for Option<(Uuid, NodegroupState)> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let cluster = row.text()?.and_then(uuid_column::read);
        Ok(cluster.zip(Option::from_row(row)?))
    }
}
