//! Operations in answers.

use magnum_domain::Operation;
use magnum_domain::operation::Arguments;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::when::When;

/// A change to a cluster: asked for, under way or done.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperationView<'a> {
    /// Identity.
    uuid: Uuid,
    /// The cluster.
    cluster_uuid: Uuid,
    /// `create`, `resize`, `delete`, ...
    kind: &'static str,
    /// What it was asked to do.
    #[schema(value_type = Object)]
    arguments: &'a Arguments,
    /// `pending`, `running`, `succeeded`, `failed` or `cancelled`.
    state: &'static str,
    /// Attempts at it so far; one that was handed back when a conductor was stopped is none.
    attempts: i32,
    /// Of the attempts, those without an end: the conductor ended while carrying it out.
    interruptions: i32,
    /// The step that runs, or ran last.
    step: Option<&'a str>,
    /// What it waits for at this moment.
    waiting_for: Option<&'a str>,
    /// Why it failed, or why the last attempt did.
    error: Option<&'a str>,
    /// Whether somebody asked for it to stop.
    cancel_requested: bool,
    /// Who asked.
    user_id: &'a str,
    /// Request that asked.
    request_id: Option<&'a str>,
    /// When it must be done.
    #[schema(value_type = Option<String>, format = DateTime)]
    deadline_at: Option<When>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: When,
    /// Last change.
    #[schema(value_type = String, format = DateTime)]
    updated_at: When,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<When>,
}

impl<'a> OperationView<'a> {
    /// The view of a row.
    pub(crate) fn new(operation: &'a Operation) -> Self {
        Self {
            uuid: operation.uuid,
            cluster_uuid: operation.cluster_uuid,
            kind: operation.kind.as_str(),
            arguments: &operation.arguments,
            state: operation.state.as_str(),
            attempts: operation.attempts,
            interruptions: operation.interruptions,
            step: operation.step.as_deref(),
            waiting_for: operation.waiting_for.as_deref(),
            error: operation.error.as_deref(),
            cancel_requested: operation.cancel_requested,
            user_id: &operation.user_id,
            request_id: operation.request_id.as_deref(),
            deadline_at: When::maybe(operation.deadline_at),
            created_at: When(operation.created_at),
            updated_at: When(operation.updated_at),
            finished_at: When::maybe(operation.finished_at),
        }
    }
}

/// One page of a cluster's operations.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperationList<'a> {
    /// The page.
    pub(crate) operations: Vec<OperationView<'a>>,
    /// URL of the next page, when this one is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
