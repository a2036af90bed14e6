//! Application credentials: a secret of its own for a program, good for one project and some of the user's roles.

use magnum_domain::Timestamp;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{IdentityTables, PasswordHash, gone};
use crate::{Result, StoreError, json};

pub(super) mod row {
    #![allow(unreachable_pub)]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_application_credential")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub user_id: String,
        pub project_id: String,
        pub name: String,
        pub description: Option<String>,
        pub secret_hash: String,
        pub role_ids: String,
        pub unrestricted: bool,
        pub expires_at: Option<DateTime>,
        pub created_at: DateTime,
    }

    impl std::fmt::Debug for Model {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("identity_application_credential").field("id", &self.id).finish_non_exhaustive()
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An application credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationCredential {
    /// Random.
    pub id: String,
    /// Who made it, and whom it stands for.
    pub user_id: String,
    /// The project of its tokens.
    pub project_id: String,
    /// Unique among the user's.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What the secret is checked against.
    pub secret_hash: PasswordHash,
    /// The roles of its tokens, as far as the user still has them.
    pub role_ids: Vec<String>,
    /// Whether its tokens may make and remove application credentials.
    pub unrestricted: bool,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When the row was made.
    pub created_at: Timestamp,
}

impl From<row::Model> for ApplicationCredential {
    fn from(row: row::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            project_id: row.project_id,
            name: row.name,
            description: row.description,
            secret_hash: PasswordHash::new(row.secret_hash),
            role_ids: json::read(Some(&row.role_ids), "role_ids"),
            unrestricted: row.unrestricted,
            expires_at: row.expires_at.map(|at| at.and_utc()),
            created_at: row.created_at.and_utc(),
        }
    }
}

impl IdentityTables {
    /// Those of a user, in the order of their names; only the one of that name if given.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn application_credentials(
        &self,
        user_id: &str,
        name: Option<&str>,
    ) -> Result<Vec<ApplicationCredential>> {
        let mut select = row::Entity::find().filter(row::Column::UserId.eq(user_id)).order_by_asc(row::Column::Name);
        if let Some(name) = name {
            select = select.filter(row::Column::Name.eq(name));
        }
        Ok(select.all(self.store.read()).await?.into_iter().map(ApplicationCredential::from).collect())
    }

    /// The one with this id, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_application_credential(&self, id: &str) -> Result<Option<ApplicationCredential>> {
        Ok(row::Entity::find_by_id(id).one(self.store.read()).await?.map(ApplicationCredential::from))
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the user has one of that name; [`StoreError::NotFound`] when the user or the
    /// project has gone meanwhile.
    pub async fn create_application_credential(&self, credential: &ApplicationCredential) -> Result<()> {
        let row = row::ActiveModel {
            id: Set(credential.id.clone()),
            user_id: Set(credential.user_id.clone()),
            project_id: Set(credential.project_id.clone()),
            name: Set(credential.name.clone()),
            description: Set(credential.description.clone()),
            secret_hash: Set(credential.secret_hash.expose().to_owned()),
            role_ids: Set(json::write(&credential.role_ids)),
            unrestricted: Set(credential.unrestricted),
            expires_at: Set(credential.expires_at.map(|at| at.naive_utc())),
            created_at: Set(credential.created_at.naive_utc()),
        };
        match row::Entity::insert(row).exec_without_returning(self.store.write()).await {
            Ok(_) => Ok(()),
            Err(error) if crate::error::is_duplicate(&error) => {
                Err(StoreError::Duplicate { resource: "application credential", ident: credential.name.clone() })
            }
            Err(error) => Err(gone(error, "user or project", &credential.user_id)),
        }
    }

    /// Removes one of a user's; its tokens end with it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_application_credential(&self, user_id: &str, id: &str) -> Result<()> {
        let deleted =
            row::Entity::delete_by_id(id).filter(row::Column::UserId.eq(user_id)).exec(self.store.write()).await?;
        if deleted.rows_affected == 0 {
            return Err(StoreError::not_found("application credential", id));
        }
        Ok(())
    }
}
