//! Why there is no configuration.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::report::Report;
use crate::value::GetError;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file or folder cannot be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files are malformed or options have impossible values.
    #[error("the configuration has errors:\n{0}")]
    Invalid(Report),
    /// The built-in table of options is broken.
    #[error("the built-in table of options is malformed: {0}")]
    Table(String),
    /// An option was asked for that is not there in that form.
    #[error(transparent)]
    Get(#[from] GetError),
}
