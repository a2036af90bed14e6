//! Conductors in answers.

use std::time::Duration;

use magnum_domain::Timestamp;
use magnum_domain::service::Service;
use serde::Serialize;
use utoipa::ToSchema;

use super::when::When;

/// A conductor that has reported itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceView<'a> {
    /// Its machine.
    host: Option<&'a str>,
    /// `magnum-conductor`.
    binary: &'a str,
    /// `up` or `down`.
    state: &'static str,
    /// Database key.
    id: i64,
    /// Heartbeats so far.
    report_count: i32,
    /// Whether it was taken out of service.
    disabled: bool,
    /// Why.
    disabled_reason: Option<&'a str>,
    /// When it was first seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<When>,
    /// When it was last seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<When>,
}

impl<'a> ServiceView<'a> {
    /// The view of a row at a moment.
    pub(crate) fn new(service: &'a Service, now: Timestamp, down_after: Duration) -> Self {
        Self {
            host: service.host.as_deref(),
            binary: &service.binary,
            state: if service.is_up(now, down_after) { "up" } else { "down" },
            id: service.id,
            report_count: service.report_count,
            disabled: service.disabled,
            disabled_reason: service.disabled_reason.as_deref(),
            created_at: When::maybe(service.created_at),
            updated_at: When::maybe(service.updated_at),
        }
    }
}

/// The conductors.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceList<'a> {
    /// All of them.
    pub(crate) mservices: Vec<ServiceView<'a>>,
}
