//! Hashing of passwords and of the secrets of application credentials: argon2id, few at a time.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use magnum_listen::lanes::Lanes;
use magnum_store::identity::PasswordHash;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::lockout::{Attempt, Subject};

/// How much work a guess costs. Stored hashes carry their own cost, so a change concerns new passwords only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory for one hash, in KiB; at least 8.
    pub memory_kib: u32,
    /// Passes over that memory; at least 1.
    pub passes: u32,
}

impl Default for PasswordCost {
    /// 46 MiB and one pass: of the equally strong choices in the OWASP password storage cheat sheet the one that leaves
    /// nothing behind. glibc gives blocks above 32 MiB back to the system at once; smaller ones, aligned as these are,
    /// it keeps and does not use again, so that the process would grow with every login.
    fn default() -> Self {
        Self { memory_kib: 46 * 1024, passes: 1 }
    }
}

/// Greatest number of hashes computed at once, whatever the number of cores: bounds the memory they take.
const MOST_AT_ONCE: usize = 2;
/// How long a login waits for its turn before it is told to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Computes and checks hashes.
///
/// Turns are shared out so that nobody's guesses keep others waiting: one at a time for each name and address, one at a time
/// for each address, and a name that nobody has takes a turn only when one is free. Otherwise it waits as long as a
/// check usually takes, which looks the same from outside.
pub(crate) struct Hasher {
    argon: Argon2<'static>,
    turns: Arc<Semaphore>,
    attempts: Lanes<Attempt>,
    addresses: Lanes<Option<IpAddr>>,
    /// For comparing with the decoy.
    decoys: Semaphore,
    /// How long a check has usually taken, in microseconds; 0 before the first.
    usual: AtomicU64,
    decoy: PasswordHash,
}

/// The right to compute one hash.
pub(crate) struct HashingPermit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Hasher {
    /// # Errors
    /// When argon2 does not take the cost, or the system has no random numbers.
    pub(crate) fn new(cost: PasswordCost) -> Result<Self, argon2::Error> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None)?;
        let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_AT_ONCE));
        Ok(Self {
            argon: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            turns: Arc::new(Semaphore::new(at_once)),
            attempts: Lanes::new(1),
            addresses: Lanes::new(1),
            decoys: Semaphore::new(1),
            usual: AtomicU64::new(0),
            decoy: decoy(cost)?,
        })
    }

    /// Waits until no such attempt is under way. What is checked and recorded while it is held is not stale.
    ///
    /// # Errors
    /// 503 when that takes too long.
    pub(crate) async fn turn(&self, attempt: &Attempt) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = tokio::time::timeout(LONGEST_WAIT, self.attempts.enter(attempt.clone())).await;
        turn.ok().flatten().ok_or(Refusal::Unavailable)
    }

    async fn permit(&self) -> Result<HashingPermit, Refusal> {
        let turn = tokio::time::timeout(LONGEST_WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        match turn {
            Ok(Ok(permit)) => Ok(HashingPermit(permit)),
            Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable),
        }
    }

    /// Hashes a new secret with a salt of its own.
    pub(crate) async fn hash(&self, secret: SecretString) -> Result<PasswordHash, Refusal> {
        let turn = self.permit().await?;
        let argon = self.argon.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let hashed: Result<Phc, _> = argon.hash_password(secret.expose_secret().as_bytes());
            drop(turn);
            hashed
        });
        match hashed.await {
            Ok(Ok(hash)) => Ok(PasswordHash::new(hash.to_string())),
            Ok(Err(error)) => Err(internal(&error)),
            Err(error) => Err(internal(&error)),
        }
    }

    /// Whether the secret is the one that was hashed. Takes as long when nothing `stored` is there to compare with.
    ///
    /// # Errors
    /// 503 when there are too many checks of this address, or altogether.
    pub(crate) async fn verify(
        &self,
        address: Option<IpAddr>,
        stored: Option<PasswordHash>,
        secret: SecretString,
    ) -> Result<bool, Refusal> {
        let begun = Instant::now();
        let Some(stored) = stored else {
            let usual = Duration::from_micros(self.usual.load(Ordering::Relaxed));
            let turn = match self.decoys.try_acquire() {
                Ok(turn) => turn,
                Err(_) if !usual.is_zero() => {
                    tokio::time::sleep(usual).await;
                    return Ok(false);
                }
                Err(_) => self.decoys.acquire().await.map_err(|_| Refusal::Unavailable)?,
            };
            self.check(self.decoy.clone(), secret).await?;
            drop(turn);
            return Ok(false);
        };
        let lane = tokio::time::timeout(LONGEST_WAIT, self.addresses.enter(address)).await;
        let lane = lane.ok().flatten().ok_or(Refusal::Unavailable)?;
        let right = self.check(stored, secret).await?;
        drop(lane);
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Half of it is the latest: what is usual changes with the load.
        let known = self.usual.load(Ordering::Relaxed);
        let usual = if known == 0 { took } else { known / 2 + took / 2 };
        self.usual.store(usual.max(1), Ordering::Relaxed);
        Ok(right)
    }

    /// Compares. The turn goes into the computation, so that one whose client went away still counts.
    async fn check(&self, hash: PasswordHash, secret: SecretString) -> Result<bool, Refusal> {
        let turn = self.permit().await?;
        let argon = self.argon.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let right = Phc::new(hash.expose())
                .map(|hash| argon.verify_password(secret.expose_secret().as_bytes(), &hash).is_ok());
            drop(turn);
            right
        });
        match checked.await {
            Ok(Ok(right)) => Ok(right),
            Ok(Err(error)) => Err(internal(&error)),
            Err(error) => Err(internal(&error)),
        }
    }
}

impl BuiltIn {
    /// Hashes a new secret that a user has asked for themselves: one at a time for each user, so that nobody's new
    /// secrets keep others from logging in.
    ///
    /// # Errors
    /// 503 when there are too many.
    pub(crate) async fn hash_for(&self, user_id: &str, secret: SecretString) -> Result<PasswordHash, Refusal> {
        let attempt = Attempt { subject: Subject::user(user_id), address: None };
        let _turn = self.hasher().turn(&attempt).await?;
        self.hasher().hash(secret).await
    }
}

/// A well-formed hash of nothing, to be compared with when the user does not exist.
fn decoy(cost: PasswordCost) -> Result<PasswordHash, argon2::Error> {
    let mut bytes = [0_u8; 48];
    rand::fill(&mut bytes).map_err(|_| argon2::Error::OutOfMemory)?;
    let (salt, output) = bytes.split_at(16);
    Ok(PasswordHash::new(format!(
        "$argon2id$v=19$m={},t={},p=1${}${}",
        cost.memory_kib,
        cost.passes,
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output)
    )))
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "a password could not be hashed");
    Refusal::Internal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, passes: 1 };

    #[tokio::test]
    async fn only_the_hashed_secret_matches() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let hash = hasher.hash("right".into()).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        for (stored, secret, expected) in [
            (Some(hash.clone()), "right", true),
            (Some(hash.clone()), "Right", false),
            (Some(hash.clone()), "", false),
            (Some(hash), "right\0", false),
            (None, "right", false),
        ] {
            let right = hasher.verify(None, stored, secret.into()).await.unwrap();
            assert_eq!(right, expected, "{secret:?}");
        }
    }

    #[tokio::test]
    async fn two_hashes_of_a_secret_differ() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let (a, b) = (hasher.hash("x".into()).await.unwrap(), hasher.hash("x".into()).await.unwrap());
        assert_ne!(a.expose(), b.expose());
        assert!(!format!("{a:?}").contains("argon2"), "a hash must not get into logs");
    }

    /// Other choices of cost were seen to leave 12 MiB behind with every hash.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_leaves_no_memory_behind() {
        let resident_mib = || {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096 / (1 << 20)
        };
        let hasher = Hasher::new(PasswordCost::default()).unwrap();
        hasher.hash("x".into()).await.unwrap();
        let before = resident_mib();
        for _ in 0..8 {
            hasher.hash("x".into()).await.unwrap();
        }
        let after = resident_mib();
        assert!(after < before + 30, "{before} MiB grew to {after} MiB");
    }

    #[test]
    fn an_impossible_cost_is_refused() {
        assert!(Hasher::new(PasswordCost { memory_kib: 0, passes: 1 }).is_err());
        assert!(Hasher::new(PasswordCost { memory_kib: 8, passes: 0 }).is_err());
    }

    #[test]
    fn the_decoy_costs_what_a_password_costs() {
        let decoy = decoy(CHEAP).unwrap();
        let parsed = Phc::new(decoy.expose()).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (8, 1, 1));
        assert_eq!(parsed.hash.unwrap().len(), 32);
    }
}
