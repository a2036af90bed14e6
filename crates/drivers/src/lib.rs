//! Makers of clusters: each implements [`magnum_domain::driver::Driver`] in a folder of its own.
//!
//! What is the same for an orchestration engine wherever it runs belongs to `magnum-coe`; here is what differs by
//! infrastructure.

pub mod local;
pub mod registry;
