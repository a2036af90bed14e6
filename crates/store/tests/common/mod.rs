//! A fresh database for every test, on every backend.
//!
//! SQLite always runs. PostgreSQL and MariaDB run where `MAGNUM_TEST_POSTGRES_URL` and `MAGNUM_TEST_MARIADB_URL` lead
//! to a server on which databases may be made and dropped; `cargo xtask test` starts such servers. With
//! `MAGNUM_TEST_REQUIRE_DATABASES=1` a missing server is a failure.

// Each test binary uses its own part of this.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

pub mod rows;
pub mod upstream;

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use magnum_store::{Backend, ConnectOptions, Seal, SealError, Store};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;
use uuid::Uuid;

/// Makes one test per backend out of each function: `name::sqlite`, `name::postgres`, `name::mariadb`. Takes the names
/// of the functions, or the functions themselves.
#[macro_export]
macro_rules! on_every_database {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $crate::common::run(magnum_store::Backend::Sqlite, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                $crate::common::run(magnum_store::Backend::Postgres, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                $crate::common::run(magnum_store::Backend::MySql, super::$name).await;
            }
        }
    )+};
    ($($(#[doc = $doc:literal])* async fn $name:ident($database:ident: Database) $body:block)+) => {
        $($(#[doc = $doc])* async fn $name($database: Database) $body)+

        $crate::on_every_database![$($name),+];
    };
}

/// An empty database.
#[derive(Clone)]
pub struct Database {
    pub backend: Backend,
    pub url: String,
    name: String,
    _folder: Option<Arc<TempDir>>,
}

/// Turns bytes round, so that a test sees whether something was sealed.
pub struct Reversed;

impl Seal for Reversed {
    fn seal(&self, plain: &[u8]) -> Result<String, SealError> {
        Ok(format!("sealed:{}", plain.iter().rev().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    fn open(&self, sealed: &str) -> Result<Vec<u8>, SealError> {
        let wrong = || SealError::Failed("not sealed".to_owned());
        let hex = sealed.strip_prefix("sealed:").ok_or_else(wrong)?;
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| wrong());
        (0..hex.len()).step_by(2).rev().map(byte).collect()
    }
}

/// Runs a test on a database of its own and drops it afterwards, whatever became of the test.
pub async fn run<F, T>(backend: Backend, test: F)
where
    F: FnOnce(Database) -> T,
    // What the store returns must be able to move between threads, as the API's handlers do.
    T: Future<Output = ()> + Send + 'static,
{
    let Some(database) = Database::create(backend).await else { return };
    let ended = tokio::spawn(test(database.clone())).await;
    database.destroy().await;
    eprintln!("ran on {}", backend.as_str());
    if let Err(failed) = ended {
        std::panic::resume_unwind(failed.into_panic());
    }
}

fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        let required = std::env::var("MAGNUM_TEST_REQUIRE_DATABASES").is_ok_and(|value| value == "1");
        assert!(!required, "{variable} must lead to a database server");
        // Past the test runner's capture: nobody shall take this test for one that ran.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: no database server was given in {variable}");
    }
    url
}

impl Database {
    async fn create(backend: Backend) -> Option<Self> {
        let name = format!("magnum_store_{}", Uuid::new_v4().simple());
        let sql = format!("CREATE DATABASE {name}");
        let at = |admin: &str| format!("{}/{name}", admin.rsplit_once('/').unwrap().0);
        let (url, folder) = match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (format!("sqlite:///{}", folder.path().join("magnum.sqlite").display()), Some(Arc::new(folder)))
            }
            Backend::Postgres => {
                let admin = server("MAGNUM_TEST_POSTGRES_URL")?;
                execute(backend, &admin, &sql).await;
                (at(&admin), None)
            }
            Backend::MySql => {
                let admin = server("MAGNUM_TEST_MARIADB_URL")?;
                execute(backend, &admin, &sql).await;
                (at(&admin), None)
            }
        };
        Some(Self { backend, url, name, _folder: folder })
    }

    async fn destroy(&self) {
        let (variable, force) = match self.backend {
            Backend::Sqlite => return,
            Backend::Postgres => ("MAGNUM_TEST_POSTGRES_URL", " WITH (FORCE)"),
            Backend::MySql => ("MAGNUM_TEST_MARIADB_URL", ""),
        };
        let admin = std::env::var(variable).unwrap();
        execute(self.backend, &admin, &format!("DROP DATABASE {}{force}", self.name)).await;
    }

    /// Runs SQL of the test's own, behind the store's back.
    pub async fn execute(&self, sql: &str) {
        execute(self.backend, &self.url, sql).await;
    }

    /// Reads the first column of the first row as text.
    pub async fn text(&self, sql: &str) -> Option<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.backend {
            Backend::Sqlite => {
                let mut db = sqlx::SqliteConnection::connect(&sqlite_url(&self.url)).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
            }
            Backend::Postgres => {
                let mut db = sqlx::PgConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
            }
            Backend::MySql => {
                let mut db = sqlx::MySqlConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
            }
        }
    }

    /// Opens it as it is.
    pub async fn open(&self) -> Store {
        let options =
            ConnectOptions { max_connections: 10, acquire_timeout: Duration::from_secs(60), ..Default::default() };
        Store::connect(&self.url, &options).await.unwrap().with_seal(Reversed)
    }

    /// Opens it with all tables.
    pub async fn store(&self) -> Store {
        let store = self.open().await;
        store.migrate().await.unwrap();
        store
    }
}

fn sqlite_url(url: &str) -> String {
    format!("{}?mode=rwc", url.replacen("sqlite:///", "sqlite://", 1))
}

async fn execute(backend: Backend, url: &str, sql: &str) {
    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        let statement = AssertSqlSafe(statement.to_owned());
        match backend {
            Backend::Sqlite => {
                let mut db = sqlx::SqliteConnection::connect(&sqlite_url(url)).await.unwrap();
                db.execute(statement).await.unwrap();
            }
            Backend::Postgres => {
                let mut db = sqlx::PgConnection::connect(url).await.unwrap();
                db.execute(statement).await.unwrap();
            }
            Backend::MySql => {
                let mut db = sqlx::MySqlConnection::connect(url).await.unwrap();
                db.execute(statement).await.unwrap();
            }
        }
    }
}
