//! What can go wrong, in the words callers decide by.

use magnum_domain::nodes::TooManyNodes;
use magnum_domain::{ClusterStatus, OperationKind, OperationState};
use sea_orm::{DbErr, RuntimeErr, SqlErr};
use uuid::Uuid;

use crate::seal::SealError;

/// Result of every call on the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do what it was asked. Nothing was changed when a call returns one.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row, or not one the caller may see.
    #[error("{resource} {ident} could not be found.")]
    NotFound {
        /// `Cluster`, `ClusterTemplate`, `Nodegroup`, ... as error messages spell it.
        resource: &'static str,
        /// What was looked for.
        ident: String,
    },
    /// Several rows have that name.
    #[error("several rows of {resource} have that name")]
    Ambiguous {
        /// As in [`Self::NotFound`].
        resource: &'static str,
    },
    /// There is such a row already.
    #[error("{resource} {ident} already exists")]
    Duplicate {
        /// As in [`Self::NotFound`].
        resource: &'static str,
        /// The value that is taken.
        ident: String,
    },
    /// The project has as many clusters as it may have.
    #[error("the project has its {limit} clusters already")]
    QuotaExceeded {
        /// Greatest number of clusters.
        limit: i32,
    },
    /// The cluster would become larger than clusters may be.
    #[error("the cluster may have {limit} {what} at most")]
    ClusterTooLarge {
        /// `nodes` or `node groups`.
        what: &'static str,
        /// The greatest number.
        limit: u32,
    },
    /// A cluster's node groups want more nodes than any cluster may have.
    #[error(transparent)]
    TooManyNodes(#[from] TooManyNodes),
    /// The template can't go, or not change like this, while clusters use it.
    #[error("cluster template {uuid} is referenced by one or multiple clusters")]
    TemplateInUse {
        /// The template.
        uuid: Uuid,
    },
    /// The cluster is in no state for this.
    #[error("the cluster is {status}{}", busy(*busy_with))]
    WrongStatus {
        /// The cluster's status.
        status: ClusterStatus,
        /// The unfinished operation in the way, if that is the reason.
        busy_with: Option<OperationKind>,
    },
    /// The operation is in no state for this.
    #[error("the operation is {}", state.as_str())]
    WrongOperationState {
        /// Where it stands.
        state: OperationState,
    },
    /// The operation in whose course something was to be written is no longer held: another conductor goes on with it.
    #[error("the lease of operation {operation} was lost; whoever holds it now goes on")]
    LeaseLost {
        /// The operation.
        operation: Uuid,
    },
    /// No column of that name.
    #[error("there is no column {0} to sort by")]
    InvalidSortKey(String),
    /// The marker has not the form the list demands.
    #[error("the marker is not valid for this list")]
    InvalidMarker,
    /// The database is not one this release knows how to use.
    #[error("the database schema is not known: {reason}")]
    SchemaUnknown {
        /// What was found.
        reason: String,
    },
    /// The database's upstream schema is older than what was asked for.
    #[error(
        "the database's schema is older than {revision}, which brought {table}.{column}: \
         'magnum-db-manage upgrade {revision}' brings it there"
    )]
    SchemaTooOld {
        /// The table.
        table: &'static str,
        /// The missing column.
        column: &'static str,
        /// The upstream revision that brings it.
        revision: &'static str,
    },
    /// Dropping the trust columns would take from clusters what their Heat stacks are reached with.
    #[error(
        "{clusters} clusters have a trust, which is what their Heat stacks are reached with, and which {revision} \
         drops for good: nothing was changed"
    )]
    TrustsInUse {
        /// How many.
        clusters: i64,
        /// The upstream revision that drops them.
        revision: &'static str,
    },
    /// A text is not one that its column can hold.
    #[error("the column {column} can't hold a text {}", reason.as_str())]
    Unstorable {
        /// Name of the column; `a text` where the database does not tell.
        column: String,
        /// Why.
        reason: Unstorable,
    },
    /// The connection URL can't be read. The message holds no part of it, since it may hold a password.
    #[error("the database URL is not valid: {0}")]
    InvalidUrl(String),
    /// The database can't be reached, or has no connection or no room left.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] DbErr),
    /// The database refused.
    #[error("the database failed: {0}")]
    Database(#[source] DbErr),
    /// A value could not be sealed or opened.
    #[error("a secret could not be sealed or opened: {0}")]
    Seal(#[from] SealError),
    /// A row of ours holds something it never should.
    #[error("{table} {row}: {column} holds {value:?}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's identity.
        row: String,
        /// The column.
        column: &'static str,
        /// What it holds; never a secret.
        value: String,
    },
}

/// What a column can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstorable {
    /// Characters that its encoding has not: beyond U+FFFF in MariaDB's older `utf8mb3`.
    Characters,
    /// So many characters.
    Length,
}

impl Unstorable {
    fn as_str(self) -> &'static str {
        match self {
            Self::Characters => "with such characters",
            Self::Length => "of such length",
        }
    }
}

impl StoreError {
    pub(crate) fn not_found(resource: &'static str, ident: impl std::fmt::Display) -> Self {
        Self::NotFound { resource, ident: ident.to_string() }
    }

    /// Whether the whole transaction may simply be run again: deadlock, serialisation failure, busy database.
    pub(crate) fn is_retryable(&self) -> bool {
        let Self::Database(DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
            self
        else {
            return false;
        };
        let sqlx::Error::Database(error) = error.as_ref() else { return false };
        if let Some(mysql) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            // 1020: the row changed since the snapshot (MariaDB 11.6+); 1205: lock wait timeout; 1213: deadlock,
            // which is also what a Galera node says when another node's write won.
            return matches!(mysql.number(), 1020 | 1205 | 1213);
        }
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            // The low byte is the primary code: 5 busy, 6 locked.
            return code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6));
        }
        // serialization_failure, deadlock_detected
        matches!(code.as_ref(), "40001" | "40P01")
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if let DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) = &error
            && let sqlx::Error::Database(inner) = inner.as_ref()
            && let Some(reason) = unstorable(inner.as_ref())
        {
            return Self::Unstorable { column: column_of(inner.message()), reason };
        }
        let unavailable = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) => {
                match inner.as_ref() {
                    sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                        true
                    }
                    sqlx::Error::Database(inner) => is_out_of_room(inner.as_ref()),
                    _ => false,
                }
            }
            _ => false,
        };
        if unavailable { Self::Unavailable(error) } else { Self::Database(error) }
    }
}

/// A full disk, in the words of each database. It passes when somebody makes room.
fn is_out_of_room(error: &dyn sqlx::error::DatabaseError) -> bool {
    if let Some(mysql) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        // 1021: disk full; 1114: table full, which is what a full disk looks like to InnoDB.
        return matches!(mysql.number(), 1021 | 1114);
    }
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // 13: no room for the database; 10: none for its log, or another failure of the disk.
        return code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 10 | 13));
    }
    // disk_full
    code == "53100"
}

/// Whether the database refused a text for what it is.
fn unstorable(error: &dyn sqlx::error::DatabaseError) -> Option<Unstorable> {
    if let Some(mysql) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return match mysql.number() {
            // The same number says that a text is no number, which no statement here tries.
            1366 if mysql.message().starts_with("Incorrect string value") => Some(Unstorable::Characters),
            // A text was looked for that the column's encoding has no characters for.
            1267 => Some(Unstorable::Characters),
            1406 => Some(Unstorable::Length),
            _ => None,
        };
    }
    error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    match error.code()?.as_ref() {
        // character_not_in_repertoire, untranslatable_character
        "22021" | "22P05" => Some(Unstorable::Characters),
        // string_data_right_truncation
        "22001" => Some(Unstorable::Length),
        _ => None,
    }
}

/// The column of a message such as "... for column `magnum`.`cluster`.`name` at row 1".
fn column_of(message: &str) -> String {
    let told = message.rsplit_once("for column ").map(|(_, rest)| rest.split(" at row").next().unwrap_or_default());
    let name = told.and_then(|path| path.rsplit('.').next()).map(|name| name.trim_matches(['`', '\'']));
    name.filter(|name| !name.is_empty()).unwrap_or("a text").to_owned()
}

fn busy(with: Option<OperationKind>) -> String {
    with.map_or_else(String::new, |kind| format!(", busy with {}", kind.as_str()))
}

/// Whether an insert failed because a unique value is taken.
pub(crate) fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_off_messages() {
        for (message, expected) in [
            ("Incorrect string value: '\\xF0\\x9F' for column `magnum`.`cluster`.`name` at row 1", "name"),
            ("Data too long for column 'labels' at row 1", "labels"),
            ("value too long for type character varying(255)", "a text"),
        ] {
            assert_eq!(column_of(message), expected);
        }
    }
}
