//! Wake-ups within this process: bumped after a commit, so that nobody here waits for the next poll.
//!
//! Writes of other processes are not seen; whoever listens also polls (once a second is enough).

use tokio::sync::watch;

use crate::Store;

/// Counters that rise with every committed write of their kind.
#[derive(Debug)]
pub(crate) struct Wakeups {
    pub(crate) operations: watch::Sender<u64>,
    pub(crate) events: watch::Sender<u64>,
    pub(crate) nodes: watch::Sender<u64>,
}

impl Default for Wakeups {
    fn default() -> Self {
        Self { operations: watch::Sender::new(0), events: watch::Sender::new(0), nodes: watch::Sender::new(0) }
    }
}

pub(crate) fn bump(counter: &watch::Sender<u64>) {
    counter.send_modify(|count| *count = count.wrapping_add(1));
}

impl Store {
    /// Changes when an operation was added, claimed, cancelled, postponed or finished by this process.
    #[must_use]
    pub fn operations_changed(&self) -> watch::Receiver<u64> {
        self.inner.wakeups.operations.subscribe()
    }

    /// Changes when this process has written an event.
    #[must_use]
    pub fn events_changed(&self) -> watch::Receiver<u64> {
        self.inner.wakeups.events.subscribe()
    }

    /// Changes when this process has changed a node: its phase, what it shall be, or what it said.
    #[must_use]
    pub fn nodes_changed(&self) -> watch::Receiver<u64> {
        self.inner.wakeups.nodes.subscribe()
    }
}
