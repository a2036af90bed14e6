//! What is refused before anything else is looked at: size, and representations there are none of.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};

use crate::accept::preferred;
use crate::error::{ApiError, Result};
use crate::options::ApiOptions;

pub(super) fn check(options: &ApiOptions, request: &Request) -> Result<()> {
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > options.path_limit {
        return Err(ApiError::PathTooLong { limit: options.path_limit });
    }
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > options.body_limit) {
        return Err(ApiError::TooLarge { limit: options.body_limit });
    }
    if uri.path().starts_with("/v1/") && !accepts(request.headers(), uri.path()) {
        return Err(ApiError::Routing(StatusCode::NOT_ACCEPTABLE));
    }
    Ok(())
}

/// Whether the client takes what the path has: JSON, and for events a stream as well.
fn accepts(headers: &HeaderMap, path: &str) -> bool {
    let offers: &[&str] =
        if path.ends_with("/events") { &["application/json", "text/event-stream"] } else { &["application/json"] };
    preferred(headers, offers).is_some()
}
