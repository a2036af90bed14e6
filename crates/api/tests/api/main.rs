//! The API through its router: a real database (SQLite in a temporary folder), the real policy, the real vault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bays;
mod certificates;
mod clusters;
mod cors;
mod discovery;
mod events;
mod federations;
mod fixtures;
mod health;
mod labels;
mod limits;
mod lookups;
mod nodegroups;
mod one_rule;
mod openapi;
mod operations;
mod others;
mod paging;
mod policy;
mod rates;
mod removal;
mod sizes;
mod statuses;
mod support;
mod templates;
mod upgrades;
mod validation;
mod versions;
mod wrong_requests;
