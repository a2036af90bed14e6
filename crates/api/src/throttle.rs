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
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{ApiError, Result};
use crate::metrics::{LimitLabels, Metrics};
use crate::options::RateOptions;

/// Keys that are told apart; beyond them all share one count.
const MOST_KEYS: usize = 10_000;
/// Checks between two looks at how many keys there are.
const SWEEP_EVERY: u32 = 1024;
/// Authentications at once of all peers that have failed too often.
const SLOW_LANE: usize = 2;
/// Longest wait for a turn at costly work.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Counts for keys, in bounded memory.
struct Counts<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    /// Counted together when there are too many.
    crowd: K,
    checks: AtomicU32,
    is_crowded: AtomicBool,
}

impl<K: Hash + Eq + Clone> Counts<K> {
    fn new(quota: Quota, crowd: K) -> Self {
        let limiter = RateLimiter::keyed(quota);
        Self { limiter, crowd, checks: AtomicU32::new(0), is_crowded: AtomicBool::new(false) }
    }

    /// Counts one; if that is one too many, how long to wait for the next.
    fn count(&self, key: &K) -> Result<(), Duration> {
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

/// The counts of one process.
pub(crate) struct Throttle {
    requests: Option<Counts<String>>,
    failures: Option<Counts<IpAddr>>,
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
        let requests = options.requests_per_second.map(|rate| Quota::per_second(rate).allow_burst(burst));
        let failures = options.failures_per_minute.map(Quota::per_minute);
        Self {
            requests: requests.map(|quota| Counts::new(quota, String::new())),
            failures: failures.map(|quota| Counts::new(quota, IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
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

/// Where a request comes from, as far as that is believed: behind a proxy that is, what that proxy says.
pub(crate) fn peer(headers: &HeaderMap, connection: Option<IpAddr>, proxy_headers: bool) -> Option<IpAddr> {
    // The last is the one the nearest proxy has seen itself; those before it anybody may have written.
    let told = |name: &str| headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next().map(str::trim);
    let forwarded = || {
        let element = told("forwarded")?;
        let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (_, address) = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
        Some(address.trim_matches('"'))
    };
    let told = proxy_headers.then(|| forwarded().or_else(|| told("x-forwarded-for"))).flatten();
    let address = told.and_then(|text| text.trim_matches(['[', ']']).parse().ok()).or(connection)?;
    Some(network(address))
}

/// One customer has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn peers_are_told_apart() {
        let near = Some(IpAddr::from([10, 0, 0, 1]));
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let table: [(Pairs<'_>, bool, &str); 9] = [
            (&[], true, "10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1")], false, "10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1")], true, "1.1.1.1"),
            (&[("x-forwarded-for", "6.6.6.6, 1.1.1.1")], true, "1.1.1.1"),
            (&[("x-forwarded-for", "nobody")], true, "10.0.0.1"),
            (&[("forwarded", "for=2.2.2.2;proto=https"), ("x-forwarded-for", "1.1.1.1")], true, "2.2.2.2"),
            (&[("forwarded", "for=9.9.9.9, for=\"[2001:db8::7]\"")], true, "2001:db8::"),
            (&[("x-forwarded-for", "2001:db8:1:2:3:4:5:6")], true, "2001:db8:1:2::"),
            (&[("x-forwarded-for", "::ffff:3.3.3.3")], true, "3.3.3.3"),
        ];
        for (pairs, believed, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(peer(&headers, near, believed).unwrap().to_string(), expected, "{pairs:?}");
        }
    }

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

    #[test]
    fn memory_is_bounded() {
        let counts = Counts::new(Quota::per_hour(NonZeroU32::new(1).unwrap()), 0);
        for key in 0..(u32::try_from(MOST_KEYS).unwrap() * 3) {
            let _ = counts.count(&(key + 1));
        }
        let most = MOST_KEYS + usize::try_from(SWEEP_EVERY).unwrap() + 1;
        assert!(counts.limiter.len() <= most, "{}", counts.limiter.len());
        assert!(counts.is_crowded.load(Ordering::Relaxed));
        assert!(counts.count(&7_000_000).is_err(), "newcomers share what the crowd has used up");
    }
}
