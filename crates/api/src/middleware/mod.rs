//! What every request goes through, from the outside in.

pub(crate) mod access_log;
pub(crate) mod authentication;
pub(crate) mod cors;
pub(crate) mod limits;
pub(crate) mod metrics;
pub(crate) mod microversion;
pub(crate) mod normalize;
pub(crate) mod panic;
pub(crate) mod rate;
pub(crate) mod request_id;

use axum::extract::{MatchedPath, Request};

/// The route a request has matched, as it was registered; for what matched none a word that is no path.
pub(crate) fn route(request: &Request) -> String {
    request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned())
}
