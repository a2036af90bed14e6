//! The built-in identity service: users, projects, roles, who has which role where, tokens, application credentials.
//!
//! One file per table, with its rows and everything that can be done with it. Ids are what Keystone makes them: a
//! random UUID without dashes. There is one domain, so none of the tables names it.

pub mod application_credential;
pub mod bootstrap;
pub mod grant;
pub mod project;
pub mod role;
pub mod token;
pub mod user;

mod migration;

use sea_orm::{DatabaseTransaction, DbErr, SqlErr};
use sea_orm_migration::MigrationTrait;
use serde_json::{Map, Value};

use crate::{Result, Store, StoreError};

pub use application_credential::ApplicationCredential;
pub use bootstrap::FirstStart;
pub use grant::{Grant, GrantFilter, GrantScope};
pub use project::{Project, ProjectChange, ProjectFilter};
pub use role::{Role, RoleChange};
pub use token::Token;
pub use user::{User, UserChange, UserFilter};

/// The migrations of this folder, oldest first; they run after those of `crate::migration`.
pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(migration::Migration)]
}

/// Attributes that the service keeps for clients without knowing them (`email`, ...).
pub type Extra = Map<String, Value>;

/// The tables of the built-in identity service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct IdentityTables {
    store: Store,
}

impl Store {
    /// The tables of the built-in identity service.
    #[must_use]
    pub fn identity(&self) -> IdentityTables {
        IdentityTables { store: self.clone() }
    }
}

impl IdentityTables {
    async fn begin(&self) -> Result<DatabaseTransaction> {
        self.store.begin().await
    }
}

/// A password hash in PHC form. Does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string.
    #[must_use]
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

/// Which part of a list, in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// Greatest number of rows; all if absent.
    pub limit: Option<u64>,
    /// Id of the last row of the page before.
    pub marker: Option<String>,
}

/// Merges what a client changes into what is kept; null removes.
fn merge(kept: &mut Extra, change: Extra) {
    for (key, value) in change {
        if value.is_null() {
            kept.remove(&key);
        } else {
            kept.insert(key, value);
        }
    }
}

/// Says of a failed insert or update that the name is taken, if that is why.
fn duplicate(error: DbErr, resource: &'static str, ident: &str) -> StoreError {
    if crate::error::is_duplicate(&error) {
        return StoreError::Duplicate { resource, ident: ident.to_owned() };
    }
    error.into()
}

/// Says of a failed insert that what it refers to has gone meanwhile, if that is why.
fn gone(error: DbErr, resource: &'static str, ident: &str) -> StoreError {
    if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) {
        return StoreError::not_found(resource, ident);
    }
    error.into()
}
