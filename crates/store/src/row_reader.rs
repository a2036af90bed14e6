//! One row of an answer, read by position.
//!
//! The entities read rows by the names of columns: a look-up and several allocations for each value, which was two
//! thirds of what a list of templates cost. What lists and shows are made of is read here instead, in the order in
//! which it was selected: that of the entity, or that of the query's own list of columns.

use magnum_domain::Timestamp;
use sea_orm::prelude::DateTime;
use sea_orm::{DbErr, QueryResult, RuntimeErr};
use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, MySql, Postgres, Row, Sqlite};

/// A row, and how far it was read.
pub(crate) struct RowReader<'r> {
    row: DatabaseRow<'r>,
    next: usize,
}

enum DatabaseRow<'r> {
    MySql(&'r MySqlRow),
    Postgres(&'r PgRow),
    Sqlite(&'r SqliteRow),
}

impl<'r> RowReader<'r> {
    /// The row of a query, to be read from its first column on.
    pub(crate) fn of(result: &'r QueryResult) -> Result<Self, DbErr> {
        let row = if let Some(row) = result.try_as_mysql_row() {
            DatabaseRow::MySql(row)
        } else if let Some(row) = result.try_as_pg_row() {
            DatabaseRow::Postgres(row)
        } else if let Some(row) = result.try_as_sqlite_row() {
            DatabaseRow::Sqlite(row)
        } else {
            return Err(DbErr::Custom("a row of an unknown database".to_owned()));
        };
        Ok(Self { row, next: 0 })
    }

    /// The next column, which has the type it was selected with: that is not looked at again.
    fn read<T>(&mut self) -> Result<Option<T>, DbErr>
    where
        T: Decode<'r, MySql> + Decode<'r, Postgres> + Decode<'r, Sqlite>,
    {
        let at = self.next;
        self.next += 1;
        let value = match self.row {
            DatabaseRow::MySql(row) => row.try_get_unchecked(at),
            DatabaseRow::Postgres(row) => row.try_get_unchecked(at),
            DatabaseRow::Sqlite(row) => row.try_get_unchecked(at),
        };
        value.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))
    }

    /// Leaves columns out.
    pub(crate) fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    /// Text that is only looked at.
    pub(crate) fn text(&mut self) -> Result<Option<&'r str>, DbErr> {
        self.read()
    }

    /// Text that is kept.
    pub(crate) fn string(&mut self) -> Result<Option<String>, DbErr> {
        Ok(self.text()?.map(str::to_owned))
    }

    /// A whole number.
    pub(crate) fn integer(&mut self) -> Result<Option<i32>, DbErr> {
        self.read()
    }

    /// The key of one of upstream's tables.
    pub(crate) fn key(&mut self) -> Result<i64, DbErr> {
        Ok(self.integer()?.unwrap_or_default().into())
    }

    /// Yes or no; nothing is no.
    pub(crate) fn flag(&mut self) -> Result<bool, DbErr> {
        Ok(self.maybe_flag()?.unwrap_or(false))
    }

    /// Yes, no or nothing.
    pub(crate) fn maybe_flag(&mut self) -> Result<Option<bool>, DbErr> {
        self.read()
    }

    /// A time, which upstream keeps in UTC.
    pub(crate) fn time(&mut self) -> Result<Option<Timestamp>, DbErr> {
        Ok(self.read::<DateTime>()?.map(|time| time.and_utc()))
    }
}

/// Something a row is read as.
pub(crate) trait FromRow: Sized {
    /// Reads the columns from left to right.
    fn from_row(row: &mut RowReader<'_>) -> Result<Self, DbErr>;
}

/// What a query is told to read: `select.into_model::<Read<T>>()`.
pub(crate) struct Read<T>(pub(crate) T);

impl<T: FromRow> sea_orm::FromQueryResult for Read<T> {
    fn from_query_result(result: &QueryResult, _prefix: &str) -> Result<Self, DbErr> {
        T::from_row(&mut RowReader::of(result)?).map(Self)
    }
}
