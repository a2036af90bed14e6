//! Users.

use magnum_domain::Timestamp;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Extra, IdentityTables, ListPage, PasswordHash, duplicate, merge};
use crate::page::chunks;
use crate::{Result, StoreError, json};

pub(super) mod row {
    #![allow(unreachable_pub)]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_user")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub name: String,
        pub enabled: bool,
        pub password_hash: Option<String>,
        pub default_project_id: Option<String>,
        pub epoch: i32,
        pub extra: String,
        pub created_at: DateTime,
    }

    impl std::fmt::Debug for Model {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("identity_user").field("id", &self.id).finish_non_exhaustive()
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Random.
    pub id: String,
    /// Unique, exactly as spelled.
    pub name: String,
    /// Whether the user can log in and tokens of theirs are good.
    pub enabled: bool,
    /// Nobody can log in with a password if there is none.
    pub password_hash: Option<PasswordHash>,
    /// The scope of a token that was asked for without one.
    pub default_project_id: Option<String>,
    /// Grows when every token of the user is to be refused from now on.
    pub epoch: i32,
    /// What else a client wants to have kept.
    pub extra: Extra,
    /// When the row was made.
    pub created_at: Timestamp,
}

impl From<row::Model> for User {
    fn from(row: row::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            enabled: row.enabled,
            password_hash: row.password_hash.map(PasswordHash::new),
            default_project_id: row.default_project_id,
            epoch: row.epoch,
            extra: json::read(Some(&row.extra), "extra"),
            created_at: row.created_at.and_utc(),
        }
    }
}

/// Which users.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Of this name.
    pub name: Option<String>,
    /// Enabled or disabled ones.
    pub enabled: Option<bool>,
    /// With this default project.
    pub default_project_id: Option<String>,
}

/// What changes; absent is left as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// New name.
    pub name: Option<String>,
    /// Disabling refuses every token of the user, also after enabling again.
    pub enabled: Option<bool>,
    /// New password, or none at all. Refuses every token of the user.
    pub password_hash: Option<Option<PasswordHash>>,
    /// New default project, or none.
    pub default_project_id: Option<Option<String>>,
    /// Merged into what is kept; null removes.
    pub extra: Extra,
}

impl IdentityTables {
    /// Users in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::InvalidMarker`]; those of the database.
    pub async fn users(&self, filter: &UserFilter, page: &ListPage) -> Result<Vec<User>> {
        let mut select = row::Entity::find().order_by_asc(row::Column::Name).limit(page.limit);
        if let Some(name) = &filter.name {
            select = select.filter(row::Column::Name.eq(name));
        }
        if let Some(enabled) = filter.enabled {
            select = select.filter(row::Column::Enabled.eq(enabled));
        }
        if let Some(project) = &filter.default_project_id {
            select = select.filter(row::Column::DefaultProjectId.eq(project));
        }
        if let Some(marker) = &page.marker {
            let last = self.find_user(marker).await?.ok_or(StoreError::InvalidMarker)?;
            select = select.filter(row::Column::Name.gt(last.name));
        }
        Ok(select.all(self.store.read()).await?.into_iter().map(User::from).collect())
    }

    /// The users with these ids, in any order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn users_by_id(&self, ids: &[String]) -> Result<Vec<User>> {
        let mut users = Vec::with_capacity(ids.len());
        for ids in chunks(ids) {
            let rows = row::Entity::find().filter(row::Column::Id.is_in(ids)).all(self.store.read()).await?;
            users.extend(rows.into_iter().map(User::from));
        }
        Ok(users)
    }

    /// The user with this id, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_user(&self, id: &str) -> Result<Option<User>> {
        Ok(row::Entity::find_by_id(id).one(self.store.read()).await?.map(User::from))
    }

    /// The user with this name, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_user_by_name(&self, name: &str) -> Result<Option<User>> {
        let query = row::Entity::find().filter(row::Column::Name.eq(name));
        Ok(query.one(self.store.read()).await?.map(User::from))
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken.
    pub async fn create_user(&self, user: &User) -> Result<()> {
        insert(self.store.write(), user).await
    }

    /// Changes a user and, where [`UserChange`] says so, refuses their tokens from now on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Duplicate`] when the new name is taken.
    pub async fn change_user(&self, id: &str, change: &UserChange) -> Result<User> {
        crate::transaction::retry(async || {
            let tx = self.begin().await?;
            let row = row::Entity::find_by_id(id).lock_exclusive().one(&tx).await?;
            let row = row.ok_or_else(|| StoreError::not_found("user", id))?;
            let mut user = User::from(row.clone());
            if change.password_hash.is_some() || change.enabled == Some(false) {
                user.epoch = user.epoch.wrapping_add(1);
            }
            apply(&mut user, change.clone());
            let mut active = row.into_active_model();
            active.name = Set(user.name.clone());
            active.enabled = Set(user.enabled);
            active.password_hash = Set(user.password_hash.as_ref().map(|hash| hash.expose().to_owned()));
            active.default_project_id = Set(user.default_project_id.clone());
            active.epoch = Set(user.epoch);
            active.extra = Set(json::write(&user.extra));
            let saved = row::Entity::update(active).exec(&tx).await;
            saved.map_err(|error| duplicate(error, "user", &user.name))?;
            tx.commit().await?;
            Ok(user)
        })
        .await
    }

    /// Removes a user with their roles, tokens and application credentials.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_user(&self, id: &str) -> Result<()> {
        let delete = async || Ok(row::Entity::delete_by_id(id).exec(self.store.write()).await?);
        let deleted = crate::transaction::retry(delete).await?;
        if deleted.rows_affected == 0 {
            return Err(StoreError::not_found("user", id));
        }
        Ok(())
    }
}

fn apply(user: &mut User, change: UserChange) {
    if let Some(name) = change.name {
        user.name = name;
    }
    if let Some(enabled) = change.enabled {
        user.enabled = enabled;
    }
    if let Some(hash) = change.password_hash {
        user.password_hash = hash;
    }
    if let Some(project) = change.default_project_id {
        user.default_project_id = project;
    }
    merge(&mut user.extra, change.extra);
}

pub(super) async fn insert(connection: &impl ConnectionTrait, user: &User) -> Result<()> {
    let row = row::ActiveModel {
        id: Set(user.id.clone()),
        name: Set(user.name.clone()),
        enabled: Set(user.enabled),
        password_hash: Set(user.password_hash.as_ref().map(|hash| hash.expose().to_owned())),
        default_project_id: Set(user.default_project_id.clone()),
        epoch: Set(user.epoch),
        extra: Set(json::write(&user.extra)),
        created_at: Set(user.created_at.naive_utc()),
    };
    let inserted = row::Entity::insert(row).exec_without_returning(connection).await;
    inserted.map_err(|error| duplicate(error, "user", &user.name))?;
    Ok(())
}
