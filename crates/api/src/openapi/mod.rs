//! The document of the API: OpenAPI 3.1, made from the routes themselves.
//!
//! Paths, parameters and schemas come from the handlers, the views and the tables of fields. What is true of many
//! operations at once (failures, headers, examples) stands in `data/openapi.yaml` and is put in place by [`complete`].

mod complete;

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::Value;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{Modify, ToSchema};

/// One change of a patch.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct PatchItem {
    /// `add`, `replace` or `remove`.
    op: String,
    /// `/name`, or `/labels/key` for one entry of a dictionary.
    path: String,
    /// Text, number or boolean; a dictionary as an object or as a Python literal in a text.
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
}

/// What failures are answered with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct ErrorDocument {
    /// One element.
    errors: Vec<ErrorItem>,
}

/// A failure.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct ErrorItem {
    /// Always empty; the id is in the header `x-openstack-request-id`.
    request_id: String,
    /// `client`, `server`, or empty for what routing answers.
    code: String,
    /// HTTP status.
    status: u16,
    /// The detail up to its first full stop.
    title: String,
    /// In words.
    detail: String,
    /// Always empty.
    links: Vec<String>,
}

/// What a version that is not served is answered with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct VersionDocument {
    /// One element.
    errors: Vec<VersionItem>,
}

/// A version that is not served, and those that are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct VersionItem {
    /// `magnum.microversion-unsupported`.
    code: String,
    /// In short.
    title: String,
    /// In words.
    description: String,
    /// Newest version that is served.
    max_version: String,
    /// Oldest version that is served.
    min_version: String,
    /// Where versions are explained.
    links: Vec<crate::view::links::LinkSchema>,
}

/// What is answered when nobody known asks.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct ChallengeDocument {
    /// The failure.
    error: ChallengeItem,
}

/// Nobody known is asking.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct ChallengeItem {
    /// HTTP status.
    code: u16,
    /// In short.
    title: String,
    /// In words.
    message: String,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Magnum", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(
        ErrorDocument, ErrorItem, VersionDocument, VersionItem, ChallengeDocument, ChallengeItem,
        crate::view::links::LinkSchema,
    )),
    modifiers(&Security),
    security(("token" = [])),
)]
pub(crate) struct Head;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let token = ApiKey::Header(ApiKeyValue::with_description(
            "X-Auth-Token",
            "A token of Keystone, scoped to the project whose clusters are meant.",
        ));
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("token", SecurityScheme::ApiKey(token));
    }
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| complete::complete(crate::router::documented().into_openapi()));

/// The document.
#[must_use]
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as it is sent. Anybody may ask for it as often as they like, so it is written once only.
pub(crate) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    TEXT.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_document_and_is_written_once() {
        assert_eq!(serde_json::from_slice::<Value>(&text()).ok().as_ref(), Some(document()));
        assert_eq!(text().as_ptr(), text().as_ptr());
    }
}
