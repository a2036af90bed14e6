//! The real clients against the real service.
//!
//! Needs `MAGNUM_TEST_OPENSTACK`, the path of the `openstack` program of python-openstackclient; `cargo xtask test`
//! sets it. Without it nothing is run, and said so.

pub async fn none() {}
