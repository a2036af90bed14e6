//! The Container-Infra API: routes, microversions, JSON shapes, and the one mapping of failures to statuses.
//!
//! The way of a request through the folders:
//!
//! - `middleware/`: what every request goes through: CORS, request id, access log, metrics, limits, authentication, microversion, rates
//! - `resources/`: one file per resource; reads `query.rs` and `body.rs`, asks the policy, calls the store once
//! - `field/`: what a body may hold, as tables; `patch.rs`: JSON Patch in upstream's dialect
//! - `rules/`: what must hold between fields, and what names must be found in the cloud (on one machine: `local_cloud.rs`)
//! - `planner.rs`, `dry_run.rs`: what drivers are asked before anything is accepted
//! - `view/`: rows as JSON; `page.rs`, `link.rs`: lists and links; `stream.rs`: server-sent events
//! - `throttle.rs`: what one caller may ask for in a time
//! - `warning.rs`: what is accepted and yet deserves a word
//! - `fuzzing.rs`: readers of foreign input as `crates/fuzzing` calls them
//! - `error.rs`: every failure's status and document
//!
//! Nothing here knows SQL or infrastructure. A request writes with exactly one call of the store, which is one
//! transaction: the rows and the operation that carries the change out.

mod accept;
mod body;
mod context;
mod dry_run;
mod error;
mod field;
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod local_cloud;
mod metrics;
mod microversion;
mod middleware;
mod name;
mod openapi;
mod options;
mod page;
mod patch;
mod planner;
mod python;
mod query;
mod resources;
mod router;
mod rules;
mod stream;
mod throttle;
mod view;
mod warning;

use std::sync::Arc;

use magnum_certs::Vault;
use magnum_domain::cloud::CloudLookup;
use magnum_identity::Authenticator;
use magnum_policy::Policy;
use magnum_store::Store;
use prometheus_client::registry::Registry;

pub use error::ApiError;
pub use link::LinkOptions;
pub use local_cloud::{LocalCloud, Projects};
pub use metrics::Metrics;
pub use microversion::{MAXIMUM, MINIMUM, Microversion};
pub use openapi::document as openapi_document;
pub use options::{ApiOptions, CorsRule, HealthOptions, NetworkDrivers, RateOptions, SizeLimits, StreamOptions};
pub use planner::{DriverPlanner, Planner};
pub use router::router;

/// Everything the API needs from the rest of the program.
pub struct ApiState {
    /// The database.
    pub store: Store,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Who is asking.
    pub authenticator: Arc<dyn Authenticator>,
    /// The clusters' certificates.
    pub vault: Vault,
    /// The drivers, as far as they are asked before anything is accepted.
    pub planner: Arc<dyn Planner>,
    /// Where images, flavors and networks are looked up.
    pub cloud: Arc<dyn CloudLookup>,
    /// What is counted here.
    pub metrics: Metrics,
    /// What `/metrics` shows: [`Self::metrics`] and whatever else was registered.
    pub registry: Arc<Registry>,
    /// Settings.
    pub options: ApiOptions,
}
