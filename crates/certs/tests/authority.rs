//! Authorities and what they sign of our own accord, read back with another library than the one that wrote them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use magnum_certs::{
    CertError, CertificateAuthority, KeyKind, PrivateKey, client_certificate, generate_authority, server_certificate,
};
use secrecy::{ExposeSecret, SecretString};
use x509_parser::prelude::*;

const UPSTREAM_CA: &str = include_str!("data/upstream-ca.pem");
const UPSTREAM_KEY: &str = include_str!("data/upstream-ca-key.pem");
const UPSTREAM_PASSPHRASE: &str = "mfrggzdfmztw";
const DAY: i64 = 24 * 3600;

fn der(pem: &str) -> Vec<u8> {
    parse_x509_pem(pem.as_bytes()).unwrap().1.contents
}

/// Name, critical, in order.
fn extensions(certificate: &X509Certificate<'_>) -> Vec<(String, bool)> {
    certificate
        .extensions()
        .iter()
        .map(|extension| (format!("{:?}", extension.parsed_extension()), extension.critical))
        .map(|(text, critical)| (text.split(['(', ' ']).next().unwrap().to_owned(), critical))
        .collect()
}

fn subject(certificate: &X509Certificate<'_>) -> String {
    certificate.subject().to_string()
}

#[test]
fn an_authority_is_as_upstream_makes_it() {
    let made = generate_authority("my cluster \u{e4}", 1825, KeyKind::Rsa2048).unwrap();
    let (ours, theirs) = (der(made.certificate_pem()), der(UPSTREAM_CA));
    let (ours, theirs) = (parse_x509_certificate(&ours).unwrap().1, parse_x509_certificate(&theirs).unwrap().1);

    ours.verify_signature(None).unwrap();
    assert_eq!(subject(&ours), "CN=my cluster \u{e4}");
    assert_eq!(ours.subject(), ours.issuer());
    assert_eq!(ours.version(), X509Version::V3);
    assert_eq!(ours.signature_algorithm, theirs.signature_algorithm);
    assert_eq!(ours.public_key().algorithm, theirs.public_key().algorithm);
    assert!(ours.raw_serial().len() <= 17, "a serial number is a UUID");
    for (name, extension) in theirs.extensions_map().unwrap() {
        let same = ours.get_extension_unique(&name).unwrap().unwrap();
        assert_eq!(same.critical, extension.critical, "{name}");
        // The identifier of the key differs, as the key does.
        if !matches!(extension.parsed_extension(), ParsedExtension::SubjectKeyIdentifier(_)) {
            assert_eq!(same.value, extension.value, "{name}");
        }
    }
    assert_eq!(ours.extensions().len(), theirs.extensions().len());
    let now = chrono::Utc::now().timestamp();
    let (from, until) = (ours.validity().not_before.timestamp(), ours.validity().not_after.timestamp());
    assert!((from - (now - DAY)).abs() < 60 && (until - (now + 1825 * DAY)).abs() < 60);
}

#[test]
fn an_authority_that_upstream_has_made_signs() {
    let key = PrivateKey::from_encrypted_pem(UPSTREAM_KEY, &UPSTREAM_PASSPHRASE.into()).unwrap();
    let authority = CertificateAuthority::new(UPSTREAM_CA, key).unwrap();
    let identity = server_certificate(&authority, &["127.0.0.1".to_owned()], 10).unwrap();
    let (leaf, theirs) = (der(&identity.certificate_pem), der(UPSTREAM_CA));
    let (leaf, theirs) = (parse_x509_certificate(&leaf).unwrap().1, parse_x509_certificate(&theirs).unwrap().1);
    leaf.verify_signature(Some(theirs.public_key())).unwrap();
    assert_eq!(leaf.issuer().as_raw(), theirs.subject().as_raw());
}

#[test]
fn the_services_own_client_certificate_is_as_upstream_makes_it() {
    let authority = generate_authority("web", 1825, KeyKind::Rsa2048).unwrap();
    let identity = client_certificate(&authority, 1825, KeyKind::Rsa2048).unwrap();
    let (leaf, ca) = (der(&identity.certificate_pem), der(authority.certificate_pem()));
    let (leaf, ca) = (parse_x509_certificate(&leaf).unwrap().1, parse_x509_certificate(&ca).unwrap().1);
    leaf.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(subject(&leaf), "CN=admin, O=system:masters");
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature() && usage.value.key_encipherment());
    assert!(!usage.value.key_cert_sign() && !usage.value.crl_sign() && !usage.value.non_repudiation());
    let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.client_auth && !purposes.server_auth);
    assert!(!leaf.is_ca());
    let mut names = extensions(&leaf);
    names.sort();
    let wanted =
        [("BasicConstraints", true), ("ExtendedKeyUsage", false), ("KeyUsage", true), ("SubjectKeyIdentifier", false)];
    assert_eq!(names, wanted.map(|(name, critical)| (name.to_owned(), critical)));
}

#[test]
fn a_listeners_certificate_names_its_addresses() {
    let authority = generate_authority("web", 30, KeyKind::P256).unwrap();
    let names = ["10.0.0.1", "fd00::1", "localhost"].map(str::to_owned);
    let identity = server_certificate(&authority, &names, 10).unwrap();
    let leaf = der(&identity.certificate_pem);
    let leaf = parse_x509_certificate(&leaf).unwrap().1;
    let alternatives = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(alternatives[0], GeneralName::IPAddress(&[10, 0, 0, 1]));
    assert!(matches!(alternatives[1], GeneralName::IPAddress(bytes) if bytes.len() == 16));
    assert_eq!(alternatives[2], GeneralName::DNSName("localhost"));
    for names in [vec![], vec![String::new()], vec!["t\u{e4}st".to_owned()]] {
        assert!(matches!(server_certificate(&authority, &names, 10), Err(CertError::InvalidName(_))), "{names:?}");
    }
}

#[test]
fn nothing_outlives_its_authority_and_a_dead_one_signs_nothing() {
    let authority = generate_authority("short", 2, KeyKind::P256).unwrap();
    let identity = server_certificate(&authority, &["localhost".to_owned()], 1825).unwrap();
    let (leaf, ca) = (der(&identity.certificate_pem), der(authority.certificate_pem()));
    let (leaf, ca) = (parse_x509_certificate(&leaf).unwrap().1, parse_x509_certificate(&ca).unwrap().1);
    assert_eq!(leaf.validity().not_after, ca.validity().not_after);
    assert!(leaf.validity().not_before >= ca.validity().not_before);

    let dead = generate_authority("dead", 0, KeyKind::P256).unwrap();
    let refused = server_certificate(&dead, &["localhost".to_owned()], 1);
    assert!(matches!(refused, Err(CertError::AuthorityExpired(_))), "{refused:?}");
}

#[test]
fn dates_beyond_2049_are_written_with_four_digits() {
    let authority = generate_authority("long", 40 * 365, KeyKind::P256).unwrap();
    let ca = der(authority.certificate_pem());
    let ca = parse_x509_certificate(&ca).unwrap().1;
    assert!(ca.validity().not_after.to_datetime().year() > 2060);
    assert!(ca.validity().not_after.is_generalizedtime() && ca.validity().not_before.is_utctime());
}

#[test]
fn a_key_that_upstream_has_encrypted_is_read_and_ours_comes_back() {
    let key = PrivateKey::from_encrypted_pem(UPSTREAM_KEY, &UPSTREAM_PASSPHRASE.into()).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(RSA)");
    for kind in [KeyKind::Rsa2048, KeyKind::P256] {
        let key = PrivateKey::generate(kind).unwrap();
        let passphrase = SecretString::from("a pass phrase");
        let encrypted = key.to_encrypted_pem(&passphrase).unwrap();
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let again = PrivateKey::from_encrypted_pem(&encrypted, &passphrase).unwrap();
        assert_eq!(again.to_pem().unwrap().expose_secret(), key.to_pem().unwrap().expose_secret());
        let plain = PrivateKey::from_pem(key.to_pem().unwrap().expose_secret()).unwrap();
        assert_eq!(plain.to_pem().unwrap().expose_secret(), key.to_pem().unwrap().expose_secret());
    }
}

#[test]
fn keys_that_can_not_be_read_are_errors() {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let encrypted = key.to_encrypted_pem(&"right".into()).unwrap();
    let invalid = |outcome: Result<PrivateKey, CertError>| assert!(matches!(outcome, Err(CertError::InvalidKey(_))));
    invalid(PrivateKey::from_encrypted_pem(&encrypted, &"wrong".into()));
    invalid(PrivateKey::from_pem(&encrypted));
    invalid(PrivateKey::from_encrypted_pem(key.to_pem().unwrap().expose_secret(), &"right".into()));
    invalid(PrivateKey::from_pem("nonsense"));
    invalid(PrivateKey::from_pem(UPSTREAM_CA));
    let other = CertificateAuthority::new(UPSTREAM_CA, key);
    assert!(matches!(other, Err(CertError::InvalidCertificate(why)) if why.contains("another key")));
}
