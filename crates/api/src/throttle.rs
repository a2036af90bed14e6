//! What one caller may ask for in a time, and how much costly work is done at once.
//!
//! | what | counted for | beyond it |
//! | --- | --- | --- |
//! | requests | a project, or a user without one | 429 |
//! | failed authentications | the peer (an IPv6 one by its /64) | 429 for further failures; the peer's authentications wait for one another |
//! | signatures | the process | they wait, and are 429 when that takes too long |
//!
//! Whoever authenticates well is served whatever others at the same address do: a proxy's address is everybody's.
//! Counts are kept in memory, for this process alone, and for so many keys only.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use magnum_listen::rate::{MOST_KEYS, Rates};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{ApiError, Result};
use crate::metrics::{LimitLabels, Metrics};
use crate::options::RateOptions;

/// Authentications at once of all peers that have failed too often.
const SLOW_LANE: usize = 2;
/// Longest wait for a turn at costly work.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The counts of one process.
pub(crate) struct Throttle {
    requests: Option<Rates<String>>,
    failures: Option<Rates<IpAddr>>,
    /// Peers that have failed too often, and until when they are slow.
    slow: Mutex<HashMap<IpAddr, Instant>>,
    slow_lane: Semaphore,
    signatures: Semaphore,
    longest_wait: Duration,
    metrics: Metrics,
}

/// A turn at authentication; those of slow peers are few.
pub(crate) struct Permit<'a>(#[expect(dead_code, reason = "held for its drop")] Option<SemaphorePermit<'a>>);

impl Throttle {
    pub(crate) fn new(options: &RateOptions, metrics: Metrics) -> Self {
        let burst = options.request_burst;
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            requests: options.requests_per_second.map(|rate| Rates::per_second(rate, burst, String::new())),
            failures: options.failures_per_minute.map(|rate| Rates::per_minute(rate, rate, nobody)),
            slow: Mutex::default(),
            slow_lane: Semaphore::new(SLOW_LANE),
            signatures: Semaphore::new(options.signatures_at_once.max(1)),
            longest_wait: options.longest_wait.min(LONGEST_WAIT),
            metrics,
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// 429 when the project has sent too many.
    pub(crate) fn request(&self, project: &str) -> Result<()> {
        let Some(counts) = &self.requests else { return Ok(()) };
        counts.count(&project.to_owned()).map_err(|wait| {
            self.refused("requests");
            ApiError::TooFast { what: "There are too many requests of this project", wait }
        })
    }

    /// Waits for a turn at authentication, which only peers that have failed too often have to.
    ///
    /// # Errors
    /// 429 when the turn does not come.
    pub(crate) async fn permit(&self, peer: Option<IpAddr>) -> Result<Permit<'_>> {
        if !peer.is_some_and(|peer| self.is_slow(peer)) {
            return Ok(Permit(None));
        }
        let turn = tokio::time::timeout(self.longest_wait, self.slow_lane.acquire()).await;
        let permit = turn.ok().and_then(Result::ok).ok_or_else(|| self.failed_too_often(self.longest_wait))?;
        Ok(Permit(Some(permit)))
    }

    /// Counts a failed authentication.
    ///
    /// # Errors
    /// 429, to be told instead of the failure, when the peer has failed too often.
    pub(crate) fn failed(&self, peer: Option<IpAddr>) -> Result<()> {
        let (Some(counts), Some(peer)) = (&self.failures, peer) else { return Ok(()) };
        let Err(wait) = counts.count(&peer) else { return Ok(()) };
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if slow.len() >= MOST_KEYS {
            slow.retain(|_, until| *until > now);
        }
        if slow.len() < MOST_KEYS || slow.contains_key(&peer) {
            slow.insert(peer, now + wait);
        }
        Err(self.failed_too_often(wait))
    }

    /// Waits for a turn at signing a certificate.
    ///
    /// # Errors
    /// 429 when the turn does not come.
    pub(crate) async fn signature(&self) -> Result<SemaphorePermit<'_>> {
        let turn = tokio::time::timeout(self.longest_wait, self.signatures.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            self.refused("signatures");
            ApiError::TooFast { what: "There are too many certificates to sign", wait: Duration::from_secs(1) }
        })
    }

    fn is_slow(&self, peer: IpAddr) -> bool {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if slow.is_empty() {
            return false;
        }
        let Some(until) = slow.get(&peer).copied() else { return false };
        if until <= Instant::now() {
            slow.remove(&peer);
            return false;
        }
        true
    }

    fn failed_too_often(&self, wait: Duration) -> ApiError {
        self.refused("failed_authentications");
        ApiError::TooFast { what: "There are too many failed authentications from this address", wait }
    }

    fn refused(&self, what: &'static str) {
        self.metrics.limited.get_or_create(&LimitLabels { what }).inc();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[tokio::test]
    async fn costly_work_takes_turns() {
        let options =
            RateOptions { signatures_at_once: 1, longest_wait: Duration::from_millis(20), ..RateOptions::default() };
        let throttle = Throttle::new(&options, Metrics::register(&mut Default::default()));
        let turn = throttle.signature().await.unwrap();
        let refused = throttle.signature().await.unwrap_err();
        assert!(matches!(refused, ApiError::TooFast { .. }), "{refused}");
        drop(turn);
        assert!(throttle.signature().await.is_ok());
    }

    /// Those who have failed too often wait for one another; nobody else does.
    #[tokio::test]
    async fn authentications_of_slow_peers_take_turns() {
        let options = RateOptions {
            failures_per_minute: NonZeroU32::new(1),
            longest_wait: Duration::from_millis(20),
            ..RateOptions::default()
        };
        let throttle = Throttle::new(&options, Metrics::register(&mut Default::default()));
        let [slow, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|address| Some(IpAddr::from(address)));
        assert!(throttle.failed(slow).is_ok() && throttle.failed(slow).is_err());
        let mut turns = Vec::new();
        for _ in 0..SLOW_LANE {
            turns.push(throttle.permit(slow).await.unwrap());
        }
        assert!(throttle.permit(slow).await.is_err());
        assert!(throttle.permit(other).await.is_ok() && throttle.permit(None).await.is_ok());
        turns.clear();
        assert!(throttle.permit(slow).await.is_ok());
    }
}
