//! Which schema the database has, and making one.

use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, Statement};
use sea_orm_migration::MigratorTrait;

use crate::migration::Migrator;
use crate::upstream::UpstreamHead;
use crate::{Backend, Result, Store, StoreError};

/// What the database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The upstream revision; `None` in an empty database.
    pub upstream: Option<UpstreamHead>,
    /// Our own migrations that still have to run; empty when the database is ready.
    pub pending: Vec<String>,
}

impl Schema {
    /// Whether the database is ready to be used.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.upstream.is_some() && self.pending.is_empty()
    }
}

impl Store {
    /// Looks at the schema without changing it.
    ///
    /// # Errors
    /// [`StoreError::SchemaUnknown`] when the upstream revision is none of the known ones.
    pub async fn schema(&self) -> Result<Schema> {
        let upstream = upstream_head(self.read(), self.backend()).await?;
        let applied = if has_table(self.read(), self.backend(), crate::migration::TABLE).await? {
            Migrator::get_migration_models(self.read()).await?
        } else {
            Vec::new()
        };
        let pending = Migrator::migrations()
            .iter()
            .map(|migration| migration.name().to_owned())
            .filter(|name| applied.iter().all(|row| row.version != *name))
            .collect();
        Ok(Schema { upstream, pending })
    }

    /// Brings the schema up to date: a fresh database gets the upstream tables at [`UpstreamHead::NEWEST`]; every
    /// database gets our own. Upstream tables that are there are not altered. Several processes may do so at once.
    ///
    /// # Errors
    /// [`StoreError::SchemaUnknown`] when there are upstream tables of an unknown revision.
    pub async fn migrate(&self) -> Result<()> {
        let tx = self.begin().await?;
        lock_migrations(&tx, self.backend()).await?;
        let made = self.make_tables(&tx).await;
        unlock_migrations(&tx, self.backend()).await?;
        made?;
        tx.commit().await?;
        self.remember_head().await
    }

    async fn make_tables(&self, tx: &DatabaseTransaction) -> Result<()> {
        let found = upstream_head(tx, self.backend()).await?;
        // Where our own migrations have begun, the table is theirs: MySQL keeps what an interrupted one has made.
        let begun = has_table(tx, self.backend(), crate::migration::TABLE).await?;
        if found.is_none() && !begun && has_table(tx, self.backend(), "cluster").await? {
            let reason = "there is a table `cluster`, but no `alembic_version` that tells its revision".to_owned();
            return Err(StoreError::SchemaUnknown { reason });
        }
        Migrator::up(tx, None).await?;
        Ok(())
    }

    /// The upstream revision of the database; the newest while it has none.
    #[must_use]
    pub fn upstream(&self) -> UpstreamHead {
        self.head()
    }

    /// The upstream revision, as far as it is known by now.
    pub(crate) fn head(&self) -> UpstreamHead {
        self.inner.head.get().copied().unwrap_or(UpstreamHead::NEWEST)
    }

    pub(crate) async fn remember_head(&self) -> Result<()> {
        match upstream_head(self.read(), self.backend()).await {
            Ok(Some(head)) => {
                self.inner.head.get_or_init(|| head);
                self.look_for_odd_uuids().await
            }
            // Said by whoever calls `schema` or `migrate`; connecting must work to be able to ask.
            Ok(None) | Err(StoreError::SchemaUnknown { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Reads the revision; `None` when there is no table for it.
pub(crate) async fn upstream_head(db: &impl ConnectionTrait, backend: Backend) -> Result<Option<UpstreamHead>> {
    if !has_table(db, backend, "alembic_version").await? {
        return Ok(None);
    }
    let rows = db.query_all_raw(plain(db.get_database_backend(), "SELECT version_num FROM alembic_version")).await?;
    let words = rows.iter().map(|row| row.try_get_by_index::<String>(0)).collect::<Result<Vec<_>, _>>()?;
    let reason = match words.as_slice() {
        [word] => match UpstreamHead::of_database(word) {
            Some(head) => return Ok(Some(head)),
            None => format!("revision {word} is none of {}", UpstreamHead::words().join(", ")),
        },
        [] => "`alembic_version` is empty".to_owned(),
        several => format!("`alembic_version` has {} rows", several.len()),
    };
    Err(StoreError::SchemaUnknown { reason })
}

pub(crate) fn plain(backend: DatabaseBackend, sql: &str) -> Statement {
    Statement::from_string(backend, sql)
}

pub(crate) async fn has_table(db: &impl ConnectionTrait, backend: Backend, table: &str) -> Result<bool> {
    let sql = match backend {
        Backend::Sqlite => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
        Backend::Postgres => {
            "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1"
        }
        Backend::MySql => "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
    };
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [table.into()]);
    Ok(db.query_one_raw(statement).await?.is_some())
}

pub(crate) async fn has_column(db: &impl ConnectionTrait, backend: Backend, table: &str, column: &str) -> Result<bool> {
    let sql = match backend {
        Backend::Sqlite => "SELECT 1 FROM pragma_table_info(?) WHERE name = ?",
        Backend::Postgres => {
            "SELECT 1 FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1 AND column_name = $2"
        }
        Backend::MySql => {
            "SELECT 1 FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?"
        }
    };
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [table.into(), column.into()]);
    Ok(db.query_one_raw(statement).await?.is_some())
}

/// Given back with [`unlock_migrations`], whatever comes of it. Two processes that start at once must not both create tables. SQLite: the transaction is lock enough.
pub(crate) async fn lock_migrations(tx: &DatabaseTransaction, backend: Backend) -> Result<()> {
    let sql = match backend {
        Backend::Sqlite => return Ok(()),
        Backend::Postgres => "SELECT pg_advisory_xact_lock(6878137)",
        // Not given back by COMMIT, which every CREATE TABLE implies, but by RELEASE_LOCK or the end of the connection.
        Backend::MySql => "SELECT GET_LOCK(CONCAT('magnum-migration-', DATABASE()), 120)",
    };
    tx.query_one_raw(plain(tx.get_database_backend(), sql)).await?;
    Ok(())
}

pub(crate) async fn unlock_migrations(tx: &DatabaseTransaction, backend: Backend) -> Result<()> {
    if backend == Backend::MySql {
        let sql = "SELECT RELEASE_LOCK(CONCAT('magnum-migration-', DATABASE()))";
        tx.query_one_raw(plain(tx.get_database_backend(), sql)).await?;
    }
    Ok(())
}
