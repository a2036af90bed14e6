//! Bringing the upstream tables to a later revision, or saying at which they are: only when an operator asks for it.
//!
//! [`Store::migrate`] never does. The statements are ours; what comes of them is what upstream's own migration leaves,
//! on PostgreSQL too, where that one ends half-way.

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use crate::schema::{has_column, has_table, lock_migrations, plain, unlock_migrations};
use crate::upstream::{BEFORE, REVISIONS, Revision, TRUST};
use crate::{Result, Store, StoreError, UpstreamHead};

/// One revision that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeStep {
    /// The revision before.
    pub from: String,
    /// The revision after.
    pub to: &'static str,
    /// Upstream's title of it.
    pub title: &'static str,
}

impl Store {
    /// The word in `alembic_version`, known or not; `None` without that table, or when it is empty.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision(&self) -> Result<Option<String>> {
        revision(self.read(), self).await
    }

    /// Brings the upstream tables to a later revision. What is there already, after an attempt that was interrupted,
    /// is left out. The database has to be opened anew afterwards.
    ///
    /// # Errors
    /// [`StoreError::SchemaUnknown`] for a revision that is no known one before `to`; [`StoreError::TrustsInUse`] when
    /// trusts would be lost.
    pub async fn upgrade_upstream(&self, to: UpstreamHead) -> Result<Vec<UpgradeStep>> {
        let tx = self.begin().await?;
        lock_migrations(&tx, self.backend()).await?;
        let steps = self.apply_all(&tx, to).await;
        unlock_migrations(&tx, self.backend()).await?;
        let steps = steps?;
        tx.commit().await?;
        Ok(steps)
    }

    async fn apply_all(&self, tx: &DatabaseTransaction, to: UpstreamHead) -> Result<Vec<UpgradeStep>> {
        let mut steps = Vec::new();
        let Some(mut at) = revision(tx, self).await? else {
            let reason = "there is no revision in `alembic_version` to start from".to_owned();
            return Err(StoreError::SchemaUnknown { reason });
        };
        for revision in path(&at, to)? {
            self.apply(tx, revision).await?;
            set_revision(tx, revision.word).await?;
            steps.push(UpgradeStep { from: at, to: revision.word, title: revision.title });
            at = revision.word.to_owned();
        }
        Ok(steps)
    }

    async fn apply(&self, tx: &DatabaseTransaction, revision: &Revision) -> Result<()> {
        if revision.dropped == TRUST && has_column(tx, self.backend(), TRUST[0].0, TRUST[0].1).await? {
            let sql = "SELECT COUNT(*) FROM cluster WHERE trust_id IS NOT NULL AND trust_id <> ''";
            let row = tx.query_one_raw(plain(tx.get_database_backend(), sql)).await?;
            let clusters: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
            if clusters > 0 {
                return Err(StoreError::TrustsInUse { clusters, revision: revision.word });
            }
        }
        for (table, column, kind) in revision.added {
            if !has_column(tx, self.backend(), table, column).await? {
                tx.execute_unprepared(&format!("ALTER TABLE {table} ADD COLUMN {column} {kind}")).await?;
            }
        }
        for (table, column, value) in revision.filled {
            tx.execute_unprepared(&format!("UPDATE {table} SET {column} = {value} WHERE {column} IS NULL")).await?;
        }
        for (table, column) in revision.dropped {
            if has_column(tx, self.backend(), table, column).await? {
                tx.execute_unprepared(&format!("ALTER TABLE {table} DROP COLUMN {column}")).await?;
            }
        }
        Ok(())
    }

    /// Writes a revision into `alembic_version` without changing a table, if the tables are those of that revision.
    ///
    /// # Errors
    /// [`StoreError::SchemaUnknown`], naming the revision that the tables are of, when it is another.
    pub async fn stamp(&self, to: UpstreamHead) -> Result<()> {
        let tx = self.begin().await?;
        let found = self.tables_are_of(&tx).await?;
        if found != Some(to) {
            let found = found.map_or("no known revision", UpstreamHead::as_str);
            let reason = format!("the tables are those of {found}, not of {}", to.as_str());
            return Err(StoreError::SchemaUnknown { reason });
        }
        if !has_table(&tx, self.backend(), "alembic_version").await? {
            let sql = "CREATE TABLE alembic_version \
                       (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))";
            tx.execute_unprepared(sql).await?;
        }
        set_revision(&tx, to.as_str()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The revision that the tables look like, whatever `alembic_version` says.
    async fn tables_are_of(&self, tx: &DatabaseTransaction) -> Result<Option<UpstreamHead>> {
        let mut found = None;
        for revision in &REVISIONS {
            for (table, column, _) in revision.added {
                if !has_column(tx, self.backend(), table, column).await? {
                    return Ok(found);
                }
            }
            for (table, column) in revision.dropped {
                if has_column(tx, self.backend(), table, column).await? {
                    return Ok(found);
                }
            }
            found = Some(revision.head);
        }
        Ok(found)
    }
}

async fn revision(db: &impl ConnectionTrait, store: &Store) -> Result<Option<String>> {
    if !has_table(db, store.backend(), "alembic_version").await? {
        return Ok(None);
    }
    let sql = plain(db.get_database_backend(), "SELECT version_num FROM alembic_version");
    Ok(db.query_one_raw(sql).await?.map(|row| row.try_get_by_index(0)).transpose()?)
}

/// The revisions after one, up to another.
fn path(from: &str, to: UpstreamHead) -> Result<impl Iterator<Item = &'static Revision> + use<>> {
    let first = match REVISIONS.iter().position(|revision| revision.word == from) {
        Some(at) => at + 1,
        None if from == BEFORE => 0,
        None => {
            let known = UpstreamHead::words().join(", ");
            let reason = format!("revision {from} is none of {BEFORE}, {known}");
            return Err(StoreError::SchemaUnknown { reason });
        }
    };
    if first > 0 && REVISIONS[first - 1].head > to {
        let reason = format!("revision {from} is newer than {}, and there is no way back", to.as_str());
        return Err(StoreError::SchemaUnknown { reason });
    }
    Ok(REVISIONS[first..].iter().take_while(move |revision| revision.head <= to))
}

async fn set_revision(tx: &DatabaseTransaction, word: &str) -> Result<()> {
    tx.execute_unprepared("DELETE FROM alembic_version").await?;
    tx.execute_unprepared(&format!("INSERT INTO alembic_version (version_num) VALUES ('{word}')")).await?;
    Ok(())
}
