//! Carries out operations: claims them by lease, has the driver plan, applies the plan step by step, and writes
//! what came of it back into the rows.
//!
//! Any number of conductors may run on one database. One that dies loses nothing: its lease runs out and another
//! resumes from what is recorded. This crate knows neither SQL nor any infrastructure.
//!
//! - `claim.rs`: which operation next
//! - `runner.rs`: one operation from claim to end
//! - `step.rs`: one step with its time-out, events and progress
//! - `outcome.rs`: the rows at the end of an operation
//! - `owner.rs`: under which name leases are held, and whose holder is dead
//! - `board.rs`: what an operation says it waits for
//! - `stop.rs`: cancelling, deadlines, lost leases, draining
//! - `periodic.rs`: heartbeat, health, adoption of clusters after a restart, tidying

mod board;
mod claim;
mod error;
mod fault;
mod outcome;
mod owner;
mod periodic;
mod runner;
mod snapshot;
mod step;
mod stop;
mod upgrade;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use magnum_certs::Vault;
use magnum_domain::concurrency::for_each_processor;
use magnum_domain::driver::Drivers;
use magnum_store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::ConductorError;
pub use snapshot::snapshot;

/// How a conductor works.
#[derive(Debug, Clone)]
pub struct Options {
    /// `[DEFAULT] host`: the name under which it reports itself.
    pub host: String,
    /// How long a claimed operation stays claimed without a sign of life. Default 30 s.
    pub lease: Duration,
    /// Operations carried out at the same time. Default 8.
    pub concurrency: usize,
    /// Steps carried out at the same time, all operations together. Default: eight for each processor, at least 16. Most
    /// of a step is waiting.
    pub parallel_steps: NonZeroUsize,
    /// Pause between two looks at a cluster's health. Default 15 s; zero turns the looks off.
    pub health_interval: Duration,
    /// How long running steps may go on after the request to end. Default 60 s.
    pub drain_timeout: Duration,
    /// How often an operation is tried again after a failure that may mend itself. Default 5.
    pub attempts: i32,
    /// How often conductors may end, or lose their lease, while carrying one operation out, before it counts as failed.
    /// Default 5.
    pub max_interruptions: i32,
    /// How long events and finished operations of deleted clusters are kept. Default 7 days.
    pub keep_history: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            lease: Duration::from_secs(30),
            concurrency: 8,
            parallel_steps: for_each_processor(8, NonZeroUsize::MIN.saturating_add(15)),
            health_interval: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(60),
            attempts: 5,
            max_interruptions: 5,
            keep_history: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// A conductor, ready to run.
#[derive(Clone)]
pub struct Conductor {
    store: Store,
    vault: Vault,
    drivers: Drivers,
    options: Options,
    /// Unique to this process, so that a restarted conductor does not take its predecessor's lease for its own.
    owner: String,
    /// One place for each step that may run.
    places: Arc<Semaphore>,
}

impl Conductor {
    /// Puts one together; nothing happens before [`Self::run`].
    #[must_use]
    pub fn new(store: Store, vault: Vault, drivers: Drivers, options: Options) -> Self {
        let owner = owner::of_this_process(&options.host);
        let places = Arc::new(Semaphore::new(options.parallel_steps.get().min(Semaphore::MAX_PERMITS)));
        Self { store, vault, drivers, options, owner, places }
    }

    /// Works until `shutdown`, then lets running steps end (at most [`Options::drain_timeout`]) and hands their
    /// operations back.
    pub async fn run(self, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        tasks.spawn(periodic::heartbeat(self.clone(), shutdown.clone()));
        tasks.spawn(periodic::resume_all(self.clone(), shutdown.clone()));
        tasks.spawn(periodic::watch_health(self.clone(), shutdown.clone()));
        tasks.spawn(periodic::tidy(self.clone(), shutdown.clone()));
        let limit = self.options.drain_timeout;
        tasks.spawn(claim::work(self, shutdown.clone()));
        tasks.close();
        shutdown.cancelled().await;
        if tokio::time::timeout(limit, tasks.wait()).await.is_err() {
            tracing::warn!("steps were still running after {limit:?}; another conductor resumes them");
        }
    }
}
