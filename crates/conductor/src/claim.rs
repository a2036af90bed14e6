//! Which operation next: woken by writes of this process, by polling for those of others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Conductor, owner, runner};

/// Longest pause between two looks for work: the wake-up of another process may be missed, its row is not.
const POLL: Duration = Duration::from_secs(1);

pub(crate) async fn work(conductor: Conductor, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(conductor.options.concurrency.max(1)));
    let running = TaskTracker::new();
    let mut changed = conductor.store.operations_changed();
    take_from_the_dead(&conductor).await;
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        if shutdown.is_cancelled() {
            break;
        }
        // Marked as seen before looking, so that a write during the look wakes the next round.
        changed.mark_unchanged();
        let claimed = conductor.store.claim_operation(&conductor.owner, conductor.options.lease).await;
        match claimed {
            Ok(Some(operation)) => {
                let (conductor, shutdown) = (conductor.clone(), shutdown.clone());
                running.spawn(async move {
                    runner::run(&conductor, operation, &shutdown).await;
                    drop(slot);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "could not look for work; trying again in {POLL:?}"),
        }
        drop(slot);
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(POLL) => {}
            _ = changed.changed() => {}
        }
    }
    running.close();
    running.wait().await;
}

/// Frees what an earlier process of this machine held when it died, so that nobody waits for its leases to run out.
async fn take_from_the_dead(conductor: &Conductor) {
    let leases = match conductor.store.leases().await {
        Ok(leases) => leases,
        Err(error) => return tracing::warn!(%error, "could not look for what an earlier process has left"),
    };
    for (operation, owner) in leases.into_iter().filter(|(_, owner)| owner::is_dead(owner)) {
        tracing::info!(%operation, owner, "its conductor is dead; going on with it");
        if let Err(error) = conductor.store.free_operation_of_the_dead(operation, &owner).await {
            tracing::warn!(%operation, %error, "could not be freed; it is when its lease runs out");
        }
    }
}
