//! What can go wrong with a service.

use std::path::PathBuf;
use std::sync::Arc;

use magnum_domain::text;

use crate::Service;

/// Why something could not be asked of OpenStack.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration can't be used.
    #[error("[{group}] {reason}")]
    Options {
        /// Group of the configuration.
        group: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of certificates or keys can't be read.
    #[error("{} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file has no certificate or key that can be used.
    #[error("{} holds no certificate or key that can be used", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// A file that should hold authorities holds no certificate.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No connection could be set up for other reasons than the network.
    #[error("HTTP can't be set up")]
    Setup(#[source] reqwest::Error),
    /// There is no connection to the service.
    #[error("the {service} can't be reached")]
    Unreachable {
        /// Which.
        service: Service,
        /// Why.
        source: reqwest::Error,
    },
    /// The connection broke off, or what came over it is no HTTP.
    #[error("the {service} broke the connection off")]
    Interrupted {
        /// Which.
        service: Service,
        /// Why.
        source: reqwest::Error,
    },
    /// There was no whole answer in time.
    #[error("the {service} did not answer in time")]
    TimedOut {
        /// Which.
        service: Service,
    },
    /// The answer is larger than is read.
    #[error("the answer of the {service} is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        service: Service,
        /// Greatest size in bytes.
        limit: usize,
    },
    /// The answer is not what the service's interface promises.
    #[error("the {service} answered what it should not{}", of(request_id.as_deref()))]
    Garbled {
        /// Which.
        service: Service,
        /// The service's id of the request.
        request_id: Option<String>,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service refused or failed.
    #[error("the {service} answered {status}{}: {message}", of(request_id.as_deref()))]
    Status {
        /// Which.
        service: Service,
        /// The status.
        status: u16,
        /// What it said, cut to a reasonable length.
        message: String,
        /// The service's id of the request.
        request_id: Option<String>,
        /// Seconds after which it wants to be asked again.
        retry_after: Option<u64>,
    },
    /// Keystone does not accept the credentials of the service itself.
    #[error("the identity service (Keystone) does not accept the credentials of [{group}]: {message}")]
    OwnCredentials {
        /// Group of the configuration they are from.
        group: String,
        /// What Keystone said.
        message: String,
    },
    /// There is no token of our own. All that waited for the one attempt are told of it.
    #[error(transparent)]
    Login(Arc<Error>),
    /// The catalog of the token has no such service.
    #[error("{interface} endpoint for {kind} service{} not found", region.as_deref().map(|region| format!(" in {region} region")).unwrap_or_default())]
    NoEndpoint {
        /// Which.
        service: Service,
        /// Its type.
        kind: &'static str,
        /// Which of its addresses was wanted.
        interface: &'static str,
        /// Where.
        region: Option<String>,
    },
    /// The caller has no token to ask with.
    #[error("the request has no token to ask the {0} with")]
    NoToken(Service),
}

fn of(request_id: Option<&str>) -> String {
    request_id.map(|id| format!(" (its {id})")).unwrap_or_default()
}

impl Error {
    /// The status a service answered with.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Login(error) => error.status(),
            _ => None,
        }
    }

    pub(crate) fn garbled(
        service: Service,
        request_id: Option<&str>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        // A parser repeats what it does not like.
        let why = text::clean(&source.into().to_string(), text::MESSAGE);
        Self::Garbled { service, request_id: request_id.map(str::to_owned), source: why.into() }
    }
}
