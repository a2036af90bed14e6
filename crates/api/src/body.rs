//! The body of a request as JSON.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde_json::Value;
use std::sync::Arc;

use magnum_listen::{is_too_slow, json};

use crate::ApiState;
use crate::error::{ApiError, Result};
use crate::field::read::shorten;

/// Deepest nesting of a body.
const DEPTH: usize = 16;

/// What was sent, if anything was.
pub(crate) struct Json(Option<Value>);

impl Json {
    /// The body, which has to be there; `argument` is upstream's name for it.
    pub(crate) fn required(self, argument: &str) -> Result<Value> {
        self.0.ok_or_else(|| ApiError::invalid(format!("Missing argument: \"{argument}\"")))
    }

    /// The body, if there is one.
    pub(crate) fn optional(self) -> Option<Value> {
        self.0
    }
}

impl FromRequest<Arc<ApiState>> for Json {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<ApiState>) -> Result<Self> {
        let limit = state.options.body_limit;
        let mimetype = request.headers().get(header::CONTENT_TYPE).cloned();
        let bytes = Bytes::from_request(request, state).await.map_err(|error| match (is_too_slow(&error), error) {
            (Some(limit), _) => ApiError::TooSlow { limit },
            (_, BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
                ApiError::TooLarge { limit }
            }
            _ => ApiError::invalid("The request body ended before its end. Send all of it."),
        })?;
        if bytes.is_empty() {
            // The command line sends no body as `application/octet-stream`.
            return Ok(Self(None));
        }
        let mimetype = mimetype.as_ref().map(|value| value.to_str().unwrap_or("unreadable"));
        if !mimetype.is_some_and(is_json) {
            let mimetype = mimetype.map_or("None", |mimetype| mimetype.split(';').next().unwrap_or_default().trim());
            return Err(ApiError::MediaType(shorten(mimetype)));
        }
        let value: Value = json::read(&bytes).map_err(|error| {
            if let Some(said) = json::twice(&error) {
                return ApiError::invalid(format!("Request can be read in two ways: {said}. Send each key once."));
            }
            tracing::debug!(%error, "the body is not JSON");
            ApiError::invalid("Request is not in valid JSON format")
        })?;
        if is_deeper(&value, DEPTH) {
            return Err(ApiError::invalid(format!("Request is nested deeper than {DEPTH} levels. Send it flatter.")));
        }
        Ok(Self(Some(value)))
    }
}

fn is_json(mimetype: &str) -> bool {
    mimetype.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Whether a value is nested deeper than that. The parser itself stops at 128 levels.
fn is_deeper(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| is_deeper(item, depth - 1)),
        Value::Object(entries) => depth == 0 || entries.values().any(|item| is_deeper(item, depth - 1)),
        _ => false,
    }
}
