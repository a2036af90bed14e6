//! What can go wrong while an operation is carried out.

use magnum_domain::driver::DriverError;

/// Why an operation could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ConductorError {
    /// The database could not be asked or written; the operation is tried again.
    #[error("the database could not be used: {0}")]
    Store(#[from] magnum_store::StoreError),
    /// Keys or certificates could not be made, stored or read.
    #[error("the cluster's certificates could not be made or read: {0}")]
    Certificates(#[from] magnum_certs::CertError),
    /// A step failed.
    #[error("{step}: {source}")]
    Step {
        /// What was being done, in words.
        step: String,
        /// Why it failed.
        source: DriverError,
    },
    /// A step did not end in time.
    #[error("{step}: not done after {seconds} s{waiting}")]
    TimedOut {
        /// What was being done, in words.
        step: String,
        /// Its time-out.
        seconds: u64,
        /// ` (waiting for ...)`, or nothing.
        waiting: String,
    },
    /// The driver could not compare what is wanted with what is there.
    #[error("{0}")]
    Driver(DriverError),
    /// The driver plans the same work again and again.
    #[error("the cluster does not settle: after {rounds} rounds there is still to do: {remaining}")]
    Unsettled {
        /// Rounds done.
        rounds: u32,
        /// Titles of the first steps of the last plan.
        remaining: String,
    },
    /// The operation was taken up again and again, and each time the process that carried it out came to its end first.
    #[error(
        "a conductor ended or lost its lease {times} times while carrying it out, so it is given up; last step: {step}. \
         Look at the conductor's log before the operation is retried"
    )]
    Interrupted {
        /// How often.
        times: i32,
        /// What was being done, in words.
        step: String,
    },
    /// The operation shall stop; the runner knows why.
    #[error("stopped")]
    Stopped,
}

impl ConductorError {
    /// Whether trying again may mend it.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Store(magnum_store::StoreError::TooManyNodes(_)) => false,
            Self::Store(_) | Self::TimedOut { .. } => true,
            Self::Step { source, .. } | Self::Driver(source) => matches!(source, DriverError::Transient(_)),
            Self::Certificates(_) | Self::Unsettled { .. } | Self::Interrupted { .. } | Self::Stopped => false,
        }
    }
}
