//! What is counted of requests.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// By what requests are told apart. Route templates, never paths: identifiers would make a series each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabels {
    pub(crate) method: &'static str,
    pub(crate) route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: &'static str,
    pub(crate) route: String,
    pub(crate) status: u16,
}

/// What a request was refused for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LimitLabels {
    pub(crate) what: &'static str,
}

/// The API's metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) seconds: Family<RouteLabels, Histogram>,
    pub(crate) in_flight: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) limited: Family<LimitLabels, Counter>,
}

impl Metrics {
    /// Makes the metrics and enters them into a registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            streams: Gauge::default(),
            limited: Family::default(),
        };
        let api = registry.sub_registry_with_prefix("magnum_api");
        api.register("requests", "Requests served", metrics.requests.clone());
        api.register("request_seconds", "Time to the head of the answer", metrics.seconds.clone());
        api.register("requests_in_flight", "Requests being served", metrics.in_flight.clone());
        api.register("event_streams", "Event streams held open", metrics.streams.clone());
        api.register("limited", "Requests refused because there were too many", metrics.limited.clone());
        metrics
    }
}
