//! Who has got in lately, from where, and with which secret.
//!
//! Somebody who gets in from an address gets in from there again, whatever others fail at meanwhile: behind the same
//! proxy, or on the same machine, only the right secret tells the owner of a name from somebody who guesses. So
//! the right one is recognised at once, by a keyed hash that is kept in memory under a key of this process, before any
//! door is looked at. A wrong one is treated as anybody's. As this would be a fast way to guess for somebody at that same
//! address, it is limited to some hundred tries in a second, and forgotten after an hour without a success.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use magnum_listen::rate::Rates;
use magnum_store::identity::PasswordHash;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};

use crate::lockout::{Attempt, Subject};

/// For how long a success is remembered.
const LATELY: Duration = Duration::from_secs(3600);
/// Successes that are remembered.
const MOST: u64 = 10_000;
/// Tries in a second.
const TRIES: NonZeroU32 = NonZeroU32::MIN.saturating_add(299);

/// The successes.
pub(crate) struct Familiar {
    key: hmac::Key,
    successes: Cache<Attempt, hmac::Tag>,
    tries: Rates<Attempt>,
}

impl Familiar {
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new() -> Result<Self, argon2::Error> {
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| argon2::Error::OutOfMemory)?;
        let nobody = Attempt { subject: Subject::User(String::new()), address: None };
        Ok(Self {
            key,
            successes: Cache::builder().max_capacity(MOST).time_to_live(LATELY).build(),
            tries: Rates::per_second(TRIES, TRIES, nobody),
        })
    }

    /// Whether this is the secret with which such an attempt has succeeded lately. A changed secret is none.
    pub(crate) async fn is_known(&self, attempt: &Attempt, stored: &PasswordHash, secret: &SecretString) -> bool {
        let Some(known) = self.successes.get(attempt).await else { return false };
        if self.tries.count(attempt).is_err() {
            return false;
        }
        let given = self.tag(stored, secret);
        aws_lc_rs::constant_time::verify_slices_are_equal(known.as_ref(), given.as_ref()).is_ok()
    }

    /// Remembers a success.
    pub(crate) async fn remember(&self, attempt: &Attempt, stored: &PasswordHash, secret: &SecretString) {
        self.successes.insert(attempt.clone(), self.tag(stored, secret)).await;
    }

    fn tag(&self, stored: &PasswordHash, secret: &SecretString) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(stored.expose().as_bytes());
        context.update(&[0]);
        context.update(secret.expose_secret().as_bytes());
        context.sign()
    }
}
