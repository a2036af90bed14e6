//! Counts requests.

use std::time::Instant;

use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::{Metrics, RequestLabels, RouteLabels};

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

/// A request that is being served.
pub(super) struct Count<'a> {
    metrics: &'a Metrics,
    _in_flight: InFlight,
    method: &'static str,
    route: String,
    started: Instant,
}

impl<'a> Count<'a> {
    pub(super) fn of(metrics: &'a Metrics, request: &Request) -> Self {
        Self {
            metrics,
            _in_flight: InFlight::new(&metrics.in_flight),
            method: word(request.method()),
            route: super::route(request),
            started: Instant::now(),
        }
    }

    pub(super) fn end(self, response: &Response) {
        let Self { metrics, method, route, started, .. } = self;
        let labels = RouteLabels { method, route };
        metrics.seconds.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
        let labels = RequestLabels { method, route: labels.route, status: response.status().as_u16() };
        metrics.requests.get_or_create(&labels).inc();
    }
}
