//! Forgetting: events and operations do not grow for ever.

use std::collections::HashSet;

use magnum_domain::{OperationState, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::{cluster, event, lock, operation};
use crate::transaction::{LockScope, retry};
use crate::{Result, Store, uuid_column};

/// Rows removed by one statement, so that none holds its locks for long or names more than a database takes.
const BATCH: u64 = 500;

impl Store {
    /// Removes events older than `before`, and the operations that ended before it of clusters that are gone.
    ///
    /// # Errors
    /// When the database fails; what was removed until then stays removed.
    pub async fn prune_history(&self, before: Timestamp) -> Result<()> {
        while self.prune_events(before).await? {}
        let mut after = 0;
        while let Some(last) = self.prune_operations(before, after).await? {
            after = last;
        }
        Ok(())
    }

    async fn prune_events(&self, before: Timestamp) -> Result<bool> {
        let ids: Vec<i64> = event::Entity::find()
            .select_only()
            .column(event::Column::Id)
            .filter(event::Column::CreatedAt.lt(before.naive_utc()))
            .order_by_asc(event::Column::CreatedAt)
            .limit(BATCH)
            .into_tuple()
            .all(self.read())
            .await?;
        let full = ids.len() as u64 == BATCH;
        if !ids.is_empty() {
            let delete = event::Entity::delete_many().filter(event::Column::Id.is_in(ids));
            retry(|| async { Ok(delete.clone().exec(self.write()).await?) }).await?;
        }
        Ok(full)
    }

    /// One batch of operations after a key; the key to go on from, or `None` at the end. Looks clusters up by value:
    /// a join would compare columns of different collations, which MySQL refuses.
    async fn prune_operations(&self, before: Timestamp, after: i64) -> Result<Option<i64>> {
        let ended = [OperationState::Succeeded, OperationState::Failed, OperationState::Cancelled];
        let rows: Vec<(i64, String)> = operation::Entity::find()
            .select_only()
            .columns([operation::Column::Id, operation::Column::ClusterUuid])
            .filter(operation::Column::Id.gt(after))
            .filter(operation::Column::State.is_in(ended.map(OperationState::as_str)))
            .filter(operation::Column::FinishedAt.lt(before.naive_utc()))
            .order_by_asc(operation::Column::Id)
            .limit(BATCH)
            .into_tuple()
            .all(self.read())
            .await?;
        let next = rows.last().map(|(id, _)| *id).filter(|_| rows.len() as u64 == BATCH);
        let mentioned: HashSet<&str> = rows.iter().map(|(_, cluster)| cluster.as_str()).collect();
        let living: Vec<Option<String>> = cluster::Entity::find()
            .select_only()
            .column(cluster::Column::Uuid)
            .filter(self.is_any(cluster::Column::Uuid, mentioned.iter().filter_map(|text| uuid_column::read(text))))
            .into_tuple()
            .all(self.read())
            .await?;
        let living: Vec<String> = living.into_iter().flatten().map(uuid_column::canonical).collect();
        let living: HashSet<&str> = living.iter().map(String::as_str).collect();
        let gone: Vec<i64> =
            rows.iter().filter(|(_, cluster)| !living.contains(cluster.as_str())).map(|(id, _)| *id).collect();
        if !gone.is_empty() {
            let delete = operation::Entity::delete_many().filter(operation::Column::Id.is_in(gone));
            retry(|| async { Ok(delete.clone().exec(self.write()).await?) }).await?;
            let turns = mentioned
                .difference(&living)
                .filter_map(|text| uuid::Uuid::try_parse(text).ok())
                .map(|uuid| LockScope::Cluster(uuid).name());
            let delete = lock::Entity::delete_many().filter(lock::Column::Name.is_in(turns));
            retry(|| async { Ok(delete.clone().exec(self.write()).await?) }).await?;
        }
        Ok(next)
    }
}
