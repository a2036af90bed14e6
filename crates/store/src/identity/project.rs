//! Projects.

use magnum_domain::Timestamp;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Extra, GrantScope, IdentityTables, ListPage, duplicate, grant, merge, token};
use crate::page::chunks;
use crate::{Result, StoreError, json};

pub(super) mod row {
    #![allow(unreachable_pub)]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_project")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub name: String,
        pub description: String,
        pub enabled: bool,
        pub tags: String,
        pub extra: String,
        pub created_at: DateTime,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A project.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Random.
    pub id: String,
    /// Unique, exactly as spelled.
    pub name: String,
    /// For people; may be empty.
    pub description: String,
    /// Whether tokens can be scoped to it.
    pub enabled: bool,
    /// Labels that lists can be filtered by.
    pub tags: Vec<String>,
    /// What else a client wants to have kept.
    pub extra: Extra,
    /// When the row was made.
    pub created_at: Timestamp,
}

impl From<row::Model> for Project {
    fn from(row: row::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            enabled: row.enabled,
            tags: json::read(Some(&row.tags), "tags"),
            extra: json::read(Some(&row.extra), "extra"),
            created_at: row.created_at.and_utc(),
        }
    }
}

/// Which projects.
#[derive(Debug, Clone, Default)]
pub struct ProjectFilter {
    /// Of this name.
    pub name: Option<String>,
    /// Enabled or disabled ones.
    pub enabled: Option<bool>,
    /// In which this user has a role.
    pub of_user: Option<String>,
}

/// What changes; absent is left as it is.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// Disabling ends the tokens that are scoped to the project.
    pub enabled: Option<bool>,
    /// New tags.
    pub tags: Option<Vec<String>>,
    /// Merged into what is kept; null removes.
    pub extra: Extra,
}

impl IdentityTables {
    /// Projects in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::InvalidMarker`]; those of the database.
    pub async fn projects(&self, filter: &ProjectFilter, page: &ListPage) -> Result<Vec<Project>> {
        let mut select = row::Entity::find().order_by_asc(row::Column::Name).limit(page.limit);
        if let Some(name) = &filter.name {
            select = select.filter(row::Column::Name.eq(name));
        }
        if let Some(enabled) = filter.enabled {
            select = select.filter(row::Column::Enabled.eq(enabled));
        }
        if let Some(user) = &filter.of_user {
            select = select.filter(row::Column::Id.in_subquery(grant::projects_of(user)));
        }
        if let Some(marker) = &page.marker {
            let last = self.find_project(marker).await?.ok_or(StoreError::InvalidMarker)?;
            select = select.filter(row::Column::Name.gt(last.name));
        }
        Ok(select.all(self.store.read()).await?.into_iter().map(Project::from).collect())
    }

    /// The projects with these ids, in any order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn projects_by_id(&self, ids: &[String]) -> Result<Vec<Project>> {
        let mut projects = Vec::with_capacity(ids.len());
        for ids in chunks(ids) {
            let rows = row::Entity::find().filter(row::Column::Id.is_in(ids)).all(self.store.read()).await?;
            projects.extend(rows.into_iter().map(Project::from));
        }
        Ok(projects)
    }

    /// The project with this id, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_project(&self, id: &str) -> Result<Option<Project>> {
        Ok(row::Entity::find_by_id(id).one(self.store.read()).await?.map(Project::from))
    }

    /// The project with this name, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_project_by_name(&self, name: &str) -> Result<Option<Project>> {
        let query = row::Entity::find().filter(row::Column::Name.eq(name));
        Ok(query.one(self.store.read()).await?.map(Project::from))
    }

    /// Adds a project.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken.
    pub async fn create_project(&self, project: &Project) -> Result<()> {
        insert(self.store.write(), project).await
    }

    /// Changes a project; disabling it ends the tokens scoped to it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Duplicate`] when the new name is taken.
    pub async fn change_project(&self, id: &str, change: &ProjectChange) -> Result<Project> {
        crate::transaction::retry(async || {
            let tx = self.begin().await?;
            let row = row::Entity::find_by_id(id).lock_exclusive().one(&tx).await?;
            let row = row.ok_or_else(|| StoreError::not_found("project", id))?;
            let mut project = Project::from(row.clone());
            apply(&mut project, change.clone());
            let mut active = row.into_active_model();
            active.name = Set(project.name.clone());
            active.description = Set(project.description.clone());
            active.enabled = Set(project.enabled);
            active.tags = Set(json::write(&project.tags));
            active.extra = Set(json::write(&project.extra));
            let saved = row::Entity::update(active).exec(&tx).await;
            saved.map_err(|error| duplicate(error, "project", &project.name))?;
            if change.enabled == Some(false) {
                token::delete_scoped(&tx, &GrantScope::Project(id.to_owned())).await?;
            }
            tx.commit().await?;
            Ok(project)
        })
        .await
    }

    /// Removes a project with the roles in it, the tokens scoped to it and the application credentials for it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_project(&self, id: &str) -> Result<()> {
        crate::transaction::retry(async || {
            let tx = self.begin().await?;
            let scope = GrantScope::Project(id.to_owned());
            token::delete_scoped(&tx, &scope).await?;
            grant::delete_scoped(&tx, &scope).await?;
            let deleted = row::Entity::delete_by_id(id).exec(&tx).await?;
            if deleted.rows_affected == 0 {
                return Err(StoreError::not_found("project", id));
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

fn apply(project: &mut Project, change: ProjectChange) {
    if let Some(name) = change.name {
        project.name = name;
    }
    if let Some(description) = change.description {
        project.description = description;
    }
    if let Some(enabled) = change.enabled {
        project.enabled = enabled;
    }
    if let Some(tags) = change.tags {
        project.tags = tags;
    }
    merge(&mut project.extra, change.extra);
}

pub(super) async fn insert(connection: &impl ConnectionTrait, project: &Project) -> Result<()> {
    let row = row::ActiveModel {
        id: Set(project.id.clone()),
        name: Set(project.name.clone()),
        description: Set(project.description.clone()),
        enabled: Set(project.enabled),
        tags: Set(json::write(&project.tags)),
        extra: Set(json::write(&project.extra)),
        created_at: Set(project.created_at.naive_utc()),
    };
    let inserted = row::Entity::insert(row).exec_without_returning(connection).await;
    inserted.map_err(|error| duplicate(error, "project", &project.name))?;
    Ok(())
}
