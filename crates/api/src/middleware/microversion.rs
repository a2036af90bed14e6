//! Reads the version a request asks for, and tells it back.

use axum::extract::Request;
use axum::response::Response;

use crate::error::{ApiError, Result, Unrouted};
use crate::microversion::Microversion;

/// The version, also put beside the request; none outside of the versioned part.
pub(super) fn read(request: &mut Request) -> Result<Option<Microversion>> {
    let path = request.uri().path();
    if path != "/v1" && !path.starts_with("/v1/") {
        return Ok(None);
    }
    let version = Microversion::from_headers(request.headers()).map_err(ApiError::Version)?;
    request.extensions_mut().insert(version);
    Ok(Some(version))
}

/// Names the version in an answer. What upstream's routing answers comes from outside the versioned part.
pub(super) fn tell(version: Option<Microversion>, response: &mut Response) {
    if let Some(version) = version
        && response.extensions().get::<Unrouted>().is_none()
    {
        version.tell(response.headers_mut());
    }
}
