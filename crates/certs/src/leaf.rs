//! Certificates for ourselves: the conductor as client of engines, our listeners as servers.

use secrecy::{ExposeSecret, SecretString};

use crate::certificate::{COMMON_NAME, ORGANIZATION, key_identifier_of_der, name};
use crate::extension::{self, CLIENT_AUTH, DIGITAL_SIGNATURE, Extension, KEY_ENCIPHERMENT, SERVER_AUTH};
use crate::{CertError, CertificateAuthority, KeyKind, PrivateKey};

/// A certificate with its key: who somebody is in TLS.
#[derive(Debug)]
pub struct Identity {
    /// PEM; may hold the chain.
    pub certificate_pem: String,
    /// Its key.
    pub key: PrivateKey,
}

impl Identity {
    /// Certificate and key in one PEM text, as HTTP clients take it.
    ///
    /// # Errors
    /// When the key can't be encoded.
    pub fn to_pem(&self) -> Result<SecretString, CertError> {
        let key = self.key.to_pem()?;
        Ok(SecretString::from(format!("{}\n{}", self.certificate_pem, key.expose_secret())))
    }
}

/// Makes the service's own client certificate for a cluster: `CN=admin, O=system:masters`.
///
/// # Errors
/// When the authority has expired or the library fails.
pub fn client_certificate(authority: &CertificateAuthority, days: u32, kind: KeyKind) -> Result<Identity, CertError> {
    let subject = name(&[(COMMON_NAME, "admin"), (ORGANIZATION, "system:masters")]);
    issue(authority, &subject, days, kind, vec![extension::extended_key_usage(&[CLIENT_AUTH])])
}

/// Makes a certificate for a listener of ours: a P-256 key and `names` (DNS names and addresses), the first of which
/// is its common name.
///
/// # Errors
/// [`CertError::InvalidName`] for names that can't be put into a certificate, or when there is none.
pub fn server_certificate(
    authority: &CertificateAuthority,
    names: &[String],
    days: u32,
) -> Result<Identity, CertError> {
    let first = names.first().ok_or_else(|| CertError::InvalidName("an empty list of names".to_owned()))?;
    let subject = name(&[(COMMON_NAME, first)]);
    let extensions = vec![extension::subject_alternative_names(names)?, extension::extended_key_usage(&[SERVER_AUTH])];
    issue(authority, &subject, days, KeyKind::P256, extensions)
}

fn issue(
    authority: &CertificateAuthority,
    subject: &[u8],
    days: u32,
    kind: KeyKind,
    mut extensions: Vec<Extension>,
) -> Result<Identity, CertError> {
    let key = PrivateKey::generate(kind)?;
    let public_key = key.public_key_der()?;
    extensions.extend([
        extension::key_usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT, true),
        extension::no_authority(true),
        extension::subject_key_identifier(&key_identifier_of_der(&public_key)?),
    ]);
    Ok(Identity { certificate_pem: authority.issue(subject, &public_key, days, extensions)?, key })
}
