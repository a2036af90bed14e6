//! Connections: from a database URL, as SQLAlchemy spells it, to pools.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Executor as _, MySqlPool, PgPool};

use crate::reader::{Reader, TRUSTED};
use crate::seal::{Seal, SealError};
use crate::select_cache::SelectCache;
use crate::upstream::UpstreamHead;
use crate::uuid_column::OddColumns;
use crate::wakeup::Wakeups;
use crate::{Result, StoreError};

/// How long SQLite waits for a writer of another process.
const SQLITE_BUSY: Duration = Duration::from_secs(15);

/// How long the first connection may take.
const KNOCK: Duration = Duration::from_secs(10);

/// How long a connection that is given back may take for the rest of an answer that nobody wants any more.
const COME_TO_REST: Duration = Duration::from_secs(2);

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// One file, one machine.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL, Galera included.
    MySql,
}

impl Backend {
    /// Its name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
            Self::MySql => "mysql",
        }
    }
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Connections of the pool (SQLite: of the pool of readers). Default 20.
    pub max_connections: u32,
    /// How long a call waits for a connection. Default 30 s.
    pub acquire_timeout: Duration,
    /// Connections older than this are replaced. Default 1 h, upstream's `connection_recycle_time`.
    pub max_lifetime: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { max_connections: 20, acquire_timeout: Duration::from_secs(30), max_lifetime: Duration::from_secs(3600) }
    }
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    seal: Option<Arc<dyn Seal>>,
}

pub(crate) struct Inner {
    read: Reader,
    write: DatabaseConnection,
    backend: Backend,
    pub(crate) head: OnceLock<UpstreamHead>,
    pub(crate) select_cache: SelectCache,
    pub(crate) odd_columns: OddColumns,
    pub(crate) wakeups: Wakeups,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("backend", &self.inner.backend).finish_non_exhaustive()
    }
}

impl Store {
    /// Connects. Accepts what `[database] connection` may hold: `sqlite:////abs/path`, `mysql+pymysql://..`,
    /// `postgresql+psycopg2://..`; `charset` and other parameters of the Python drivers are left out, those for TLS
    /// are understood.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`]; [`StoreError::Unavailable`] when nobody answers.
    pub async fn connect(url: &str, options: &ConnectOptions) -> Result<Self> {
        let (backend, read, write) = match parse(url)? {
            Target::Sqlite(file) => {
                let (read, write) = sqlite(file.as_deref(), options).await?;
                (Backend::Sqlite, Reader::of(read), write)
            }
            Target::Postgres(url) => {
                let pool = postgres(&url, options).await?;
                (Backend::Postgres, Reader::postgres(&pool, options.max_connections), pool.into())
            }
            Target::MySql(url) => {
                let pool = mysql(&url, options).await?;
                (Backend::MySql, Reader::mysql(&pool, options.max_connections), pool.into())
            }
        };
        let inner = Inner {
            read,
            write,
            backend,
            head: OnceLock::new(),
            select_cache: SelectCache::default(),
            odd_columns: OddColumns::default(),
            wakeups: Wakeups::default(),
        };
        let store = Self { inner: Arc::new(inner), seal: None };
        store.remember_head().await?;
        Ok(store)
    }

    /// The same store, with a key for the secrets of our own tables. Without one they can be neither written nor read.
    #[must_use]
    pub fn with_seal(self, seal: impl Seal + 'static) -> Self {
        Self { inner: self.inner, seal: Some(Arc::new(seal)) }
    }

    /// Which database it is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<()> {
        self.read().execute_unprepared("SELECT 1").await.map_err(StoreError::Unavailable)?;
        Ok(())
    }

    /// Closes every connection; calls after that fail.
    pub async fn close(&self) {
        self.inner.read.close();
        for pool in [self.inner.read.pool(), &self.inner.write] {
            if let Err(error) = pool.clone().close().await {
                tracing::debug!(%error, "a connection pool did not close cleanly");
            }
        }
    }

    /// For statements that change nothing.
    pub(crate) fn read(&self) -> &Reader {
        &self.inner.read
    }

    /// For single statements that change something. Several that belong together use [`Self::begin`].
    pub(crate) fn write(&self) -> &DatabaseConnection {
        &self.inner.write
    }

    pub(crate) fn seal(&self) -> Result<&dyn Seal> {
        self.seal.as_deref().ok_or(StoreError::Seal(SealError::NoKey))
    }
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// A file, or memory.
    Sqlite(Option<PathBuf>),
    /// A URL that sqlx reads.
    Postgres(String),
    /// A URL that sqlx reads.
    MySql(String),
}

/// Parameters of the Python drivers that sqlx knows by another name.
const PARAMETERS: [(&str, &str); 5] = [
    ("ssl_ca", "ssl-ca"),
    ("ssl_cert", "ssl-cert"),
    ("ssl_key", "ssl-key"),
    ("ssl_mode", "ssl-mode"),
    ("unix_socket", "socket"),
];

/// Parameters that sqlx reads in a MySQL URL. `charset` is not among them: it is always utf8mb4.
const MYSQL_PARAMETERS: [&str; 5] = ["ssl-ca", "ssl-cert", "ssl-key", "ssl-mode", "socket"];

fn parse(url: &str) -> Result<Target> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| StoreError::InvalidUrl("it has no `://`".to_owned()))?;
    let (dialect, _driver) = scheme.split_once('+').unwrap_or((scheme, ""));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    match dialect {
        // `sqlite://` + `/relative` or `//absolute`; nothing at all, or `:memory:`, is memory.
        "sqlite" => match place.strip_prefix('/').unwrap_or(place) {
            "" | ":memory:" => Ok(Target::Sqlite(None)),
            path => Ok(Target::Sqlite(Some(PathBuf::from(path)))),
        },
        "postgresql" | "postgres" => {
            let query = if query.is_empty() { String::new() } else { format!("?{query}") };
            Ok(Target::Postgres(format!("postgres://{place}{query}")))
        }
        "mysql" | "mariadb" => Ok(Target::MySql(format!("mysql://{place}{}", mysql_query(query)))),
        other => Err(StoreError::InvalidUrl(format!("{other} is none of sqlite, postgresql, mysql"))),
    }
}

fn mysql_query(query: &str) -> String {
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = PARAMETERS.iter().find(|(python, _)| *python == name).map_or(name, |(_, ours)| ours);
        if MYSQL_PARAMETERS.contains(&name) {
            kept.push(format!("{name}={value}"));
        } else {
            tracing::debug!(parameter = name, "parameter of the database URL left out");
        }
    }
    // A CA is given in order to be checked.
    let has = |wanted: &str| kept.iter().any(|pair| pair.starts_with(wanted));
    if has("ssl-ca=") && !has("ssl-mode=") {
        kept.push("ssl-mode=VERIFY_CA".to_owned());
    }
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

/// One connection of its own, before there is a pool: a pool tries again in silence for as long as a call may wait, and an
/// operator should hear at once that nobody listens there.
async fn knock<O>(connect: &O, options: &ConnectOptions) -> Result<()>
where
    O: sqlx::ConnectOptions,
    O::Connection: Sized,
{
    let limit = options.acquire_timeout.min(KNOCK);
    let connection = tokio::time::timeout(limit, connect.connect()).await;
    let connection = connection.map_err(|_| unavailable(sqlx::Error::PoolTimedOut))?.map_err(unavailable)?;
    sqlx::Connection::close(connection).await.map_err(unavailable)
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

/// Errors of the URL parsers may quote the URL, which may hold a password: only their kind is told.
fn invalid(_: sqlx::Error) -> StoreError {
    StoreError::InvalidUrl("host, port, path or a parameter can't be read".to_owned())
}

async fn sqlite(file: Option<&Path>, options: &ConnectOptions) -> Result<(DatabaseConnection, DatabaseConnection)> {
    let Some(file) = file else { return memory().await };
    create_private(file)?;
    let connect = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(SQLITE_BUSY)
        .foreign_keys(true);
    // Writers queue for one connection here rather than poll for the file lock there.
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(connect.clone())
        .await
        .map_err(unavailable)?;
    let read = SqlitePoolOptions::new()
        .max_connections(options.max_connections.clamp(1, 8))
        .acquire_timeout(options.acquire_timeout)
        // A file does not hang up.
        .test_before_acquire(false)
        .connect_with(connect.pragma("query_only", "ON"))
        .await
        .map_err(unavailable)?;
    Ok((read.into(), write.into()))
}

/// A database in memory lives in one connection, which must never close.
async fn memory() -> Result<(DatabaseConnection, DatabaseConnection)> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::new().in_memory(true))
        .await
        .map_err(unavailable)?;
    let pool = DatabaseConnection::from(pool);
    Ok((pool.clone(), pool))
}

/// Makes the file, readable by its owner only; SQLite gives its side files the same mode.
fn create_private(file: &Path) -> Result<()> {
    magnum_files::touch_private(file).map_err(|error| unavailable(sqlx::Error::Io(error)))
}

async fn postgres(url: &str, options: &ConnectOptions) -> Result<PgPool> {
    let connect = PgConnectOptions::from_str(url).map_err(invalid)?.application_name("magnum");
    knock(&connect, options).await?;
    PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .max_lifetime(options.max_lifetime)
        .test_before_acquire(false)
        .before_acquire(|connection, lain| Box::pin(is_alive(connection, lain.idle_for)))
        .after_release(|connection, _| Box::pin(is_at_rest(connection)))
        .connect_with(connect)
        .await
        .map_err(unavailable)
}

/// Strict like upstream's `mysql_sql_mode`. Read committed, so that a count after a lock sees what was committed
/// while waiting for it, and no gaps are locked.
const MYSQL_SESSION: [&str; 2] = [
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',TRADITIONAL'), SESSION innodb_lock_wait_timeout = 10",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

async fn mysql(url: &str, options: &ConnectOptions) -> Result<MySqlPool> {
    let connect = MySqlConnectOptions::from_str(url).map_err(invalid)?;
    knock(&connect, options).await?;
    MySqlPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .max_lifetime(options.max_lifetime)
        .test_before_acquire(false)
        .before_acquire(|connection, lain| Box::pin(is_alive(connection, lain.idle_for)))
        .after_release(|connection, _| Box::pin(is_at_rest(connection)))
        .after_connect(|connection, _| {
            Box::pin(async move {
                for statement in MYSQL_SESSION {
                    connection.execute(statement).await?;
                }
                Ok(())
            })
        })
        .connect_with(connect)
        .await
        .map_err(unavailable)
}

/// Whether a connection may be given out; one that does not answer is replaced.
async fn is_alive<C: sqlx::Connection>(connection: &mut C, idle: Duration) -> sqlx::Result<bool> {
    Ok(idle < TRUSTED || connection.ping().await.is_ok())
}

/// Whether a connection that is given back can be used again; one that can't is replaced. A request that is given up
/// in the middle of an answer may leave MySQL's client waiting for a packet whose head it has read already, and the pool
/// itself would ask such a connection without a limit, and be short of it for good.
async fn is_at_rest<C: sqlx::Connection>(connection: &mut C) -> sqlx::Result<bool> {
    Ok(matches!(tokio::time::timeout(COME_TO_REST, connection.ping()).await, Ok(Ok(()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_sqlalchemy_spells_them() {
        let file = |path: &str| Target::Sqlite(Some(PathBuf::from(path)));
        let pg = |url: &str| Target::Postgres(url.to_owned());
        let my = |url: &str| Target::MySql(url.to_owned());
        let cases = [
            ("sqlite://", Target::Sqlite(None)),
            ("sqlite:///:memory:", Target::Sqlite(None)),
            ("sqlite:////var/lib/magnum/magnum.sqlite", file("/var/lib/magnum/magnum.sqlite")),
            ("sqlite:///magnum.sqlite", file("magnum.sqlite")),
            ("sqlite+pysqlite:////a/b?timeout=5", file("/a/b")),
            ("postgresql://u:p@h/magnum", pg("postgres://u:p@h/magnum")),
            ("postgresql+psycopg2://u:p@h:1/magnum?sslmode=require", pg("postgres://u:p@h:1/magnum?sslmode=require")),
            ("mysql+pymysql://u:p%40x@h:3306/magnum?charset=utf8", my("mysql://u:p%40x@h:3306/magnum")),
            ("mariadb://u@h/magnum?unix_socket=/run/my.sock", my("mysql://u@h/magnum?socket=/run/my.sock")),
            (
                "mysql+pymysql://u:p@h/m?charset=utf8&ssl_ca=/ca.pem",
                my("mysql://u:p@h/m?ssl-ca=/ca.pem&ssl-mode=VERIFY_CA"),
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(parse(url).ok(), Some(expected), "{url}");
        }
    }

    #[test]
    fn a_bad_url_is_refused_without_quoting_it() {
        for url in ["magnum.sqlite", "oracle://u:geheim@h/db", "geheim"] {
            let error = parse(url).err().map(|error| error.to_string());
            assert!(error.is_some_and(|text| !text.contains("geheim")), "{url}");
        }
    }
}
