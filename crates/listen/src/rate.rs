//! How often somebody may do something.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Keys that are told apart; beyond them all newcomers share one count.
pub const MOST_KEYS: usize = 10_000;
/// Checks between two looks at how many keys there are.
const SWEEP_EVERY: u32 = 1024;

/// Counts for keys, in bounded memory.
pub struct Rates<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    /// Counted together when there are too many.
    crowd: K,
    checks: AtomicU32,
    is_crowded: AtomicBool,
}

impl<K: Hash + Eq + Clone> Rates<K> {
    /// `crowd` is a key that nobody has.
    #[must_use]
    pub fn new(quota: Quota, crowd: K) -> Self {
        let limiter = RateLimiter::keyed(quota);
        Self { limiter, crowd, checks: AtomicU32::new(0), is_crowded: AtomicBool::new(false) }
    }

    /// So many in a second on average, and `burst` at once.
    #[must_use]
    pub fn per_second(rate: NonZeroU32, burst: NonZeroU32, crowd: K) -> Self {
        Self::new(Quota::per_second(rate).allow_burst(burst), crowd)
    }

    /// So many in a minute on average, and `burst` at once.
    #[must_use]
    pub fn per_minute(rate: NonZeroU32, burst: NonZeroU32, crowd: K) -> Self {
        Self::new(Quota::per_minute(rate).allow_burst(burst), crowd)
    }

    /// Counts one.
    ///
    /// # Errors
    /// When that is one too many: how long to wait for the next.
    pub fn count(&self, key: &K) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep();
        }
        let key = if self.is_crowded.load(Ordering::Relaxed) { &self.crowd } else { key };
        self.limiter.check_key(key).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets keys whose counts have run down.
    fn sweep(&self) {
        if self.limiter.len() > MOST_KEYS {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.is_crowded.store(self.limiter.len() > MOST_KEYS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let counts = Rates::new(Quota::per_hour(NonZeroU32::MIN), 0);
        for key in 0..(u32::try_from(MOST_KEYS).unwrap() * 3) {
            let _ = counts.count(&(key + 1));
        }
        let most = MOST_KEYS + usize::try_from(SWEEP_EVERY).unwrap() + 1;
        assert!(counts.limiter.len() <= most, "{}", counts.limiter.len());
        assert!(counts.is_crowded.load(Ordering::Relaxed));
        assert!(counts.count(&7_000_000).is_err(), "newcomers share what the crowd has used up");
    }
}
