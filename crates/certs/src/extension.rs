//! The extensions we set and those that a request may ask for.

use std::borrow::Cow;
use std::net::IpAddr;

use x509_parser::extensions::X509Extension;
use x509_parser::oid_registry::{self as registry, Oid};
use yasna::models::ObjectIdentifier;
use yasna::tags::TAG_OID;
use yasna::{DERWriter, Tag, construct_der};

use crate::CertError;

/// Extensions by the names that `[x509] allowed_extensions` knows.
pub(crate) const NAMES: [(&str, Oid<'static>); 13] = [
    ("authorityKeyIdentifier", registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER),
    ("subjectKeyIdentifier", registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER),
    ("authorityInfoAccess", registry::OID_PKIX_AUTHORITY_INFO_ACCESS),
    ("basicConstraints", registry::OID_X509_EXT_BASIC_CONSTRAINTS),
    ("cRLDistributionPoints", registry::OID_X509_EXT_CRL_DISTRIBUTION_POINTS),
    ("certificatePolicies", registry::OID_X509_EXT_CERTIFICATE_POLICIES),
    ("extendedKeyUsage", registry::OID_X509_EXT_EXTENDED_KEY_USAGE),
    ("OCSPNoCheck", Oid::new(Cow::Borrowed(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05]))),
    ("inhibitAnyPolicy", registry::OID_X509_EXT_INHIBIT_ANY_POLICY),
    ("keyUsage", registry::OID_X509_EXT_KEY_USAGE),
    ("nameConstraints", registry::OID_X509_EXT_NAME_CONSTRAINTS),
    ("subjectAltName", registry::OID_X509_EXT_SUBJECT_ALT_NAME),
    ("issuerAltName", registry::OID_X509_EXT_ISSUER_ALT_NAME),
];

/// Key usages by the names that `[x509] allowed_key_usage` knows, with their bit number (RFC 5280 §4.2.1.3).
pub(crate) const KEY_USAGES: [(&str, u16); 9] = [
    ("Digital Signature", 0),
    ("Non Repudiation", 1),
    ("Key Encipherment", 2),
    ("Data Encipherment", 3),
    ("Key Agreement", 4),
    (CERTIFICATE_SIGN, 5),
    (CRL_SIGN, 6),
    ("Encipher Only", 7),
    ("Decipher Only", 8),
];
/// The names that `[x509] allowed_extensions` knows.
pub fn extension_names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().map(|(name, _)| name)
}

/// The names that `[x509] allowed_key_usage` knows.
pub fn key_usage_names() -> impl Iterator<Item = &'static str> {
    KEY_USAGES.into_iter().map(|(name, _)| name)
}

/// The two that only an authority may have.
pub(crate) const CERTIFICATE_SIGN: &str = "Certificate Sign";
pub(crate) const CRL_SIGN: &str = "CRL Sign";

pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 2;
pub(crate) const KEY_CERT_SIGN: u16 = 1 << 5;

pub(crate) const SERVER_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
pub(crate) const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

/// One extension, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Its object identifier, without tag and length.
    identifier: Vec<u8>,
    critical: bool,
    /// DER.
    value: Vec<u8>,
}

impl Extension {
    pub(crate) fn new(identifier: &Oid<'_>, critical: bool, value: Vec<u8>) -> Self {
        Self { identifier: identifier.as_bytes().to_vec(), critical, value }
    }

    /// Whether a parsed extension says the same.
    pub(crate) fn is(&self, other: &X509Extension<'_>) -> bool {
        (self.identifier.as_slice(), self.critical, self.value.as_slice())
            == (other.oid.as_bytes(), other.critical, other.value)
    }

    pub(crate) fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|writer| {
            writer.next().write_tagged_implicit(TAG_OID, |writer| writer.write_bytes(&self.identifier));
            // FALSE is the default, which DER leaves out.
            if self.critical {
                writer.next().write_bool(true);
            }
            writer.next().write_bytes(&self.value);
        });
    }
}

/// The name of an extension, or its number when it has none that we know.
pub(crate) fn display_name(identifier: &Oid<'_>) -> String {
    NAMES
        .iter()
        .find(|(_, known)| known == identifier)
        .map_or_else(|| identifier.to_id_string(), |(name, _)| (*name).to_owned())
}

/// `CA:TRUE, pathlen:0`, critical: signs end certificates only.
pub(crate) fn authority() -> Extension {
    let value = construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_bool(true);
            writer.next().write_u8(0);
        });
    });
    Extension::new(&registry::OID_X509_EXT_BASIC_CONSTRAINTS, true, value)
}

/// `CA:TRUE` with the length of the path below it, if there is a bound.
pub(crate) fn authority_below(path_length: Option<u32>, critical: bool) -> Extension {
    let value = construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_bool(true);
            if let Some(length) = path_length {
                writer.next().write_u32(length);
            }
        });
    });
    Extension::new(&registry::OID_X509_EXT_BASIC_CONSTRAINTS, critical, value)
}

/// Whether a value is an ASN.1 NULL.
pub(crate) fn is_null(value: &[u8]) -> bool {
    value == [5, 0]
}

/// `CA:FALSE`.
pub(crate) fn no_authority(critical: bool) -> Extension {
    let value = construct_der(|writer| writer.write_sequence(|_| ()));
    Extension::new(&registry::OID_X509_EXT_BASIC_CONSTRAINTS, critical, value)
}

/// Key usage from bits numbered as in RFC 5280, bit 0 the lowest. At least one must be set.
pub(crate) fn key_usage(bits: u16, critical: bool) -> Extension {
    // As a BIT STRING, bit 0 comes first; trailing zeros are cut.
    let bytes = bits.reverse_bits().to_be_bytes();
    let length = (u16::BITS - bits.leading_zeros()) as usize;
    let value = construct_der(|writer| writer.write_bitvec_bytes(&bytes[..length.div_ceil(8)], length));
    Extension::new(&registry::OID_X509_EXT_KEY_USAGE, critical, value)
}

/// What the certificate is for.
pub(crate) fn extended_key_usage(purposes: &[&[u64]]) -> Extension {
    let value = construct_der(|writer| {
        writer.write_sequence(|writer| {
            for purpose in purposes {
                writer.next().write_oid(&ObjectIdentifier::from_slice(purpose));
            }
        });
    });
    Extension::new(&registry::OID_X509_EXT_EXTENDED_KEY_USAGE, false, value)
}

/// Identifier of the certificate's own key.
pub(crate) fn subject_key_identifier(identifier: &[u8]) -> Extension {
    let value = construct_der(|writer| writer.write_bytes(identifier));
    Extension::new(&registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, false, value)
}

/// Alternative names: what parses as an address is one, anything else is a DNS name.
pub(crate) fn subject_alternative_names(names: &[String]) -> Result<Extension, CertError> {
    const DNS_NAME: u64 = 2;
    const IP_ADDRESS: u64 = 7;
    if let Some(name) = names.iter().find(|name| name.is_empty() || !name.is_ascii()) {
        return Err(CertError::InvalidName(format!("'{name}'")));
    }
    let value = construct_der(|writer| {
        writer.write_sequence(|writer| {
            for name in names {
                let (tag, bytes) = match name.parse::<IpAddr>() {
                    Ok(IpAddr::V4(address)) => (IP_ADDRESS, address.octets().to_vec()),
                    Ok(IpAddr::V6(address)) => (IP_ADDRESS, address.octets().to_vec()),
                    Err(_) => (DNS_NAME, name.clone().into_bytes()),
                };
                writer.next().write_tagged_implicit(Tag::context(tag), |writer| writer.write_bytes(&bytes));
            }
        });
    });
    Ok(Extension::new(&registry::OID_X509_EXT_SUBJECT_ALT_NAME, false, value))
}
