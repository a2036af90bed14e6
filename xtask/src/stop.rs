//! Ctrl-C and SIGTERM: remembered here, looked at wherever something waits, so that everything started is also ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::say;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Begins to remember SIGINT, SIGTERM and SIGHUP instead of dying of them.
pub(crate) fn listen() {
    let flag = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(flag)) {
            say::aside(format_args!(
                "cannot watch for signal {signal}: {error}; stop this with care, it may leave things behind"
            ));
        }
    }
}

/// Whether somebody asked for an end.
pub(crate) fn asked() -> bool {
    ASKED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Forgets that somebody asked, so that cleaning up can go on; the next signal counts again.
pub(crate) fn forget() {
    if let Some(flag) = ASKED.get() {
        flag.store(false, Ordering::Relaxed);
    }
}

/// Fails when somebody asked for an end.
pub(crate) fn check() -> Result<()> {
    if asked() {
        bail!("stopped on request");
    }
    Ok(())
}

/// Asks `ready` every `pause` until it gives a value; `None` when `limit` has passed.
///
/// Fails when `ready` does, or when somebody asked for an end.
pub(crate) fn poll<T>(
    limit: Duration,
    pause: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let end = Instant::now() + limit;
    loop {
        check()?;
        if let Some(value) = ready()? {
            return Ok(Some(value));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(pause);
    }
}
