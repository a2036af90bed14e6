//! What can go wrong with keys and certificates.

use std::path::{Path, PathBuf};

/// Why a key or certificate could not be made, read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A certificate signing request that can't be read, or that its key has not signed. The client's fault.
    #[error("Received invalid csr: {0}.")]
    InvalidCsr(String),
    /// A request insists (critical) on something that is not allowed. The client's fault.
    #[error("Extension '{0}' not allowed")]
    ExtensionNotAllowed(String),
    /// A name that can't be put into a certificate.
    #[error("{0} can't be put into a certificate")]
    InvalidName(String),
    /// A stored certificate that can't be read.
    #[error("the certificate can't be read: {0}")]
    InvalidCertificate(String),
    /// A stored key that can't be read, or a pass phrase that does not fit.
    #[error("the private key can't be read: {0}")]
    InvalidKey(String),
    /// The authority is no longer valid, so that nothing it signs would be.
    #[error("the certificate authority expired at {0}")]
    AuthorityExpired(String),
    /// The sealing key does not fit, or the sealed text was changed.
    #[error("a sealed secret can't be opened: {0}")]
    Unsealable(&'static str),
    /// The file of the sealing key or of the listener's certificate is unusable; says what to do.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The cluster has no key pair of that kind.
    #[error("the cluster has no {0}")]
    Missing(&'static str),
    /// A TLS setting does not fit together.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The cryptographic library refused. It does not say why, on purpose.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
    /// The database could not be used.
    #[error(transparent)]
    Store(#[from] magnum_store::StoreError),
}

impl CertError {
    pub(crate) fn file(path: &Path, why: impl ToString) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }

    /// Whether whoever sent the request has to change it.
    #[must_use]
    pub fn is_clients_fault(&self) -> bool {
        matches!(self, Self::InvalidCsr(_) | Self::ExtensionNotAllowed(_))
    }
}
