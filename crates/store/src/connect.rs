//! Connections: from a database URL, as SQLAlchemy spells it, to pools.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Executor as _, MySqlPool, PgPool};

use crate::reader::{Reader, TRUSTED};
use crate::seal::{Seal, SealError};
use crate::select_cache::SelectCache;
use crate::upstream::UpstreamHead;
use crate::url::{DatabaseUrl, Server, Target, Tls};
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
    /// Connects. Accepts what `[database] connection` may hold, as [`DatabaseUrl`] reads it.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`]; [`StoreError::Unavailable`] when nobody answers.
    pub async fn connect(url: &str, options: &ConnectOptions) -> Result<Self> {
        let (backend, read, write) = match DatabaseUrl::parse(url)?.target()? {
            Target::Sqlite(file) => {
                let (read, write) = sqlite(file.as_deref(), options).await?;
                (Backend::Sqlite, Reader::of(read), write)
            }
            Target::Postgres(server) => {
                let pool = postgres(&server, options).await?;
                (Backend::Postgres, Reader::postgres(&pool, options.max_connections), pool.into())
            }
            Target::MySql(server) => {
                let pool = mysql(&server, options).await?;
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

/// What the URL leaves out is libpq's to say: variables such as `PGHOST`, the password file, a socket.
fn postgres_options(server: &Server) -> PgConnectOptions {
    let mut connect = PgConnectOptions::new().application_name("magnum").options(server.settings.iter().cloned());
    if let Some(host) = &server.host {
        connect = connect.host(host);
    }
    if let Some(folder) = &server.socket {
        connect = connect.socket(folder);
    }
    if let Some(port) = server.port {
        connect = connect.port(port);
    }
    if let Some(user) = &server.user {
        connect = connect.username(user);
    }
    if let Some(password) = &server.password {
        connect = connect.password(password);
    }
    if let Some(database) = &server.database {
        connect = connect.database(database);
    }
    if let Some(tls) = server.tls {
        connect = connect.ssl_mode(match tls {
            Tls::Off => PgSslMode::Disable,
            Tls::Preferred => PgSslMode::Prefer,
            Tls::Required => PgSslMode::Require,
            Tls::Authority => PgSslMode::VerifyCa,
            Tls::Identity => PgSslMode::VerifyFull,
        });
    }
    if let Some(ca) = &server.ca {
        connect = connect.ssl_root_cert(ca);
    }
    if let Some(certificate) = &server.certificate {
        connect = connect.ssl_client_cert(certificate);
    }
    if let Some(key) = &server.key {
        connect = connect.ssl_client_key(key);
    }
    connect
}

async fn postgres(server: &Server, options: &ConnectOptions) -> Result<PgPool> {
    let connect = postgres_options(server);
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

fn mysql_options(server: &Server) -> MySqlConnectOptions {
    let mut connect = MySqlConnectOptions::new();
    if let Some(host) = &server.host {
        connect = connect.host(host);
    }
    if let Some(socket) = &server.socket {
        connect = connect.socket(socket);
    }
    if let Some(port) = server.port {
        connect = connect.port(port);
    }
    if let Some(user) = &server.user {
        connect = connect.username(user);
    }
    if let Some(password) = &server.password {
        connect = connect.password(password);
    }
    if let Some(database) = &server.database {
        connect = connect.database(database);
    }
    if let Some(tls) = server.tls {
        connect = connect.ssl_mode(match tls {
            Tls::Off => MySqlSslMode::Disabled,
            Tls::Preferred => MySqlSslMode::Preferred,
            Tls::Required => MySqlSslMode::Required,
            Tls::Authority => MySqlSslMode::VerifyCa,
            Tls::Identity => MySqlSslMode::VerifyIdentity,
        });
    }
    if let Some(ca) = &server.ca {
        connect = connect.ssl_ca(ca);
    }
    if let Some(certificate) = &server.certificate {
        connect = connect.ssl_client_cert(certificate);
    }
    if let Some(key) = &server.key {
        connect = connect.ssl_client_key(key);
    }
    connect
}

async fn mysql(server: &Server, options: &ConnectOptions) -> Result<MySqlPool> {
    let connect = mysql_options(server);
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
