//! Our own migrations, oldest first. A published one is never changed, only followed by another.

mod m20261101_000001_upstream;
mod m20261101_000002_conductor;
mod m20261128_000003_claims;

use sea_orm::sea_query::{Alias, ColumnDef, Index, IntoIden, TableCreateStatement};
use sea_orm::{DatabaseBackend, DbErr, DynIden};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager};

/// The table that says which of them have run.
pub(crate) const TABLE: &str = "conductor_migration";

/// Runs what has not run yet.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut all: Vec<Box<dyn MigrationTrait>> = vec![
            Box::new(m20261101_000001_upstream::Migration),
            Box::new(m20261101_000002_conductor::Migration),
            Box::new(m20261128_000003_claims::Migration),
        ];
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

/// An index: its name, its columns, whether it is unique.
pub(crate) type IndexDef = (&'static str, &'static [&'static str], bool);

/// Creates a table with its indices. MySQL has no transactions for this: there it is one statement, which is left out
/// when an earlier attempt got that far.
pub(crate) async fn create_indexed(
    manager: &SchemaManager<'_>,
    name: &str,
    mut table: TableCreateStatement,
    indices: &[IndexDef],
) -> Result<(), DbErr> {
    let inline = manager.get_database_backend() == DatabaseBackend::MySql;
    let mut separate = Vec::new();
    for (index_name, columns, unique) in indices {
        let mut index = Index::create().name(*index_name).to_owned();
        for column in *columns {
            index.col(Alias::new(*column));
        }
        if *unique {
            index.unique();
        }
        if inline {
            table.index(&mut index);
        } else {
            separate.push(index.table(Alias::new(name)).to_owned());
        }
    }
    if inline {
        table.if_not_exists();
    }
    manager.create_table(table).await?;
    for index in separate {
        manager.create_index(index).await?;
    }
    Ok(())
}
