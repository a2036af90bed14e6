//! The ledger.

use magnum_domain::{Resource, ResourceState, now};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use crate::entity::resource;
use crate::row::{corrupt, utc, uuid};
use crate::transaction::retry;
use crate::{Result, Store, StoreError, json};

const RESOURCE: &str = "Resource";
const TABLE: &str = "conductor_resource";

impl Store {
    /// Everything that was made for a cluster, in the order it was planned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resources(&self, cluster: Uuid) -> Result<Vec<Resource>> {
        let rows = resource::Entity::find()
            .filter(resource::Column::ClusterUuid.eq(cluster.to_string()))
            .order_by_asc(resource::Column::Id)
            .all(self.read())
            .await?;
        rows.into_iter().map(from_row).collect()
    }

    /// Writes down that a thing is about to be made. Where (cluster, kind, name) is in the ledger already, that row is
    /// planned anew with these attributes and keeps its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plan_resource(
        &self,
        cluster: Uuid,
        node: Option<Uuid>,
        kind: &str,
        name: &str,
        attributes: &Value,
    ) -> Result<Resource> {
        use resource::Column::{Attributes, ClusterUuid, Kind, Name, NodeUuid, State};
        let row = resource::ActiveModel {
            id: NotSet,
            cluster_uuid: Set(cluster.to_string()),
            node_uuid: Set(node.map(|uuid| uuid.to_string())),
            kind: Set(kind.to_owned()),
            name: Set(name.to_owned()),
            attributes: Set(json::write(attributes)),
            state: Set(ResourceState::Planned.as_str().to_owned()),
            created_at: Set(now().naive_utc()),
        };
        let again =
            OnConflict::columns([ClusterUuid, Kind, Name]).update_columns([NodeUuid, Attributes, State]).to_owned();
        let this = Condition::all().add(ClusterUuid.eq(cluster.to_string())).add(Kind.eq(kind)).add(Name.eq(name));
        retry(|| async {
            let tx = self.begin().await?;
            resource::Entity::insert(row.clone()).on_conflict(again.clone()).exec_without_returning(&tx).await?;
            let row = resource::Entity::find().filter(this.clone()).one(&tx).await?;
            tx.commit().await?;
            from_row(row.ok_or_else(|| StoreError::not_found(RESOURCE, name))?)
        })
        .await
    }

    /// Writes down that a planned thing was made, with what is known of it now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn resource_made(&self, id: i64, attributes: &Value) -> Result<()> {
        let row = resource::ActiveModel {
            attributes: Set(json::write(attributes)),
            state: Set(ResourceState::Made.as_str().to_owned()),
            ..Default::default()
        };
        let update = resource::Entity::update_many().set(row).filter(resource::Column::Id.eq(id));
        let updated = retry(|| async {
            let tx = self.begin().await?;
            let updated = update.clone().exec(&tx).await?;
            tx.commit().await?;
            Ok(updated)
        })
        .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::not_found(RESOURCE, id));
        }
        Ok(())
    }

    /// Strikes a thing that is gone from the ledger; one that is struck already is no error.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_resource(&self, id: i64) -> Result<()> {
        retry(|| async {
            let tx = self.begin().await?;
            resource::Entity::delete_by_id(id).exec(&tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// The clusters for which anything is in the ledger.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_clusters_with_resources(&self) -> Result<Vec<Uuid>> {
        let clusters: Vec<String> = resource::Entity::find()
            .select_only()
            .column(resource::Column::ClusterUuid)
            .distinct()
            .order_by_asc(resource::Column::ClusterUuid)
            .into_tuple()
            .all(self.read())
            .await?;
        clusters.iter().map(|text| uuid(TABLE, "cluster_uuid", text, text)).collect()
    }
}

fn from_row(row: resource::Model) -> Result<Resource> {
    let id = row.id;
    Ok(Resource {
        id,
        cluster_uuid: uuid(TABLE, "cluster_uuid", id, &row.cluster_uuid)?,
        node_uuid: row.node_uuid.map(|text| uuid(TABLE, "node_uuid", id, &text)).transpose()?,
        kind: row.kind,
        name: row.name,
        attributes: serde_json::from_str(&row.attributes)
            .map_err(|_| corrupt(TABLE, "attributes", id, &row.attributes))?,
        state: ResourceState::from_word(&row.state).ok_or_else(|| corrupt(TABLE, "state", id, &row.state))?,
        created_at: utc(row.created_at),
    })
}
