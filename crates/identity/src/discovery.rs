//! The documents by which clients find out which versions of the API there are.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::built_in::BuiltIn;

/// The newest version of the API that this one keeps to.
const VERSION: &str = "v3.14";
/// The day that version is from.
const UPDATED: &str = "2020-04-07T00:00:00Z";

/// `GET /identity`: 300, with a list of the one version.
pub(crate) async fn versions(State(identity): State<BuiltIn>) -> impl IntoResponse {
    let location = [(header::LOCATION, identity.url("/"))];
    (StatusCode::MULTIPLE_CHOICES, location, Json(json!({"versions": {"values": [document(&identity)]}})))
}

/// `GET /identity/v3`.
pub(crate) async fn version(State(identity): State<BuiltIn>) -> Json<Value> {
    Json(json!({"version": document(&identity)}))
}

fn document(identity: &BuiltIn) -> Value {
    json!({
        "id": VERSION,
        "status": "stable",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": identity.url("/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}
