//! Slowing down whoever guesses secrets.
//!
//! Failures are counted for what is guessed (a user name, an application credential) and for where the guesses come
//! from. After a few that cost nothing, each failure closes the door for twice as long as the one before:
//!
//! | counted for | free failures | then | at most |
//! | --- | --- | --- | --- |
//! | a user or credential, existing or not | 5 | 1 s, 2 s, 4 s, ... | 5 min |
//! | a peer (an IPv6 one by its /64) | 50 | 1 s, 2 s, 4 s, ... | 1 min |
//!
//! A count is forgotten after 15 minutes without a failure; that of a user also at a success. Requests that arrive
//! while the door is closed are refused (429, `Retry-After`) without being looked at, and don't count. The peer's
//! count is the milder one because everybody behind a proxy, or on this machine, shares it.
//!
//! Counts are kept in memory: a restart forgets them, and each process counts for itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What failures are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A user, by lower-cased name.
    User(String),
    /// An application credential, by id.
    Credential(String),
    /// Where guesses come from.
    Peer(IpAddr),
}

struct Limits {
    free: u32,
    longest: Duration,
}

const FOR_SECRETS: Limits = Limits { free: 5, longest: Duration::from_secs(300) };
const FOR_PEERS: Limits = Limits { free: 50, longest: Duration::from_secs(60) };
const FIRST: Duration = Duration::from_secs(1);
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
/// Bounds the memory that made-up names can take: some 2 MB.
const MOST_RECORDS: usize = 10_000;

impl Subject {
    pub(crate) fn user(name: &str) -> Self {
        Self::User(name.trim().to_lowercase())
    }

    pub(crate) fn peer(address: IpAddr) -> Self {
        Self::Peer(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        })
    }

    const fn limits(&self) -> &'static Limits {
        match self {
            Self::User(_) | Self::Credential(_) => &FOR_SECRETS,
            Self::Peer(_) => &FOR_PEERS,
        }
    }
}

#[derive(Clone, Copy)]
struct Record {
    failures: u32,
    last: Instant,
}

impl Record {
    fn closed_until(self, limits: &Limits) -> Instant {
        let Some(doublings) = self.failures.checked_sub(limits.free) else { return self.last };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.last + FIRST.saturating_mul(factor).min(limits.longest)
    }

    fn is_forgotten(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET_AFTER
    }
}

/// The counts.
#[derive(Default)]
pub(crate) struct Lockout(Mutex<HashMap<Subject, Record>>);

impl Lockout {
    /// How long the door is still closed, if it is, for any of `subjects`.
    pub(crate) fn closed_for(&self, subjects: &[Subject], now: Instant) -> Option<Duration> {
        let records = self.records();
        let waits = subjects.iter().filter_map(|subject| {
            let record = records.get(subject).filter(|record| !record.is_forgotten(now))?;
            record.closed_until(subject.limits()).checked_duration_since(now)
        });
        waits.filter(|wait| !wait.is_zero()).max()
    }

    /// Counts a failure for each of `subjects`.
    pub(crate) fn failed(&self, subjects: &[Subject], now: Instant) {
        let mut records = self.records();
        for subject in subjects {
            if records.len() >= MOST_RECORDS && !records.contains_key(subject) {
                make_room(&mut records, now);
            }
            let record = records.entry(subject.clone()).or_insert(Record { failures: 0, last: now });
            if record.is_forgotten(now) {
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            record.last = now;
        }
    }

    /// Forgets the failures of `subject`.
    pub(crate) fn succeeded(&self, subject: &Subject) {
        self.records().remove(subject);
    }

    fn records(&self) -> MutexGuard<'_, HashMap<Subject, Record>> {
        // No code that holds the lock leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(records: &mut HashMap<Subject, Record>, now: Instant) {
    records.retain(|_, record| !record.is_forgotten(now));
    if records.len() < MOST_RECORDS {
        return;
    }
    // The fewest failures, and of those the oldest: a flood of names must not push out the one that is guessed at.
    let least = records.iter().min_by_key(|(_, record)| (record.failures, record.last));
    if let Some(subject) = least.map(|(subject, _)| subject.clone()) {
        records.remove(&subject);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        for (subject, free, longest) in [
            (Subject::user("ann"), 5, 300),
            (Subject::Credential("c".into()), 5, 300),
            (Subject::peer("10.0.0.1".parse().unwrap()), 50, 60),
        ] {
            let lockout = Lockout::default();
            let now = Instant::now();
            let subject = [subject];
            for failure in 1..free {
                lockout.failed(&subject, now);
                assert_eq!(lockout.closed_for(&subject, now), None, "failure {failure} is free");
            }
            let mut wait = 1;
            for _ in 0..40 {
                lockout.failed(&subject, now);
                assert_eq!(lockout.closed_for(&subject, now), Some(seconds(wait)));
                assert_eq!(lockout.closed_for(&subject, now + seconds(wait)), None);
                wait = (wait * 2).min(longest);
            }
        }
    }

    #[test]
    fn quiet_and_success_forget() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let (ann, bob) = (Subject::user("Ann"), Subject::user("bob"));
        for _ in 0..9 {
            lockout.failed(&[ann.clone(), bob.clone()], now);
        }
        assert!(lockout.closed_for(&[Subject::user(" ANN ")], now).is_some(), "names count without case");
        lockout.succeeded(&ann);
        assert_eq!(lockout.closed_for(&[ann], now), None);
        assert_eq!(lockout.closed_for(&[Subject::user("carl"), bob.clone()], now), Some(seconds(16)));

        let later = now + FORGET_AFTER;
        lockout.failed(std::slice::from_ref(&bob), later);
        assert_eq!(lockout.closed_for(&[bob], later), None, "counting began anew");
    }

    #[test]
    fn ipv6_peers_count_by_network() {
        let lockout = Lockout::default();
        let now = Instant::now();
        for i in 0..60_u16 {
            let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, i));
            lockout.failed(&[Subject::peer(address)], now);
        }
        assert!(lockout.closed_for(&[Subject::peer("2001:db8:0:1::ffff".parse().unwrap())], now).is_some());
        assert!(lockout.closed_for(&[Subject::peer("2001:db8:0:2::1".parse().unwrap())], now).is_none());
        assert_eq!(Subject::peer("::ffff:10.0.0.1".parse().unwrap()), Subject::peer("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_flood_of_names_takes_bounded_memory_and_frees_nobody() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let admin = [Subject::user("admin")];
        for _ in 0..8 {
            lockout.failed(&admin, now);
        }
        for i in 0..MOST_RECORDS + 50 {
            lockout.failed(&[Subject::User(format!("made up {i}"))], now + Duration::from_millis(1));
        }
        assert_eq!(lockout.records().len(), MOST_RECORDS);
        assert!(lockout.closed_for(&admin, now).is_some());
    }
}
