//! Transactions: begun so that they can write, repeated when another one was in the way, one after another where
//! two must not overlap.

use std::future::Future;
use std::time::Duration;

use magnum_domain::Timestamp;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use crate::entity::lock;
use crate::{Backend, Result, Store, StoreError};

/// How often a transaction is run again before its error is passed on.
const ATTEMPTS: u32 = 12;
/// Pause before the second attempt; doubled each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Runs a whole transaction, again and again while the database says that another one was in the way.
pub(crate) async fn retry<T, F, W>(mut work: F) -> Result<T>
where
    F: FnMut() -> W,
    W: Future<Output = Result<T>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match work().await {
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, ?pause, "transaction is run again");
                tokio::time::sleep(pause.mul_f64(0.5 + jitter())).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
    work().await
}

/// Between 0 and 1; only has to differ between callers that collided.
fn jitter() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0
}

/// What takes turns: transactions on the same one run one after another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LockScope<'a> {
    /// The number of clusters of a project.
    Project(&'a str),
    /// A template and the question whether it is in use.
    Template(&'a str),
    /// A cluster with its operations, node groups, nodes and the order of its events.
    Cluster(uuid::Uuid),
}

impl LockScope<'_> {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Project(id) => format!("project:{id}"),
            Self::Template(uuid) => format!("template:{uuid}"),
            Self::Cluster(uuid) => format!("cluster:{uuid}"),
        }
    }
}

impl Store {
    /// Begins a transaction that may write. Dropped, it is rolled back. In the course of an operation only while its lease
    /// is held; see [`crate::lease`].
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            // Deferred, it would fail instead of wait when another process wrote after its first read.
            sqlite_transaction_mode: (self.backend() == Backend::Sqlite).then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = self.write().begin_with_options(options).await?;
        crate::lease::check(&tx).await?;
        Ok(tx)
    }

    /// Waits until no other transaction has this turn, and keeps it to the end of this one. Taken in the order
    /// template, project, cluster.
    ///
    /// An update of a row of our own rather than `SELECT .. FOR UPDATE` of somebody else's: it can be taken for
    /// things that have no row yet, and Galera, which does not share read locks between nodes, lets only one of two
    /// such transactions commit. SQLite has one writer at a time anyway.
    pub(crate) async fn lock(&self, tx: &DatabaseTransaction, turn: LockScope<'_>) -> Result<()> {
        if self.backend() == Backend::Sqlite {
            return Ok(());
        }
        let name = turn.name();
        for _ in 0..3 {
            let taken = lock::Entity::update_many()
                .col_expr(lock::Column::Turn, lock::Column::Turn.into_expr().add(1))
                .filter(lock::Column::Name.eq(&name))
                .exec(tx)
                .await?;
            if taken.rows_affected == 1 {
                return Ok(());
            }
            let row = lock::ActiveModel { name: Set(name.clone()), turn: Set(0) };
            lock::Entity::insert(row)
                .on_conflict(OnConflict::column(lock::Column::Name).do_nothing_on([lock::Column::Name]).to_owned())
                .exec_without_returning(tx)
                .await?;
        }
        Err(StoreError::Corrupt { table: "conductor_lock", row: name, column: "turn", value: "no row".to_owned() })
    }

    /// Removes the row behind a turn, with the thing it was for.
    pub(crate) async fn forget_lock(&self, tx: &DatabaseTransaction, turn: LockScope<'_>) -> Result<()> {
        lock::Entity::delete_many().filter(lock::Column::Name.eq(turn.name())).exec(tx).await?;
        Ok(())
    }

    /// Now, as the upstream tables will hold it: MySQL's DATETIME has whole seconds.
    pub(crate) fn upstream_now(&self) -> Timestamp {
        use chrono::SubsecRound;
        let now = magnum_domain::now();
        if self.backend() == Backend::MySql { now.trunc_subsecs(0) } else { now }
    }
}
