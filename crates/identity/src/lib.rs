//! Who is asking: one trait, [`Authenticator`], and its implementations.
//!
//! - [`BuiltIn`]: users, projects, roles and tokens of our own, behind as much of the Keystone v3 API as real clients
//!   (keystoneauth, openstacksdk, python-openstackclient) use. One file per resource, named as in Keystone.
//! - [`Keystone`]: a Keystone elsewhere, asked about each token and remembered for a while.
//! - [`NoAuth`]: headers that are believed, from this machine only (`auth_strategy = noauth`).
//!
//! Differences of the built-in identity from Keystone that a client can see: there is one domain (`default`), projects do not nest, there are
//! no groups, trusts, federation or access rules; each is refused with a message that says so. The service_catalog, the
//! roles `admin`, `member`, `reader` and `service`, and that `admin` implies `member` implies `reader`, are fixed.

mod access_rule;
mod application_credential;
mod auth_request;
mod auth_scope;
mod authenticator;
mod body;
mod bootstrap;
mod built_in;
mod discovery;
mod domain;
mod error;
mod familiar;
mod field;
mod keystone;
mod list;
mod lockout;
mod login;
mod no_auth;
mod password;
mod project;
mod requester;
mod role;
mod role_assignment;
mod service_catalog;
mod session;
mod token;
mod user;

pub use authenticator::{AuthError, Authenticator, IncomingRequest};
pub use bootstrap::{Bootstrap, Bootstrapped};
pub use built_in::{BuiltIn, IdentityError, Options};
pub use keystone::{Keystone, KeystoneOptions};
pub use no_auth::NoAuth;
pub use password::PasswordCost;
pub use service_catalog::{CatalogService, ServiceCatalog};
