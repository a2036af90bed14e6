//! Slowing down whoever guesses secrets, and nobody else.
//!
//! Failures are counted for what is guessed (a user name, an application credential) **from where**: each after a few that
//! cost nothing closes that door for twice as long as the one before, and only that door. The owner of the secret at another
//! address does not notice.
//!
//! | counted for | free failures | then | at most |
//! | --- | --- | --- | --- |
//! | a user or credential, existing or not, from one address (an IPv6 one stands for its /64) | 5 | 1 s, 2 s, 4 s, ... | 5 min |
//! | the same, once 50 guesses have failed at that user from anywhere, or at anybody from that address | 1 | 1 s, 2 s, 4 s, ... | 5 min |
//!
//! A count is forgotten after 15 minutes without a failure, and at a success. Requests that arrive while the door is closed are
//! refused (429, `Retry-After`) without being looked at, and don't count. Whoever has got in from the same address
//! lately is not kept waiting at all: see [`crate::familiar`].
//!
//! Counts are kept in memory: a restart forgets them, and each process counts for itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A user, by lower-cased name.
    User(String),
    /// An application credential, by id.
    Credential(String),
}

impl Subject {
    pub(crate) fn user(name: &str) -> Self {
        Self::User(name.trim().to_lowercase())
    }
}

/// What is guessed, and from where, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(crate) subject: Subject,
    pub(crate) address: Option<IpAddr>,
}

/// What failures are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Attempt(Attempt),
    Subject(Subject),
    Address(IpAddr),
}

const FREE: u32 = 5;
/// After so many failures of one kind, an attempt of that kind has no more than one try.
const MANY: u32 = 50;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
/// Bounds the memory that made-up names can take: some 4 MB.
const MOST_RECORDS: usize = 20_000;

#[derive(Clone, Copy)]
struct Record {
    failures: u32,
    last: Instant,
}

impl Record {
    fn closed_until(self, free: u32) -> Instant {
        let Some(doublings) = self.failures.checked_sub(free) else { return self.last };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.last + FIRST.saturating_mul(factor).min(LONGEST)
    }

    fn is_forgotten(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET_AFTER
    }
}

/// The counts.
#[derive(Default)]
pub(crate) struct Lockout(Mutex<HashMap<Key, Record>>);

impl Lockout {
    /// How long the door is still closed for such an attempt, if it is.
    pub(crate) fn closed_for(&self, attempt: &Attempt, now: Instant) -> Option<Duration> {
        let records = self.records();
        let live = |key: &Key| records.get(key).filter(|record| !record.is_forgotten(now));
        let record = live(&Key::Attempt(attempt.clone()))?;
        let around = [Some(Key::Subject(attempt.subject.clone())), attempt.address.map(Key::Address)];
        let is_attacked = around.iter().flatten().filter_map(live).any(|record| record.failures >= MANY);
        let wait = record.closed_until(if is_attacked { 1 } else { FREE }).checked_duration_since(now);
        wait.filter(|wait| !wait.is_zero())
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, attempt: &Attempt, now: Instant) {
        let mut records = self.records();
        let keys = [
            Some(Key::Attempt(attempt.clone())),
            Some(Key::Subject(attempt.subject.clone())),
            attempt.address.map(Key::Address),
        ];
        for key in keys.into_iter().flatten() {
            if records.len() >= MOST_RECORDS && !records.contains_key(&key) {
                make_room(&mut records, now);
            }
            let record = records.entry(key).or_insert(Record { failures: 0, last: now });
            if record.is_forgotten(now) {
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            record.last = now;
        }
    }

    /// Forgets the failures of such attempts.
    pub(crate) fn succeeded(&self, attempt: &Attempt) {
        self.records().remove(&Key::Attempt(attempt.clone()));
    }

    fn records(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        // No code that holds the lock leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(records: &mut HashMap<Key, Record>, now: Instant) {
    records.retain(|_, record| !record.is_forgotten(now));
    if records.len() < MOST_RECORDS {
        return;
    }
    // The tenth with the fewest failures, and of those the oldest: a flood of names must not push out the one that is
    // guessed at, nor cost a look at all of them each time.
    let mut all = records.iter().map(|(key, record)| (record.failures, record.last, key.clone())).collect::<Vec<_>>();
    all.sort_unstable_by_key(|(failures, last, _)| (*failures, *last));
    for (_, _, key) in all.into_iter().take(MOST_RECORDS / 10) {
        records.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn attempt(name: &str, last: u8) -> Attempt {
        Attempt { subject: Subject::user(name), address: Some(IpAddr::from([10, 0, 0, last])) }
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest_for_that_attempt_alone() {
        let credential = Attempt { subject: Subject::Credential("c".into()), address: None };
        for guessed in [attempt("ann", 1), credential] {
            let lockout = Lockout::default();
            let now = Instant::now();
            for failure in 1..FREE {
                lockout.failed(&guessed, now);
                assert_eq!(lockout.closed_for(&guessed, now), None, "failure {failure} is free");
            }
            let mut wait = 1;
            for _ in 0..40 {
                lockout.failed(&guessed, now);
                assert_eq!(lockout.closed_for(&guessed, now), Some(seconds(wait)));
                assert_eq!(lockout.closed_for(&guessed, now + seconds(wait)), None);
                wait = (wait * 2).min(300);
            }
            for other in [attempt("ann", 2), attempt("bob", 1)] {
                assert_eq!(lockout.closed_for(&other, now), None, "{other:?}");
            }
        }
    }

    #[test]
    fn quiet_and_success_forget() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let (ann, bob) = (attempt("Ann", 1), attempt("bob", 1));
        for guessed in [&ann, &bob] {
            for _ in 0..9 {
                lockout.failed(guessed, now);
            }
        }
        assert!(lockout.closed_for(&attempt(" ANN ", 1), now).is_some(), "names count without case");
        lockout.succeeded(&ann);
        assert_eq!(lockout.closed_for(&ann, now), None);
        assert_eq!(lockout.closed_for(&bob, now), Some(seconds(16)));

        let later = now + FORGET_AFTER;
        lockout.failed(&bob, later);
        assert_eq!(lockout.closed_for(&bob, later), None, "counting began anew");
    }

    /// Many guesses at one user from many addresses, or at many users from one: each has a single try, and those who
    /// have not failed are let in.
    #[test]
    fn spread_guesses_are_counted_together_but_close_no_door() {
        let by_address: Vec<Attempt> = (0..60).map(|i| attempt("admin", i)).collect();
        let by_name: Vec<Attempt> = (0..60).map(|i| attempt(&format!("user {i}"), 7)).collect();
        for (guesses, new) in [(by_address, attempt("admin", 200)), (by_name, attempt("new", 7))] {
            let lockout = Lockout::default();
            let now = Instant::now();
            for guess in &guesses {
                lockout.failed(guess, now);
            }
            assert_eq!(lockout.closed_for(&new, now), None);
            lockout.failed(&new, now);
            assert_eq!(lockout.closed_for(&new, now), Some(seconds(1)));
        }
    }

    #[test]
    fn a_flood_of_names_takes_bounded_memory_and_frees_nobody() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let admin = attempt("admin", 1);
        for _ in 0..8 {
            lockout.failed(&admin, now);
        }
        for i in 0..MOST_RECORDS + 50 {
            lockout.failed(&attempt(&format!("made up {i}"), 2), now + Duration::from_millis(1));
        }
        assert!(lockout.records().len() <= MOST_RECORDS);
        assert!(lockout.closed_for(&admin, now).is_some());
    }
}
