//! One operation from claim to end.

use std::time::Duration;

use magnum_domain::concurrency::side_by_side;
use magnum_domain::driver::{Driver, DriverError, Facts, Plan, Snapshot, Step};
use magnum_domain::event::NewEvent;
use magnum_domain::{EventState, Operation, OperationKind, now};
use magnum_store::{Lease, StoreError};
use tokio_util::sync::CancellationToken;

use crate::snapshot::wanted;
use crate::stop::{Reason, Stop, keep_lease};
use crate::{Conductor, ConductorError, fault, outcome, snapshot, step, upgrade};

/// A plan that has not become shorter after so many rounds never will.
const ROUNDS_WITHOUT_PROGRESS: u32 = 5;

/// How an attempt ended, other than by failing.
enum Ended {
    /// Everything is as wanted.
    Settled(Box<Snapshot>, Facts),
    /// This process ends; another goes on.
    HandedBack,
}

/// Carries out a claimed operation and writes down how it ended. Never fails: what can't be written now is found
/// by whoever claims the operation after this lease has run out.
pub(crate) async fn run(conductor: &Conductor, operation: Operation, shutdown: &CancellationToken) {
    let stop = Stop::default();
    let keeper = tokio::spawn(keep_lease(
        conductor.store.clone(),
        operation.clone(),
        conductor.owner.clone(),
        conductor.options.lease,
        stop.clone(),
    ));
    tracing::info!(operation = %operation.uuid, cluster = %operation.cluster_uuid, kind = operation.kind.as_str(),
        attempt = operation.attempts, request_id = operation.request_id, "operation claimed");
    fault::point(operation.kind.as_str(), "claim", "after");
    if operation.cancel_requested {
        stop.because(Reason::Requested);
    }

    let ended = match too_often_interrupted(conductor, &operation) {
        Some(error) if stop.reason().is_none() => Err(error),
        _ => leased(&operation, carry_out(conductor, &operation, &stop, shutdown)).await,
    };
    keeper.abort();
    let written = match ended {
        Ok(Ended::Settled(snapshot, facts)) => {
            fault::point(operation.kind.as_str(), "finish", "before");
            let written = outcome::succeeded(conductor, &operation, &snapshot, &facts).await;
            fault::point(operation.kind.as_str(), "finish", "after");
            written
        }
        Ok(Ended::HandedBack) => hand_back(conductor, &operation).await,
        Err(error) => not_done(conductor, &operation, &stop, error).await,
    };
    if let Err(error) = written {
        tracing::error!(operation = %operation.uuid, %error,
            "the end of an operation could not be written; it is resumed when its lease runs out");
    }
}

/// Runs what belongs to a claim of an operation: whatever it writes is written only while this very claim holds.
pub(crate) async fn leased<T>(
    operation: &Operation,
    work: impl Future<Output = Result<T, ConductorError>>,
) -> Result<T, ConductorError> {
    match Lease::of(operation) {
        Some(lease) => lease.scope(work).await,
        // Nobody holds it, so nobody may work on it.
        None => Err(StoreError::LeaseLost { operation: operation.uuid }.into()),
    }
}

/// Whether the operation has ended so many conductors that no other is given to it. Looked at before anything of it is
/// read or planned: that may be what ends them.
fn too_often_interrupted(conductor: &Conductor, operation: &Operation) -> Option<ConductorError> {
    (operation.interruptions >= conductor.options.max_interruptions).then(|| ConductorError::Interrupted {
        times: operation.interruptions,
        step: operation.step.clone().unwrap_or_else(|| "none was begun".to_owned()),
    })
}

/// Plans and applies until nothing is left to do.
async fn carry_out(
    conductor: &Conductor,
    operation: &Operation,
    stop: &Stop,
    shutdown: &CancellationToken,
) -> Result<Ended, ConductorError> {
    let deleting = operation.kind == OperationKind::Delete;
    if stop.reason().is_none() {
        prepare(conductor, operation).await?;
    }
    let mut previous = Plan::default();
    let mut same = 0;
    loop {
        if stop.reason().is_some() {
            return Err(ConductorError::Stopped);
        }
        if shutdown.is_cancelled() {
            return Ok(Ended::HandedBack);
        }
        let snapshot = wanted(&conductor.store, operation).await?;
        let driver = conductor.drivers.select(&snapshot.template).map_err(ConductorError::Driver)?;
        let plan = driver.plan(&snapshot).await.map_err(ConductorError::Driver)?;
        if plan.is_empty() {
            if upgrade::next_batch(conductor, operation, driver.as_ref(), &snapshot).await? {
                (previous, same) = (Plan::default(), 0);
                continue;
            }
            let facts = if deleting {
                Facts::default()
            } else {
                driver.facts(&snapshot).await.map_err(ConductorError::Driver)?
            };
            return Ok(Ended::Settled(Box::new(snapshot), facts));
        }
        same = if plan == previous { same + 1 } else { 0 };
        if same >= ROUNDS_WITHOUT_PROGRESS {
            return Err(ConductorError::Unsettled { rounds: same, remaining: titles(plan.stages.iter().flatten()) });
        }
        if !apply_plan(conductor, operation, driver.as_ref(), &plan, stop, shutdown).await? {
            return Ok(Ended::HandedBack);
        }
        previous = plan;
    }
}

/// The first few of some steps by name, and how many more there are.
fn titles<'a>(steps: impl IntoIterator<Item = &'a Step>) -> String {
    let mut steps = steps.into_iter();
    let mut titles = steps.by_ref().take(3).map(|step| step.title.as_str()).collect::<Vec<_>>().join(", ");
    match steps.count() {
        0 => {}
        more => titles.push_str(&format!(" and {more} more")),
    }
    titles
}

/// Applies the stages in order; false when this process ends before the last one.
async fn apply_plan(
    conductor: &Conductor,
    operation: &Operation,
    driver: &dyn Driver,
    plan: &Plan,
    stop: &Stop,
    shutdown: &CancellationToken,
) -> Result<bool, ConductorError> {
    for stage in &plan.stages {
        if stop.reason().is_some() {
            return Err(ConductorError::Stopped);
        }
        if shutdown.is_cancelled() {
            return Ok(false);
        }
        let titles = titles(stage);
        conductor.store.operation_progress(operation.uuid, &conductor.owner, Some(&titles), None).await?;
        // Each stage sees the rows as the one before has left them.
        let snapshot = wanted(&conductor.store, operation).await?;
        let mut steps = Vec::with_capacity(stage.len());
        for step in stage {
            steps.push(step::apply(conductor, operation, driver, &snapshot, step, stop));
        }
        // All steps end before the first error is looked at: a step is not torn down because its neighbour failed.
        side_by_side(conductor.options.parallel_steps, steps).await.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
    Ok(true)
}

/// What has to be in the rows before a driver can plan. Idempotent.
async fn prepare(conductor: &Conductor, operation: &Operation) -> Result<(), ConductorError> {
    let kind = operation.kind.as_str();
    if operation.kind == OperationKind::Create {
        let Snapshot { cluster, template, .. } = snapshot(&conductor.store, operation.cluster_uuid, false).await?;
        if cluster.ca_cert_ref.is_none() {
            fault::point(kind, "certificates", "before");
            conductor.vault.create_cluster_certificates(&cluster, &template.coe).await?;
            fault::point(kind, "certificates", "after");
        }
    }
    if operation.kind != OperationKind::Delete {
        fault::point(kind, "nodes", "before");
        conductor.store.reconcile_nodes(operation.cluster_uuid, &operation.arguments.nodes_to_remove).await?;
        fault::point(kind, "nodes", "after");
    }
    Ok(())
}

async fn hand_back(conductor: &Conductor, operation: &Operation) -> Result<(), ConductorError> {
    tracing::info!(operation = %operation.uuid, "handed back, another conductor goes on");
    conductor.store.hand_back_operation(operation.uuid, &conductor.owner).await?;
    Ok(())
}

/// Decides between trying again and giving up.
async fn not_done(
    conductor: &Conductor,
    operation: &Operation,
    stop: &Stop,
    error: ConductorError,
) -> Result<(), ConductorError> {
    if matches!(error, ConductorError::Store(StoreError::LeaseLost { .. })) {
        stop.because(Reason::LeaseLost);
    }
    match stop.reason() {
        Some(Reason::LeaseLost) => {
            tracing::warn!(operation = %operation.uuid, "the lease was lost; whoever holds it now goes on");
            return Ok(());
        }
        Some(Reason::Draining) => return hand_back(conductor, operation).await,
        Some(Reason::Requested) => return outcome::cancelled(conductor, operation).await,
        Some(Reason::Deadline) => return outcome::timed_out(conductor, operation, &error).await,
        None => {}
    }
    if let ConductorError::Driver(DriverError::Unsupported(_)) = error
        && operation.kind == OperationKind::Delete
    {
        // Nothing here made the cluster, so nothing here can tell what to remove.
        return outcome::failed(conductor, operation, &error).await;
    }
    let failed_attempts = operation.failed_attempts();
    if error.is_transient() && failed_attempts < conductor.options.attempts {
        let pause = Duration::from_secs(1 << failed_attempts.clamp(0, 6));
        tracing::warn!(operation = %operation.uuid, %error, ?pause, "attempt failed, trying again");
        let event = NewEvent {
            cluster_uuid: operation.cluster_uuid,
            operation_uuid: Some(operation.uuid),
            node: None,
            step: "operation".to_owned(),
            state: EventState::Warning,
            message: format!("{error}; trying again in {} s", pause.as_secs()),
        };
        leased(operation, async { Ok(conductor.store.add_event(event).await?) }).await?;
        let not_before = now() + pause;
        conductor.store.postpone_operation(operation.uuid, &conductor.owner, &error.to_string(), not_before).await?;
        return Ok(());
    }
    outcome::failed(conductor, operation, &error).await
}
