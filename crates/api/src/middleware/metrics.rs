//! Counts requests.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::metrics::gauge::Gauge;

use crate::ApiState;
use crate::metrics::{RequestLabels, RouteLabels};

/// Counts one as long as it is held: also when the client goes away in the middle.
struct InFlight(Gauge);

impl InFlight {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Methods are a closed set: a made-up one must not make a series.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(crate) async fn layer(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let metrics = &state.metrics;
    let _in_flight = InFlight::new(&metrics.in_flight);
    let (method, route, started) = (word(request.method()), super::route(&request), Instant::now());
    let response = next.run(request).await;
    let labels = RouteLabels { method, route: route.clone() };
    metrics.seconds.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    let labels = RequestLabels { method, route, status: response.status().as_u16() };
    metrics.requests.get_or_create(&labels).inc();
    response
}
