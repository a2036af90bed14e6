//! The one domain.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::{Filter, Ids};
use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::list::document as list;
use crate::requester::Requester;

/// Its id.
pub(crate) const ID: &str = "default";
/// Its name.
pub(crate) const NAME: &str = "Default";

/// As users, projects and tokens refer to it.
pub(crate) fn reference() -> Value {
    json!({"id": ID, "name": NAME})
}

pub(crate) fn document(identity: &BuiltIn) -> Value {
    json!({
        "id": ID,
        "name": NAME,
        "description": "The default domain",
        "enabled": true,
        "tags": [],
        "options": {},
        "links": {"self": identity.url(&format!("/domains/{ID}"))},
    })
}

#[derive(Deserialize)]
pub(crate) struct DomainFilter {
    name: Option<String>,
    enabled: Option<String>,
}

pub(crate) async fn list_domains(
    State(identity): State<BuiltIn>,
    _: Requester,
    Filter(filter): Filter<DomainFilter>,
) -> Json<Value> {
    let named = filter.name.is_none_or(|name| name == NAME);
    let enabled = crate::list::enabled(filter.enabled.as_deref()).unwrap_or(true);
    let domains = if named && enabled { vec![document(&identity)] } else { Vec::new() };
    Json(list(&identity, "domains", "/domains", &Default::default(), domains))
}

pub(crate) async fn show(
    State(identity): State<BuiltIn>,
    _: Requester,
    Ids(id): Ids<String>,
) -> Result<Json<Value>, Refusal> {
    if id != ID {
        return Err(Refusal::not_found("domain", id.escape_debug().to_string()));
    }
    Ok(Json(json!({"domain": document(&identity)})))
}
