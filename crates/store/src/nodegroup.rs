//! Node groups.

use std::collections::HashMap;

use magnum_domain::nodegroup::{MASTER, Taint, WORKER};
use magnum_domain::{ClusterStatus, Labels, Nodegroup};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use uuid::Uuid;

use crate::entity::{cluster, nodegroup};
use crate::error::is_duplicate;
use crate::page::{chunks, filled_up, paged, start_query};
use crate::row::{clip, corrupt, naive};
use crate::row_reader::{FromRow, Read, RowReader};
use crate::transaction::retry;
use crate::{Ident, Page, Result, Store, StoreError, json, uuid_column};

/// Its name in errors.
pub(crate) const RESOURCE: &str = "Nodegroup";

/// What to change about a node group. `None` leaves a column as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodegroupChange {
    /// Where its life stands.
    pub status: Option<ClusterStatus>,
    /// Why it failed; `Some(None)` clears it.
    pub status_reason: Option<Option<String>>,
    /// Wanted number of nodes.
    pub node_count: Option<i32>,
    /// Lower bound.
    pub min_node_count: Option<i32>,
    /// Upper bound; `Some(None)` takes it away.
    pub max_node_count: Option<Option<i32>>,
    /// Addresses of the nodes that are up.
    pub node_addresses: Option<Vec<String>>,
    /// Identifier at the infrastructure.
    pub stack_id: Option<String>,
    /// Image (upgrade).
    pub image_id: Option<String>,
    /// Labels (upgrade).
    pub labels: Option<Labels>,
    /// Labels of the nodes.
    pub node_labels: Option<Labels>,
    /// Taints of the nodes.
    pub node_taints: Option<Vec<Taint>>,
}

impl Store {
    /// The node groups of several clusters, by key: one query for up to 512 clusters.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nodegroups_of(&self, clusters: &[Uuid]) -> Result<Vec<Nodegroup>> {
        let mut groups = Vec::with_capacity(clusters.len() * 2);
        for chunk in chunks(clusters) {
            let rows = self
                .select::<nodegroup::Entity>()
                .filter(self.is_any(nodegroup::Column::ClusterId, filled_up(chunk).copied()))
                .into_model::<Read<Result<Nodegroup>>>()
                .all(self.read())
                .await?;
            groups.extend(read_all(rows));
        }
        // MariaDB sorts whole rows, three times as slowly as it finds them.
        groups.sort_unstable_by_key(|group| group.id);
        Ok(groups)
    }

    /// How many nodes several clusters are to have: what lists show of node groups.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn node_counts(&self, clusters: &[Uuid]) -> Result<HashMap<Uuid, NodeCounts>> {
        let mut counts = HashMap::with_capacity(clusters.len());
        for chunk in chunks(clusters) {
            let rows = self
                .nameable(nodegroup::Entity::find(), nodegroup::Column::Uuid)
                .select_only()
                .columns([nodegroup::Column::ClusterId, nodegroup::Column::Role, nodegroup::Column::NodeCount])
                .filter(self.is_any(nodegroup::Column::ClusterId, filled_up(chunk).copied()))
                .into_model::<Read<Size>>()
                .all(self.read())
                .await?;
            for Read(Size(cluster, size)) in rows {
                let Some(cluster) = cluster else { continue };
                let sum: &mut NodeCounts = counts.entry(cluster).or_default();
                sum.masters += size.masters;
                sum.workers += size.workers;
            }
        }
        Ok(counts)
    }

    /// One page of a cluster's node groups, of one role or of all; as much of each as lists show.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_nodegroups(
        &self,
        cluster: Uuid,
        role: Option<&str>,
        page: &Page,
    ) -> Result<Vec<NodegroupSummary>> {
        let sort = self.sort_column::<nodegroup::Entity>(page)?;
        let of_cluster = |select: Select<_>| {
            self.nameable(select, nodegroup::Column::Uuid).filter(self.is(nodegroup::Column::ClusterId, cluster))
        };
        let start = match &page.marker {
            None => None,
            Some(marker) => {
                let is_marker = Condition::all().add(self.is_text(nodegroup::Column::Uuid, marker));
                let select = of_cluster(nodegroup::Entity::find());
                let found: Option<(i32, bool)> =
                    start_query(select, nodegroup::Column::Id, sort, is_marker).into_tuple().one(self.read()).await?;
                Some(found.ok_or_else(|| StoreError::not_found(RESOURCE, marker))?.into())
            }
        };
        let select = paged(of_cluster(of_role(summaries(), role)), nodegroup::Column::Id, sort, page, start);
        read_summaries(select, self.read()).await
    }

    /// One node group of a cluster by UUID, name or key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get_nodegroup(&self, cluster: Uuid, ident: &Ident) -> Result<Nodegroup> {
        let select = self.select::<nodegroup::Entity>().filter(self.is(nodegroup::Column::ClusterId, cluster));
        let select = match ident {
            Ident::Uuid(uuid) => select.filter(self.is(nodegroup::Column::Uuid, *uuid)),
            Ident::Name(name) => select.filter(nodegroup::Column::Name.eq(name)),
            Ident::Id(id) => select.filter(nodegroup::Column::Id.eq(*id)),
        };
        let row = select.into_model::<Read<Result<Nodegroup>>>().one(self.read()).await?;
        row.map(|Read(row)| row).transpose()?.ok_or_else(|| StoreError::not_found(RESOURCE, ident))
    }

    /// Changes a node group outside of an operation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::SchemaTooOld`] for labels or taints of nodes in an older schema.
    pub async fn update_nodegroup(&self, uuid: Uuid, change: &NodegroupChange) -> Result<()> {
        retry(|| async {
            let tx = self.begin().await?;
            self.change_nodegroup(&tx, uuid, change).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    pub(crate) async fn change_nodegroup(
        &self,
        db: &impl ConnectionTrait,
        uuid: Uuid,
        change: &NodegroupChange,
    ) -> Result<()> {
        let updated = nodegroup::Entity::update_many()
            .set(self.fitting(self.changed_row(change))?)
            .filter(self.is(nodegroup::Column::Uuid, uuid))
            .exec(db)
            .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::not_found(RESOURCE, uuid));
        }
        Ok(())
    }

    fn changed_row(&self, change: &NodegroupChange) -> nodegroup::ActiveModel {
        let change = change.clone();
        nodegroup::ActiveModel {
            updated_at: Set(naive(Some(self.upstream_now()))),
            status: change.status.map_or(NotSet, |status| Set(Some(status.into()))),
            status_reason: change
                .status_reason
                .map_or(NotSet, |reason| Set(reason.map(|reason| clip(&reason).into_owned()))),
            node_count: change.node_count.map_or(NotSet, |count| Set(Some(count))),
            min_node_count: change.min_node_count.map_or(NotSet, |count| Set(Some(count))),
            max_node_count: change.max_node_count.map_or(NotSet, Set),
            node_addresses: change.node_addresses.map_or(NotSet, |addresses| Set(Some(json::write(&addresses)))),
            stack_id: change.stack_id.map_or(NotSet, |id| Set(Some(id))),
            image_id: change.image_id.map_or(NotSet, |id| Set(Some(id))),
            labels: change.labels.map_or(NotSet, |labels| Set(Some(json::write(&labels)))),
            node_labels: change.node_labels.map_or(NotSet, |labels| Set(Some(json::write(&labels)))),
            node_taints: change.node_taints.map_or(NotSet, |taints| Set(Some(json::write(&taints)))),
            ..Default::default()
        }
    }

    pub(crate) async fn insert_nodegroup(&self, tx: &DatabaseTransaction, group: &Nodegroup) -> Result<()> {
        let mut row = to_row(group);
        row.created_at = Set(naive(Some(self.upstream_now())));
        row.cluster_id =
            Set(self.stored_spelling::<cluster::Entity>(tx, cluster::Column::Uuid, group.cluster_id).await?);
        nodegroup::Entity::insert(self.fitting(row)?).exec_without_returning(tx).await.map_err(|error| {
            if is_duplicate(&error) {
                StoreError::Duplicate { resource: RESOURCE, ident: group.name.clone() }
            } else {
                error.into()
            }
        })?;
        Ok(())
    }

    /// The node groups of a cluster, by key, within a transaction.
    pub(crate) async fn nodegroups_in(&self, tx: &DatabaseTransaction, cluster: Uuid) -> Result<Vec<Nodegroup>> {
        let rows = self
            .select::<nodegroup::Entity>()
            .filter(self.is(nodegroup::Column::ClusterId, cluster))
            .order_by_asc(nodegroup::Column::Id)
            .into_model::<Read<Result<Nodegroup>>>()
            .all(tx)
            .await?;
        rows.into_iter().map(|Read(row)| row).collect()
    }
}

/// All groups, as lists show them.
pub(crate) fn summaries() -> Select<nodegroup::Entity> {
    nodegroup::Entity::find().select_only().columns(SUMMARY)
}

/// Of a query, the groups of one role or of all.
pub(crate) fn of_role(select: Select<nodegroup::Entity>, role: Option<&str>) -> Select<nodegroup::Entity> {
    match role {
        Some(role) => select.filter(nodegroup::Column::Role.eq(role)),
        None => select,
    }
}

/// Runs a query that began as [`summaries`].
pub(crate) async fn read_summaries(
    select: Select<nodegroup::Entity>,
    db: &impl ConnectionTrait,
) -> Result<Vec<NodegroupSummary>> {
    Ok(read_all(select.into_model::<Read<Result<_>>>().all(db).await?))
}

/// Runs a query that began as [`summaries`] and is in no order; nothing if it finds more than `most`.
pub(crate) async fn read_few_summaries(
    select: Select<nodegroup::Entity>,
    most: u64,
    db: &impl ConnectionTrait,
) -> Result<Option<Vec<NodegroupSummary>>> {
    let select = select.limit(most.saturating_add(1));
    let rows = select.into_model::<Read<Result<_>>>().all(db).await?;
    Ok(u64::try_from(rows.len()).is_ok_and(|found| found <= most).then(|| read_all(rows)))
}

fn read_all<T>(rows: Vec<Read<Result<T>>>) -> Vec<T> {
    let read = |Read(row): Read<Result<T>>| row.inspect_err(|error| tracing::warn!(%error, "node group left out")).ok();
    rows.into_iter().filter_map(read).collect()
}

/// In the order of the entity; nulls are read as upstream's objects read them.
impl FromRow for Result<Nodegroup> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let id = row.key()?;
        let (created_at, updated_at) = (row.time()?, row.time()?);
        let (uuid, name, cluster_id) = (row.text()?, row.string()?, row.text()?);
        let (uuid, cluster_id) = match (read_uuid("uuid", id, uuid), read_uuid("cluster_id", id, cluster_id)) {
            (Ok(uuid), Ok(cluster_id)) => (uuid, cluster_id),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        Ok(Ok(Nodegroup {
            id,
            created_at,
            updated_at,
            uuid,
            name: name.unwrap_or_default(),
            cluster_id,
            project_id: row.string()?.unwrap_or_default(),
            docker_volume_size: row.integer()?,
            labels: json::read_labels(row.text()?, "nodegroup.labels"),
            flavor_id: row.string()?,
            image_id: row.string()?,
            node_addresses: json::read(row.text()?, "nodegroup.node_addresses"),
            node_count: row.integer()?.unwrap_or(1),
            max_node_count: row.integer()?,
            min_node_count: row.integer()?.unwrap_or(0),
            role: row.string()?.unwrap_or_else(|| WORKER.to_owned()),
            is_default: row.flag()?,
            stack_id: row.string()?,
            status: row.string()?.map(ClusterStatus::from),
            status_reason: row.string()?,
            version: row.string()?,
            node_labels: json::read_labels(row.text()?, "nodegroup.node_labels"),
            node_taints: json::read(row.text()?, "nodegroup.node_taints"),
        }))
    }
}

fn read_uuid(column: &'static str, id: i64, text: Option<&str>) -> Result<Uuid> {
    let text = text.unwrap_or_default();
    uuid_column::read(text).ok_or_else(|| corrupt("nodegroup", column, id, text))
}

/// What a list shows of a node group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodegroupSummary {
    /// Database key.
    pub id: i64,
    /// Identity in the API.
    pub uuid: Uuid,
    /// Name, unique in the cluster.
    pub name: String,
    /// Flavor of its nodes.
    pub flavor_id: Option<String>,
    /// Image of its nodes.
    pub image_id: Option<String>,
    /// Wanted number of nodes.
    pub node_count: i32,
    /// Upper bound.
    pub max_node_count: Option<i32>,
    /// Lower bound.
    pub min_node_count: i32,
    /// `master`, `worker` or a word of one's own.
    pub role: String,
    /// Whether it was made with the cluster.
    pub is_default: bool,
    /// Identifier at the infrastructure.
    pub stack_id: Option<String>,
    /// Where its life stands.
    pub status: Option<ClusterStatus>,
}

/// The columns of a [`NodegroupSummary`], in the order in which they are read.
const SUMMARY: [nodegroup::Column; 12] = [
    nodegroup::Column::Id,
    nodegroup::Column::Uuid,
    nodegroup::Column::Name,
    nodegroup::Column::FlavorId,
    nodegroup::Column::ImageId,
    nodegroup::Column::NodeCount,
    nodegroup::Column::MaxNodeCount,
    nodegroup::Column::MinNodeCount,
    nodegroup::Column::Role,
    nodegroup::Column::IsDefault,
    nodegroup::Column::StackId,
    nodegroup::Column::Status,
];

impl FromRow for Result<NodegroupSummary> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let id = row.key()?;
        let uuid = match read_uuid("uuid", id, row.text()?) {
            Ok(uuid) => uuid,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(NodegroupSummary {
            id,
            uuid,
            name: row.string()?.unwrap_or_default(),
            flavor_id: row.string()?,
            image_id: row.string()?,
            node_count: row.integer()?.unwrap_or(1),
            max_node_count: row.integer()?,
            min_node_count: row.integer()?.unwrap_or(0),
            role: row.string()?.unwrap_or_else(|| WORKER.to_owned()),
            is_default: row.flag()?,
            stack_id: row.string()?,
            status: row.string()?.map(ClusterStatus::from),
        }))
    }
}

/// Wanted nodes of a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// Nodes of groups with the role `master`.
    pub masters: i64,
    /// All other nodes.
    pub workers: i64,
}

impl NodeCounts {
    /// Adds a group of this role.
    pub fn add(&mut self, role: &str, nodes: i32) {
        let sum = if role == MASTER { &mut self.masters } else { &mut self.workers };
        *sum += i64::from(nodes);
    }
}

/// The cluster, role and size of a group. A cluster that can't be read has no counts.
struct Size(Option<Uuid>, NodeCounts);

impl FromRow for Size {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let cluster = row.text()?.and_then(uuid_column::read);
        let mut counts = NodeCounts::default();
        let role = row.text()?.unwrap_or(WORKER);
        counts.add(role, row.integer()?.unwrap_or(1));
        Ok(Self(cluster, counts))
    }
}

fn to_row(group: &Nodegroup) -> nodegroup::ActiveModel {
    let g = group.clone();
    nodegroup::ActiveModel {
        id: NotSet,
        created_at: NotSet,
        updated_at: Set(None),
        uuid: Set(g.uuid.to_string()),
        name: Set(g.name),
        cluster_id: Set(g.cluster_id.to_string()),
        project_id: Set(g.project_id),
        docker_volume_size: Set(g.docker_volume_size),
        labels: Set(Some(json::write(&g.labels))),
        flavor_id: Set(g.flavor_id),
        image_id: Set(g.image_id),
        node_addresses: Set(Some(json::write(&g.node_addresses))),
        node_count: Set(Some(g.node_count)),
        max_node_count: Set(g.max_node_count),
        min_node_count: Set(Some(g.min_node_count)),
        role: Set(Some(g.role)),
        is_default: Set(Some(g.is_default)),
        stack_id: Set(g.stack_id),
        status: Set(g.status.map(String::from)),
        status_reason: Set(g.status_reason),
        version: Set(g.version),
        node_labels: Set(Some(json::write(&g.node_labels))),
        node_taints: Set(Some(json::write(&g.node_taints))),
    }
}
