//! Quotas.

use magnum_domain::quota::Quota;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use crate::entity::quota;
use crate::error::is_duplicate;
use crate::page::{paged, sort_column, start_query};
use crate::row::{naive, utc_opt};
use crate::transaction::retry;
use crate::{Page, Result, Store, StoreError};

const RESOURCE: &str = "Quota";

impl Store {
    /// One page of quotas, of one project or of all; the marker is the integer id.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`]; [`StoreError::InvalidMarker`]; [`StoreError::NotFound`] for an unknown marker.
    pub async fn list_quotas(&self, project_id: Option<&str>, page: &Page) -> Result<Vec<Quota>> {
        let sort = sort_column::<quota::Entity>(page)?;
        let select = || match project_id {
            None => quota::Entity::find(),
            Some(project) => quota::Entity::find().filter(quota::Column::ProjectId.eq(project)),
        };
        let start = match &page.marker {
            None => None,
            Some(marker) => {
                let id: i32 = marker.parse().map_err(|_| StoreError::InvalidMarker)?;
                let is_marker = Condition::all().add(quota::Column::Id.eq(id));
                let found: Option<(i32, bool)> =
                    start_query(select(), quota::Column::Id, sort, is_marker).into_tuple().one(self.read()).await?;
                Some(found.ok_or_else(|| StoreError::not_found(RESOURCE, marker))?.into())
            }
        };
        let rows = paged(select(), quota::Column::Id, sort, page, start).all(self.read()).await?;
        Ok(rows.into_iter().map(from_row).collect())
    }

    /// The quota of a project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no row; the default holds then.
    pub async fn get_quota(&self, project_id: &str, resource: &str) -> Result<Quota> {
        let row = quota::Entity::find().filter(is(project_id, resource)).one(self.read()).await?;
        row.map(from_row).ok_or_else(|| missing(project_id, resource))
    }

    /// Writes a quota.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the project has one.
    pub async fn create_quota(&self, project_id: &str, resource: &str, hard_limit: i32) -> Result<Quota> {
        let now = self.upstream_now();
        let row = quota::ActiveModel {
            id: NotSet,
            created_at: Set(naive(Some(now))),
            updated_at: Set(None),
            project_id: Set(Some(project_id.to_owned())),
            resource: Set(Some(resource.to_owned())),
            hard_limit: Set(hard_limit),
        };
        let inserted = retry(|| async {
            quota::Entity::insert(row.clone()).exec(self.write()).await.map_err(|error| {
                if is_duplicate(&error) {
                    StoreError::Duplicate { resource: RESOURCE, ident: project_id.to_owned() }
                } else {
                    error.into()
                }
            })
        })
        .await?;
        Ok(Quota {
            id: inserted.last_insert_id.into(),
            project_id: project_id.to_owned(),
            resource: resource.to_owned(),
            hard_limit,
            created_at: Some(now),
            updated_at: None,
        })
    }

    /// Changes a quota.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_quota(&self, project_id: &str, resource: &str, hard_limit: i32) -> Result<Quota> {
        let row = quota::ActiveModel {
            hard_limit: Set(hard_limit),
            updated_at: Set(naive(Some(self.upstream_now()))),
            ..Default::default()
        };
        let update = quota::Entity::update_many().set(row).filter(is(project_id, resource));
        retry(|| async { Ok(update.clone().exec(self.write()).await?) }).await?;
        self.get_quota(project_id, resource).await
    }

    /// Removes a quota; the default holds from then on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_quota(&self, project_id: &str, resource: &str) -> Result<()> {
        let delete = quota::Entity::delete_many().filter(is(project_id, resource));
        let deleted = retry(|| async { Ok(delete.clone().exec(self.write()).await?) }).await?;
        if deleted.rows_affected == 0 {
            return Err(missing(project_id, resource));
        }
        Ok(())
    }
}

fn is(project_id: &str, resource: &str) -> Condition {
    Condition::all().add(quota::Column::ProjectId.eq(project_id)).add(quota::Column::Resource.eq(resource))
}

fn missing(project_id: &str, resource: &str) -> StoreError {
    StoreError::not_found(RESOURCE, format!("project_id {project_id} resource {resource}"))
}

fn from_row(row: quota::Model) -> Quota {
    Quota {
        id: row.id.into(),
        project_id: row.project_id.unwrap_or_default(),
        resource: row.resource.unwrap_or_else(|| magnum_domain::quota::CLUSTER.to_owned()),
        hard_limit: row.hard_limit,
        created_at: utc_opt(row.created_at),
        updated_at: utc_opt(row.updated_at),
    }
}
