//! How a certificate is put together.
//!
//! Written with an ASN.1 writer and not with a certificate builder, since what is signed has to hold the requested
//! subject, public key and extensions byte for byte, and builders rewrite them (attributes of a name that occur
//! twice, critical flags, extensions they don't know).

use aws_lc_rs::digest;
use chrono::{DateTime, Datelike, Duration, Utc};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;
use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME};
use yasna::{DERWriter, Tag, construct_der};

use crate::extension::Extension;
use crate::{CertError, PrivateKey};

/// Attributes of a name, as object identifiers.
pub(crate) const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
pub(crate) const ORGANIZATION: &[u64] = &[2, 5, 4, 10];

const PEM_LABEL: &str = "CERTIFICATE";

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

impl Validity {
    /// From yesterday, for clocks that are slow, for `days` from now.
    pub(crate) fn days(days: u32) -> Self {
        let now = Utc::now();
        Self { from: now - Duration::days(1), until: now + Duration::days(i64::from(days)) }
    }

    /// The part of it that lies within `outer`.
    pub(crate) fn within(self, outer: Self) -> Result<Self, CertError> {
        if outer.until <= Utc::now() {
            return Err(CertError::AuthorityExpired(outer.until.to_rfc3339()));
        }
        Ok(Self { from: self.from.max(outer.from), until: self.until.min(outer.until) })
    }
}

/// All that a certificate says. Names and the public key are DER.
pub(crate) struct Body<'a> {
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    pub(crate) public_key: &'a [u8],
    pub(crate) validity: Validity,
    pub(crate) extensions: Vec<Extension>,
}

impl Body<'_> {
    /// Signs it and returns PEM.
    pub(crate) fn sign(&self, key: &PrivateKey) -> Result<String, CertError> {
        let serial = uuid::Uuid::new_v4();
        let body = construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_u8(2)); // version 3
                writer.next().write_bigint_bytes(serial.as_bytes(), true);
                write_signature_algorithm(writer.next(), key);
                writer.next().write_der(self.issuer);
                writer.next().write_sequence(|writer| {
                    write_time(writer.next(), self.validity.from);
                    write_time(writer.next(), self.validity.until);
                });
                writer.next().write_der(self.subject);
                writer.next().write_der(self.public_key);
                writer.next().write_tagged(Tag::context(3), |writer| {
                    writer.write_sequence(|writer| {
                        self.extensions.iter().for_each(|extension| extension.write(writer.next()));
                    });
                });
            });
        });
        let signature = key.sign(&body)?;
        let der = construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&body);
                write_signature_algorithm(writer.next(), key);
                writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        });
        to_pem(&der)
    }
}

fn write_signature_algorithm(writer: DERWriter<'_>, key: &PrivateKey) {
    let (identifier, null_parameters) = key.signature_algorithm();
    writer.write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(identifier));
        if null_parameters {
            writer.next().write_null();
        }
    });
}

/// RFC 5280 §4.1.2.5: two-digit years until 2049, four digits from then on.
fn write_time(writer: DERWriter<'_>, time: DateTime<Utc>) {
    let (tag, format) =
        if time.year() < 2050 { (TAG_UTCTIME, "%y%m%d%H%M%SZ") } else { (TAG_GENERALIZEDTIME, "%Y%m%d%H%M%SZ") };
    writer.write_tagged_implicit(tag, |writer| writer.write_bytes(time.format(format).to_string().as_bytes()));
}

/// DER of a name with one attribute after the other.
pub(crate) fn name(attributes: &[(&[u64], &str)]) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|writer| {
            for (kind, value) in attributes {
                writer.next().write_set(|writer| {
                    writer.next().write_sequence(|writer| {
                        writer.next().write_oid(&ObjectIdentifier::from_slice(kind));
                        writer.next().write_utf8_string(value);
                    });
                });
            }
        });
    })
}

/// RFC 5280 §4.2.1.2, first way: SHA-1 of the key's bits. An identifier, nothing rests on its strength.
pub(crate) fn key_identifier(public_key: &SubjectPublicKeyInfo<'_>) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &public_key.subject_public_key.data).as_ref().to_vec()
}

/// [`key_identifier`] of a public key in DER.
pub(crate) fn key_identifier_of_der(public_key: &[u8]) -> Result<Vec<u8>, CertError> {
    let (_, parsed) = SubjectPublicKeyInfo::from_der(public_key).map_err(|_| CertError::Crypto("read a public key"))?;
    Ok(key_identifier(&parsed))
}

fn to_pem(der: &[u8]) -> Result<String, CertError> {
    pkcs8::der::pem::encode_string(PEM_LABEL, pkcs8::LineEnding::LF, der)
        .map_err(|error| CertError::InvalidCertificate(error.to_string()))
}

/// DER of the first certificate in a PEM text.
pub(crate) fn from_pem(pem: &str) -> Result<Vec<u8>, CertError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|error| CertError::InvalidCertificate(error.to_string()))?;
    if block.label != PEM_LABEL {
        return Err(CertError::InvalidCertificate(format!("it is a {}", block.label)));
    }
    Ok(block.contents)
}

/// Reads a certificate's DER.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| CertError::InvalidCertificate(error.to_string()))
}

/// SHA-256 of a certificate's DER, as lower-case hexadecimal digits: how nodes are told apart.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    digest::digest(&digest::SHA256, der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
