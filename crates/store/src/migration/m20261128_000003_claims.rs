//! Operations count their claims, and those of them that had no end.

use sea_orm::sea_query::{Alias, ColumnDef, Table};
use sea_orm::{DatabaseBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::Backend;
use crate::schema::has_column;

pub(crate) struct Migration;

const TABLE: &str = "conductor_operation";
const COLUMNS: [&str; 2] = ["interruptions", "claims"];

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261128_000003_claims"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = match manager.get_database_backend() {
            DatabaseBackend::Postgres => Backend::Postgres,
            DatabaseBackend::MySql => Backend::MySql,
            _ => Backend::Sqlite,
        };
        for name in COLUMNS {
            // MySQL has no transactions for this: an interrupted attempt may have got as far as one of them. The library's
            // own look is not compiled in.
            let is_there = has_column(db, backend, TABLE, name).await;
            if is_there.map_err(|error| DbErr::Migration(error.to_string()))? {
                continue;
            }
            let column = ColumnDef::new(Alias::new(name)).integer().not_null().default(0).to_owned();
            // One column for each statement: SQLite takes no more.
            let alter = Table::alter().table(Alias::new(TABLE)).add_column(column).to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
