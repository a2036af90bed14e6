//! Events as a stream of server-sent events.
//!
//! Woken by writes of this process, and once a second in case another process writes. A stream ends after the cluster
//! is gone and everything that was told of it has been sent.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use magnum_domain::Event;
use magnum_store::{Ident, Scope, Store, StoreError};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use uuid::Uuid;

use crate::ApiState;
use crate::error::{ApiError, Result};
use crate::view::event::EventView;

/// Most events read at once.
const BATCH: u64 = 100;
/// Longest time until a write of another process is seen.
const POLL: Duration = Duration::from_secs(1);
/// Longest pause while the database does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Streams held open, by project.
static OPEN: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);

/// One of a project's streams, as long as it is held.
struct Slot {
    project_id: String,
    gauge: Gauge,
}

impl Slot {
    fn take(project_id: String, most: usize, gauge: &Gauge) -> Result<Self> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.entry(project_id.clone()).or_default();
        if *held >= most {
            return Err(ApiError::TooMany(format!(
                "The project holds {most} event streams open, which is the most it may. Close one."
            )));
        }
        *held += 1;
        gauge.inc();
        Ok(Self { project_id, gauge: gauge.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = open.get_mut(&self.project_id) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                open.remove(&self.project_id);
            }
        }
        self.gauge.dec();
    }
}

/// Where a stream is.
struct Cursor {
    store: Store,
    cluster: Uuid,
    after: i64,
    changed: watch::Receiver<u64>,
    /// Whether the cluster was gone when last looked: what comes after is the rest.
    is_gone: bool,
    pause: Duration,
    _slot: Slot,
}

/// The answer: events after `after`, and then as they happen.
pub(crate) fn events(api: &Arc<ApiState>, cluster: Uuid, project_id: String, after: i64) -> Result<Response> {
    let slot = Slot::take(project_id, api.options.streams_per_project, &api.metrics.streams)?;
    let cursor = Cursor {
        store: api.store.clone(),
        cluster,
        after,
        changed: api.store.events_changed(),
        is_gone: false,
        pause: POLL,
        _slot: slot,
    };
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(messages(cursor)).keep_alive(keep_alive).into_response())
}

fn messages(cursor: Cursor) -> impl Stream<Item = Result<Message, Infallible>> + Send {
    stream::unfold(cursor, |mut cursor| async move {
        let batch = cursor.next().await?;
        Some((stream::iter(batch.into_iter().map(|event| Ok(message(&event)))), cursor))
    })
    .flatten()
}

fn message(event: &Event) -> Message {
    let data = serde_json::to_string(&EventView::new(event)).unwrap_or_default();
    Message::default().id(event.id.to_string()).event("event").data(data)
}

impl Cursor {
    /// The next events, as soon as there are some; nothing once there will be none.
    async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            // Marked as seen before reading, so that a write in between wakes the next wait.
            self.changed.borrow_and_update();
            match self.read().await {
                Ok(events) if !events.is_empty() => {
                    self.pause = POLL;
                    self.after = events.last().map_or(self.after, |event| event.id);
                    return Some(events);
                }
                Ok(_) if self.is_gone => return None,
                Ok(_) => self.is_gone = self.look().await,
                Err(error) => {
                    tracing::warn!(%error, cluster = %self.cluster, "an event stream has no database");
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
            if !self.is_gone {
                // A closed channel would make this spin; the clock alone is enough then.
                tokio::select! {
                    Ok(()) = self.changed.changed() => {}
                    () = tokio::time::sleep(self.pause) => {}
                }
            }
        }
    }

    async fn read(&self) -> Result<Vec<Event>, StoreError> {
        self.store.events(self.cluster, Some(self.after), BATCH).await
    }

    /// Whether the cluster is gone.
    async fn look(&self) -> bool {
        let found = self.store.get_cluster(&Scope::All, &Ident::Uuid(self.cluster)).await;
        matches!(found, Err(StoreError::NotFound { .. }))
    }
}
