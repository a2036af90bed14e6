//! Tokens. What a client holds is not here, only its SHA-256.

use magnum_domain::Timestamp;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::{GrantScope, IdentityTables, gone};
use crate::{Result, StoreError};

pub(super) mod row {
    #![allow(unreachable_pub)]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_token")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub hash: String,
        pub user_id: String,
        pub user_epoch: i32,
        pub scope_kind: Option<String>,
        pub scope_id: Option<String>,
        pub methods: String,
        pub audit_ids: String,
        pub application_credential_id: Option<String>,
        pub issued_at: DateTime,
        pub expires_at: DateTime,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A token that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token, in hexadecimal.
    pub hash: String,
    /// Whose it is.
    pub user_id: String,
    /// [`super::User::epoch`] when it was given out; it is good only as long as the user has that one.
    pub user_epoch: i32,
    /// What it is for; unscoped if absent.
    pub scope: Option<GrantScope>,
    /// How the user proved themselves.
    pub methods: Vec<String>,
    /// Names that logs may hold: its own and, if it was made from another token, that of the first in the chain.
    pub audit_ids: Vec<String>,
    /// The application credential it was made with; it is good only as long as that exists.
    pub application_credential_id: Option<String>,
    /// When it was given out.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl IdentityTables {
    /// Keeps a token.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the user has gone meanwhile.
    pub async fn add_token(&self, token: &Token) -> Result<()> {
        let scope = token.scope.as_ref().map(GrantScope::columns);
        let row = row::ActiveModel {
            hash: Set(token.hash.clone()),
            user_id: Set(token.user_id.clone()),
            user_epoch: Set(token.user_epoch),
            scope_kind: Set(scope.map(|(kind, _)| kind.to_owned())),
            scope_id: Set(scope.map(|(_, id)| id.to_owned())),
            methods: Set(token.methods.join(",")),
            audit_ids: Set(token.audit_ids.join(",")),
            application_credential_id: Set(token.application_credential_id.clone()),
            issued_at: Set(token.issued_at.naive_utc()),
            expires_at: Set(token.expires_at.naive_utc()),
        };
        crate::transaction::retry(async || {
            let inserted = row::Entity::insert(row.clone()).exec_without_returning(self.store.write()).await;
            inserted.map_err(|error| gone(error, "user", &token.user_id))?;
            Ok(())
        })
        .await
    }

    /// The token with this hash, if it is known; it may have expired.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it has no known scope; those of the database.
    pub async fn find_token(&self, hash: &str) -> Result<Option<Token>> {
        row::Entity::find_by_id(hash).one(self.store.read()).await?.map(read).transpose()
    }

    /// Ends a token. Says whether there was one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_token(&self, hash: &str) -> Result<bool> {
        let delete = async || Ok(row::Entity::delete_by_id(hash).exec(self.store.write()).await?);
        Ok(crate::transaction::retry(delete).await?.rows_affected > 0)
    }

    /// Ends the oldest tokens beyond `keep` of the user that `newest` was made for, with the same application credential or
    /// likewise without one. Says how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn trim_tokens(&self, newest: &Token, keep: u64) -> Result<u64> {
        let mut of_user = row::Entity::find().filter(row::Column::UserId.eq(&newest.user_id));
        of_user = match &newest.application_credential_id {
            Some(id) => of_user.filter(row::Column::ApplicationCredentialId.eq(id)),
            None => of_user.filter(row::Column::ApplicationCredentialId.is_null()),
        };
        let count = of_user.clone().count(self.store.read()).await?;
        let Some(beyond) = count.checked_sub(keep).filter(|beyond| *beyond > 0) else { return Ok(0) };
        // So many at once: a statement has a limited number of parameters.
        let of_user = of_user.filter(row::Column::Hash.ne(&newest.hash));
        let oldest = of_user.order_by_asc(row::Column::IssuedAt).order_by_asc(row::Column::Hash).limit(beyond.min(100));
        let hashes = oldest.all(self.store.read()).await?.into_iter().map(|row| row.hash).collect::<Vec<_>>();
        let delete = async || {
            let oldest = row::Entity::delete_many().filter(row::Column::Hash.is_in(hashes.clone()));
            Ok(oldest.exec(self.store.write()).await?)
        };
        Ok(crate::transaction::retry(delete).await?.rows_affected)
    }

    /// Forgets the tokens that expired before `now`. Says how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune_tokens(&self, now: Timestamp) -> Result<u64> {
        let expired = row::Entity::delete_many().filter(row::Column::ExpiresAt.lt(now.naive_utc()));
        Ok(expired.exec(self.store.write()).await?.rows_affected)
    }
}

fn read(row: row::Model) -> Result<Token> {
    let scope = match (row.scope_kind, row.scope_id) {
        (Some(kind), Some(id)) => match GrantScope::read(&kind, id) {
            Some(scope) => Some(scope),
            None => {
                return Err(StoreError::Corrupt {
                    table: "identity_token",
                    row: row.user_id,
                    column: "scope_kind",
                    value: kind,
                });
            }
        },
        _ => None,
    };
    Ok(Token {
        hash: row.hash,
        user_id: row.user_id,
        user_epoch: row.user_epoch,
        scope,
        methods: words(&row.methods),
        audit_ids: words(&row.audit_ids),
        application_credential_id: row.application_credential_id,
        issued_at: row.issued_at.and_utc(),
        expires_at: row.expires_at.and_utc(),
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
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
