//! A database that is put back to the seed between requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use magnum_store::{Backend, ConnectOptions, Store};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::seed::{Seed, as_of_now};
use crate::translation::Translation;

/// How the server is reached.
enum Open {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

/// A connection of our own to a database, beside those of who is tested.
pub struct Database {
    connection: Open,
    statements: Vec<String>,
}

impl Database {
    /// Opens a database by its URL: `sqlite:///file`, `postgresql://..`, `mysql://..`.
    ///
    /// # Errors
    /// When it can't be opened.
    pub async fn open(url: &str, seed: &Seed, translation: &Translation) -> Result<Self> {
        let (mut connection, backend) = if let Some(file) = url.strip_prefix("sqlite:///") {
            (Open::Sqlite(SqliteConnection::connect(&format!("sqlite:///{file}?mode=rw")).await?), Backend::Sqlite)
        } else if url.starts_with("postgres") {
            (Open::Postgres(PgConnection::connect(url).await?), Backend::Postgres)
        } else {
            (Open::MySql(MySqlConnection::connect(url).await?), Backend::MySql)
        };
        if let Open::Sqlite(connection) = &mut connection {
            connection.execute("PRAGMA synchronous = OFF").await?;
            connection.execute("PRAGMA busy_timeout = 15000").await?;
        }
        let tables = tables(&mut connection).await?;
        let statements = seed.statements(backend, &tables);
        Ok(Self { connection, statements: statements.iter().map(|sql| translation.out(sql)).collect() })
    }

    /// Puts the rows back.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn reset(&mut self) -> Result<()> {
        let script = as_of_now(&format!("BEGIN; {}; COMMIT", self.statements.join("; ")));
        let sql = AssertSqlSafe(script);
        match &mut self.connection {
            Open::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
            Open::Postgres(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
            Open::MySql(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
        }
        .context("cannot put the rows of the seed back")
    }
}

/// The names of columns by that of their table.
pub(crate) type Tables = BTreeMap<String, BTreeSet<String>>;

async fn tables(connection: &mut Open) -> Result<Tables> {
    const STANDARD: &str = "SELECT CAST(table_name AS CHAR(64)), CAST(column_name AS CHAR(64)) \
                            FROM information_schema.columns WHERE table_schema = ";
    let rows: Vec<(String, String)> = match connection {
        Open::Sqlite(connection) => {
            const OF_ALL: &str = "SELECT tables.name, columns.name FROM sqlite_master AS tables, \
                                  pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'";
            sqlx::query_as(OF_ALL).fetch_all(connection).await?
        }
        Open::Postgres(connection) => {
            sqlx::query_as(AssertSqlSafe(format!("{STANDARD} CURRENT_SCHEMA()"))).fetch_all(connection).await?
        }
        Open::MySql(connection) => {
            sqlx::query_as(AssertSqlSafe(format!("{STANDARD} DATABASE()"))).fetch_all(connection).await?
        }
    };
    let mut tables = Tables::new();
    for (table, column) in rows {
        tables.entry(table.trim_end().to_owned()).or_default().insert(column.trim_end().to_owned());
    }
    Ok(tables)
}

/// A store on a database, with all tables.
///
/// # Errors
/// When the database refuses.
pub async fn store(url: &str) -> Result<Store> {
    let options = ConnectOptions { max_connections: 5, acquire_timeout: Duration::from_secs(60), ..Default::default() };
    let store = Store::connect(url, &options).await?;
    store.migrate().await?;
    Ok(store)
}

/// An empty database of our own on a server, gone with [`Self::drop_it`].
pub struct Temporary {
    /// Where it is.
    pub url: String,
    admin: Option<(String, String)>,
    _folder: Option<Arc<TempDir>>,
}

impl Temporary {
    /// A file.
    ///
    /// # Errors
    /// When there is no room for a folder.
    pub fn sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:///{}", folder.path().join("magnum.sqlite").display());
        Ok(Self { url, admin: None, _folder: Some(Arc::new(folder)) })
    }

    /// A database on the server of a URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn on(server: &str) -> Result<Self> {
        let name = format!("magnum_conformance_{}", Uuid::new_v4().simple());
        let (base, _) = server.rsplit_once('/').context("a database URL without a path")?;
        execute(server, &format!("CREATE DATABASE {name}")).await?;
        let force = if server.starts_with("postgres") { " WITH (FORCE)" } else { "" };
        let drop = format!("DROP DATABASE {name}{force}");
        Ok(Self { url: format!("{base}/{name}"), admin: Some((server.to_owned(), drop)), _folder: None })
    }

    /// Removes it.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn drop_it(self) -> Result<()> {
        match self.admin {
            Some((server, sql)) => execute(&server, &sql).await,
            None => Ok(()),
        }
    }
}

async fn execute(server: &str, sql: &str) -> Result<()> {
    let sql = AssertSqlSafe(sql.to_owned());
    if server.starts_with("postgres") {
        PgConnection::connect(server).await?.execute(sql).await?;
    } else {
        MySqlConnection::connect(server).await?.execute(sql).await?;
    }
    Ok(())
}
