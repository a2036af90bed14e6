//! What tests of many crates begin with: rows, a store of their own, a free port, and waiting without guessing how long.
//!
//! Rows are plain: nothing is in them that does not have to be. A test says what matters to it and takes the rest from
//! here: `ClusterTemplate { master_lb_enabled: true, ..magnum_testkit::template() }`.
//!
//! It is for tests only, so it panics where something does not work.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that can't begin has failed")]

mod rows;
mod wait;

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Deref;

use magnum_store::{ConnectOptions, Seal, Store};
use tempfile::TempDir;

pub use rows::{cluster, create_of, node, nodegroup, operation, snapshot, template};
pub use wait::{until, until_blocking};

/// A migrated SQLite database in a temporary folder; the folder goes when the value does.
#[derive(Debug)]
pub struct TemporaryStore {
    store: Store,
    folder: TempDir,
}

impl TemporaryStore {
    /// A new one, whose secrets are sealed by `seal`.
    ///
    /// # Panics
    /// If it can't be made.
    pub async fn sealed_by(seal: impl Seal + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:///{}", folder.path().join("magnum.sqlite").display());
        let store = Store::connect(&url, &ConnectOptions::default()).await.expect("a new database").with_seal(seal);
        store.migrate().await.expect("tables in a new database");
        Self { store, folder }
    }

    /// The folder of the database, for whatever else has to go with it.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Deref for TemporaryStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// A loopback port that nobody listens on at this moment.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener.local_addr().expect("the address of a listener").port()
}
