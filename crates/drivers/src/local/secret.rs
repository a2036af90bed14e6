//! One-time join tokens: 32 random bytes, of which the database only knows the SHA-256.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::error::LocalError;

/// A token and what is written down of it.
pub(crate) struct Token {
    /// For the agent's configuration.
    pub(crate) plain: String,
    /// For the database.
    pub(crate) hash: String,
}

/// Makes a token.
pub(crate) fn token() -> Result<Token, LocalError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| LocalError::Hopeless("this machine gives no random numbers".to_owned()))?;
    let plain = hex(&bytes);
    let hash = hash(&plain);
    Ok(Token { plain, hash })
}

/// What is written down of a token.
pub(crate) fn hash(plain: &str) -> String {
    hex(&Sha256::digest(plain.as_bytes()))
}

/// Whether two hashes are the same. Takes the same time wherever they differ.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn tokens_differ_and_only_their_hash_is_kept() {
        let (one, two) = (token().unwrap(), token().unwrap());
        assert_eq!((one.plain.len(), one.hash.len()), (64, 64));
        assert_ne!(one.plain, two.plain);
        assert_eq!(one.hash, hash(&one.plain));
        assert!(is_same(&one.hash, &hash(&one.plain)));
        assert!(!is_same(&one.hash, &two.hash) && !is_same(&one.hash, "") && !is_same(&one.hash, &one.hash[1..]));
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
