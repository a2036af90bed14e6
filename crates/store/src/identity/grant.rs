//! Who has which role where.

use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{IdentityTables, gone};
use crate::{Result, StoreError};

pub(super) mod row {
    #![allow(unreachable_pub)]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_grant")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub scope_kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub scope_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub role_id: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a role, or a token, is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GrantScope {
    /// A project.
    Project(String),
    /// The one domain.
    Domain,
    /// The whole system.
    System,
}

impl GrantScope {
    /// The two columns it is kept in.
    pub(super) fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Project(id) => (PROJECT, id),
            Self::Domain => ("domain", "default"),
            Self::System => ("system", "all"),
        }
    }

    pub(super) fn read(kind: &str, id: String) -> Option<Self> {
        match kind {
            PROJECT => Some(Self::Project(id)),
            "domain" => Some(Self::Domain),
            "system" => Some(Self::System),
            _ => None,
        }
    }
}

const PROJECT: &str = "project";

/// A role that a user has somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub user_id: String,
    /// Where.
    pub scope: GrantScope,
    /// The role.
    pub role_id: String,
}

/// Which grants.
#[derive(Debug, Clone, Default)]
pub struct GrantFilter {
    /// Of this user.
    pub user_id: Option<String>,
    /// There.
    pub scope: Option<GrantScope>,
    /// Of this role.
    pub role_id: Option<String>,
}

impl IdentityTables {
    /// Grants, in the order of users, scopes and roles.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row has no known scope; those of the database.
    pub async fn grants(&self, filter: &GrantFilter) -> Result<Vec<Grant>> {
        let mut select = row::Entity::find()
            .order_by_asc(row::Column::UserId)
            .order_by_asc(row::Column::ScopeKind)
            .order_by_asc(row::Column::ScopeId)
            .order_by_asc(row::Column::RoleId);
        if let Some(user) = &filter.user_id {
            select = select.filter(row::Column::UserId.eq(user));
        }
        if let Some(scope) = &filter.scope {
            let (kind, id) = scope.columns();
            select = select.filter(row::Column::ScopeKind.eq(kind)).filter(row::Column::ScopeId.eq(id));
        }
        if let Some(role) = &filter.role_id {
            select = select.filter(row::Column::RoleId.eq(role));
        }
        select.all(self.store.read()).await?.into_iter().map(read).collect()
    }

    /// Whether that very grant is there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_grant(&self, grant: &Grant) -> Result<bool> {
        Ok(row::Entity::find_by_id(key(grant)).one(self.store.read()).await?.is_some())
    }

    /// Gives a role; does nothing if the user has it there. Whether the project exists is the caller's to know.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the user or the role has gone.
    pub async fn add_grant(&self, grant: &Grant) -> Result<()> {
        if self.has_grant(grant).await? {
            return Ok(());
        }
        match crate::transaction::retry(async || insert(self.store.write(), grant).await).await {
            // Somebody else was faster.
            Err(StoreError::Duplicate { .. }) => Ok(()),
            done => done,
        }
    }

    /// Takes a role away.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the user does not have it there.
    pub async fn remove_grant(&self, grant: &Grant) -> Result<()> {
        let delete = async || Ok(row::Entity::delete_by_id(key(grant)).exec(self.store.write()).await?);
        let deleted = crate::transaction::retry(delete).await?;
        if deleted.rows_affected == 0 {
            return Err(StoreError::not_found("role assignment", &grant.role_id));
        }
        Ok(())
    }
}

fn key(grant: &Grant) -> (String, String, String, String) {
    let (kind, id) = grant.scope.columns();
    (grant.user_id.clone(), kind.to_owned(), id.to_owned(), grant.role_id.clone())
}

fn read(row: row::Model) -> Result<Grant> {
    let Some(scope) = GrantScope::read(&row.scope_kind, row.scope_id) else {
        return Err(StoreError::Corrupt {
            table: "identity_grant",
            row: row.user_id,
            column: "scope_kind",
            value: row.scope_kind,
        });
    };
    Ok(Grant { user_id: row.user_id, scope, role_id: row.role_id })
}

pub(super) async fn insert(connection: &impl ConnectionTrait, grant: &Grant) -> Result<()> {
    let (kind, id) = grant.scope.columns();
    let row = row::ActiveModel {
        user_id: Set(grant.user_id.clone()),
        scope_kind: Set(kind.to_owned()),
        scope_id: Set(id.to_owned()),
        role_id: Set(grant.role_id.clone()),
    };
    match row::Entity::insert(row).exec_without_returning(connection).await {
        Ok(_) => Ok(()),
        Err(error) if crate::error::is_duplicate(&error) => {
            Err(StoreError::Duplicate { resource: "role assignment", ident: grant.role_id.clone() })
        }
        Err(error) => Err(gone(error, "user or role", &grant.user_id)),
    }
}

/// The ids of the projects in which a user has a role.
pub(super) fn projects_of(user_id: &str) -> SelectStatement {
    Query::select()
        .column(row::Column::ScopeId)
        .from(row::Entity)
        .and_where(row::Column::UserId.eq(user_id))
        .and_where(row::Column::ScopeKind.eq(PROJECT))
        .to_owned()
}

pub(super) async fn delete_scoped(connection: &impl ConnectionTrait, scope: &GrantScope) -> Result<()> {
    let (kind, id) = scope.columns();
    row::Entity::delete_many()
        .filter(row::Column::ScopeKind.eq(kind))
        .filter(row::Column::ScopeId.eq(id))
        .exec(connection)
        .await?;
    Ok(())
}
