//! Federations: rows that a database may hold from before. Nothing makes or changes one.

use magnum_domain::Federation;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::entity::federation;
use crate::page::{paged, sort_column, start_query};
use crate::row::utc_opt;
use crate::transaction::retry;
use crate::{Ident, Page, Result, Store, StoreError, json, uuid_column};

const RESOURCE: &str = "Federation";

impl Store {
    /// One page of a project's federations.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_federations(&self, project_id: &str, page: &Page) -> Result<Vec<Federation>> {
        let sort = sort_column::<federation::Entity>(page)?;
        let id = federation::Column::Id;
        let start = match &page.marker {
            None => None,
            Some(marker) => {
                let is_marker = Condition::all().add(self.is_text(federation::Column::Uuid, marker));
                let found: Option<(i32, bool)> =
                    start_query(self.of(project_id), id, sort, is_marker).into_tuple().one(self.read()).await?;
                Some(found.ok_or_else(|| StoreError::not_found(RESOURCE, marker))?.into())
            }
        };
        let rows = paged(self.of(project_id), id, sort, page, start).all(self.read()).await?;
        Ok(rows.into_iter().filter_map(from_row).collect())
    }

    /// A federation of a project by UUID or name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Ambiguous`] when several have that name.
    pub async fn get_federation(&self, project_id: &str, ident: &Ident) -> Result<Federation> {
        let is_meant = match ident {
            Ident::Uuid(uuid) => self.is(federation::Column::Uuid, *uuid),
            Ident::Name(name) => federation::Column::Name.eq(name),
            Ident::Id(id) => federation::Column::Id.eq(*id),
        };
        let select = self.of(project_id).filter(is_meant).order_by_asc(federation::Column::Id).limit(2);
        let mut rows = select.all(self.read()).await?;
        if rows.len() > 1 {
            return Err(StoreError::Ambiguous { resource: RESOURCE });
        }
        rows.pop().and_then(from_row).ok_or_else(|| StoreError::not_found(RESOURCE, ident))
    }

    /// Those of a project that can be named at all.
    fn of(&self, project_id: &str) -> Select<federation::Entity> {
        let select = federation::Entity::find()
            .filter(federation::Column::ProjectId.eq(project_id))
            .filter(federation::Column::Uuid.is_not_null());
        self.nameable(select, federation::Column::Uuid)
    }

    /// Removes a federation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_federation(&self, uuid: Uuid) -> Result<()> {
        let delete = federation::Entity::delete_many().filter(self.is(federation::Column::Uuid, uuid));
        let deleted = retry(|| async { Ok(delete.clone().exec(self.write()).await?) }).await?;
        if deleted.rows_affected == 0 {
            return Err(StoreError::not_found(RESOURCE, uuid));
        }
        Ok(())
    }
}

/// A row whose UUID is none can't be named by anybody, and is passed over like those of other tables.
fn from_row(row: federation::Model) -> Option<Federation> {
    let uuid = row.uuid.as_deref().and_then(uuid_column::read)?;
    Some(Federation {
        uuid,
        name: row.name,
        project_id: row.project_id.unwrap_or_default(),
        hostcluster_id: row.hostcluster_id,
        member_ids: json::read(row.member_ids.as_deref(), "member_ids"),
        status: row.status,
        status_reason: row.status_reason,
        properties: json::read_labels(row.properties.as_deref(), "properties"),
        created_at: utc_opt(row.created_at),
        updated_at: utc_opt(row.updated_at),
    })
}
