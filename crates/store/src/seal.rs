//! How secrets in our own tables are kept unreadable to whoever has only the database.

/// Why a seal failed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store was opened without [`crate::Store::with_seal`].
    #[error("no sealing key was given")]
    NoKey,
    /// The key does not fit or the value was tampered with; or sealing itself failed.
    #[error("{0}")]
    Failed(String),
}

/// Turns bytes into text that is safe to store, and back.
pub trait Seal: Send + Sync {
    /// Encrypts.
    ///
    /// # Errors
    /// When the cipher fails.
    fn seal(&self, plain: &[u8]) -> Result<String, SealError>;

    /// Decrypts what [`Self::seal`] returned.
    ///
    /// # Errors
    /// When the text was not sealed with this key, or was changed.
    fn open(&self, sealed: &str) -> Result<Vec<u8>, SealError>;
}
