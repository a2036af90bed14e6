//! Roles.

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect};

use super::{IdentityTables, duplicate};
use crate::{Result, StoreError};

pub(super) mod row {
    #![allow(unreachable_pub)]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_role")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub name: String,
        pub description: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Random.
    pub id: String,
    /// Unique, exactly as spelled.
    pub name: String,
    /// For people.
    pub description: Option<String>,
}

impl From<row::Model> for Role {
    fn from(row: row::Model) -> Self {
        Self { id: row.id, name: row.name, description: row.description }
    }
}

/// What changes; absent is left as it is.
#[derive(Debug, Clone, Default)]
pub struct RoleChange {
    /// New name.
    pub name: Option<String>,
    /// New description, or none.
    pub description: Option<Option<String>>,
}

impl IdentityTables {
    /// Every role, in the order of the names. There are few.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn roles(&self) -> Result<Vec<Role>> {
        let rows = row::Entity::find().order_by_asc(row::Column::Name).all(self.store.read()).await?;
        Ok(rows.into_iter().map(Role::from).collect())
    }

    /// The role with this id, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_role(&self, id: &str) -> Result<Option<Role>> {
        Ok(row::Entity::find_by_id(id).one(self.store.read()).await?.map(Role::from))
    }

    /// Adds a role.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken.
    pub async fn create_role(&self, role: &Role) -> Result<()> {
        insert(self.store.write(), role).await
    }

    /// Changes a role.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Duplicate`] when the new name is taken.
    pub async fn change_role(&self, id: &str, change: &RoleChange) -> Result<Role> {
        crate::transaction::retry(async || {
            let tx = self.begin().await?;
            let row = row::Entity::find_by_id(id).lock_exclusive().one(&tx).await?;
            let row = row.ok_or_else(|| StoreError::not_found("role", id))?;
            let mut role = Role::from(row.clone());
            if let Some(name) = &change.name {
                role.name.clone_from(name);
            }
            if let Some(description) = &change.description {
                role.description.clone_from(description);
            }
            let mut active = row.into_active_model();
            active.name = Set(role.name.clone());
            active.description = Set(role.description.clone());
            let saved = row::Entity::update(active).exec(&tx).await;
            saved.map_err(|error| duplicate(error, "role", &role.name))?;
            tx.commit().await?;
            Ok(role)
        })
        .await
    }

    /// Removes a role from everybody.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_role(&self, id: &str) -> Result<()> {
        let delete = async || Ok(row::Entity::delete_by_id(id).exec(self.store.write()).await?);
        let deleted = crate::transaction::retry(delete).await?;
        if deleted.rows_affected == 0 {
            return Err(StoreError::not_found("role", id));
        }
        Ok(())
    }
}

pub(super) async fn insert(connection: &impl ConnectionTrait, role: &Role) -> Result<()> {
    let row = row::ActiveModel {
        id: Set(role.id.clone()),
        name: Set(role.name.clone()),
        description: Set(role.description.clone()),
    };
    let inserted = row::Entity::insert(row).exec_without_returning(connection).await;
    inserted.map_err(|error| duplicate(error, "role", &role.name))?;
    Ok(())
}
