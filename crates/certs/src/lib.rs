//! Certificate authorities, what they sign, and where their keys are kept.
//!
//! - `key.rs`: private keys, plain and encrypted (PKCS#8)
//! - `authority.rs`: a cluster's authorities; `leaf.rs`: what we have them sign of our own accord; `request.rs`: what
//!   tenants and nodes ask them to sign, `signature.rs`: with which keys
//! - `certificate.rs`, `extension.rs`: how a certificate is put together
//! - `seal.rs`: the key that is not in the database; `vault.rs`: the key pairs that are
//! - `tls.rs`: settings for listeners

mod authority;
mod certificate;
mod error;
mod extension;
mod key;
mod leaf;
mod request;
mod seal;
mod signature;
pub mod tls;
mod vault;

pub use authority::{CertificateAuthority, generate_authority};
pub use certificate::fingerprint;
pub use error::CertError;
pub use extension::{extension_names, key_usage_names};
pub use key::{KeyKind, PrivateKey};
pub use leaf::{Identity, client_certificate, server_certificate};
pub use request::{NodeSubject, SigningRules, sign_csr, sign_node_csr};
pub use seal::{SEALED, SealKey};
pub use vault::Vault;

/// Days that authorities and what they sign are valid, unless `[x509] term_of_validity` says otherwise.
pub const DEFAULT_VALIDITY_DAYS: u32 = 1825;
