//! One line for every request.

use std::time::Instant;

use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;

use super::normalize::WasHead;

/// Method, path, status and time. The query is left out: it is the client's, and long.
pub(super) struct Line {
    started: Instant,
    method: Method,
    path: String,
}

impl Line {
    pub(super) fn of(request: &Request) -> Self {
        let was_head = request.extensions().get::<WasHead>().is_some();
        Self {
            started: Instant::now(),
            method: if was_head { Method::HEAD } else { request.method().clone() },
            path: request.uri().path().to_owned(),
        }
    }

    pub(super) fn end(self, response: &Response) {
        let Self { started, method, path } = self;
        let (status, took) = (response.status().as_u16(), started.elapsed());
        if matches!(path.as_str(), "/healthcheck" | "/metrics") {
            tracing::debug!(%method, path, status, ?took, "served");
        } else {
            tracing::info!(%method, path, status, ?took, "served");
        }
    }
}
