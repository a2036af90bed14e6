//! Our own migrations, oldest first. A published one is never changed, only followed by another.

mod m20261101_000001_upstream;
mod m20261101_000002_conductor;

use sea_orm::sea_query::{Alias, IntoIden};
use sea_orm::{DatabaseBackend, DynIden};
use sea_orm_migration::sea_query::{ColumnDef, TableCreateStatement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// The table that says which of them have run.
pub(crate) const TABLE: &str = "conductor_migration";

/// Runs what has not run yet.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut all: Vec<Box<dyn MigrationTrait>> =
            vec![Box::new(m20261101_000001_upstream::Migration), Box::new(m20261101_000002_conductor::Migration)];
        all.extend(crate::identity::migrations());
        all
    }

    fn migration_table_name() -> DynIden {
        Alias::new(TABLE).into_iden()
    }
}

/// A date and time column of our own tables: microseconds on every database.
pub(crate) fn timestamp(backend: DatabaseBackend, name: &str) -> ColumnDef {
    let mut column = ColumnDef::new(Alias::new(name));
    match backend {
        DatabaseBackend::MySql => column.custom(Alias::new("datetime(6)")),
        _ => column.date_time(),
    };
    column
}

/// Text compares byte by byte on MySQL too, as it does elsewhere.
pub(crate) fn exact(table: &mut TableCreateStatement, backend: DatabaseBackend) -> &mut TableCreateStatement {
    if backend == DatabaseBackend::MySql {
        table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}
