//! Counts the requests of projects.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use magnum_domain::Caller;

use crate::error::Result;
use crate::throttle::Throttle;

pub(crate) async fn layer(State(throttle): State<Arc<Throttle>>, request: Request, next: Next) -> Result<Response> {
    if let Some(caller) = request.extensions().get::<Arc<Caller>>() {
        throttle.request(caller.project_id.as_deref().unwrap_or(&caller.user_id))?;
    }
    Ok(next.run(request).await)
}
