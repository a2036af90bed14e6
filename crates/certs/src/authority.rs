//! Certificate authorities: one or more for each cluster, with the reference's exact subject and extensions.

use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use crate::certificate::{self, Body, COMMON_NAME, Validity, key_identifier_of_der, name};
use crate::extension::{self, KEY_CERT_SIGN};
use crate::{CertError, KeyKind, PrivateKey};

/// A certificate authority with its key.
#[derive(Debug)]
pub struct CertificateAuthority {
    certificate_pem: String,
    /// DER of its subject: byte for byte the issuer of all it signs.
    subject: Vec<u8>,
    validity: Validity,
    key: PrivateKey,
}

/// Makes a self-signed authority that is valid from yesterday for `days` days.
///
/// `common_name` is the cluster's name, or its UUID where it has none.
///
/// # Errors
/// When the library fails.
pub fn generate_authority(common_name: &str, days: u32, kind: KeyKind) -> Result<CertificateAuthority, CertError> {
    let key = PrivateKey::generate(kind)?;
    let subject = name(&[(COMMON_NAME, common_name)]);
    let public_key = key.public_key_der()?;
    let validity = Validity::days(days);
    let body = Body {
        issuer: &subject,
        subject: &subject,
        public_key: &public_key,
        validity,
        extensions: vec![
            extension::authority(),
            extension::key_usage(KEY_CERT_SIGN, true),
            extension::subject_key_identifier(&key_identifier_of_der(&public_key)?),
        ],
    };
    let certificate_pem = body.sign(&key)?;
    Ok(CertificateAuthority { certificate_pem, subject, validity, key })
}

impl CertificateAuthority {
    /// Takes up a stored authority.
    ///
    /// # Errors
    /// [`CertError::InvalidCertificate`], also when key and certificate are no pair.
    pub fn new(certificate_pem: &str, key: PrivateKey) -> Result<Self, CertError> {
        let der = certificate::from_pem(certificate_pem)?;
        let parsed = certificate::parse(&der)?;
        if parsed.public_key().raw != key.public_key_der()? {
            return Err(CertError::InvalidCertificate("it belongs to another key".to_owned()));
        }
        let (subject, validity) = (parsed.subject().as_raw().to_vec(), validity_of(&parsed)?);
        Ok(Self { certificate_pem: certificate_pem.to_owned(), subject, validity, key })
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs a certificate that is valid for `days` days, but no longer than the authority itself.
    pub(crate) fn issue(
        &self,
        subject: &[u8],
        public_key: &[u8],
        days: u32,
        extensions: Vec<extension::Extension>,
    ) -> Result<String, CertError> {
        let validity = Validity::days(days).within(self.validity)?;
        Body { issuer: &self.subject, subject, public_key, validity, extensions }.sign(&self.key)
    }
}

fn validity_of(certificate: &X509Certificate<'_>) -> Result<Validity, CertError> {
    let time = |time: ASN1Time| {
        chrono::DateTime::from_timestamp(time.timestamp(), 0)
            .ok_or_else(|| CertError::InvalidCertificate("its dates are out of range".to_owned()))
    };
    let validity = certificate.validity();
    Ok(Validity { from: time(validity.not_before)?, until: time(validity.not_after)? })
}
