//! What every request goes through; [`every_request`] says in which order.

mod access_log;
mod authentication;
mod cors;
mod limits;
mod metrics;
mod microversion;
pub(crate) mod normalize;
mod panic;
pub(crate) mod request_id;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use magnum_domain::Caller;
use tracing::Instrument;

use crate::ApiState;
use crate::error::Result;
use crate::microversion::Microversion;
use crate::throttle::Throttle;

use self::access_log::Line;
use self::metrics::Count;
use self::request_id::RequestId;

/// What it takes to let requests through.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) state: Arc<ApiState>,
    pub(crate) throttle: Arc<Throttle>,
}

/// From the outside in. One function for all of it: in which order things are looked at is a rule, and is read here.
pub(crate) async fn every_request(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let rules = &gate.state.options.cors;
    if let Some(answer) = cors::preflight(rules, &request) {
        return answer;
    }
    let origin = cors::origin(rules, &request);
    let id = RequestId::new();
    let span = id.span(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = counted(&gate, request, next).instrument(span).await;
    id.tell(response.headers_mut());
    cors::tell(rules, origin.as_ref(), response.headers_mut());
    response
}

/// Logged and counted, even when something panics.
async fn counted(gate: &Gate, request: Request, next: Next) -> Response {
    let line = Line::of(&request);
    let count = Count::of(&gate.state.metrics, &request);
    let outcome = AssertUnwindSafe(served(gate, request, next)).catch_unwind().await;
    let response = outcome.unwrap_or_else(|cause| panic::answer(&*cause));
    count.end(&response);
    line.end(&response);
    response
}

async fn served(gate: &Gate, mut request: Request, next: Next) -> Response {
    let version = match admitted(gate, &mut request).await {
        Ok(version) => version,
        Err(error) => return error.into_response(),
    };
    let mut response = match counted_in(gate, &mut request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    microversion::tell(version, &mut response);
    response
}

/// Refuses what is too large, comes from nobody, or asks for a version that there is not.
async fn admitted(gate: &Gate, request: &mut Request) -> Result<Option<Microversion>> {
    limits::check(&gate.state.options, request)?;
    authentication::identify(gate, request).await?;
    microversion::read(request)
}

/// Counts the request among those of its project.
fn counted_in(gate: &Gate, request: &mut Request) -> Result<()> {
    if let Some(caller) = request.extensions().get::<Arc<Caller>>() {
        gate.throttle.request(caller.project_id.as_deref().unwrap_or(&caller.user_id))?;
        if !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            gate.throttle.write(&caller.user_id)?;
        }
    }
    request.extensions_mut().insert(Arc::clone(&gate.throttle));
    Ok(())
}

/// The route a request has matched, as it was registered; for what matched none a word that is no path.
fn route(request: &Request) -> String {
    request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned())
}
