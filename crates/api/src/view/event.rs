//! Events in answers and streams.

use magnum_domain::Event;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::when::When;

/// Something that happened to a cluster.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventView<'a> {
    /// Rises with time: what `after` and `Last-Event-ID` take.
    id: i64,
    /// The operation it belongs to.
    operation_uuid: Option<Uuid>,
    /// Name of the node it is about.
    node: Option<&'a str>,
    /// Name of the step.
    step: &'a str,
    /// `started`, `waiting`, `done`, `failed`, `info` or `warning`.
    state: &'a str,
    /// In words.
    message: &'a str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: When,
}

impl<'a> EventView<'a> {
    /// The view of a row.
    pub(crate) fn new(event: &'a Event) -> Self {
        Self {
            id: event.id,
            operation_uuid: event.operation_uuid,
            node: event.node.as_deref(),
            step: &event.step,
            state: event.state.as_str(),
            message: &event.message,
            created_at: When(event.created_at),
        }
    }
}

/// Events in the order they happened.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventList<'a> {
    /// The events.
    pub(crate) events: Vec<EventView<'a>>,
}
