//! `/v1/clusters/{cluster_ident}/events`: what happens to a cluster. Not part of upstream's interface.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::operation::subject;
use super::{Api, Segments};
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::read::{invalid_literal, whole_number, wrong};
use crate::query::Query;
use crate::stream;
use crate::throttle::Throttle;
use crate::view::answer;
use crate::view::event::{EventList, EventView};

/// Header by which a client that has lost a stream says where it was.
const LAST_EVENT_ID: &str = "last-event-id";

/// Lists what happened to a cluster after an event; as a stream with `Accept: text/event-stream`.
///
/// A stream goes on until the cluster is gone, or whoever follows it no longer may: its last message is the event `end`, which
/// says why. Each event has its id, by which `Last-Event-ID` takes a lost stream up.
/// Events of a cluster that was deleted lately are found by its UUID.
#[utoipa::path(get, path = "/v1/clusters/{cluster_ident}/events", tag = "operations",
    params(("cluster_ident" = String, Path, description = "UUID or name"),
           ("after" = Option<i64>, Query, description = "Id of the last event that is known"),
           ("limit" = Option<i64>, Query, description = "Most events; not for streams")),
    responses((status = 200, content((EventList = "application/json"), (String = "text/event-stream")))))]
pub(crate) async fn list(
    State(api): Api,
    Extension(throttle): Extension<Arc<Throttle>>,
    context: Context,
    Segments(ident): Segments<String>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    let query = query.only(&["after", "limit"])?;
    let mut after = number(&query, "after")?;
    let limit = number(&query, "limit")?.unwrap_or(i64::MAX);
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| ApiError::invalid("Limit must be positive"))?.min(api.options.max_limit);
    let cluster = subject(&api, &context, &ident).await?;
    context.may_with(stream::RULE, &cluster.project_id, &cluster.user_id)?;
    if wants_stream(&headers) {
        let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).and_then(whole_number);
        after = last.or(after);
        return stream::events(&api, &throttle, &context, headers, cluster, after.unwrap_or(0));
    }
    let events = api.store.events(cluster.uuid, after, limit).await?;
    answer(StatusCode::OK, &EventList { events: events.iter().map(EventView::new).collect() })
}

fn number(query: &Query, name: &str) -> Result<Option<i64>> {
    let Some(text) = query.text(name) else { return Ok(None) };
    whole_number(text).map(Some).ok_or_else(|| {
        let reason = format!("unable to convert to int. Error: {}", invalid_literal(text));
        wrong(name, &text.into(), &reason)
    })
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("text/event-stream"))
}
