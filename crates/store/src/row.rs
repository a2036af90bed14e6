//! Small conversions between columns and domain values, shared by all tables.

use std::borrow::Cow;

use chrono::NaiveDateTime;
use magnum_domain::Timestamp;
use uuid::Uuid;

use crate::{Result, StoreError};

/// Longest text of ours that goes into a column, in bytes; MySQL's TEXT holds 65535.
const LONGEST: usize = 16 * 1024;

pub(crate) fn utc(at: NaiveDateTime) -> Timestamp {
    at.and_utc()
}

pub(crate) fn utc_opt(at: Option<NaiveDateTime>) -> Option<Timestamp> {
    at.map(|at| at.and_utc())
}

pub(crate) fn naive(at: Option<Timestamp>) -> Option<NaiveDateTime> {
    at.map(|at| at.naive_utc())
}

/// Reads a UUID of one of our own tables, where there never is anything else.
pub(crate) fn uuid(table: &'static str, column: &'static str, row: impl std::fmt::Display, text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| corrupt(table, column, row, text))
}

pub(crate) fn corrupt(
    table: &'static str,
    column: &'static str,
    row: impl std::fmt::Display,
    value: &str,
) -> StoreError {
    StoreError::Corrupt { table, row: row.to_string(), column, value: value.to_owned() }
}

/// Cuts what is too long for a column: messages of engines and drivers can be of any length.
pub(crate) fn clip(text: &str) -> Cow<'_, str> {
    clip_to(text, LONGEST)
}

pub(crate) fn clip_to(text: &str, longest: usize) -> Cow<'_, str> {
    magnum_domain::text::cut(text, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(clip_to("short", 8), "short");
        assert_eq!(clip_to("123456789", 8), "12345...");
        assert_eq!(clip_to("1234ä6789", 8), "1234...");
    }
}
