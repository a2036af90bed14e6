//! The query of a request: only parameters that the resource knows, each at most once.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;

use crate::error::{ApiError, Result};
use crate::field::read::{boolean, shorten, wrong};

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of a URI.
    pub(crate) fn of(uri: &Uri) -> Result<Self> {
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|_| ApiError::invalid("The query can't be decoded. Send it as UTF-8, percent-encoded."))
    }

    /// Refuses parameters that are not in `known` and such as stand there twice.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self> {
        for (at, (name, value)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(ApiError::invalid(format!("Unknown argument: \"{}\"", shorten(name))));
            }
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(wrong(name, &value.as_str().into(), "Value should be given once"));
            }
            if value.chars().any(char::is_control) {
                return Err(wrong(
                    name,
                    &value.escape_debug().to_string().into(),
                    "Value should not hold control characters",
                ));
            }
        }
        Ok(self)
    }

    /// The value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Yes or no; no when it is not there.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool> {
        let Some(text) = self.text(name) else { return Ok(false) };
        boolean(&text.into()).ok_or_else(|| wrong(name, &text.into(), "Value should be a boolean: true or false"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        Self::of(&parts.uri)
    }
}
