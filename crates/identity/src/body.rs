//! Reading requests: bodies, paths, query strings. Whatever is wrong with one becomes a [`Refusal`].

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use magnum_listen::{is_too_slow, json};
use secrecy::SecretString;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::Refusal;

/// Greatest size of a request body, in bytes.
pub(crate) const LIMIT: usize = 64 * 1024;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let declared = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        let declared = declared.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        if declared.is_some_and(|kind| kind != "application/json") {
            return Err(Refusal::bad("The body has to be of the content type application/json."));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(error)
                if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE =>
            {
                Refusal::TooLarge
            }
            error if is_too_slow(&error).is_some() => Refusal::TooSlow,
            _ => Refusal::bad("The body could not be read to its end."),
        })?;
        match json::read(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) => {
                let reason = without_values(&error.to_string());
                Err(Refusal::bad(format!("The body is not what is expected here: {reason}.")))
            }
        }
    }
}

/// What serde says of a body, without what was sent: that may be a password in the wrong place.
fn without_values(message: &str) -> String {
    for kind in ["invalid type: ", "invalid value: ", "unknown variant "] {
        if let Some(rest) = message.strip_prefix(kind)
            && let Some((sent, expected)) = rest.rsplit_once(", expected")
        {
            // What kind of thing it was: a word before the thing itself.
            let sent = sent.split([' ', '`', '"']).next().unwrap_or_default();
            let gap = if sent.is_empty() { kind.trim_end() } else { kind };
            return format!("{gap}{sent}, expected{expected}");
        }
    }
    message.to_owned()
}

/// Parts of the path.
pub(crate) struct Ids<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Ids<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(ids) = Path::from_request_parts(parts, state).await.map_err(|_| Refusal::NoRoute)?;
        Ok(Self(ids))
    }
}

/// The query string. Unknown parameters are left out, as Keystone does.
pub(crate) struct Filter<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Filter<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(filter) =
            query.map_err(|error| Refusal::bad(format!("The query string can't be read: {}.", error.body_text())))?;
        Ok(Self(filter))
    }
}

/// A secret in a body. What was sent instead of text is not quoted.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text.into())),
            _ => Err(D::Error::custom("a secret has to be text")),
        }
    }
}

/// For fields of which `null` means something else than absence.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A filter that Keystone reads as a flag: given without a value, or as anything but an obvious no.
pub(crate) fn flag(value: Option<&str>) -> bool {
    value.is_some_and(|value| !["0", "false", "no", "off"].contains(&value.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn what_was_sent_is_not_repeated() {
        let table = [
            (
                "invalid type: string \"s3cret, expected\", expected struct Password at line 1 column 3",
                "invalid type: string, expected struct Password at line 1 column 3",
            ),
            (
                "invalid type: integer `123456`, expected a string at line 1 column 3",
                "invalid type: integer, expected a string at line 1 column 3",
            ),
            (
                "unknown variant `s3cret`, expected `a` or `b` at line 1 column 3",
                "unknown variant, expected `a` or `b` at line 1 column 3",
            ),
            ("missing field `auth` at line 1 column 2", "missing field `auth` at line 1 column 2"),
            ("EOF while parsing a string at line 1 column 9", "EOF while parsing a string at line 1 column 9"),
        ];
        for (message, expected) in table {
            assert_eq!(without_values(message), expected);
        }
    }
}
