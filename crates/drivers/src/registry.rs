//! Which drivers this process offers.

use std::sync::Arc;

use magnum_domain::driver::{Driver, Drivers};

/// Leaves out the drivers that the operator has turned off (`[drivers] disabled_drivers`).
///
/// A name that is no driver's is logged and otherwise without effect, since a configuration may be shared with
/// releases that have it.
#[must_use]
pub fn enabled(drivers: Vec<Arc<dyn Driver>>, disabled: &[String]) -> Drivers {
    for name in disabled.iter().filter(|name| drivers.iter().all(|driver| driver.name() != name.as_str())) {
        tracing::warn!(driver = %name, "a driver that does not exist is turned off");
    }
    Drivers::new(drivers.into_iter().filter(|driver| !disabled.iter().any(|name| name == driver.name())).collect())
}
