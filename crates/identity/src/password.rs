//! Hashing of passwords and of the secrets of application credentials: argon2id, few at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use magnum_store::identity::PasswordHash;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Refusal;

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
pub(crate) struct Hasher {
    argon: Argon2<'static>,
    turns: Arc<Semaphore>,
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
            decoy: decoy(cost)?,
        })
    }

    /// Waits for a turn. What is checked and recorded while it is held is at most as stale as the number of turns.
    pub(crate) async fn permit(&self) -> Result<HashingPermit, Refusal> {
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

    /// Whether the secret is the one that was hashed. Takes as long when nothing `stored` is there to compare
    /// with. The turn goes into the computation, so that one whose client went away still counts, and comes back.
    pub(crate) async fn verify(
        &self,
        turn: HashingPermit,
        stored: Option<PasswordHash>,
        secret: SecretString,
    ) -> Result<(bool, HashingPermit), Refusal> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let argon = self.argon.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let right = Phc::new(stored.expose())
                .map(|hash| argon.verify_password(secret.expose_secret().as_bytes(), &hash).is_ok());
            (right, turn)
        });
        match checked.await {
            Ok((Ok(right), turn)) => Ok((right && known, turn)),
            Ok((Err(error), _)) => Err(internal(&error)),
            Err(error) => Err(internal(&error)),
        }
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
            let turn = hasher.permit().await.unwrap();
            let (right, _) = hasher.verify(turn, stored, secret.into()).await.unwrap();
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
