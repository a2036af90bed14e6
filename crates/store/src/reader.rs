//! Connections for reads, which stay out of the pool from one read to the next.
//!
//! The pool asks every connection that is given back whether it still works, a round trip for each query and a third of
//! what a short one costs. A read that has come to its end leaves nothing behind that would have to be asked about, so its
//! connection rests here for the next one. After an error, when a request is given up in the middle of an answer, or
//! when it has lain for long, a connection goes back to the pool all the same, which looks at it and at its age.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sea_orm::sea_query::Values;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement,
};
use sea_query_sqlx::SqlxValues;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Executor, IntoArguments, MySql, Pool, Postgres};

/// How long a connection may have lain idle before it is asked whether it is still there. Asking each time doubles the
/// round trips of every read.
pub(crate) const TRUSTED: Duration = Duration::from_secs(1);
/// How long a connection stays out of the pool, however busy it is.
const LONGEST_LEAVE: Duration = Duration::from_secs(60);

/// Where reads go to.
pub(crate) struct Reader {
    pool: DatabaseConnection,
    resting: Resting,
}

enum Resting {
    MySql(Shelf<MySql>),
    Postgres(Shelf<Postgres>),
    /// A file does not have to be asked.
    None,
}

impl Reader {
    /// Reads through a pool and nothing else.
    pub(crate) fn of(pool: DatabaseConnection) -> Self {
        Self { pool, resting: Resting::None }
    }

    /// Reads through a pool of so many connections. Half of them may rest here: the others are for writers.
    pub(crate) fn mysql(pool: &Pool<MySql>, connections: u32) -> Self {
        Self { pool: pool.clone().into(), resting: Resting::MySql(Shelf::new(pool.clone(), connections / 2)) }
    }

    /// The same.
    pub(crate) fn postgres(pool: &Pool<Postgres>, connections: u32) -> Self {
        Self { pool: pool.clone().into(), resting: Resting::Postgres(Shelf::new(pool.clone(), connections / 2)) }
    }

    /// The pool, for whoever needs more than reads.
    pub(crate) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Gives the resting connections back, and takes no more: the pool closes when it has them all.
    pub(crate) fn close(&self) {
        match &self.resting {
            Resting::MySql(shelf) => drop(shelf.close()),
            Resting::Postgres(shelf) => drop(shelf.close()),
            Resting::None => {}
        }
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.resting {
            Resting::None => self.pool.query_one_raw(statement).await,
            // Whoever wants one row says so in the statement.
            _ => Ok(self.query_all_raw(statement).await?.into_iter().next()),
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.resting {
            Resting::MySql(shelf) => shelf.all(statement).await,
            Resting::Postgres(shelf) => shelf.all(statement).await,
            Resting::None => self.pool.query_all_raw(statement).await,
        }
    }
}

/// Connections between two reads.
struct Shelf<D: Database> {
    pool: Pool<D>,
    most: usize,
    /// The one used last is at the end; nothing once it is closed.
    resting: Mutex<Option<Vec<Idle<D>>>>,
}

/// A connection that is out of the pool.
struct Lent<D: Database> {
    connection: PoolConnection<D>,
    since: Instant,
}

struct Idle<D: Database> {
    lent: Lent<D>,
    used: Instant,
}

impl<D: Database> Shelf<D> {
    fn new(pool: Pool<D>, most: u32) -> Self {
        Self { pool, most: usize::try_from(most).unwrap_or(usize::MAX), resting: Mutex::new(Some(Vec::new())) }
    }

    fn close(&self) -> Option<Vec<Idle<D>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A connection that was used a moment ago, or else one of the pool.
    async fn take(&self) -> Result<Lent<D>, DbErr> {
        let found = {
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            let last = resting.as_mut().and_then(Vec::pop);
            match last {
                Some(idle) if idle.used.elapsed() < TRUSTED => Ok(idle.lent),
                // The others have lain for longer.
                stale => Err((stale, resting.as_mut().map(std::mem::take))),
            }
        };
        match found {
            Ok(lent) => Ok(lent),
            Err(stale) => {
                drop(stale);
                let connection = self.pool.acquire().await.map_err(not_acquired)?;
                Ok(Lent { connection, since: Instant::now() })
            }
        }
    }

    /// Puts a connection down whose last answer was read to its end. One too many goes back to the pool.
    fn keep(&self, lent: Lent<D>) {
        if lent.since.elapsed() >= LONGEST_LEAVE {
            return;
        }
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resting) = resting.as_mut().filter(|resting| resting.len() < self.most) {
            resting.push(Idle { lent, used: Instant::now() });
        }
    }

    async fn all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr>
    where
        for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
        SqlxValues: IntoArguments<D>,
        QueryResult: From<D::Row>,
    {
        let mut lent = self.take().await?;
        let values = SqlxValues(statement.values.unwrap_or_else(|| Values(Vec::new())));
        // The statement was put together by the query builder, values apart.
        let query: Query<'_, D, SqlxValues> = sqlx::query_with(AssertSqlSafe(statement.sql), values);
        let rows = query.fetch_all(&mut *lent.connection).await;
        let rows = rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?;
        self.keep(lent);
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }
}

/// The pool takes connections back in a task, which takes a runtime; where there is none any more they just close.
impl<D: Database> Drop for Shelf<D> {
    fn drop(&mut self) {
        if tokio::runtime::Handle::try_current().is_err() {
            for idle in self.close().into_iter().flatten() {
                drop(idle.lent.connection.detach());
            }
        }
    }
}

fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}
