//! The database: SQLite, PostgreSQL or MariaDB/MySQL behind one concrete type, [`Store`].
//!
//! The upstream tables (`cluster`, `cluster_template`, `nodegroup`, ...) are used as they are and never altered;
//! what the conductor needs beyond them is in tables of our own (`conductor_*`). Everything that has to hold
//! together is one transaction here, so no other crate knows about locks, retries or SQL.
//!
//! - `url.rs`: URLs; `connect.rs`: pools; `reader.rs`: connections of reads; `select_cache.rs`: queries that are kept; `transaction.rs`: begin, retry, turns; `schema.rs`, `migration/`: tables
//! - `uuid_column.rs`: UUIDs in whatever spelling upstream's tables hold them
//! - `entity/`: one file per table; the other modules: what can be done with it, named as in `magnum-domain`

pub mod certificate;
pub mod cluster;
pub mod cluster_template;
pub mod cluster_view;
pub mod connect;
pub mod error;
pub mod event;
pub mod federation;
pub mod identity;
pub mod lease;
pub mod node;
pub mod nodegroup;
pub mod operation;
pub mod outcome;
pub mod page;
pub mod quota;
pub mod resource;
pub mod schema;
pub mod seal;
pub mod service;
pub mod upgrade;
pub mod upstream;
pub mod url;
pub mod wakeup;

mod entity;
mod history;
mod json;
mod migration;
mod progress;
mod reader;
mod reconcile;
mod request;
mod row;
mod row_reader;
mod sealed;
mod select_cache;
mod transaction;
mod uuid_column;

pub use cluster::{CertificateRefs, ClusterSummary, NewCluster, Stats};
pub use cluster_template::Visibility;
pub use cluster_view::{ClusterView, NodegroupState};
pub use connect::{Backend, ConnectOptions, Store};
pub use error::{Result, StoreError, Unstorable};
pub use json::LabelsText;
pub use lease::Lease;
pub use nodegroup::{NodeCounts, NodegroupChange, NodegroupSummary};
pub use outcome::{ClusterOutcome, NodegroupOutcome};
pub use page::{Ident, Page, Scope, SortDir};
pub use request::{Change, ClusterLimits};
pub use schema::Schema;
pub use seal::{Seal, SealError};
pub use upgrade::UpgradeStep;
pub use upstream::UpstreamHead;
pub use url::DatabaseUrl;
