//! What one caller may ask for in a time, and how much costly work is done at once.
//!
//! | what | counted for | beyond it |
//! | --- | --- | --- |
//! | requests | a project, or a user without one | 429 |
//! | changes (whatever is no GET) | a user | 429 |
//! | failed authentications | the peer (an IPv6 one by its /64) | 429 for further failures; the peer's authentications with tokens that are not known yet wait for one another |
//! | signatures | the process, and half as many a project | they wait, and are 429 when that takes too long |
//! | event streams | a project, a user, all but administrators | 429 |
//!
//! None of these may be turned against others. Whoever authenticates well is served whatever others at the same address
//! do, for a proxy's address is everybody's: a token that was good lately waits for nothing, and a peer waits for its own
//! failures only. A project's signatures leave turns for others, and administrators have event streams of their own.
//! Counts are kept in memory, for this process alone, and for so many keys only.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use magnum_listen::lanes::Lanes;
use magnum_listen::rate::{MOST_KEYS, Rates};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::error::{ApiError, Result};
use crate::metrics::{LimitLabels, Metrics};
use crate::options::{RateOptions, StreamOptions};
use crate::stream::Streams;

/// Authentications at once of a peer that has failed too often.
const SLOW_LANE: usize = 2;
/// Longest wait for a turn at costly work.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// For how long a token that was good is known.
const LATELY: Duration = Duration::from_secs(600);

/// The counts of one process.
pub(crate) struct Throttle {
    requests: Option<Rates<String>>,
    writes: Option<Rates<String>>,
    failures: Option<Rates<IpAddr>>,
    /// Peers that have failed too often, and until when they are slow.
    slow: Mutex<HashMap<IpAddr, Instant>>,
    slow_lanes: Lanes<IpAddr>,
    good_tokens: GoodTokens,
    signatures: Semaphore,
    signatures_of_project: Lanes<String>,
    pub(crate) streams: Streams,
    longest_wait: Duration,
    metrics: Metrics,
}

/// A turn at authentication; those of slow peers are few.
pub(crate) struct Permit(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

/// A turn at signing.
#[derive(Debug)]
pub(crate) struct SignaturePermit<'a> {
    _of_project: OwnedSemaphorePermit,
    _of_process: SemaphorePermit<'a>,
}

/// Tokens that were good lately, by a hash under a key of this process. It only spares them a wait: they are checked as
/// any other.
#[derive(Default)]
struct GoodTokens {
    key: RandomState,
    known: Mutex<HashMap<u64, Instant>>,
}

impl GoodTokens {
    fn has(&self, token: &[u8]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&self.key.hash_one(token)).is_some_and(|at| at.elapsed() < LATELY)
    }

    fn remember(&self, token: &[u8]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = self.key.hash_one(token);
        if known.len() >= MOST_KEYS && !known.contains_key(&hash) {
            known.retain(|_, at| at.elapsed() < LATELY);
            if known.len() >= MOST_KEYS {
                known.clear();
            }
        }
        known.insert(hash, Instant::now());
    }
}

impl Throttle {
    pub(crate) fn new(options: &RateOptions, streams: &StreamOptions, metrics: Metrics) -> Self {
        let burst = options.request_burst;
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            requests: options.requests_per_second.map(|rate| Rates::per_second(rate, burst, String::new())),
            writes: options.writes_per_second.map(|rate| Rates::per_second(rate, options.write_burst, String::new())),
            failures: options.failures_per_minute.map(|rate| Rates::per_minute(rate, rate, nobody)),
            slow: Mutex::default(),
            slow_lanes: Lanes::new(SLOW_LANE),
            good_tokens: GoodTokens::default(),
            signatures: Semaphore::new(options.signatures_at_once.max(1)),
            signatures_of_project: Lanes::new(options.signatures_at_once / 2),
            streams: Streams::new(streams.clone(), metrics.streams.clone()),
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

    /// Counts a change.
    ///
    /// # Errors
    /// 429 when the user has asked for too many.
    pub(crate) fn write(&self, user: &str) -> Result<()> {
        let Some(counts) = &self.writes else { return Ok(()) };
        counts.count(&user.to_owned()).map_err(|wait| {
            self.refused("writes");
            ApiError::TooFast { what: "There are too many changes of this user", wait }
        })
    }

    /// Waits for a turn at authentication, which only peers that have failed too often have to, and
    /// only with a token that was not good lately.
    ///
    /// # Errors
    /// 429 when the turn does not come.
    pub(crate) async fn permit(&self, peer: Option<IpAddr>, token: Option<&[u8]>) -> Result<Permit> {
        let Some(peer) = peer.filter(|peer| self.is_slow(*peer)) else { return Ok(Permit(None)) };
        if token.is_some_and(|token| self.good_tokens.has(token)) {
            return Ok(Permit(None));
        }
        let turn = tokio::time::timeout(self.longest_wait, self.slow_lanes.enter(peer)).await;
        let permit = turn.ok().flatten().ok_or_else(|| self.failed_too_often(self.longest_wait))?;
        Ok(Permit(Some(permit)))
    }

    /// Remembers a token that was found good.
    pub(crate) fn was_good(&self, token: Option<&[u8]>) {
        if let Some(token) = token {
            self.good_tokens.remember(token);
        }
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
    pub(crate) async fn signature(&self, project: &str) -> Result<SignaturePermit<'_>> {
        let turn = tokio::time::timeout(self.longest_wait, async {
            let of_project = self.signatures_of_project.enter(project.to_owned()).await?;
            let of_process = self.signatures.acquire().await.ok()?;
            Some(SignaturePermit { _of_project: of_project, _of_process: of_process })
        });
        turn.await.ok().flatten().ok_or_else(|| {
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
        let throttle = Throttle::new(&options, &StreamOptions::default(), Metrics::register(&mut Default::default()));
        let turn = throttle.signature("one").await.unwrap();
        let refused = throttle.signature("one").await.unwrap_err();
        assert!(matches!(refused, ApiError::TooFast { .. }), "{refused}");
        drop(turn);
        assert!(throttle.signature("one").await.is_ok());
    }

    #[tokio::test]
    async fn one_project_leaves_turns_for_others() {
        let options =
            RateOptions { signatures_at_once: 4, longest_wait: Duration::from_millis(20), ..RateOptions::default() };
        let throttle = Throttle::new(&options, &StreamOptions::default(), Metrics::register(&mut Default::default()));
        let _held = [throttle.signature("greedy").await.unwrap(), throttle.signature("greedy").await.unwrap()];
        assert!(throttle.signature("greedy").await.is_err());
        assert!(throttle.signature("other").await.is_ok());
    }

    /// Those who have failed too often wait for one another; nobody else does.
    #[tokio::test]
    async fn authentications_of_slow_peers_take_turns() {
        let options = RateOptions {
            failures_per_minute: NonZeroU32::new(1),
            longest_wait: Duration::from_millis(20),
            ..RateOptions::default()
        };
        let throttle = Throttle::new(&options, &StreamOptions::default(), Metrics::register(&mut Default::default()));
        let [slow, other, neighbour] =
            [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]].map(|address| Some(IpAddr::from(address)));
        assert!(throttle.failed(slow).is_ok() && throttle.failed(slow).is_err());
        let mut turns = Vec::new();
        for _ in 0..SLOW_LANE {
            turns.push(throttle.permit(slow, None).await.unwrap());
        }
        assert!(throttle.permit(slow, Some(b"new")).await.is_err());
        throttle.was_good(Some(b"good"));
        assert!(throttle.permit(slow, Some(b"good")).await.is_ok(), "a token that was good lately waits for nobody");
        assert!(throttle.failed(neighbour).is_ok() && throttle.failed(neighbour).is_err());
        assert!(throttle.permit(neighbour, None).await.is_ok(), "nor does one slow peer wait for another");
        assert!(throttle.permit(other, None).await.is_ok() && throttle.permit(None, None).await.is_ok());
        turns.clear();
        assert!(throttle.permit(slow, None).await.is_ok());
    }
}
