//! Events as a stream of server-sent events.
//!
//! Woken by writes of this process, and once a second in case another process writes. A stream ends after the cluster
//! is gone and everything that was told of it has been sent, or when whoever follows it no longer may: that is looked at again
//! every few seconds. The last event is `end`, and says why.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use magnum_domain::{Caller, Event};
use magnum_identity::{AuthError, IncomingRequest};
use magnum_policy::Target;
use magnum_store::{Ident, Scope, StoreError};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::ApiState;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::options::StreamOptions;
use crate::resources::operation::Subject;
use crate::throttle::Throttle;
use crate::view::event::EventView;

/// The rule that says who may follow a cluster's events.
pub(crate) const RULE: &str = "cluster:get_events";
/// Most events read at once.
const BATCH: u64 = 100;
/// Longest time until a write of another process is seen.
const POLL: Duration = Duration::from_secs(1);
/// Longest pause while the database does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Who holds how many streams.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Holder {
    Project(String),
    User(String),
    /// All but administrators.
    Others,
}

/// The streams that are held open. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Held>);

struct Held {
    options: StreamOptions,
    open: Mutex<HashMap<Holder, usize>>,
    gauge: Gauge,
}

/// One stream, as long as it is held.
struct Slot {
    streams: Streams,
    holders: Vec<Holder>,
}

impl Streams {
    pub(crate) fn new(options: StreamOptions, gauge: Gauge) -> Self {
        Self(Arc::new(Held { options, open: Mutex::default(), gauge }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Holder, usize>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a stream for whoever follows it, whatever the cluster: nobody uses up what others have. Administrators are
    /// counted by user only.
    fn take(&self, caller: &Caller) -> Result<Slot> {
        let options = &self.0.options;
        let of_user = (Holder::User(caller.user_id.clone()), options.per_user, "The user holds");
        let mut shares = vec![of_user];
        if !caller.is_admin {
            let project = caller.project_id.clone().unwrap_or_default();
            shares.push((Holder::Project(project), options.per_project, "The project holds"));
            shares.push((Holder::Others, options.altogether, "All users together hold"));
        }
        let mut open = self.open();
        for (holder, most, who) in &shares {
            if open.get(holder).is_some_and(|held| held >= most) {
                return Err(ApiError::TooMany(format!(
                    "{who} {most} event streams open, which is the most there may be. Close one."
                )));
            }
        }
        let holders = shares.into_iter().map(|(holder, ..)| holder).collect::<Vec<_>>();
        for holder in &holders {
            *open.entry(holder.clone()).or_default() += 1;
        }
        self.0.gauge.inc();
        Ok(Slot { streams: self.clone(), holders })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        for holder in &self.holders {
            if let Some(held) = open.get_mut(holder) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    open.remove(holder);
                }
            }
        }
        self.streams.0.gauge.dec();
    }
}

/// Who follows a stream, to be asked again whether they may.
struct Follower {
    headers: HeaderMap,
    peer: Option<std::net::SocketAddr>,
    path: String,
    project_id: String,
    user_id: String,
}

impl Follower {
    /// Why the stream has to end, if it has to. Without an answer of the identity service it goes on.
    async fn refused(&self, api: &ApiState) -> Option<&'static str> {
        let incoming = IncomingRequest {
            headers: &self.headers,
            peer: self.peer,
            method: &Method::GET,
            path: &self.path,
            request_id: None,
        };
        let mut caller = match api.authenticator.authenticate(incoming).await {
            Ok(caller) => caller,
            Err(AuthError::Unavailable(error)) => {
                tracing::warn!(%error, "it can't be looked whether an event stream may go on");
                return None;
            }
            Err(_) => {
                return Some("The token is not valid any more: it has ended, was revoked, or its user was disabled.");
            }
        };
        caller.is_admin = api.policy.is_admin(&caller);
        let target = Target::owned(&self.project_id, &self.user_id);
        let refused = api.policy.enforce(RULE, &caller, &target).is_err();
        refused.then_some("The policy does not allow it any more.")
    }
}

/// Where a stream is.
struct Cursor {
    api: Arc<ApiState>,
    follower: Follower,
    looked: Instant,
    cluster: Uuid,
    after: i64,
    changed: watch::Receiver<u64>,
    /// Whether the cluster was gone when last looked: what comes after is the rest.
    is_gone: bool,
    has_ended: bool,
    pause: Duration,
    _slot: Slot,
}

/// What a stream has next.
enum Next {
    Events(Vec<Event>),
    End(&'static str),
}

/// The answer: events after `after`, and then as they happen.
pub(crate) fn events(
    api: &Arc<ApiState>,
    throttle: &Throttle,
    context: &Context,
    headers: HeaderMap,
    cluster: Subject,
    after: i64,
) -> Result<Response> {
    let slot = throttle.streams.take(&context.caller)?;
    let follower = Follower {
        headers,
        peer: context.peer,
        path: format!("/v1/clusters/{}/events", cluster.uuid),
        project_id: cluster.project_id,
        user_id: cluster.user_id,
    };
    let cursor = Cursor {
        api: Arc::clone(api),
        follower,
        looked: Instant::now(),
        cluster: cluster.uuid,
        after,
        changed: api.store.events_changed(),
        is_gone: false,
        has_ended: false,
        pause: POLL,
        _slot: slot,
    };
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(messages(cursor)).keep_alive(keep_alive).into_response())
}

fn messages(cursor: Cursor) -> impl Stream<Item = Result<Message, Infallible>> + Send {
    stream::unfold(cursor, |mut cursor| async move {
        if cursor.has_ended {
            return None;
        }
        let batch = match cursor.next().await {
            Next::Events(events) => events.iter().map(message).collect(),
            Next::End(why) => {
                cursor.has_ended = true;
                vec![end(why)]
            }
        };
        Some((stream::iter(batch.into_iter().map(Ok)), cursor))
    })
    .flatten()
}

/// The last event: it has no id, so that whoever comes back takes up where the events ended.
fn end(why: &str) -> Message {
    Message::default().event("end").data(json!({ "reason": why }).to_string())
}

fn message(event: &Event) -> Message {
    let data = serde_json::to_string(&EventView::new(event)).unwrap_or_default();
    Message::default().id(event.id.to_string()).event("event").data(data)
}

impl Cursor {
    /// The next events, as soon as there are some, or why there will be none.
    async fn next(&mut self) -> Next {
        loop {
            if self.looked.elapsed() >= self.api.options.streams.look_again {
                self.looked = Instant::now();
                if let Some(why) = self.follower.refused(&self.api).await {
                    return Next::End(why);
                }
            }
            // Marked as seen before reading, so that a write in between wakes the next wait.
            self.changed.borrow_and_update();
            match self.read().await {
                Ok(events) if !events.is_empty() => {
                    self.pause = POLL;
                    self.after = events.last().map_or(self.after, |event| event.id);
                    return Next::Events(events);
                }
                Ok(_) if self.is_gone => return Next::End("The cluster is gone."),
                Ok(_) => self.is_gone = self.look().await,
                Err(error) => {
                    tracing::warn!(%error, cluster = %self.cluster, "an event stream has no database");
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
            if !self.is_gone {
                // A closed channel would make this spin; the clock alone is enough then.
                let due = self.looked + self.api.options.streams.look_again;
                tokio::select! {
                    Ok(()) = self.changed.changed() => {}
                    () = tokio::time::sleep_until((Instant::now() + self.pause).min(due)) => {}
                }
            }
        }
    }

    async fn read(&self) -> Result<Vec<Event>, StoreError> {
        self.api.store.events(self.cluster, Some(self.after), BATCH).await
    }

    /// Whether the cluster is gone.
    async fn look(&self) -> bool {
        let found = self.api.store.get_cluster(&Scope::All, &Ident::Uuid(self.cluster)).await;
        matches!(found, Err(StoreError::NotFound { .. }))
    }
}
