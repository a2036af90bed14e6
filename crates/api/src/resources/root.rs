//! Discovery documents, health, metrics, and the document of the API itself.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::ApiState;
use crate::error::{ApiError, Result};
use crate::link::BaseUrl;
use crate::view::answer;
use crate::view::version::{Root, V1};

/// The versions of the API.
#[utoipa::path(get, path = "/", tag = "discovery", security(()), responses((status = 200, body = Root)))]
pub(crate) async fn root(State(api): Api, headers: HeaderMap) -> Result<Response> {
    answer(StatusCode::OK, &Root::new(&BaseUrl::of(&headers, &api.options.links)))
}

/// The resources of version 1.
#[utoipa::path(get, path = "/v1", tag = "discovery", security(()), responses((status = 200, body = V1)))]
pub(crate) async fn v1(State(api): Api, headers: HeaderMap) -> Result<Response> {
    answer(StatusCode::OK, &V1::new(&BaseUrl::of(&headers, &api.options.links)))
}

/// The other end of the connection, where there is one.
pub(crate) struct Peer(Option<SocketAddr>);

impl FromRequestParts<Arc<ApiState>> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<ApiState>) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)))
    }
}

/// What is counted, as Prometheus reads it. For this machine only, unless it is opened.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(()), responses(
    (status = 200, body = str, content_type = "application/openmetrics-text"), (status = 403)))]
pub(crate) async fn metrics(State(api): Api, Peer(peer): Peer, headers: HeaderMap) -> Result<Response> {
    // A proxy on this machine speaks for others.
    let is_proxied = ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|name| headers.contains_key(*name));
    let is_near = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) && !is_proxied;
    if !is_near && !api.options.public_metrics {
        return Err(ApiError::Forbidden("Metrics are shown to this machine only.".to_owned()));
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &api.registry)
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "discovery", security(()), responses((status = 200, body = Object)))]
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::text()).into_response()
}
