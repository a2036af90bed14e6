//! What the agent says to the conductor: in order, and again until it is heard.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use magnum_domain::EventState;
use magnum_domain::agent::{ObservedNode, Report};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use crate::conductor::Conductor;

/// Silence after which the agent says again how the node is.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Reports kept while nobody listens; then the oldest go.
const KEPT: usize = 200;
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Report>,
    /// Whether one is under way.
    sending: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    observed: Mutex<ObservedNode>,
    changed: Notify,
}

/// Where steps are reported, and what is known of the node. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Reporter(Arc<Shared>);

impl Reporter {
    /// Reports how far a step is, and how the node is now.
    pub(crate) fn step(&self, step: &str, state: EventState, message: impl Into<String>) {
        let message = message.into();
        tracing::info!(step, state = state.as_str(), "{message}");
        let observed = self.observed();
        let mut queue = self.queue();
        if queue.waiting.len() == KEPT {
            queue.waiting.pop_front();
        }
        queue.waiting.push_back(Report { step: step.to_owned(), state, message, observed });
        drop(queue);
        self.0.changed.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the node is.
    pub(crate) fn observed(&self) -> ObservedNode {
        self.0.observed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how the node is; whoever is told next is told this.
    pub(crate) fn observe(&self, change: impl FnOnce(&mut ObservedNode)) {
        change(&mut self.0.observed.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Sends what is reported, for ever.
    pub(crate) async fn deliver(self, conductor: Conductor) {
        let mut last: Option<Report> = None;
        let mut pause = SHORTEST_PAUSE;
        loop {
            let next = self.next(last.as_ref()).await;
            match conductor.report(&next).await {
                Err(error) if !error.is_final() => {
                    tracing::debug!(%error, "a report is not heard");
                    self.settle(Some(next));
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                outcome => {
                    if let Err(error) = outcome {
                        tracing::warn!(%error, step = next.step, "a report is not wanted");
                    }
                    pause = SHORTEST_PAUSE;
                    self.settle(None);
                    last = Some(next);
                }
            }
        }
    }

    /// Waits until everything is sent, at most so long.
    pub(crate) async fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let is_open = |queue: &Queue| queue.sending || !queue.waiting.is_empty();
        while Instant::now() < end && is_open(&self.queue()) {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The next report; after a silence, the last one again with how the node is now.
    async fn next(&self, last: Option<&Report>) -> Report {
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if let Some(report) = self.take() {
                return report;
            }
            match last {
                None => self.0.changed.notified().await,
                Some(last) => {
                    if timeout_at(heartbeat, self.0.changed.notified()).await.is_err() {
                        return Report { observed: self.observed(), ..last.clone() };
                    }
                }
            }
        }
    }

    fn take(&self) -> Option<Report> {
        let mut queue = self.queue();
        let next = queue.waiting.pop_front();
        queue.sending = next.is_some();
        next
    }

    /// Nothing is under way any more; what was not heard goes back to the front.
    fn settle(&self, unheard: Option<Report>) {
        let mut queue = self.queue();
        queue.sending = false;
        if let Some(report) = unheard.filter(|_| queue.waiting.len() < KEPT) {
            queue.waiting.push_front(report);
        }
    }
}
