//! What answers look like: borrowed from rows, serialised straight to bytes.
//!
//! Which field exists at which microversion is decided here, where the field is.

pub(crate) mod certificate;
pub(crate) mod cluster;
pub(crate) mod cluster_template;
pub(crate) mod event;
pub(crate) mod federation;
pub(crate) mod labels;
pub(crate) mod links;
pub(crate) mod node;
pub(crate) mod nodegroup;
pub(crate) mod older;
pub(crate) mod operation;
pub(crate) mod plan;
pub(crate) mod quota;
pub(crate) mod service;
pub(crate) mod version;
pub(crate) mod when;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::{ApiError, Result};

/// A JSON answer.
pub(crate) fn answer(status: StatusCode, body: &impl Serialize) -> Result<Response> {
    let bytes = serde_json::to_vec(body).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// A whole number that was worked out from several, such as a sum of node counts.
pub(crate) type Count = i64;

/// Answer to everything that goes on after it was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// What it is about.
    pub(crate) uuid: Uuid,
}

impl Accepted {
    /// 202 with the UUID.
    pub(crate) fn response(uuid: Uuid) -> Result<Response> {
        answer(StatusCode::ACCEPTED, &Self { uuid })
    }
}
