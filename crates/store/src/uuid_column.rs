//! UUIDs as upstream's tables hold them. Upstream takes any spelling from whoever names a new template (capitals, no dashes,
//! braces, `urn:uuid:`) and keeps it as it came; people with access to the database write what they like. A row is found
//! by its UUID in every spelling; one whose UUID is none can't be named by anybody, and is neither listed nor counted.
//!
//! What is spelled as everywhere else is found by the column's index, so the database is asked once, when it is opened,
//! which columns hold anything else. Only in those is every value brought into one form before it is compared.

use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select, Statement};
use uuid::Uuid;

use crate::{Backend, Result, Store};

/// Columns of upstream's that hold UUIDs.
const COLUMNS: [(&str, &str); 7] = [
    ("cluster", "uuid"),
    ("cluster", "cluster_template_id"),
    ("cluster_template", "uuid"),
    ("nodegroup", "uuid"),
    ("nodegroup", "cluster_id"),
    ("x509keypair", "uuid"),
    ("federation", "uuid"),
];
const DASHED: &str = "________-____-____-____-____________";

/// Which of them hold something that is not spelled as `Uuid` spells it.
#[derive(Debug, Default)]
pub(crate) struct OddColumns([AtomicBool; COLUMNS.len()]);

/// Reads a UUID as upstream reads one: in any spelling that Python's `uuid.UUID` takes.
pub(crate) fn read(text: &str) -> Option<Uuid> {
    let simple = text.to_ascii_lowercase().replace("urn:", "").replace("uuid:", "").replace(['{', '}', '-'], "");
    // Thirty-two digits are the one form that is left.
    Uuid::try_parse(&simple).ok().filter(|_| simple.len() == 32)
}

/// A reference to something by its UUID, in the one spelling; what is none is left as it is.
pub(crate) fn canonical(text: String) -> String {
    read(&text).map_or(text, |uuid| uuid.to_string())
}

impl Store {
    /// Asks which columns have UUIDs in other spellings, or values that are none. The tables must be there.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn look_for_odd_uuids(&self) -> Result<()> {
        let questions: Vec<String> = COLUMNS
            .iter()
            .map(|(table, column)| {
                let odd = is_odd(&format!("{table}.{column}"), self.backend());
                format!("CASE WHEN EXISTS (SELECT 1 FROM {table} WHERE {odd}) THEN 1 ELSE 0 END")
            })
            .collect();
        let sql = format!("SELECT {}", questions.join(", "));
        let statement = Statement::from_string(self.read().get_database_backend(), sql);
        if let Some(row) = self.read().query_one_raw(statement).await? {
            for (at, odd) in self.inner.odd_columns.0.iter().enumerate() {
                // A whole number, of eight bytes with MariaDB and four with PostgreSQL.
                let is_odd = match row.try_get_by_index::<i64>(at) {
                    Ok(number) => number != 0,
                    Err(_) => row.try_get_by_index::<i32>(at)? != 0,
                };
                if is_odd && !odd.swap(true, Ordering::Relaxed) {
                    let (table, column) = COLUMNS[at];
                    tracing::warn!(
                        table,
                        column,
                        "it holds UUIDs in another spelling, which are found all the same, or values that are none, which are \
                         neither listed nor counted"
                    );
                }
                odd.store(is_odd, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Whether a column holds anything that is not spelled as `Uuid` spells it.
    pub(crate) fn has_odd_uuids<C: ColumnTrait>(&self, column: C) -> bool {
        let (table, name) = names(column);
        let place = COLUMNS.iter().position(|(of, known)| *of == table && *known == name);
        place.is_some_and(|at| self.inner.odd_columns.0[at].load(Ordering::Relaxed))
    }

    /// That a column of upstream's is this UUID.
    pub(crate) fn is<C: ColumnTrait>(&self, column: C, uuid: Uuid) -> Expr {
        if self.has_odd_uuids(column) {
            return ExprTrait::eq(simple(column), uuid.simple().to_string());
        }
        ColumnTrait::eq(&column, uuid.to_string())
    }

    /// The same, of what a client says to be a UUID.
    pub(crate) fn is_text<C: ColumnTrait>(&self, column: C, text: &str) -> Expr {
        read(text).map_or_else(|| ColumnTrait::eq(&column, text), |uuid| self.is(column, uuid))
    }

    /// That a column of upstream's is one of these UUIDs.
    pub(crate) fn is_any<C: ColumnTrait>(&self, column: C, uuids: impl Iterator<Item = Uuid>) -> Expr {
        if self.has_odd_uuids(column) {
            return ExprTrait::is_in(simple(column), uuids.map(|uuid| uuid.simple().to_string()));
        }
        ColumnTrait::is_in(&column, uuids.map(|uuid| uuid.to_string()))
    }

    /// Leaves out of a query what can't be named: rows whose UUID is none.
    pub(crate) fn nameable<E, C>(&self, select: Select<E>, column: C) -> Select<E>
    where
        E: EntityTrait,
        C: ColumnTrait,
    {
        if !self.has_odd_uuids(column) {
            return select;
        }
        let (table, name) = names(column);
        select.filter(Expr::cust(is_uuid(&format!("{table}.{name}"))))
    }

    /// How a row's UUID is spelled in the database, for what refers to it there: upstream compares such columns as text.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn stored_spelling<E: EntityTrait>(
        &self,
        db: &impl ConnectionTrait,
        column: E::Column,
        uuid: Uuid,
    ) -> Result<String> {
        if !self.has_odd_uuids(column) {
            return Ok(uuid.to_string());
        }
        let select = E::find().select_only().column_as(column, "spelling").filter(self.is(column, uuid)).limit(1);
        let found: Option<Option<String>> = select.into_tuple().one(db).await?;
        Ok(found.flatten().unwrap_or_else(|| uuid.to_string()))
    }
}

fn names<C: ColumnTrait>(column: C) -> (String, String) {
    (column.entity_name().to_string(), column.as_str().to_owned())
}

/// The digits of a column's value and nothing else, if it is a UUID: in SQL what [`read`] does.
fn simple<C: ColumnTrait>(column: C) -> Expr {
    let (table, name) = names(column);
    Expr::cust(digits(&format!("{table}.{name}")))
}

fn digits(column: &str) -> String {
    let cut = ["urn:", "uuid:", "{", "}", "-"];
    cut.iter().fold(format!("LOWER({column})"), |text, part| format!("REPLACE({text}, '{part}', '')"))
}

fn is_uuid(column: &str) -> String {
    let digits = digits(column);
    // No database has regular expressions that another reads as well.
    let rest = "0123456789abcdef".chars().fold(digits.clone(), |text, digit| format!("REPLACE({text}, '{digit}', '')"));
    format!("({column} IS NOT NULL AND LENGTH({digits}) = 32 AND LENGTH({rest}) = 0)")
}

fn is_odd(column: &str, backend: Backend) -> String {
    let lower = match backend {
        // Text compares without regard to case.
        Backend::MySql => format!("CAST({column} AS BINARY) = CAST(LOWER({column}) AS BINARY)"),
        _ => format!("{column} = LOWER({column})"),
    };
    format!("({column} IS NULL OR NOT ({column} LIKE '{DASHED}' AND {lower} AND {}))", is_uuid(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        let uuid = Uuid::from_u128(0x5d12_f6fd_a196_4bf0_ae4c_1f63_9a52_3a52);
        for text in [
            "5d12f6fd-a196-4bf0-ae4c-1f639a523a52",
            "5D12F6FD-A196-4BF0-AE4C-1F639A523A52",
            "5d12f6fda1964bf0ae4c1f639a523a52",
            "{5d12f6fd-a196-4bf0-ae4c-1f639a523a52}",
            "{5D12F6FDA1964BF0AE4C1F639A523A52}",
            "urn:uuid:5d12f6fd-a196-4bf0-ae4c-1f639a523a52",
            "5d12-f6fda196-4bf0ae4c1f639a523a52",
        ] {
            assert_eq!(read(text), Some(uuid), "{text}");
            assert_eq!(canonical(text.to_owned()), uuid.to_string());
        }
        for text in
            ["", "web", "5d12f6fd", "5d12f6fd-a196-4bf0-ae4c-1f639a523a5g", "5d12f6fd-a196-4bf0-ae4c-1f639a523a521"]
        {
            assert_eq!(read(text), None, "{text}");
            assert_eq!(canonical(text.to_owned()), text);
        }
    }
}
