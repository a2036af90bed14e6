//! The status words of clusters and node groups, as the upstream database and every client spell them.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "String", from = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word this release does not know; kept as it is, so that one odd row breaks no list.
            Other(String),
        }

        impl $name {
            /// The word as it stands in the database and in API bodies.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $word,)+ Self::Other(word) => word }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() { $($word => Self::$variant,)+ _ => Self::Other(word) }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self { value.as_str().to_owned() }
        }

        impl FromStr for $name {
            type Err = Infallible;
            fn from_str(word: &str) -> Result<Self, Infallible> { Ok(Self::from(word.to_owned())) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words! {
    /// Status of a cluster or of a node group.
    ClusterStatus {
        /// Being made.
        CreateInProgress = "CREATE_IN_PROGRESS",
        /// Could not be made; only deletion or a retry of the operation leads on.
        CreateFailed = "CREATE_FAILED",
        /// Made and usable.
        CreateComplete = "CREATE_COMPLETE",
        /// Being changed.
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        /// The last change failed.
        UpdateFailed = "UPDATE_FAILED",
        /// The last change succeeded.
        UpdateComplete = "UPDATE_COMPLETE",
        /// Being deleted.
        DeleteInProgress = "DELETE_IN_PROGRESS",
        /// Could not be deleted; deleting again resumes.
        DeleteFailed = "DELETE_FAILED",
        /// Gone; seen only in events, since the row goes with the cluster.
        DeleteComplete = "DELETE_COMPLETE",
        /// Heat: resumed.
        ResumeComplete = "RESUME_COMPLETE",
        /// Heat: could not be resumed.
        ResumeFailed = "RESUME_FAILED",
        /// Heat: restored from a snapshot.
        RestoreComplete = "RESTORE_COMPLETE",
        /// Heat: going back to the state before a failed update.
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        /// Heat: could not go back.
        RollbackFailed = "ROLLBACK_FAILED",
        /// Heat: back at the state before a failed update.
        RollbackComplete = "ROLLBACK_COMPLETE",
        /// Heat: snapshot taken.
        SnapshotComplete = "SNAPSHOT_COMPLETE",
        /// Heat: checked.
        CheckComplete = "CHECK_COMPLETE",
        /// Heat: adopted.
        AdoptComplete = "ADOPT_COMPLETE",
    }
}

words! {
    /// What the last look at the running cluster said.
    HealthStatus {
        /// The API answers and every node is ready.
        Healthy = "HEALTHY",
        /// The API does not answer, or a node is not ready.
        Unhealthy = "UNHEALTHY",
        /// It could not be asked.
        Unknown = "UNKNOWN",
    }
}

impl ClusterStatus {
    /// Whether work is going on.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.as_str().ends_with("_IN_PROGRESS")
    }

    /// Whether the last work failed; the API then shows `faults`.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.as_str().ends_with("_FAILED")
    }

    /// Whether the cluster is at rest and well: the set of statuses upstream lets a cluster be updated or upgraded in.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.as_str().ends_with("_COMPLETE") && *self != Self::DeleteComplete
    }
}
