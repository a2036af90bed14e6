//! Node groups.

use magnum_domain::nodegroup::{Taint, WORKER};
use magnum_domain::{ClusterStatus, Labels, Nodegroup};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, IdenStatic, Iterable, QueryFilter,
    QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use crate::entity::nodegroup;
use crate::error::is_duplicate;
use crate::page::{paged, sort_column, start_query};
use crate::row::{clip, corrupt, naive, utc_opt};
use crate::transaction::retry;
use crate::{Ident, Page, Result, Store, StoreError, json};

/// Its name in errors.
pub(crate) const RESOURCE: &str = "Nodegroup";

/// Most values of one `IN (..)`.
const CHUNK: usize = 1000;

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
    /// The node groups of several clusters, by key: one query for up to 1000 clusters.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nodegroups_of(&self, clusters: &[Uuid]) -> Result<Vec<Nodegroup>> {
        let mut groups = Vec::with_capacity(clusters.len() * 2);
        for chunk in clusters.chunks(CHUNK) {
            let rows = self
                .select()
                .filter(nodegroup::Column::ClusterId.is_in(chunk.iter().map(Uuid::to_string)))
                .order_by_asc(nodegroup::Column::Id)
                .all(self.read())
                .await?;
            groups.extend(read_all(rows));
        }
        Ok(groups)
    }

    /// One page of a cluster's node groups, of one role or of all.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_nodegroups(&self, cluster: Uuid, role: Option<&str>, page: &Page) -> Result<Vec<Nodegroup>> {
        let sort = sort_column::<nodegroup::Entity>(page)?;
        if !self.has(sort) {
            return Err(StoreError::InvalidSortKey(page.sort_key.clone()));
        }
        let of_cluster = |select: Select<_>| select.filter(nodegroup::Column::ClusterId.eq(cluster.to_string()));
        let start = match &page.marker {
            None => None,
            Some(marker) => {
                let is_marker = Condition::all().add(nodegroup::Column::Uuid.eq(marker));
                let select = of_cluster(nodegroup::Entity::find());
                let found: Option<(i32, bool)> =
                    start_query(select, nodegroup::Column::Id, sort, is_marker).into_tuple().one(self.read()).await?;
                Some(found.ok_or_else(|| StoreError::not_found(RESOURCE, marker))?.into())
            }
        };
        let mut select = of_cluster(self.select());
        if let Some(role) = role {
            select = select.filter(nodegroup::Column::Role.eq(role));
        }
        Ok(read_all(paged(select, nodegroup::Column::Id, sort, page, start).all(self.read()).await?))
    }

    /// One node group of a cluster by UUID, name or key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get_nodegroup(&self, cluster: Uuid, ident: &Ident) -> Result<Nodegroup> {
        let select = self.select().filter(nodegroup::Column::ClusterId.eq(cluster.to_string()));
        let select = match ident {
            Ident::Uuid(uuid) => select.filter(nodegroup::Column::Uuid.eq(uuid.to_string())),
            Ident::Name(name) => select.filter(nodegroup::Column::Name.eq(name)),
            Ident::Id(id) => select.filter(nodegroup::Column::Id.eq(*id)),
        };
        let row = select.one(self.read()).await?;
        row.map(from_row).transpose()?.ok_or_else(|| StoreError::not_found(RESOURCE, ident))
    }

    /// Changes a node group outside of an operation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::SchemaTooOld`] for labels or taints of nodes in an older schema.
    pub async fn update_nodegroup(&self, uuid: Uuid, change: &NodegroupChange) -> Result<()> {
        retry(|| self.change_nodegroup(self.write(), uuid, change)).await
    }

    pub(crate) async fn change_nodegroup(
        &self,
        db: &impl ConnectionTrait,
        uuid: Uuid,
        change: &NodegroupChange,
    ) -> Result<()> {
        self.check_columns(change.node_labels.as_ref(), change.node_taints.as_deref())?;
        let updated = nodegroup::Entity::update_many()
            .set(self.changed_row(change))
            .filter(nodegroup::Column::Uuid.eq(uuid.to_string()))
            .exec(db)
            .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::not_found(RESOURCE, uuid));
        }
        Ok(())
    }

    fn changed_row(&self, change: &NodegroupChange) -> nodegroup::ActiveModel {
        let change = change.clone();
        let mut row = nodegroup::ActiveModel {
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
            ..Default::default()
        };
        if self.head().has_node_labels() {
            row.node_labels = change.node_labels.map_or(NotSet, |labels| Set(Some(json::write(&labels))));
            row.node_taints = change.node_taints.map_or(NotSet, |taints| Set(Some(json::write(&taints))));
        }
        row
    }

    pub(crate) async fn insert_nodegroup(&self, tx: &DatabaseTransaction, group: &Nodegroup) -> Result<()> {
        self.check_columns(Some(&group.node_labels), Some(&group.node_taints))?;
        let mut row = to_row(group);
        row.created_at = Set(naive(Some(self.upstream_now())));
        if !self.head().has_node_labels() {
            row.node_labels = NotSet;
            row.node_taints = NotSet;
        }
        nodegroup::Entity::insert(row).exec_without_returning(tx).await.map_err(|error| {
            if is_duplicate(&error) {
                StoreError::Duplicate { resource: RESOURCE, ident: group.name.clone() }
            } else {
                error.into()
            }
        })?;
        Ok(())
    }

    fn check_columns(&self, labels: Option<&Labels>, taints: Option<&[Taint]>) -> Result<()> {
        if self.head().has_node_labels() {
            return Ok(());
        }
        if labels.is_some_and(|labels| !labels.is_empty()) {
            return Err(StoreError::SchemaTooOld { column: "nodegroup.node_labels" });
        }
        if taints.is_some_and(|taints| !taints.is_empty()) {
            return Err(StoreError::SchemaTooOld { column: "nodegroup.node_taints" });
        }
        Ok(())
    }

    /// Whether the database has this column.
    fn has(&self, column: nodegroup::Column) -> bool {
        let newer = matches!(column, nodegroup::Column::NodeLabels | nodegroup::Column::NodeTaints);
        !newer || self.head().has_node_labels()
    }

    /// Every column of the entity; those that this database has not, as null.
    fn select(&self) -> Select<nodegroup::Entity> {
        if self.head().has_node_labels() {
            return nodegroup::Entity::find();
        }
        nodegroup::Column::iter().fold(nodegroup::Entity::find().select_only(), |select, column| {
            if self.has(column) {
                select.column(column)
            } else {
                select.expr_as(Expr::val(None::<String>).cast_as("char(1)"), column.as_str())
            }
        })
    }

    /// The node groups of a cluster, by key, within a transaction.
    pub(crate) async fn nodegroups_in(&self, tx: &DatabaseTransaction, cluster: Uuid) -> Result<Vec<Nodegroup>> {
        let rows = self
            .select()
            .filter(nodegroup::Column::ClusterId.eq(cluster.to_string()))
            .order_by_asc(nodegroup::Column::Id)
            .all(tx)
            .await?;
        rows.into_iter().map(from_row).collect()
    }
}

fn read_all(rows: Vec<nodegroup::Model>) -> Vec<Nodegroup> {
    let read = |row| from_row(row).inspect_err(|error| tracing::warn!(%error, "node group left out")).ok();
    rows.into_iter().filter_map(read).collect()
}

fn from_row(row: nodegroup::Model) -> Result<Nodegroup> {
    let uuid = |column, text: &str| Uuid::try_parse(text).map_err(|_| corrupt("nodegroup", column, row.id, text));
    Ok(Nodegroup {
        id: row.id.into(),
        uuid: uuid("uuid", &row.uuid)?,
        cluster_id: uuid("cluster_id", &row.cluster_id)?,
        name: row.name,
        project_id: row.project_id,
        docker_volume_size: row.docker_volume_size,
        labels: json::read_labels(row.labels.as_deref(), "nodegroup.labels"),
        flavor_id: row.flavor_id,
        image_id: row.image_id,
        node_addresses: json::read(row.node_addresses.as_deref(), "nodegroup.node_addresses"),
        node_count: row.node_count.unwrap_or(1),
        max_node_count: row.max_node_count,
        min_node_count: row.min_node_count.unwrap_or(0),
        role: row.role.unwrap_or_else(|| WORKER.to_owned()),
        is_default: row.is_default.unwrap_or(false),
        stack_id: row.stack_id,
        status: row.status.map(ClusterStatus::from),
        status_reason: row.status_reason,
        version: row.version,
        node_labels: json::read_labels(row.node_labels.as_deref(), "nodegroup.node_labels"),
        node_taints: json::read(row.node_taints.as_deref(), "nodegroup.node_taints"),
        created_at: utc_opt(row.created_at),
        updated_at: utc_opt(row.updated_at),
    })
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
