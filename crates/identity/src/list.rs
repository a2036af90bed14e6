//! What all lists have in common.

use magnum_store::identity::ListPage;
use serde_json::{Value, json};

use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::field;

/// Greatest number of rows that a client may ask for in one page.
const LARGEST_PAGE: u64 = 1000;

/// Which part of a list a client wants.
///
/// # Errors
/// 400 for what is no number or no id.
pub(crate) fn page(limit: Option<&str>, marker: Option<&str>) -> Result<ListPage, Refusal> {
    let limit = limit.map(str::parse::<u64>).transpose().map_err(|_| Refusal::bad("limit has to be a number."))?;
    if marker.is_some_and(|marker| !field::is_id(marker)) {
        return Err(Refusal::bad("The marker names nothing in this list."));
    }
    // As in other OpenStack services, 0 stands for as many as there may be.
    let limit = limit.map(|limit| if limit == 0 { LARGEST_PAGE } else { limit.min(LARGEST_PAGE) });
    Ok(ListPage { limit, marker: marker.map(str::to_owned) })
}

/// The document of a list. A full page has a link to the next one.
pub(crate) fn document(identity: &BuiltIn, key: &str, path: &str, page: &ListPage, items: Vec<Value>) -> Value {
    let this = identity.url(path);
    let full = page.limit.is_some_and(|limit| u64::try_from(items.len()) == Ok(limit));
    let last = items.last().and_then(|item| item["id"].as_str()).filter(|_| full);
    let next = last.zip(page.limit).map(|(last, limit)| format!("{this}?limit={limit}&marker={last}"));
    json!({key: items, "links": {"self": this, "previous": null, "next": next}})
}

/// A filter on `enabled`, in any spelling of yes and no.
pub(crate) fn enabled(value: Option<&str>) -> Option<bool> {
    value.map(|value| crate::body::flag(Some(value)))
}
