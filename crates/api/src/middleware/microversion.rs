//! Reads the version a request asks for, and tells it back.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::{ApiError, Result, Unrouted};
use crate::microversion::Microversion;

pub(crate) async fn layer(mut request: Request, next: Next) -> Result<Response> {
    let path = request.uri().path();
    if path != "/v1" && !path.starts_with("/v1/") {
        return Ok(next.run(request).await);
    }
    let version = Microversion::from_headers(request.headers()).map_err(ApiError::Version)?;
    request.extensions_mut().insert(version);
    let mut response = next.run(request).await;
    // What upstream's routing answers comes from outside the versioned part.
    if response.extensions().get::<Unrouted>().is_none() {
        version.tell(response.headers_mut());
    }
    Ok(response)
}
