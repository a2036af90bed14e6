//! Waiting until something is so: looked at often, and given up only when no machine could be that slow.

use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// When it is given up. It says that something hangs, never that something is slow.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits until `ready` answers something; `what` is awaited is said when it never does.
///
/// # Panics
/// After two minutes.
pub async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = ready().await {
            return value;
        }
        assert!(began.elapsed() < LIMIT, "still no {what} after {LIMIT:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// The same where nothing is asynchronous.
///
/// # Panics
/// After two minutes.
pub fn until_blocking<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(began.elapsed() < LIMIT, "still no {what} after {LIMIT:?}");
        thread::sleep(LOOK);
    }
}
