//! The document of the API: OpenAPI 3.1, made from the routes themselves.

use std::sync::LazyLock;

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, ToSchema};

use crate::microversion::{HISTORY, MAXIMUM, SERVICE};

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
    value: Option<serde_json::Value>,
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

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Magnum", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(ErrorDocument, ErrorItem)),
    modifiers(&Security),
    security(("token" = [])),
)]
pub(crate) struct Head;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let token = ApiKey::Header(ApiKeyValue::new("X-Auth-Token"));
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("token", SecurityScheme::ApiKey(token));
    }
}

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| complete(crate::router::documented().into_openapi()));

/// The document.
#[must_use]
pub fn document() -> &'static OpenApi {
    &DOCUMENT
}

/// Adds what is true of every operation.
fn complete(mut document: OpenApi) -> OpenApi {
    document.info.version = MAXIMUM.to_string();
    let history: Vec<String> = HISTORY.iter().map(|(version, what)| format!("- {version}: {what}")).collect();
    document.info.description = Some(format!(
        "Container clusters as a service.\n\nVersions are asked for with the header \
         `OpenStack-API-Version: {SERVICE} 1.N` (or `latest`); without it, 1.1 is served.\n\n{}",
        history.join("\n")
    ));
    for (path, item) in &mut document.paths.paths {
        let operations =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten();
        for operation in operations {
            add_failures(operation, path.starts_with("/v1/"));
        }
    }
    document
}

fn add_failures(operation: &mut Operation, is_resource: bool) {
    let common: &[(&str, &str)] = &[
        ("400", "The request is wrong"),
        ("401", "Nobody known is asking"),
        ("403", "The caller may not, or the quota is used up"),
        ("404", "There is no such thing, or none the caller may see"),
        ("406", "Not at this version, or in no representation that is accepted"),
        ("409", "What is there stands in the way"),
    ];
    for (status, description) in common.iter().filter(|_| is_resource) {
        let document = Ref::from_schema_name("ErrorDocument");
        let content = ContentBuilder::new().schema(Some(RefOr::<utoipa::openapi::Schema>::Ref(document))).build();
        let response = ResponseBuilder::new().description(*description).content("application/json", content).build();
        operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(response));
    }
}
