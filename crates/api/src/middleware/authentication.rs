//! Finds out who is asking, for everything but the discovery documents.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderValue;
use magnum_identity::{AuthError, IncomingRequest};
use magnum_listen::address;

use super::{Gate, request_id};
use crate::error::{ApiError, Result};

/// What anybody may read. The suffix is upstream's.
const PUBLIC: [&str; 6] = ["/", "/v1", "/v1.json", "/healthcheck", "/metrics", "/openapi.json"];

/// Puts the caller beside the request.
pub(super) async fn identify(gate: &Gate, request: &mut Request) -> Result<()> {
    let Gate { state, throttle } = gate;
    if PUBLIC.contains(&request.uri().path()) {
        return Ok(());
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let request_id = request_id::for_others(request);
    let address = peer.map(|peer| peer.ip());
    let address = address::client(request.headers(), address, state.options.links.proxy_headers);
    let incoming = IncomingRequest {
        headers: request.headers(),
        peer,
        method: request.method(),
        path: request.uri().path(),
        request_id: request_id.as_deref(),
    };
    let token = request.headers().get("x-auth-token").map(HeaderValue::as_bytes);
    let turn = throttle.permit(address, token).await?;
    let outcome = state.authenticator.authenticate(incoming).await;
    drop(turn);
    let mut caller = match outcome {
        Ok(caller) => caller,
        Err(error) => {
            if !matches!(error, AuthError::Unavailable(_)) {
                throttle.failed(address)?;
            }
            return Err(ApiError::Authentication { error, challenge: state.authenticator.challenge() });
        }
    };
    throttle.was_good(token);
    caller.is_admin = state.policy.is_admin(&caller);
    caller.request_id = request_id;
    let span = tracing::Span::current();
    span.record("user", &caller.user_id);
    span.record("project", caller.project_id.as_deref());
    request.extensions_mut().insert(Arc::new(caller));
    Ok(())
}
