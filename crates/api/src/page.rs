//! Which page of a list is wanted, and where the next one is.

use magnum_store::{Page, SortDir};
use uuid::Uuid;

use crate::error::{ApiError, Result};
use crate::field::read::{invalid_literal, shorten, whole_number, wrong};
use crate::link::BaseUrl;
use crate::query::Query;

/// Query parameters every list takes.
pub(crate) const PARAMETERS: [&str; 4] = ["limit", "marker", "sort_key", "sort_dir"];

/// What the items of a list are found again by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// UUID.
    Uuid,
    /// Database key.
    Integer,
}

/// Reads the page a request asks for; `most` is the server's greatest limit.
pub(crate) fn read(query: &Query, marker: Marker, most: u64) -> Result<Page> {
    let limit = match query.text("limit") {
        None => most,
        Some(text) => {
            let number = whole_number(text).ok_or_else(|| {
                let reason = format!("unable to convert to int. Error: {}", invalid_literal(text));
                wrong("limit", &text.into(), &reason)
            })?;
            let limit = u64::try_from(number).ok().filter(|limit| *limit > 0);
            limit.ok_or_else(|| ApiError::invalid("Limit must be positive"))?.min(most)
        }
    };
    let sort_dir = match query.text("sort_dir") {
        None | Some("asc") => SortDir::Asc,
        Some("desc") => SortDir::Desc,
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "Invalid sort direction: {}. Acceptable values are 'asc' or 'desc'",
                shorten(other)
            )));
        }
    };
    let sort_key = query.text("sort_key").filter(|key| !key.is_empty()).unwrap_or("id");
    let marker = query.text("marker").map(|text| read_marker(text, marker)).transpose()?;
    Ok(Page { limit, marker, sort_key: sort_key.to_owned(), sort_dir })
}

fn read_marker(text: &str, marker: Marker) -> Result<String> {
    match marker {
        Marker::Uuid => Uuid::try_parse(text).map(|uuid| uuid.to_string()).map_err(|_| {
            let reason = format!("unable to convert to uuid. Error: Expected a uuid but received {}.", shorten(text));
            wrong("marker", &text.into(), &reason)
        }),
        Marker::Integer => whole_number(text).map(|id| id.to_string()).ok_or_else(|| {
            let reason = format!("unable to convert to int. Error: {}", invalid_literal(text));
            wrong("marker", &text.into(), &reason)
        }),
    }
}

/// The URL of the page after a full one. `last` is the marker of the last item.
///
/// As upstream has it: there is one whenever the page is full, even if nothing follows, and it repeats paging
/// parameters only.
pub(crate) fn next(base: &BaseUrl, path: &str, page: &Page, items: usize, last: Option<String>) -> Option<String> {
    let last = last.filter(|_| u64::try_from(items).is_ok_and(|items| items == page.limit))?;
    let direction = match page.sort_dir {
        SortDir::Asc => "asc",
        SortDir::Desc => "desc",
    };
    Some(format!(
        "{}?sort_key={}&sort_dir={direction}&limit={}&marker={last}",
        base.join(path),
        page.sort_key,
        page.limit
    ))
}
