//! Why an operation in progress shall stop, and the task that finds out while it holds the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use magnum_domain::{Operation, now};
use magnum_store::Store;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Said};

/// Why to stop. The first reason stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// Somebody asked for it.
    Requested = 1,
    /// The operation's deadline has passed.
    Deadline = 2,
    /// Another conductor may have taken over: nothing may be written any more.
    LeaseLost = 3,
    /// This process ends; another shall go on.
    Draining = 4,
}

/// Shared between the steps of an operation and its lease keeper.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    reason: Arc<AtomicU8>,
    token: CancellationToken,
    /// What the steps say they wait for.
    pub(crate) board: Board,
}

impl Stop {
    pub(crate) fn because(&self, reason: Reason) {
        let first = self.reason.compare_exchange(0, reason as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        // A lost lease outweighs every other reason, since it forbids writing.
        if !first && reason == Reason::LeaseLost {
            self.reason.store(reason as u8, Ordering::SeqCst);
        }
        self.token.cancel();
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        match self.reason.load(Ordering::SeqCst) {
            1 => Some(Reason::Requested),
            2 => Some(Reason::Deadline),
            3 => Some(Reason::LeaseLost),
            4 => Some(Reason::Draining),
            _ => None,
        }
    }

    pub(crate) async fn stopped(&self) {
        self.token.cancelled().await;
    }
}

/// Renews the lease of an operation until dropped, and raises `stop` when there is a reason.
pub(crate) async fn keep_lease(store: Store, operation: Operation, owner: String, lease: Duration, stop: Stop) {
    // Looked at more often than renewed: a cancel request should be felt within a second or two.
    let look_every = (lease / 6).clamp(Duration::from_millis(100), Duration::from_secs(1));
    let mut renewed = tokio::time::Instant::now();
    // The time that is left is read off the clock once: from then on it is time that counts, whatever the clock does.
    let time_left = operation.deadline_at.map(|deadline| (deadline - now()).to_std().unwrap_or_default());
    let deadline = time_left.and_then(|left| tokio::time::Instant::now().checked_add(left));
    loop {
        tokio::time::sleep(look_every).await;
        if deadline.is_some_and(|deadline| deadline <= tokio::time::Instant::now()) {
            stop.because(Reason::Deadline);
        }
        if let Some(Said { step, waiting_for }) = stop.board.due()
            && let Err(error) = store.operation_progress(operation.uuid, &owner, Some(&step), Some(&waiting_for)).await
        {
            tracing::debug!(%error, "what a step waits for could not be written down");
        }
        if renewed.elapsed() >= lease / 3 {
            match store.renew_lease(operation.uuid, &owner, lease).await {
                Ok(true) => renewed = tokio::time::Instant::now(),
                Ok(false) => return stop.because(Reason::LeaseLost),
                Err(error) if renewed.elapsed() < lease => {
                    tracing::warn!(operation = %operation.uuid, %error, "the lease could not be renewed, trying again");
                }
                Err(_) => return stop.because(Reason::LeaseLost),
            }
        }
        match store.get_operation(operation.uuid).await {
            Ok(row) if row.cancel_requested => stop.because(Reason::Requested),
            Ok(_) => {}
            Err(error) => tracing::debug!(operation = %operation.uuid, %error, "could not look for a cancel request"),
        }
    }
}
