//! Whether we answer as upstream does: thousands of requests, upstream's recorded answers, and a table of the
//! differences that are meant, each with its reason.
//!
//! - `people.rs`, `cloud.rs`, `seed.rs`: who asks, what the cloud holds, what the database holds
//! - `case.rs`, `expand.rs`: the requests, from `data/cases/*.yaml`
//! - `subject.rs`: who is asked: `ours.rs` in this process, `remote.rs` over HTTP
//! - `surroundings.rs`: whom ours asks in its turn; `translation.rs`: where identifiers are not ours to choose
//! - `release.rs`: the releases of upstream, and what each is asked
//! - `run.rs`: asks; `normalize.rs`, `certificate.rs`: makes answers comparable; `record.rs`: keeps upstream's
//! - `compare.rs`, `difference.rs`: finds what differs, and whether it is meant; `report.rs`: says so

pub mod case;
mod certificate;
pub mod cloud;
pub mod compare;
pub mod database;
pub mod difference;
mod expand;
mod normalize;
pub mod ours;
pub mod people;
pub mod record;
pub mod release;
pub mod remote;
pub mod report;
pub mod run;
pub mod seed;
pub mod subject;
pub mod surroundings;
pub mod translation;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// A folder's file as text, with its name in the error.
fn read(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads YAML, with the name of its origin in the error.
fn yaml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T> {
    serde_saphyr::from_str(text).map_err(|error| anyhow::anyhow!("{origin}: {error}"))
}

/// Reads a file of the data.
fn data_file<T: DeserializeOwned>(name: &str) -> Result<T> {
    yaml(&read(&data().join(name))?, name)
}

/// The folder of the data.
#[must_use]
pub fn data() -> std::path::PathBuf {
    std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data"))
}
