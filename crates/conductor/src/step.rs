//! One step of a plan: its events, its time-out, its fault points, what it waits for.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use magnum_domain::driver::{Admission, Driver, DriverError, Progress, Snapshot, Step};
use magnum_domain::event::NewEvent;
use magnum_domain::{EventState, Operation};
use tokio::sync::OwnedSemaphorePermit;

use crate::board::Said;
use crate::stop::Stop;
use crate::{Conductor, ConductorError, fault};

/// What a running step tells the rest of the world.
struct StepProgress<'a> {
    conductor: &'a Conductor,
    operation: &'a Operation,
    step: &'a Step,
    node: Option<&'a str>,
    stop: &'a Stop,
    waiting: Mutex<String>,
}

impl StepProgress<'_> {
    fn last_waiting(&self) -> String {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() { String::new() } else { format!(" (waiting for {waiting})") }
    }

    async fn event(&self, state: EventState, message: String) -> Result<(), ConductorError> {
        let event = NewEvent {
            cluster_uuid: self.operation.cluster_uuid,
            operation_uuid: Some(self.operation.uuid),
            node: self.node.map(str::to_owned),
            step: self.step.kind.clone(),
            state,
            message,
        };
        self.conductor.store.add_event(event).await?;
        Ok(())
    }
}

#[async_trait]
impl Progress for StepProgress<'_> {
    async fn waiting_for(&self, what: &str) {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if *waiting == what {
                return;
            }
            what.clone_into(&mut waiting);
        }
        let said = Said { step: self.step.title.clone(), waiting_for: what.to_owned() };
        let Some(Said { step, waiting_for }) = self.stop.board.say(said) else { return };
        let (store, operation) = (&self.conductor.store, self.operation);
        let written =
            store.operation_progress(operation.uuid, &self.conductor.owner, Some(&step), Some(&waiting_for)).await;
        if let Err(error) = written {
            tracing::debug!(%error, "what a step waits for could not be written down");
        }
    }

    fn is_cancelled(&self) -> bool {
        self.stop.reason().is_some()
    }
}

/// Applies one step.
///
/// # Errors
/// [`ConductorError::Stopped`] when `stop` was raised; otherwise what the driver said, or the time-out.
pub(crate) async fn apply(
    conductor: &Conductor,
    operation: &Operation,
    driver: &dyn Driver,
    snapshot: &Snapshot,
    step: &Step,
    stop: &Stop,
) -> Result<(), ConductorError> {
    let node = step.node.and_then(|uuid| snapshot.nodes.iter().find(|node| node.uuid == uuid));
    let progress = StepProgress {
        conductor,
        operation,
        step,
        node: node.map(|node| node.name.as_str()),
        stop,
        waiting: Mutex::default(),
    };
    let Some(_place) = place(conductor, driver, step, stop).await else { return Err(ConductorError::Stopped) };
    progress.event(EventState::Started, step.title.clone()).await?;
    fault::point(operation.kind.as_str(), &step.kind, "before");

    let applied = tokio::select! {
        applied = tokio::time::timeout(step.timeout, driver.apply(step, snapshot, &progress)) => applied,
        // A step that does not look at `is_cancelled` is dropped; it is idempotent, and the ledger knows what it made.
        () = grace(stop) => Ok(Err(DriverError::Cancelled)),
    };
    let error = match applied {
        Ok(Ok(())) => {
            fault::point(operation.kind.as_str(), &step.kind, "after");
            return progress.event(EventState::Done, step.title.clone()).await;
        }
        Ok(Err(DriverError::Cancelled)) => return Err(ConductorError::Stopped),
        Ok(Err(source)) => ConductorError::Step { step: step.title.clone(), source },
        Err(_elapsed) => ConductorError::TimedOut {
            step: step.title.clone(),
            seconds: step.timeout.as_secs(),
            waiting: progress.last_waiting(),
        },
    };
    progress.event(EventState::Failed, error.to_string()).await?;
    Err(error)
}

/// What a step holds while it runs: its place in this conductor, and its place at the infrastructure.
struct Place {
    _here: OwnedSemaphorePermit,
    _there: Admission,
}

/// Waits until the step may begin; nothing when it shall not begin any more.
async fn place(conductor: &Conductor, driver: &dyn Driver, step: &Step, stop: &Stop) -> Option<Place> {
    let places = async {
        // First that of the infrastructure: a step that waits for it must not keep the steps of others from beginning.
        let there = driver.admit(step).await;
        let here = Arc::clone(&conductor.places).acquire_owned().await.ok()?;
        Some(Place { _here: here, _there: there })
    };
    tokio::select! {
        place = places => place,
        () = stop.stopped() => None,
    }
}

/// Ends a while after `stop` was raised: at once when the lease is lost, else with time to reach a safe point.
async fn grace(stop: &Stop) {
    stop.stopped().await;
    if stop.reason() != Some(crate::stop::Reason::LeaseLost) {
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    }
}
