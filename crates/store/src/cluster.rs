//! Clusters.

use std::str::FromStr;

use magnum_domain::operation::NewOperation;
use magnum_domain::{Cluster, ClusterStatus, HealthStatus, Labels, Nodegroup};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Alias, Expr, Func};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use crate::entity::{cluster, cluster_template, nodegroup};
use crate::error::is_duplicate;
use crate::operation::OPERATION_STEP;
use crate::page::{paged, start_query};
use crate::row::naive;
use crate::row_reader::{FromRow, Read, RowReader};
use crate::transaction::{LockScope, retry};
use crate::upstream::too_old;
use crate::wakeup::bump;
use crate::{Backend, Ident, LabelsText, Page, Result, Scope, Store, StoreError, json, uuid_column};

/// Its name in errors.
pub(crate) const RESOURCE: &str = "Cluster";

/// Everything that comes into being when a cluster is asked for.
#[derive(Debug, Clone)]
pub struct NewCluster {
    /// The row; `id`, `created_at` and `updated_at` are given by the store.
    pub cluster: Cluster,
    /// Its node groups; `id`, `created_at` and `updated_at` are given by the store.
    pub nodegroups: Vec<Nodegroup>,
    /// What brings it up.
    pub operation: NewOperation,
    /// Greatest number of clusters that the project may have, this one included.
    pub quota: i32,
}

/// Where a cluster's certificates are kept. `None` leaves a reference as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateRefs {
    /// The cluster CA.
    pub ca: Option<String>,
    /// The service's own client certificate.
    pub magnum: Option<String>,
    /// The etcd CA (Kubernetes).
    pub etcd_ca: Option<String>,
    /// The front-proxy CA (Kubernetes).
    pub front_proxy_ca: Option<String>,
}

/// `GET /v1/stats`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Clusters, whatever their status.
    pub clusters: i64,
    /// Wanted nodes of all node groups, masters included.
    pub nodes: i64,
}

impl Store {
    /// One page of clusters.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_clusters(&self, scope: &Scope, page: &Page) -> Result<Vec<Cluster>> {
        let select = self.page_of_clusters(scope, page).await?;
        let rows = select.into_model::<Read<Option<Cluster>>>().all(self.read()).await?;
        Ok(rows.into_iter().filter_map(|Read(cluster)| cluster).collect())
    }

    /// One page of clusters, with as much of each as lists show.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_cluster_summaries(&self, scope: &Scope, page: &Page) -> Result<Vec<ClusterSummary>> {
        let select = self.page_of_clusters(scope, page).await?.select_only().columns(SUMMARY);
        let rows = select.into_model::<Read<Option<ClusterSummary>>>().all(self.read()).await?;
        Ok(rows.into_iter().filter_map(|Read(summary)| summary).collect())
    }

    async fn page_of_clusters(&self, scope: &Scope, page: &Page) -> Result<Select<cluster::Entity>> {
        let sort = self.sort_column::<cluster::Entity>(page)?;
        let start = match &page.marker {
            None => None,
            Some(marker) => {
                let is_marker = Condition::all().add(self.is_text(cluster::Column::Uuid, marker));
                let found: Option<(i32, bool)> = start_query(self.visible(scope), cluster::Column::Id, sort, is_marker)
                    .into_tuple()
                    .one(self.read())
                    .await?;
                Some(found.ok_or_else(|| StoreError::not_found(RESOURCE, marker))?.into())
            }
        };
        Ok(paged(self.visible(scope), cluster::Column::Id, sort, page, start))
    }

    /// One cluster by UUID, name or key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Ambiguous`] when several have that name.
    pub async fn get_cluster(&self, scope: &Scope, ident: &Ident) -> Result<Cluster> {
        let select = self.by_ident(self.visible(scope), ident).limit(2).into_model::<Read<Option<Cluster>>>();
        let mut rows = select.all(self.read()).await?;
        if rows.len() > 1 {
            return Err(StoreError::Ambiguous { resource: RESOURCE });
        }
        rows.pop().and_then(|Read(cluster)| cluster).ok_or_else(|| StoreError::not_found(RESOURCE, ident))
    }

    /// The UUID of a cluster, which is all that is needed of it to go on to what belongs to it.
    ///
    /// # Errors
    /// As [`Self::get_cluster`].
    pub async fn get_cluster_uuid(&self, scope: &Scope, ident: &Ident) -> Result<Uuid> {
        let select = self.by_ident(self.visible(scope), ident).limit(2).select_only();
        let rows: Vec<(i32, Option<String>)> =
            select.columns([cluster::Column::Id, cluster::Column::Uuid]).into_tuple().all(self.read()).await?;
        match rows.as_slice() {
            [] => Err(StoreError::not_found(RESOURCE, ident)),
            [(id, uuid)] => {
                read_uuid((*id).into(), uuid.as_deref()).ok_or_else(|| StoreError::not_found(RESOURCE, ident))
            }
            _ => Err(StoreError::Ambiguous { resource: RESOURCE }),
        }
    }

    /// How many clusters a project has, whatever their status.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_clusters(&self, project_id: &str) -> Result<u64> {
        self.count(self.read(), project_id).await
    }

    /// Writes a cluster, its node groups and the operation that brings it up, all or nothing. The quota holds and the
    /// template stays, however many do so at once.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`]; [`StoreError::NotFound`] when the template is gone; [`StoreError::Duplicate`]
    /// for a UUID that is taken.
    pub async fn create_cluster(&self, new: NewCluster) -> Result<Cluster> {
        let made = retry(|| async {
            let tx = self.begin().await?;
            let made = self.create_cluster_in(&tx, &new).await?;
            tx.commit().await?;
            Ok(made)
        })
        .await?;
        bump(&self.inner.wakeups.operations);
        bump(&self.inner.wakeups.events);
        Ok(made)
    }

    async fn create_cluster_in(&self, tx: &DatabaseTransaction, new: &NewCluster) -> Result<Cluster> {
        let cluster = &new.cluster;
        self.lock(tx, LockScope::Template(&cluster.cluster_template_id)).await?;
        let template: Option<(Option<String>, Option<bool>)> = cluster_template::Entity::find()
            .select_only()
            .columns([cluster_template::Column::Uuid, cluster_template::Column::MasterLbEnabled])
            .filter(self.is_text(cluster_template::Column::Uuid, &cluster.cluster_template_id))
            .into_tuple()
            .one(tx)
            .await?;
        let Some((template_spelling, template_says)) = template else {
            return Err(StoreError::not_found(crate::cluster_template::RESOURCE, &cluster.cluster_template_id));
        };
        self.lock(tx, LockScope::Project(&cluster.project_id)).await?;
        if self.count(tx, &cluster.project_id).await? >= u64::try_from(new.quota).unwrap_or(0) {
            return Err(StoreError::QuotaExceeded { limit: new.quota });
        }
        self.lock(tx, LockScope::Cluster(cluster.uuid)).await?;
        let mut made = cluster.clone();
        made.created_at = Some(self.upstream_now());
        made.updated_at = None;
        let mut row = to_row(&made);
        // Upstream compares the two as text.
        row.cluster_template_id = Set(template_spelling);
        if !self.knows_master_load_balancer() {
            if cluster.master_lb_enabled != template_says.unwrap_or(false) {
                return Err(too_old("cluster", "master_lb_enabled"));
            }
            row.master_lb_enabled = NotSet;
        }
        let inserted = cluster::Entity::insert(self.fitting(row)?).exec(tx).await.map_err(|error| {
            if is_duplicate(&error) {
                StoreError::Duplicate { resource: RESOURCE, ident: cluster.uuid.to_string() }
            } else {
                error.into()
            }
        })?;
        made.id = inserted.last_insert_id.into();
        for group in &new.nodegroups {
            self.insert_nodegroup(tx, group).await?;
        }
        self.insert_operation(tx, &new.operation).await?;
        let message = format!("{} requested", new.operation.kind.as_str());
        self.insert_operation_event(tx, &new.operation, OPERATION_STEP, &message).await?;
        Ok(made)
    }

    /// Writes what a health check said.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the cluster is gone.
    pub async fn update_health(&self, cluster_uuid: Uuid, status: &HealthStatus, reason: &Labels) -> Result<()> {
        let row = cluster::ActiveModel {
            health_status: Set(Some(status.as_str().to_owned())),
            health_status_reason: Set(Some(json::write(reason))),
            ..Default::default()
        };
        retry(|| async {
            let tx = self.begin().await?;
            self.update_cluster_row(&tx, cluster_uuid, row.clone()).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Writes down where a cluster's certificates are kept.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the cluster is gone.
    pub async fn set_certificate_refs(&self, cluster_uuid: Uuid, refs: &CertificateRefs) -> Result<()> {
        let set = |value: &Option<String>| value.clone().map_or(NotSet, |value| Set(Some(value)));
        let row = cluster::ActiveModel {
            ca_cert_ref: set(&refs.ca),
            magnum_cert_ref: set(&refs.magnum),
            etcd_ca_cert_ref: set(&refs.etcd_ca),
            front_proxy_ca_cert_ref: set(&refs.front_proxy_ca),
            ..Default::default()
        };
        retry(|| async {
            let tx = self.begin().await?;
            self.update_cluster_row(&tx, cluster_uuid, row.clone()).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Changes the columns that are set in `row`, and `updated_at`.
    pub(crate) async fn update_cluster_row(
        &self,
        db: &impl ConnectionTrait,
        cluster_uuid: Uuid,
        mut row: cluster::ActiveModel,
    ) -> Result<()> {
        row.updated_at = Set(naive(Some(self.upstream_now())));
        let updated = cluster::Entity::update_many()
            .set(self.fitting(row)?)
            .filter(self.is(cluster::Column::Uuid, cluster_uuid))
            .exec(db)
            .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::not_found(RESOURCE, cluster_uuid));
        }
        Ok(())
    }

    /// The clusters of a scope. Rows without a UUID can't be named, so they are no clusters.
    pub(crate) fn visible(&self, scope: &Scope) -> Select<cluster::Entity> {
        self.in_scope(self.select::<cluster::Entity>(), scope)
    }

    /// Reads a cluster within a transaction.
    pub(crate) async fn find_cluster(&self, tx: &DatabaseTransaction, uuid: Uuid) -> Result<Cluster> {
        let select = self.by_ident(self.visible(&Scope::All), &Ident::Uuid(uuid)).into_model::<Read<Option<Cluster>>>();
        let row = select.one(tx).await?;
        row.and_then(|Read(cluster)| cluster).ok_or_else(|| StoreError::not_found(RESOURCE, uuid))
    }

    /// Of a query, the clusters of a scope.
    pub(crate) fn in_scope(&self, select: Select<cluster::Entity>, scope: &Scope) -> Select<cluster::Entity> {
        let select = self.nameable(select.filter(cluster::Column::Uuid.is_not_null()), cluster::Column::Uuid);
        match scope {
            Scope::All => select,
            Scope::Project(project) => select.filter(cluster::Column::ProjectId.eq(project)),
        }
    }

    async fn count(&self, db: &impl ConnectionTrait, project_id: &str) -> Result<u64> {
        let clusters = cluster::Entity::find().select_only().column(cluster::Column::Id);
        Ok(self.in_scope(clusters, &Scope::Project(project_id.to_owned())).count(db).await?)
    }

    fn by_ident(&self, select: Select<cluster::Entity>, ident: &Ident) -> Select<cluster::Entity> {
        let select = match ident {
            Ident::Uuid(uuid) => select.filter(self.is(cluster::Column::Uuid, *uuid)),
            Ident::Name(name) => select.filter(cluster::Column::Name.eq(name)),
            Ident::Id(id) => select.filter(cluster::Column::Id.eq(*id)),
        };
        select.order_by_asc(cluster::Column::Id)
    }

    /// Numbers of clusters and nodes, of one project or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stats(&self, project_id: Option<&str>) -> Result<Stats> {
        let clusters = cluster::Entity::find().select_only().column(cluster::Column::Id);
        let mut clusters = self.in_scope(clusters, &Scope::All);
        let nodes = self.nameable(nodegroup::Entity::find(), nodegroup::Column::Uuid);
        let mut nodes = self.nameable(nodes, nodegroup::Column::ClusterId);
        if let Some(project_id) = project_id {
            clusters = clusters.filter(cluster::Column::ProjectId.eq(project_id));
            nodes = nodes.filter(nodegroup::Column::ProjectId.eq(project_id));
        }
        let sum = Func::coalesce([nodegroup::Column::NodeCount.sum(), Expr::val(0)]);
        let integer = if self.backend() == Backend::MySql { "signed" } else { "bigint" };
        let sum = Func::cast_as(sum, Alias::new(integer));
        let nodes: Option<i64> = nodes.select_only().expr(sum).into_tuple().one(self.read()).await?;
        let clusters = clusters.count(self.read()).await?;
        Ok(Stats { clusters: i64::try_from(clusters).unwrap_or(i64::MAX), nodes: nodes.unwrap_or(0) })
    }
}

/// The UUID in a row; without one it can't be named. `None`, with a warning: such a row must not break the list it is in.
fn read_uuid(id: i64, text: Option<&str>) -> Option<Uuid> {
    let uuid = text.and_then(uuid_column::read);
    if uuid.is_none() {
        tracing::warn!(id, uuid = text, "cluster left out: its UUID is none");
    }
    uuid
}

fn read_status(row: &mut RowReader<'_>) -> std::result::Result<ClusterStatus, DbErr> {
    Ok(ClusterStatus::from_str(row.text()?.unwrap_or_default()).unwrap_or_else(|never| match never {}))
}

/// In the order of the entity; nulls are read as upstream's objects read them.
impl FromRow for Option<Cluster> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let id = row.key()?;
        let (created_at, updated_at) = (row.time()?, row.time()?);
        let (project_id, user_id) = (row.string()?, row.string()?);
        let Some(uuid) = read_uuid(id, row.text()?) else { return Ok(None) };
        Ok(Some(Cluster {
            id,
            created_at,
            updated_at,
            project_id: project_id.unwrap_or_default(),
            user_id: user_id.unwrap_or_default(),
            uuid,
            name: row.string()?,
            cluster_template_id: uuid_column::canonical(row.string()?.unwrap_or_default()),
            keypair: row.string()?,
            docker_volume_size: row.integer()?,
            labels: json::read_labels(row.text()?, "cluster.labels"),
            master_flavor_id: row.string()?,
            flavor_id: row.string()?,
            stack_id: row.string()?,
            api_address: row.string()?,
            status: read_status(row)?,
            status_reason: row.string()?,
            health_status: row.string()?.map(HealthStatus::from),
            health_status_reason: json::read_labels(row.text()?, "cluster.health_status_reason"),
            create_timeout: row.integer()?,
            discovery_url: row.string()?,
            coe_version: row.string()?,
            container_version: row.string()?,
            ca_cert_ref: row.string()?,
            magnum_cert_ref: row.string()?,
            etcd_ca_cert_ref: row.string()?,
            front_proxy_ca_cert_ref: row.string()?,
            fixed_network: row.string()?,
            fixed_subnet: row.string()?,
            floating_ip_enabled: row.maybe_flag()?,
            master_lb_enabled: row.flag()?,
        }))
    }
}

/// What a list shows of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSummary {
    /// Identity in the API.
    pub uuid: Uuid,
    /// Name; not unique.
    pub name: Option<String>,
    /// UUID of the template.
    pub cluster_template_id: String,
    /// Key pair for the nodes.
    pub keypair: Option<String>,
    /// GB.
    pub docker_volume_size: Option<i32>,
    /// Effective labels.
    pub labels: LabelsText,
    /// Flavor of masters.
    pub master_flavor_id: Option<String>,
    /// Flavor of workers.
    pub flavor_id: Option<String>,
    /// Minutes a create may take.
    pub create_timeout: Option<i32>,
    /// Identifier at the infrastructure.
    pub stack_id: Option<String>,
    /// Where its life stands.
    pub status: ClusterStatus,
    /// What the last health check said.
    pub health_status: Option<HealthStatus>,
}

/// The columns of a [`ClusterSummary`], in the order in which they are read. MariaDB describes every column of every
/// answer again, so those that nobody looks at cost as much as the others.
const SUMMARY: [cluster::Column; 13] = [
    cluster::Column::Id,
    cluster::Column::Uuid,
    cluster::Column::Name,
    cluster::Column::ClusterTemplateId,
    cluster::Column::Keypair,
    cluster::Column::DockerVolumeSize,
    cluster::Column::Labels,
    cluster::Column::MasterFlavorId,
    cluster::Column::FlavorId,
    cluster::Column::CreateTimeout,
    cluster::Column::StackId,
    cluster::Column::Status,
    cluster::Column::HealthStatus,
];

impl FromRow for Option<ClusterSummary> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let id = row.key()?;
        let Some(uuid) = read_uuid(id, row.text()?) else { return Ok(None) };
        Ok(Some(ClusterSummary {
            uuid,
            name: row.string()?,
            cluster_template_id: uuid_column::canonical(row.string()?.unwrap_or_default()),
            keypair: row.string()?,
            docker_volume_size: row.integer()?,
            labels: LabelsText::read(row.text()?, "cluster.labels"),
            master_flavor_id: row.string()?,
            flavor_id: row.string()?,
            create_timeout: row.integer()?,
            stack_id: row.string()?,
            status: read_status(row)?,
            health_status: row.string()?.map(HealthStatus::from),
        }))
    }
}

fn to_row(cluster: &Cluster) -> cluster::ActiveModel {
    let c = cluster.clone();
    cluster::ActiveModel {
        id: NotSet,
        created_at: Set(naive(c.created_at)),
        updated_at: Set(naive(c.updated_at)),
        project_id: Set(Some(c.project_id)),
        user_id: Set(Some(c.user_id)),
        uuid: Set(Some(c.uuid.to_string())),
        name: Set(c.name),
        cluster_template_id: Set(Some(c.cluster_template_id)),
        keypair: Set(c.keypair),
        docker_volume_size: Set(c.docker_volume_size),
        labels: Set(Some(json::write(&c.labels))),
        master_flavor_id: Set(c.master_flavor_id),
        flavor_id: Set(c.flavor_id),
        stack_id: Set(c.stack_id),
        api_address: Set(c.api_address),
        status: Set(Some(c.status.into())),
        status_reason: Set(c.status_reason),
        health_status: Set(c.health_status.map(String::from)),
        health_status_reason: Set(Some(json::write(&c.health_status_reason))),
        create_timeout: Set(c.create_timeout),
        discovery_url: Set(c.discovery_url),
        coe_version: Set(c.coe_version),
        container_version: Set(c.container_version),
        ca_cert_ref: Set(c.ca_cert_ref),
        magnum_cert_ref: Set(c.magnum_cert_ref),
        etcd_ca_cert_ref: Set(c.etcd_ca_cert_ref),
        front_proxy_ca_cert_ref: Set(c.front_proxy_ca_cert_ref),
        fixed_network: Set(c.fixed_network),
        fixed_subnet: Set(c.fixed_subnet),
        floating_ip_enabled: Set(c.floating_ip_enabled),
        master_lb_enabled: Set(Some(c.master_lb_enabled)),
    }
}
