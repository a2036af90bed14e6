//! The contract around a router.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures::{StreamExt, stream};

use crate::{Contract, Exchange, Violation};

/// The router, with every exchange checked. A violation panics, which fails the test that asked.
pub fn held(router: Router, contract: Arc<Contract>) -> Router {
    router.layer(from_fn_with_state(contract, hold))
}

async fn hold(State(contract): State<Arc<Contract>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (method, uri, request_headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
    let (sent, body) = observed(body);
    let (parts, body) = next.run(Request::from_parts(parts, body)).await.into_parts();
    let is_stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let (answered, body) = match is_stream {
        true => (None, body),
        false => match to_bytes(body, usize::MAX).await {
            Ok(bytes) => (Some(bytes.clone()), Body::from(bytes)),
            Err(error) => (None, broken(error)),
        },
    };
    let sent = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
    let violations = contract.check(&Exchange {
        method: &method,
        uri: &uri,
        request_headers: &request_headers,
        request_body: sent.is_whole.then_some(sent.bytes.as_slice()),
        status: parts.status,
        headers: &parts.headers,
        body: answered.as_deref(),
    });
    refuse(&violations);
    Response::from_parts(parts, body)
}

/// What has been seen of a body.
#[derive(Default)]
struct Sent {
    bytes: Vec<u8>,
    /// Whether it was read to its end. One that does not come, breaks off or is not wanted is not.
    is_whole: bool,
}

/// A body, and what is read of it by and by.
fn observed(body: Body) -> (Arc<Mutex<Sent>>, Body) {
    let sent = Arc::new(Mutex::new(Sent::default()));
    let start = (body.into_data_stream(), Arc::clone(&sent));
    let frames = stream::unfold(start, |(mut frames, sent)| async move {
        let frame = frames.next().await;
        {
            let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            match &frame {
                Some(Ok(bytes)) => sent.bytes.extend_from_slice(bytes),
                Some(Err(_)) => {}
                None => sent.is_whole = true,
            }
        }
        Some((frame?, (frames, sent)))
    });
    (sent, Body::from_stream(frames))
}

/// A body of which nothing arrives but the break.
fn broken(error: axum::Error) -> Body {
    Body::from_stream(stream::once(async { Err::<axum::body::Bytes, _>(error) }))
}

#[expect(clippy::panic, reason = "failing a test is what this is for")]
fn refuse(violations: &[Violation]) {
    if !violations.is_empty() {
        let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
        panic!("the OpenAPI document and the service disagree:\n{}", list.join("\n"));
    }
}
