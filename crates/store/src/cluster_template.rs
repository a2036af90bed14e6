//! Cluster templates.

use magnum_domain::{ClusterTemplate, Labels};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use uuid::Uuid;

use crate::entity::{cluster, cluster_template};
use crate::error::is_duplicate;
use crate::page::{chunks, filled_up, paged, start_query};
use crate::row::naive;
use crate::row_reader::{FromRow, Read, RowReader};
use crate::transaction::{LockScope, retry};
use crate::{Ident, LabelsText, Page, Result, Store, StoreError, json, uuid_column};

/// Its name in errors.
pub(crate) const RESOURCE: &str = "ClusterTemplate";

/// Which templates a request may see (rest-api §4.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visibility {
    /// The requester's project; its templates are seen, hidden ones too.
    pub project_id: Option<String>,
    /// Whether those of every project are seen, hidden ones too.
    pub admin: bool,
    /// Whether public templates are seen although they are hidden.
    pub include_hidden: bool,
}

impl Visibility {
    fn select(&self, store: &Store) -> Select<cluster_template::Entity> {
        let select = store.select::<cluster_template::Entity>().filter(cluster_template::Column::Uuid.is_not_null());
        let select = store.nameable(select, cluster_template::Column::Uuid);
        match self.condition() {
            None => select,
            Some(seen) => select.filter(seen),
        }
    }

    /// What a template must be to be seen; nothing where all are.
    fn condition(&self) -> Option<Condition> {
        if self.admin {
            return None;
        }
        let mut public = Condition::all().add(cluster_template::Column::Public.eq(true));
        if !self.include_hidden {
            // Not true of null, as upstream has it: who has not said is taken not to want others to see it.
            public = public.add(cluster_template::Column::Hidden.eq(false));
        }
        let mut seen = Condition::any().add(public);
        if let Some(project) = &self.project_id {
            seen = seen.add(cluster_template::Column::ProjectId.eq(project));
        }
        Some(seen)
    }
}

/// A template beside the answer to whether it is seen.
struct Asked<L>(ClusterTemplate<L>, bool);

impl<L: FromColumn> FromRow for Option<Asked<L>> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let Some(template) = Option::from_row(row)? else { return Ok(None) };
        Ok(Some(Asked(template, row.flag()?)))
    }
}

impl Store {
    /// One page of templates.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_templates(
        &self,
        visibility: &Visibility,
        page: &Page,
    ) -> Result<Vec<ClusterTemplate<LabelsText>>> {
        let sort = self.sort_column::<cluster_template::Entity>(page)?;
        let id = cluster_template::Column::Id;
        let start = match &page.marker {
            None => None,
            Some(marker) => {
                let is_marker = Condition::all().add(self.is_text(cluster_template::Column::Uuid, marker));
                let found: Option<(i32, bool)> =
                    start_query(visibility.select(self), id, sort, is_marker).into_tuple().one(self.read()).await?;
                Some(found.ok_or_else(|| StoreError::not_found(RESOURCE, marker))?.into())
            }
        };
        let select =
            paged(visibility.select(self), id, sort, page, start).into_model::<Read<Option<ClusterTemplate<_>>>>();
        Ok(select.all(self.read()).await?.into_iter().filter_map(|Read(template)| template).collect())
    }

    /// One template by UUID, name or key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Ambiguous`] when several have that name.
    pub async fn get_template(&self, visibility: &Visibility, ident: &Ident) -> Result<ClusterTemplate> {
        self.find_template(visibility, ident).await
    }

    /// As [`Self::get_template`], to be passed on as it is.
    ///
    /// # Errors
    /// The same.
    pub async fn get_shown_template(
        &self,
        visibility: &Visibility,
        ident: &Ident,
    ) -> Result<ClusterTemplate<LabelsText>> {
        self.find_template(visibility, ident).await
    }

    async fn find_template<L: FromColumn>(&self, visibility: &Visibility, ident: &Ident) -> Result<ClusterTemplate<L>> {
        let select = match ident {
            Ident::Uuid(uuid) => {
                let mut found = self.template_by_uuid(visibility, *uuid).await?;
                let column = cluster_template::Column::Uuid;
                if found.is_none() && !self.has_odd_uuids(column) {
                    // Upstream may run beside us, and take a template in another spelling at any time.
                    self.look_for_odd_uuids().await?;
                    if self.has_odd_uuids(column) {
                        found = self.template_by_uuid(visibility, *uuid).await?;
                    }
                }
                return found.ok_or_else(|| StoreError::not_found(RESOURCE, ident));
            }
            Ident::Name(name) => visibility.select(self).filter(cluster_template::Column::Name.eq(name)),
            Ident::Id(id) => visibility.select(self).filter(cluster_template::Column::Id.eq(*id)),
        };
        let select = select.order_by_asc(cluster_template::Column::Id).limit(2);
        let mut rows = select.into_model::<Read<Option<ClusterTemplate<_>>>>().all(self.read()).await?;
        if rows.len() > 1 {
            return Err(StoreError::Ambiguous { resource: RESOURCE });
        }
        rows.pop().and_then(|Read(template)| template).ok_or_else(|| StoreError::not_found(RESOURCE, ident))
    }

    /// A template that is seen. Who sees it is asked as a column: as a condition it makes MariaDB plan what is one row by
    /// its key, and costs a fifth of the query.
    async fn template_by_uuid<L: FromColumn>(
        &self,
        visibility: &Visibility,
        uuid: Uuid,
    ) -> Result<Option<ClusterTemplate<L>>> {
        let select = self.select::<cluster_template::Entity>();
        let select = select.filter(self.is(cluster_template::Column::Uuid, uuid));
        let seen = visibility.condition().map_or_else(|| Expr::val(true), Expr::from);
        let found = select.column_as(seen, "seen").into_model::<Read<Option<Asked<L>>>>().one(self.read()).await?;
        Ok(found.and_then(|Read(row)| row).and_then(|Asked(template, is_seen)| is_seen.then_some(template)))
    }

    /// The templates of clusters, whoever may see them: hiding one must not break reads of clusters made from it.
    /// In no particular order; unknown UUIDs are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn templates_by_uuid(&self, uuids: &[String]) -> Result<Vec<ClusterTemplate>> {
        let mut templates = Vec::with_capacity(uuids.len());
        let uuids: Vec<Uuid> = uuids.iter().filter_map(|text| uuid_column::read(text)).collect();
        for chunk in chunks(&uuids) {
            let rows = self
                .select::<cluster_template::Entity>()
                .filter(self.is_any(cluster_template::Column::Uuid, filled_up(chunk).copied()))
                .into_model::<Read<Option<ClusterTemplate>>>()
                .all(self.read())
                .await?;
            templates.extend(rows.into_iter().filter_map(|Read(template)| template));
        }
        Ok(templates)
    }

    /// Writes a new template. `id`, `created_at` and `updated_at` are given by the store.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] for a UUID that is taken.
    pub async fn create_template(&self, template: &ClusterTemplate) -> Result<ClusterTemplate> {
        // The unique column keeps one spelling from being there twice, and not two.
        let everybody = Visibility { admin: true, ..Visibility::default() };
        if self.has_odd_uuids(cluster_template::Column::Uuid)
            && self.template_by_uuid::<LabelsText>(&everybody, template.uuid).await?.is_some()
        {
            return Err(StoreError::Duplicate { resource: RESOURCE, ident: template.uuid.to_string() });
        }
        let mut made = template.clone();
        made.created_at = Some(self.upstream_now());
        made.updated_at = None;
        let inserted = retry(|| async {
            cluster_template::Entity::insert(self.fitting(to_row(&made))?).exec(self.write()).await.map_err(|error| {
                if is_duplicate(&error) {
                    StoreError::Duplicate { resource: RESOURCE, ident: template.uuid.to_string() }
                } else {
                    error.into()
                }
            })
        })
        .await?;
        made.id = inserted.last_insert_id.into();
        Ok(made)
    }

    /// Writes the columns in which `after` differs from `before`. While clusters use the template that is allowed only
    /// when exactly one thing changes: the name, `public` to true, `hidden`, or `tags` to something; not even when
    /// nothing changes (rest-api §4.3).
    ///
    /// # Errors
    /// [`StoreError::TemplateInUse`]; [`StoreError::NotFound`].
    pub async fn update_template(&self, before: &ClusterTemplate, after: &ClusterTemplate) -> Result<ClusterTemplate> {
        let changed = difference(before, after);
        retry(|| async {
            let tx = self.begin().await?;
            let uuid = before.uuid.to_string();
            if !changed.harmless {
                self.lock(&tx, LockScope::Template(&uuid)).await?;
                self.refuse_if_used(&tx, before.uuid).await?;
            }
            if changed.is_empty {
                tx.commit().await?;
                return Ok(before.clone());
            }
            let mut row = changed.row.clone();
            row.updated_at = Set(naive(Some(self.upstream_now())));
            cluster_template::Entity::update_many()
                .set(self.fitting(row)?)
                .filter(self.is(cluster_template::Column::Uuid, before.uuid))
                .exec(&tx)
                .await?;
            let row = self
                .select::<cluster_template::Entity>()
                .filter(self.is(cluster_template::Column::Uuid, before.uuid))
                .into_model::<Read<Option<ClusterTemplate>>>()
                .one(&tx)
                .await?;
            let updated =
                row.and_then(|Read(template)| template).ok_or_else(|| StoreError::not_found(RESOURCE, before.uuid))?;
            tx.commit().await?;
            Ok(updated)
        })
        .await
    }

    async fn refuse_if_used(&self, db: &impl ConnectionTrait, uuid: Uuid) -> Result<()> {
        let clusters = cluster::Entity::find().select_only().column(cluster::Column::Id);
        let users = clusters.filter(self.is(cluster::Column::ClusterTemplateId, uuid)).count(db).await?;
        if users > 0 { Err(StoreError::TemplateInUse { uuid }) } else { Ok(()) }
    }

    /// Deletes a template that no cluster uses.
    ///
    /// # Errors
    /// [`StoreError::TemplateInUse`]; [`StoreError::NotFound`].
    pub async fn delete_template(&self, uuid: Uuid) -> Result<()> {
        retry(|| async {
            let tx = self.begin().await?;
            let text = uuid.to_string();
            self.lock(&tx, LockScope::Template(&text)).await?;
            self.refuse_if_used(&tx, uuid).await?;
            let deleted = cluster_template::Entity::delete_many()
                .filter(self.is(cluster_template::Column::Uuid, uuid))
                .exec(&tx)
                .await?;
            if deleted.rows_affected == 0 {
                return Err(StoreError::not_found(RESOURCE, uuid));
            }
            self.forget_lock(&tx, LockScope::Template(&text)).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// What an update writes.
struct Difference {
    row: cluster_template::ActiveModel,
    /// Whether it is one of the changes that clusters don't mind.
    harmless: bool,
    /// Whether there is nothing to write.
    is_empty: bool,
}

fn difference(before: &ClusterTemplate, after: &ClusterTemplate) -> Difference {
    let new = to_row(after);
    let mut row = cluster_template::ActiveModel { ..Default::default() };
    let mut changed = Vec::new();
    macro_rules! compare {
        ($($field:ident),+ $(,)?) => {$(
            if before.$field != after.$field {
                row.$field = new.$field;
                changed.push(stringify!($field));
            }
        )+};
    }
    compare!(
        name,
        coe,
        image_id,
        flavor_id,
        master_flavor_id,
        keypair_id,
        external_network_id,
        fixed_network,
        fixed_subnet,
        network_driver,
        volume_driver,
        dns_nameserver,
        apiserver_port,
        docker_volume_size,
        docker_storage_driver,
        cluster_distro,
        http_proxy,
        https_proxy,
        no_proxy,
        registry_enabled,
        labels,
        tls_disabled,
        public,
        server_type,
        insecure_registry,
        master_lb_enabled,
        floating_ip_enabled,
        hidden,
        tags,
        driver,
    );
    let harmless = match changed.as_slice() {
        ["name" | "hidden"] => true,
        ["public"] => after.public,
        ["tags"] => after.tags.is_some(),
        _ => false,
    };
    Difference { row, harmless, is_empty: changed.is_empty() }
}

/// Labels as they are read from their column.
trait FromColumn: Send + Sync {
    fn from_column(text: Option<&str>) -> Self;
}

impl FromColumn for Labels {
    fn from_column(text: Option<&str>) -> Self {
        json::read_labels(text, "cluster_template.labels")
    }
}

impl FromColumn for LabelsText {
    fn from_column(text: Option<&str>) -> Self {
        Self::read(text, "cluster_template.labels")
    }
}

/// In the order of the entity; nulls are read as upstream's objects read them. `None`, with a warning, for a row whose
/// UUID is none: it must not break the list it is in.
impl<L: FromColumn> FromRow for Option<ClusterTemplate<L>> {
    fn from_row(row: &mut RowReader<'_>) -> std::result::Result<Self, DbErr> {
        let id = row.key()?;
        let (created_at, updated_at) = (row.time()?, row.time()?);
        let text = row.text()?;
        let Some(uuid) = text.and_then(uuid_column::read) else {
            tracing::warn!(id, uuid = text, "cluster template left out: its UUID is none");
            return Ok(None);
        };
        Ok(Some(ClusterTemplate {
            id,
            created_at,
            updated_at,
            uuid,
            project_id: row.string()?.unwrap_or_default(),
            user_id: row.string()?.unwrap_or_default(),
            name: row.string()?,
            image_id: row.string()?,
            flavor_id: row.string()?,
            master_flavor_id: row.string()?,
            keypair_id: row.string()?,
            external_network_id: row.string()?,
            fixed_network: row.string()?,
            fixed_subnet: row.string()?,
            network_driver: row.string()?,
            volume_driver: row.string()?,
            dns_nameserver: row.string()?,
            apiserver_port: row.integer()?,
            docker_volume_size: row.integer()?,
            docker_storage_driver: row.string()?,
            cluster_distro: row.string()?,
            coe: row.string()?.unwrap_or_default(),
            http_proxy: row.string()?,
            https_proxy: row.string()?,
            no_proxy: row.string()?,
            registry_enabled: row.flag()?,
            labels: L::from_column(row.text()?),
            tls_disabled: row.flag()?,
            public: row.flag()?,
            server_type: row.string()?.unwrap_or_else(|| "vm".to_owned()),
            insecure_registry: row.string()?,
            master_lb_enabled: row.flag()?,
            floating_ip_enabled: row.maybe_flag()?,
            hidden: row.flag()?,
            tags: row.string()?,
            driver: row.string()?,
        }))
    }
}

fn to_row(template: &ClusterTemplate) -> cluster_template::ActiveModel {
    let t = template.clone();
    cluster_template::ActiveModel {
        id: NotSet,
        created_at: Set(naive(t.created_at)),
        updated_at: Set(naive(t.updated_at)),
        uuid: Set(Some(t.uuid.to_string())),
        project_id: Set(Some(t.project_id)),
        user_id: Set(Some(t.user_id)),
        name: Set(t.name),
        image_id: Set(t.image_id),
        flavor_id: Set(t.flavor_id),
        master_flavor_id: Set(t.master_flavor_id),
        keypair_id: Set(t.keypair_id),
        external_network_id: Set(t.external_network_id),
        fixed_network: Set(t.fixed_network),
        fixed_subnet: Set(t.fixed_subnet),
        network_driver: Set(t.network_driver),
        volume_driver: Set(t.volume_driver),
        dns_nameserver: Set(t.dns_nameserver),
        apiserver_port: Set(t.apiserver_port),
        docker_volume_size: Set(t.docker_volume_size),
        docker_storage_driver: Set(t.docker_storage_driver),
        cluster_distro: Set(t.cluster_distro),
        coe: Set(Some(t.coe)),
        http_proxy: Set(t.http_proxy),
        https_proxy: Set(t.https_proxy),
        no_proxy: Set(t.no_proxy),
        registry_enabled: Set(Some(t.registry_enabled)),
        labels: Set(Some(json::write(&t.labels))),
        tls_disabled: Set(Some(t.tls_disabled)),
        public: Set(Some(t.public)),
        server_type: Set(Some(t.server_type)),
        insecure_registry: Set(t.insecure_registry),
        master_lb_enabled: Set(Some(t.master_lb_enabled)),
        floating_ip_enabled: Set(t.floating_ip_enabled),
        hidden: Set(Some(t.hidden)),
        tags: Set(t.tags),
        driver: Set(t.driver),
    }
}
