//! One file per table, column for column. Nothing but this crate sees them.
//!
//! UUIDs are text and dates have no zone, as upstream has them.

// The derive macros write public items, and a column needs no sentence besides those of `magnum-domain`.
#![allow(unreachable_pub, missing_docs)]

pub mod cluster;
pub mod cluster_template;
pub mod event;
pub mod federation;
pub mod lock;
pub mod magnum_service;
pub mod node;
pub mod nodegroup;
pub mod operation;
pub mod quota;
pub mod resource;
pub mod x509keypair;
