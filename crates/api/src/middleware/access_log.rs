//! One line for every request.

use std::time::Instant;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::normalize::WasHead;

/// Logs method, path, status and time. The query is left out: it is the client's, and long.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let was_head = request.extensions().get::<WasHead>().is_some();
    let method = if was_head { Method::HEAD } else { request.method().clone() };
    let path = request.uri().path().to_owned();
    let quiet = matches!(path.as_str(), "/healthcheck" | "/metrics");
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    if quiet {
        tracing::debug!(%method, path, status, ?took, "served");
    } else {
        tracing::info!(%method, path, status, ?took, "served");
    }
    response
}
