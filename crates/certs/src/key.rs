//! Private keys: RSA where the reference has RSA, the curve P-256 for what is only ours.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use pkcs8::der::pem::PemLabel;
use pkcs8::pkcs5::pbes2;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use secrecy::{ExposeSecret, SecretString};

use crate::CertError;

/// Rounds of PBKDF2, as upstream's library makes them. Our pass phrases are random, so there is nothing to stretch.
const KEY_DERIVATION_ROUNDS: u32 = 2048;
const SALT_BYTES: usize = 16;
const IV_BYTES: usize = 16;

/// What kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, 2048 bits: the default of `[x509] rsa_key_size`.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// Elliptic curve P-256.
    P256,
}

impl KeyKind {
    /// The RSA key of that many bits, if it is one that we make.
    #[must_use]
    pub fn rsa(bits: u32) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }
}

enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

/// A private key. Overwritten in memory when dropped, never shown.
pub struct PrivateKey {
    signer: Signer,
    document: SecretDocument,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.signer {
            Signer::Rsa(_) => "PrivateKey(RSA)",
            Signer::P256(_) => "PrivateKey(P-256)",
        })
    }
}

impl PrivateKey {
    /// Makes a new key. Takes up to a second of computing for RSA.
    ///
    /// # Errors
    /// When the library fails.
    pub fn generate(kind: KeyKind) -> Result<Self, CertError> {
        let failed = |_| CertError::Crypto("make a key");
        let signer = match kind {
            KeyKind::Rsa2048 => Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            KeyKind::Rsa3072 => Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?),
            KeyKind::Rsa4096 => Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa4096).map_err(failed)?),
            KeyKind::P256 => Signer::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?),
        };
        let document = match &signer {
            Signer::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
                SecretDocument::try_from(der.as_ref())
            }
            Signer::P256(key) => SecretDocument::try_from(key.to_pkcs8v1().map_err(failed)?.as_ref()),
        };
        Ok(Self { signer, document: document.map_err(|error| CertError::InvalidKey(error.to_string()))? })
    }

    /// Reads a PKCS#8 PEM (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// [`CertError::InvalidKey`] also for kinds other than RSA and P-256.
    pub fn from_pem(pem: &str) -> Result<Self, CertError> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(invalid)?;
        PrivateKeyInfoRef::validate_pem_label(label).map_err(invalid)?;
        Self::from_document(document)
    }

    /// Reads an encrypted PKCS#8 PEM (`BEGIN ENCRYPTED PRIVATE KEY`), upstream's included.
    ///
    /// # Errors
    /// [`CertError::InvalidKey`], also when the pass phrase does not fit.
    pub fn from_encrypted_pem(pem: &str, passphrase: &SecretString) -> Result<Self, CertError> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(invalid)?;
        EncryptedPrivateKeyInfoRef::validate_pem_label(label).map_err(invalid)?;
        let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(invalid)?;
        Self::from_document(encrypted.decrypt(passphrase.expose_secret()).map_err(invalid)?)
    }

    fn from_document(document: SecretDocument) -> Result<Self, CertError> {
        let signer = match RsaKeyPair::from_pkcs8(document.as_bytes()) {
            Ok(key) => Signer::Rsa(key),
            Err(_) => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_bytes())
                .map(Signer::P256)
                .map_err(|_| CertError::InvalidKey("it is neither RSA nor P-256".to_owned()))?,
        };
        Ok(Self { signer, document })
    }

    /// The key as unencrypted PKCS#8 PEM.
    ///
    /// # Errors
    /// When it can't be encoded.
    pub fn to_pem(&self) -> Result<SecretString, CertError> {
        let pem = self.document.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF).map_err(invalid)?;
        Ok(SecretString::from(pem.as_str()))
    }

    /// The key as PKCS#8 PEM, encrypted as upstream does it: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC.
    ///
    /// # Errors
    /// When the library fails.
    pub fn to_encrypted_pem(&self, passphrase: &SecretString) -> Result<String, CertError> {
        let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(
            KEY_DERIVATION_ROUNDS,
            &random::<SALT_BYTES>()?,
            random::<IV_BYTES>()?,
        )
        .map_err(|error| CertError::InvalidKey(error.to_string()))?;
        let plain = PrivateKeyInfoRef::try_from(self.document.as_bytes()).map_err(invalid)?;
        let encrypted = plain.encrypt_with_params(parameters, passphrase.expose_secret()).map_err(invalid)?;
        let pem = encrypted.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF).map_err(invalid)?;
        Ok(pem.to_string())
    }

    /// The key as PKCS#8 DER, for TLS.
    pub(crate) fn der(&self) -> &[u8] {
        self.document.as_bytes()
    }

    /// `SubjectPublicKeyInfo` of its public half.
    pub(crate) fn public_key_der(&self) -> Result<Vec<u8>, CertError> {
        let der: Result<PublicKeyX509Der<'_>, _> = match &self.signer {
            Signer::Rsa(key) => key.public_key().as_der(),
            Signer::P256(key) => key.public_key().as_der(),
        };
        Ok(der.map_err(|_| CertError::Crypto("encode a public key"))?.as_ref().to_vec())
    }

    /// Object identifier of the algorithm that [`Self::sign`] uses, and whether its parameters are an explicit NULL.
    pub(crate) fn signature_algorithm(&self) -> (&'static [u64], bool) {
        match self.signer {
            Signer::Rsa(_) => (&[1, 2, 840, 113_549, 1, 1, 11], true),
            Signer::P256(_) => (&[1, 2, 840, 10_045, 4, 3, 2], false),
        }
    }

    /// Signs with SHA-256.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CertError> {
        let failed = |_| CertError::Crypto("sign");
        match &self.signer {
            Signer::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Signer::P256(key) => Ok(key.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

fn invalid(error: impl std::fmt::Display) -> CertError {
    CertError::InvalidKey(error.to_string())
}

/// Random bytes fit for keys.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CertError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CertError::Crypto("get random bytes"))?;
    Ok(bytes)
}
