//! Signing what others ask for: tenants (their own requests, filtered) and nodes (nothing but their public key counts).

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::FromDer;

use crate::certificate::{COMMON_NAME, ORGANIZATION, key_identifier, name};
use crate::extension::{
    self, CERTIFICATE_SIGN, CLIENT_AUTH, CRL_SIGN, DIGITAL_SIGNATURE, Extension, KEY_ENCIPHERMENT, KEY_USAGES,
    SERVER_AUTH,
};
use crate::{CertError, CertificateAuthority, DEFAULT_VALIDITY_DAYS, signature};

/// Requests are some hundred bytes; RSA keys of 16384 bits with many names stay below this.
const LONGEST_REQUEST: usize = 64 * 1024;
/// `O` of the certificates of Swarm nodes.
const SWARM_ORGANIZATION: &str = "swarm.invalid";

/// What a request may ask for: group `[x509]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRules {
    /// `term_of_validity`, in days.
    pub validity_days: u32,
    /// `allow_ca`: whether a certificate may be an authority's.
    pub allow_ca: bool,
    /// `allowed_extensions`, by name.
    pub allowed_extensions: Vec<String>,
    /// `allowed_key_usage`, by name.
    pub allowed_key_usage: Vec<String>,
}

impl Default for SigningRules {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            validity_days: DEFAULT_VALIDITY_DAYS,
            allow_ca: false,
            allowed_extensions: list(&[
                "keyUsage",
                "extendedKeyUsage",
                "subjectAltName",
                "basicConstraints",
                "subjectKeyIdentifier",
            ]),
            allowed_key_usage: list(&["Digital Signature", "Key Encipherment", "Non Repudiation"]),
        }
    }
}

impl SigningRules {
    fn allows_extension(&self, identifier: &Oid<'_>) -> bool {
        extension::NAMES
            .iter()
            .any(|(name, known)| known == identifier && self.allowed_extensions.iter().any(|allowed| allowed == name))
    }

    /// Bits of the key usages that may stay.
    fn key_usage_bits(&self) -> u16 {
        KEY_USAGES
            .iter()
            .filter(|(name, _)| self.allowed_key_usage.iter().any(|allowed| allowed == name))
            .filter(|(name, _)| self.allow_ca || ![CERTIFICATE_SIGN, CRL_SIGN].contains(name))
            .fold(0, |bits, (_, bit)| bits | 1 << bit)
    }
}

/// Signs a tenant's request. Returns the certificate as PEM.
///
/// Subject and public key are taken over as they are, extensions as far as the rules go. The certificate ends with
/// the authority at the latest.
///
/// # Errors
/// [`CertError::InvalidCsr`], [`CertError::ExtensionNotAllowed`] for the client to mend; others when the authority
/// has expired or the library fails.
pub fn sign_csr(authority: &CertificateAuthority, csr_pem: &str, rules: &SigningRules) -> Result<String, CertError> {
    let der = request_der(csr_pem)?;
    let request = verified(&der)?;
    let info = &request.certification_request_info;
    let mut extensions = requested_extensions(&request)?
        .into_iter()
        .filter_map(|requested| filtered(requested, rules).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    extensions.push(extension::subject_key_identifier(&key_identifier(&info.subject_pki)));
    authority.issue(info.subject.as_raw(), info.subject_pki.raw, rules.validity_days, extensions)
}

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSubject {
    /// Host name: the common name, and a DNS name of the certificate.
    pub name: String,
    /// Further DNS names and addresses under which its engine is reached.
    pub names: Vec<String>,
}

/// Signs a node's request: for its agent as a client and its engine as a server. Nothing but the public key is taken
/// from the request, so that a node can't become somebody else. Returns the certificate as PEM.
///
/// # Errors
/// As [`sign_csr`], and [`CertError::InvalidName`].
pub fn sign_node_csr(
    authority: &CertificateAuthority,
    csr_pem: &str,
    node: &NodeSubject,
    days: u32,
) -> Result<String, CertError> {
    let der = request_der(csr_pem)?;
    let request = verified(&der)?;
    let public_key = &request.certification_request_info.subject_pki;
    let subject = name(&[(COMMON_NAME, &node.name), (ORGANIZATION, SWARM_ORGANIZATION)]);
    let mut names = vec![node.name.clone()];
    names.extend(node.names.iter().filter(|name| **name != node.name).cloned());
    let extensions = vec![
        extension::subject_alternative_names(&names)?,
        extension::extended_key_usage(&[CLIENT_AUTH, SERVER_AUTH]),
        extension::key_usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT, true),
        extension::no_authority(true),
        extension::subject_key_identifier(&key_identifier(public_key)),
    ];
    authority.issue(&subject, public_key.raw, days, extensions)
}

fn invalid(why: impl Into<String>) -> CertError {
    CertError::InvalidCsr(why.into())
}

fn request_der(pem: &str) -> Result<Vec<u8>, CertError> {
    if pem.len() > LONGEST_REQUEST {
        return Err(invalid(format!("it is longer than {LONGEST_REQUEST} bytes")));
    }
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|_| invalid("it is not a PEM text that begins with -----BEGIN CERTIFICATE REQUEST-----"))?;
    // The second is what old tools write.
    if !["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"].contains(&block.label.as_str()) {
        return Err(invalid(format!("it is a {}, not a CERTIFICATE REQUEST", block.label)));
    }
    Ok(block.contents)
}

/// Reads a request and checks that it was signed with the key it is about.
fn verified(der: &[u8]) -> Result<X509CertificationRequest<'_>, CertError> {
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|_| invalid("it is not a PKCS#10 request"))?;
    if !rest.is_empty() {
        return Err(invalid("something follows the request"));
    }
    // Both are taken over byte for byte.
    let info = &request.certification_request_info;
    for (what, bytes) in [("subject", info.subject.as_raw()), ("public key", info.subject_pki.raw)] {
        if !is_one_value(bytes) {
            return Err(invalid(format!("its {what} is not proper DER")));
        }
    }
    signature::check(&request).map_err(invalid)?;
    Ok(request)
}

fn requested_extensions<'a>(
    request: &'a X509CertificationRequest<'_>,
) -> Result<Vec<&'a X509Extension<'a>>, CertError> {
    let mut extensions: Vec<&X509Extension<'_>> = Vec::new();
    for attribute in request.certification_request_info.iter_attributes() {
        let ParsedCriAttribute::ExtensionRequest(requested) = attribute.parsed_attribute() else { continue };
        if !is_one_value(attribute.value) || !has_one_member(attribute.value) {
            return Err(invalid("its list of extensions is not proper DER"));
        }
        extensions.extend(&requested.extensions);
    }
    for (position, one) in extensions.iter().enumerate() {
        if extensions[..position].iter().any(|earlier| earlier.oid == one.oid) {
            return Err(invalid(format!("it has the extension {} twice", extension::display_name(&one.oid))));
        }
    }
    Ok(extensions)
}

/// What the rules leave of one requested extension; `None` leaves it out.
///
/// What decides over what the certificate may be used for is written anew from what was understood of it. The rest is
/// taken over as it is, and therefore has to be one well-formed value of its kind.
fn filtered(requested: &X509Extension<'_>, rules: &SigningRules) -> Result<Option<Extension>, CertError> {
    let refused = || CertError::ExtensionNotAllowed(extension::display_name(&requested.oid));
    if !rules.allows_extension(&requested.oid) {
        return if requested.critical { Err(refused()) } else { Ok(None) };
    }
    let malformed = |how: &str| invalid(format!("its extension {} {how}", extension::display_name(&requested.oid)));
    if !is_one_value(requested.value) {
        return Err(malformed("can't be read: it is not one value in proper DER"));
    }
    match requested.parsed_extension() {
        ParsedExtension::ParseError { .. } => Err(malformed("can't be read")),
        // Always made anew from the public key.
        ParsedExtension::SubjectKeyIdentifier(_) => Ok(None),
        ParsedExtension::KeyUsage(usage) => {
            let allowed = usage.flags & rules.key_usage_bits();
            if requested.critical && allowed != usage.flags {
                return Err(refused());
            }
            // An empty key usage is not valid (RFC 5280 §4.2.1.3).
            Ok((allowed != 0).then(|| extension::key_usage(allowed, requested.critical)))
        }
        ParsedExtension::BasicConstraints(constraints) => match (constraints.ca, rules.allow_ca) {
            (true, true) => Ok(Some(extension::authority_below(constraints.path_len_constraint, requested.critical))),
            (true, false) if requested.critical => Err(refused()),
            // The length of a path from what is no authority has no meaning.
            _ => Ok(Some(extension::no_authority(requested.critical))),
        },
        ParsedExtension::UnsupportedExtension { .. } if !extension::is_null(requested.value) => {
            // The only one of them that has a name says nothing more than that it is there.
            Err(malformed("should be empty (an ASN.1 NULL)"))
        }
        _ => Ok(Some(Extension::new(&requested.oid, requested.critical, requested.value.to_vec()))),
    }
}

/// Deepest nesting of what is read: names within names of an extension have less than ten levels.
const DEEPEST: usize = 32;

/// Whether the bytes are one value in DER, with nothing after it and nothing within it that is not DER.
fn is_one_value(bytes: &[u8]) -> bool {
    first_value(bytes, DEEPEST).is_some_and(<[u8]>::is_empty)
}

/// What follows the first value, if that is well-formed.
fn first_value(bytes: &[u8], depth: usize) -> Option<&[u8]> {
    let (rest, value) = Any::from_der(bytes).ok()?;
    // The library takes lengths that are written with more bytes than they need, which DER does not.
    let head = bytes.len() - rest.len() - value.data.len();
    let needed = match value.data.len() {
        0..=0x7f => 2,
        0x80..=0xff => 3,
        0x100..=0xffff => 4,
        _ => 5,
    };
    if head != needed && value.tag().0 < 31 {
        return None;
    }
    let mut inner = if value.header.is_constructed() { value.data } else { &[] };
    while !inner.is_empty() {
        inner = first_value(inner, depth.checked_sub(1)?)?;
    }
    Some(rest)
}

/// Whether a constructed value holds exactly one other.
fn has_one_member(bytes: &[u8]) -> bool {
    Any::from_der(bytes).is_ok_and(|(_, set)| Any::from_der(set.data).is_ok_and(|(rest, _)| rest.is_empty()))
}
