//! What a client of the identity API is told when something is refused, in Keystone's form.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use magnum_store::StoreError;
use serde_json::json;

use crate::AuthError;

/// A refused request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    /// The reason is left out wherever it would help somebody who guesses.
    #[error("{0}")]
    Unauthorized(String),
    /// Holds the name of the action, as Keystone's policy names it.
    #[error("You are not authorized to perform the requested action: {0}.")]
    Forbidden(String),
    #[error("{0}")]
    NotAllowed(String),
    #[error("Could not find {what}: {ident}.")]
    NotFound { what: &'static str, ident: String },
    #[error("There is no such page in the built-in identity service.")]
    NoRoute,
    #[error("The method is not allowed here; the built-in identity service may not offer this.")]
    Method,
    #[error("{0}")]
    Conflict(String),
    #[error("The request body is larger than {} bytes.", crate::body::LIMIT)]
    TooLarge,
    #[error("The request body has not come in time. Send it without pauses.")]
    TooSlow,
    #[error("Too many failed attempts. Try again in {} seconds.", seconds(*retry_after))]
    LockedOut { retry_after: Duration },
    #[error("There are too many changes of this user. Try again in {} seconds.", seconds(*retry_after))]
    TooFast { retry_after: Duration },
    #[error("The identity service is busy or has no database. Try again shortly.")]
    Unavailable,
    #[error("An unexpected error prevented the server from fulfilling your request.")]
    Internal,
}

impl Refusal {
    /// 401 without a reason.
    pub(crate) fn unauthorized() -> Self {
        Self::Unauthorized("The request you have made requires authentication.".to_owned())
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    pub(crate) fn not_found(what: &'static str, ident: impl Into<String>) -> Self {
        Self::NotFound { what, ident: ident.into() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::NotAllowed(_) => StatusCode::FORBIDDEN,
            Self::NotFound { .. } | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LockedOut { .. } | Self::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Whole seconds, rounded up: waiting that long is enough.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let document = json!({"error": {
            "code": status.as_u16(),
            "message": self.to_string(),
            "title": status.canonical_reason().unwrap_or_default(),
        }});
        let mut response = (status, Json(document)).into_response();
        if let Self::LockedOut { retry_after } | Self::TooFast { retry_after } = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(retry_after)));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { resource, ident } => Self::NotFound { what: resource, ident },
            StoreError::Duplicate { resource, ident } => {
                Self::Conflict(format!("There is a {resource} with the name {ident} already."))
            }
            StoreError::InvalidMarker => Self::bad("The marker names nothing in this list."),
            StoreError::Unavailable(error) => {
                tracing::warn!(%error, "the identity service has no database");
                Self::Unavailable
            }
            error => {
                tracing::error!(%error, "the identity service failed");
                Self::Internal
            }
        }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing | AuthError::Invalid | AuthError::NotTrusted | AuthError::ForeignHost => {
                Self::unauthorized()
            }
            AuthError::Unavailable(error) => {
                tracing::warn!(%error, "a token could not be validated");
                Self::Unavailable
            }
        }
    }
}

impl From<crate::session::NoRandomNumbers> for Refusal {
    fn from(error: crate::session::NoRandomNumbers) -> Self {
        tracing::error!(%error, "no token or secret can be made");
        Self::Internal
    }
}
