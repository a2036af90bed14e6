//! Places at which a test build can be made to die, as if by `kill -9`.
//!
//! A point is called `<operation kind>/<step kind>/<before|after>`. With the feature `fault-points`:
//! - `MAGNUM_FAULT_TRACE=FILE` appends the name of every point that is passed, one a line;
//! - `MAGNUM_FAULT=POINT` or `POINT#N` kills the process when that point is passed for the first or Nth time.
//!
//! Without the feature, [`point`] compiles to nothing.

/// Marks a point.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub(crate) fn point(_operation: &str, _step: &str, _when: &str) {}

/// Marks a point; may not return.
#[cfg(feature = "fault-points")]
pub(crate) fn point(operation: &str, step: &str, when: &str) {
    use std::collections::HashMap;
    use std::io::Write;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static PASSED: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

    let name = format!("{operation}/{step}/{when}");
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let times = passed.entry(name.clone()).or_insert(0);
    *times += 1;
    if let Ok(path) = std::env::var("MAGNUM_FAULT_TRACE")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        // A lost line makes the test that reads the trace fail by itself.
        let _ = writeln!(file, "{name}#{times}");
    }
    if let Ok(wanted) = std::env::var("MAGNUM_FAULT") {
        let (wanted_name, wanted_time) = wanted.split_once('#').unwrap_or((wanted.as_str(), "1"));
        if wanted_name == name && wanted_time == times.to_string() {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }
}
