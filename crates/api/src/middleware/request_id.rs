//! The id of a request, which is told back and stands in the span that everything is logged in.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-openstack-request-id");
const PREFIX: &str = "req-";

/// The id of a request: `req-` and a UUID.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// A new one.
    pub(super) fn new() -> Self {
        Self(format!("{PREFIX}{}", Uuid::new_v4()).into())
    }

    /// What everything that is logged for the sake of the request stands in.
    pub(super) fn span(&self, headers: &HeaderMap) -> Span {
        tracing::info_span!(
            "request",
            id = &*self.0,
            global_id = global_id(headers),
            user = tracing::field::Empty,
            project = tracing::field::Empty
        )
    }

    /// Names it in an answer.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            headers.insert(HEADER, value);
        }
    }

    /// The id, unless there is none.
    pub(crate) fn to_option(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.to_string())
    }
}

/// The id under which the sender, another service perhaps, knows the whole matter.
fn global_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let uuid = text.strip_prefix(PREFIX)?;
    // Only as upstream writes it: small letters, with dashes.
    Uuid::try_parse(uuid).is_ok_and(|parsed| parsed.to_string() == uuid).then_some(text)
}

/// The id under which other services are asked for the sake of a request: that of the whole matter, if there is one.
pub(crate) fn for_others(request: &Request) -> Option<String> {
    let own = || request.extensions().get::<RequestId>().and_then(RequestId::to_option);
    global_id(request.headers()).map(str::to_owned).or_else(own)
}
