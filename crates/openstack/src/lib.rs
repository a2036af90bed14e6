//! What is asked of OpenStack's services, and the only place that knows how they are spoken to.
//!
//! - `login.rs`: the service's own credentials, as `[keystone_auth]` and `[keystone_authtoken]` give them
//! - `transport.rs`: time-outs, limits, TLS, what is tried again, request ids; `error.rs`: what can go wrong
//! - `session.rs`: a token of our own, renewed in time and once at a time
//! - `catalog.rs`: which address of a service is used; `client.rs`: one service, asked in a caller's name
//! - `identity.rs`, `image.rs`, `compute.rs`, `network.rs`: the services
//! - `cloud.rs`: all of them as the [`CloudLookup`](magnum_domain::cloud::CloudLookup) of a cloud; `remembered.rs`: for a moment
//!   what was found in it
//! - `probe.rs`: whether a cloud answers, for an operator who asks
//!
//! Callers are acted for with their own token and catalog, so that a lookup finds what they may see, and nothing else.

mod catalog;
mod client;
mod cloud;
mod compute;
mod error;
mod identity;
mod image;
mod login;
mod network;
mod probe;
mod remembered;
mod service;
mod session;
mod token;
mod transport;

pub use catalog::Interface;
pub use client::{Asker, ServiceClient, ServiceOptions};
pub use cloud::OpenStackCloud;
pub use error::Error;
pub use login::{ApplicationCredential, Domain, Login, Method, Scope, Who};
pub use probe::Probe;
pub use remembered::Remembered;
pub use service::Service;
pub use session::{Session, SessionOptions};
pub use token::{AccessRule, ValidToken};
pub use transport::{TlsOptions, Transport, TransportOptions};
