//! The first rows.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::{Grant, IdentityTables, Project, Role, User, grant, project, role, user};
use crate::{Result, StoreError};

/// Roles, projects, users and grants of an empty service.
#[derive(Debug, Clone, Default)]
pub struct FirstStart {
    /// Roles. The first one marks that all of this has been done.
    pub roles: Vec<Role>,
    /// Projects.
    pub projects: Vec<Project>,
    /// Users.
    pub users: Vec<User>,
    /// Who has which role where.
    pub grants: Vec<Grant>,
}

impl IdentityTables {
    /// Whether there is a role of this name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_role_named(&self, name: &str) -> Result<bool> {
        let query = role::row::Entity::find().filter(role::row::Column::Name.eq(name));
        Ok(query.count(self.store.read()).await? > 0)
    }

    /// Writes everything in one transaction, or nothing if somebody else has done so. Says which.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_start(&self, first: &FirstStart) -> Result<bool> {
        let written = crate::transaction::retry(async || {
            let tx = self.begin().await?;
            for role in &first.roles {
                role::insert(&tx, role).await?;
            }
            for project in &first.projects {
                project::insert(&tx, project).await?;
            }
            for user in &first.users {
                user::insert(&tx, user).await?;
            }
            for grant in &first.grants {
                grant::insert(&tx, grant).await?;
            }
            tx.commit().await?;
            Ok(())
        });
        match written.await {
            Ok(()) => Ok(true),
            Err(StoreError::Duplicate { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
