//! The built-in identity service through its routes, on a database of its own for every test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, unreachable_pub)]

mod application_credentials;
mod authenticator;
mod bootstrap;
mod cloud;
mod floods;
mod grants;
mod guessing;
mod keystone;
mod projects;
mod real_clients;
mod remote;
mod revocation;
mod service_catalog;
mod tokens;
mod users;
mod wrong_requests;
