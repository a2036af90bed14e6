//! What in the database is sealed: so that a start without the key, or with another, is noticed before it does harm.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::{node, x509keypair};
use crate::{Result, Store};

impl Store {
    /// Some sealed texts, the newest first, at most `limit` of each kind: what nodes shall be, and pass phrases that begin
    /// with `prefix`. Needs our own tables.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sealed_texts(&self, prefix: &str, limit: u64) -> Result<Vec<String>> {
        let nodes: Vec<Option<String>> = node::Entity::find()
            .select_only()
            .column(node::Column::Desired)
            .filter(node::Column::Desired.is_not_null())
            .order_by_desc(node::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(self.read())
            .await?;
        let pass_phrases: Vec<Option<String>> = x509keypair::Entity::find()
            .select_only()
            .column(x509keypair::Column::PrivateKeyPassphrase)
            .filter(x509keypair::Column::PrivateKeyPassphrase.starts_with(prefix))
            .order_by_desc(x509keypair::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(self.read())
            .await?;
        Ok(nodes.into_iter().chain(pass_phrases).flatten().collect())
    }
}
