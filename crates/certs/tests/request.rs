//! What becomes of certificate signing requests: the rules of service.md, made safe.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::LazyLock;

use magnum_certs::{
    CertError, CertificateAuthority, KeyKind, NodeSubject, SigningRules, generate_authority, sign_csr, sign_node_csr,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rstest::rstest;
use x509_parser::prelude::*;

static AUTHORITY: LazyLock<CertificateAuthority> =
    LazyLock::new(|| generate_authority("web", 100, KeyKind::Rsa2048).unwrap());

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
const UNHEARD_OF: &[u64] = &[1, 3, 6, 1, 4, 1, 99999, 1];

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "admin");
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params
}

fn csr(params: &CertificateParams) -> String {
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

fn custom(identifier: &[u64], critical: bool, content: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(identifier, content.to_vec());
    extension.set_criticality(critical);
    extension
}

/// A key usage as a BIT STRING: `unused` bits of `byte` don't count.
fn usage(critical: bool, unused: u8, byte: u8) -> CustomExtension {
    custom(KEY_USAGE, critical, &[3, 2, unused, byte])
}

fn der(pem: &str) -> Vec<u8> {
    parse_x509_pem(pem.as_bytes()).unwrap().1.contents
}

/// Signs and hands the certificate, already verified, to `look`.
fn signed(csr: &str, rules: &SigningRules, look: impl FnOnce(&X509Certificate<'_>)) {
    let (leaf, ca) = (der(&sign_csr(&AUTHORITY, csr, rules).unwrap()), der(AUTHORITY.certificate_pem()));
    let (leaf, ca) = (parse_x509_certificate(&leaf).unwrap().1, parse_x509_certificate(&ca).unwrap().1);
    leaf.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(leaf.issuer().as_raw(), ca.subject().as_raw());
    assert!(leaf.validity().not_after <= ca.validity().not_after);
    let identifiers = leaf.iter_extensions().filter_map(|extension| key_identifier(extension.parsed_extension()));
    assert_eq!(identifiers.count(), 1, "always one");
    look(&leaf);
}

fn refused(csr: &str, rules: &SigningRules) -> String {
    let error = sign_csr(&AUTHORITY, csr, rules).unwrap_err();
    assert!(error.is_clients_fault(), "{error:?}");
    error.to_string()
}

#[test]
fn subject_key_and_allowed_extensions_are_taken_over() {
    let mut params = params();
    params.distinguished_name.push(DnType::OrganizationalUnitName, "OpenStack/Magnum");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::DnsName("web".try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    signed(&request, &SigningRules::default(), |leaf| {
        assert_eq!(leaf.subject().to_string(), "CN=admin, O=system:masters, OU=OpenStack/Magnum");
        assert_eq!(leaf.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
        let usage = leaf.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.digital_signature() && usage.value.key_encipherment());
        assert!(leaf.extended_key_usage().unwrap().unwrap().value.client_auth);
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.as_slice(), [GeneralName::DNSName("web")]);
    });
}

/// Made with Python's cryptography: two units in its subject, and the identifier of its key.
#[test]
fn a_request_of_another_library_keeps_its_subject_and_gets_the_identifier_it_expects() {
    let request = include_str!("data/two-units.csr");
    let asked = der(request);
    let asked = X509CertificationRequest::from_der(&asked).unwrap().1;
    let expected = asked.requested_extensions().unwrap().find_map(key_identifier).unwrap();
    signed(request, &SigningRules::default(), |leaf| {
        assert_eq!(leaf.subject().to_string(), "C=US, OU=OpenStack, OU=Magnum, CN=admin");
        assert_eq!(leaf.subject().as_raw(), asked.certification_request_info.subject.as_raw());
        let made = leaf.iter_extensions().find_map(|extension| key_identifier(extension.parsed_extension()));
        assert_eq!(made, Some(expected));
    });
}

fn key_identifier(extension: &ParsedExtension<'_>) -> Option<Vec<u8>> {
    match extension {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    }
}

/// Whatever a client may sanely sign is signed; of anything else is said what is wrong and what would be right.
#[test]
fn every_kind_of_key_is_signed_or_refused_in_words_that_fit() {
    let mut seen = 0;
    for case in include_str!("data/requests.txt").split("== ").skip(1) {
        let (head, request) = case.split_once('\n').unwrap();
        let (name, words) = head.split_once(" |").unwrap();
        let words = words.trim();
        if words.is_empty() {
            let asked = der(request);
            let asked = X509CertificationRequest::from_der(&asked).unwrap().1;
            match sign_csr(&AUTHORITY, request, &SigningRules::default()) {
                Ok(_) => signed(request, &SigningRules::default(), |leaf| {
                    assert_eq!(leaf.public_key().raw, asked.certification_request_info.subject_pki.raw, "{name}");
                }),
                Err(error) => panic!("{name}: {error}"),
            }
        } else {
            let said = refused(request, &SigningRules::default());
            assert!(said.contains(words), "{name}: {said}");
        }
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
}

/// Bytes that a reader passes over are never part of a certificate: one program would read it otherwise than another.
#[rstest]
#[case::trailing_after_constraints(&[2, 5, 29, 19], &[0x30, 0, 0x30, 3, 1, 1, 0xff])]
#[case::trailing_within_constraints(&[2, 5, 29, 19], &[0x30, 6, 1, 1, 0, 2, 1, 0, 5, 0])]
#[case::trailing_after_usage(KEY_USAGE, &[3, 2, 5, 0xa0, 0])]
#[case::trailing_after_purposes(&[2, 5, 29, 37], &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2, 0x30, 0])]
#[case::trailing_after_names(&[2, 5, 29, 17], &[0x30, 5, 0x82, 3, b'w', b'e', b'b', 0xff])]
#[case::trailing_within_names(&[2, 5, 29, 17], &[0x30, 7, 0x82, 3, b'w', b'e', b'b', 0x30, 5])]
#[case::long_form_of_a_short_length(&[2, 5, 29, 17], &[0x30, 0x81, 5, 0x82, 3, b'w', b'e', b'b'])]
#[case::trailing_after_identifier(KEY_IDENTIFIER, &[4, 2, 1, 2, 9])]
#[case::empty(&[2, 5, 29, 19], &[])]
#[case::a_sign_with_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], &[4, 1, 1])]
fn malformed_extensions_are_refused(
    #[case] identifier: &[u64],
    #[case] content: &[u8],
    #[values(false, true)] critical: bool,
) {
    let mut rules = SigningRules::default();
    rules.allowed_extensions.push("OCSPNoCheck".to_owned());
    for allow_ca in [false, true] {
        rules.allow_ca = allow_ca;
        let mut params = params();
        params.custom_extensions = vec![custom(identifier, critical, content)];
        let said = refused(&csr(&params), &rules);
        assert!(said.contains("its extension"), "{said}");
    }
}

/// `CA:FALSE` is written in one way, however it was asked for, and a length of a path only where there is a path.
#[test]
fn constraints_are_written_anew() {
    const CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
    for (asked, allow_ca, expected) in [
        (&[0x30, 0][..], false, &[0x30, 0][..]),
        (&[0x30, 3, 1, 1, 0], false, &[0x30, 0]),
        (&[0x30, 3, 2, 1, 5], false, &[0x30, 0]),
        (&[0x30, 6, 1, 1, 0, 2, 1, 5], true, &[0x30, 0]),
        (&[0x30, 6, 1, 1, 0xff, 2, 1, 5], false, &[0x30, 0]),
        (&[0x30, 6, 1, 1, 0xff, 2, 1, 5], true, &[0x30, 6, 1, 1, 0xff, 2, 1, 5]),
        (&[0x30, 3, 1, 1, 0xff], true, &[0x30, 3, 1, 1, 0xff]),
    ] {
        let mut params = params();
        params.custom_extensions = vec![custom(CONSTRAINTS, false, asked)];
        signed(&csr(&params), &SigningRules { allow_ca, ..SigningRules::default() }, |leaf| {
            let made = leaf.extensions().iter().find(|made| made.oid == oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS);
            assert_eq!(made.unwrap().value, expected, "{asked:?} {allow_ca}");
        });
    }
}

#[test]
fn a_key_identifier_in_the_request_does_no_harm() {
    let mut params = params();
    params.custom_extensions = vec![custom(KEY_IDENTIFIER, false, &[4, 2, 1, 2])];
    signed(&csr(&params), &SigningRules::default(), |leaf| {
        let identifier = leaf.iter_extensions().find_map(|extension| key_identifier(extension.parsed_extension()));
        assert_eq!(identifier.unwrap().len(), 20, "made from the key, not taken from the request");
    });
}

#[rstest]
// digitalSignature, keyCertSign, cRLSign asked for; what is not allowed is left out.
#[case::cleared(usage(false, 1, 0b1000_0110), Some(0b1))]
#[case::all_cleared(usage(false, 1, 0b0000_0110), None)]
#[case::non_repudiation(usage(false, 5, 0b1110_0000), Some(0b111))]
#[case::allowed_and_critical(usage(true, 5, 0b1010_0000), Some(0b101))]
fn key_usages_are_cleared_unless_critical(#[case] asked: CustomExtension, #[case] left: Option<u16>) {
    let mut params = params();
    let critical = asked.criticality();
    params.custom_extensions = vec![asked];
    signed(&csr(&params), &SigningRules::default(), |leaf| {
        let usage = leaf.key_usage().unwrap();
        assert_eq!(usage.as_ref().map(|usage| usage.value.flags), left);
        assert!(usage.is_none_or(|usage| usage.critical == critical));
    });
}

#[test]
fn what_is_critical_and_not_allowed_is_refused_by_name() {
    let with = |extension| {
        let mut params = params();
        params.custom_extensions = vec![extension];
        csr(&params)
    };
    let rules = SigningRules::default();
    assert_eq!(refused(&with(usage(true, 2, 0b0000_0100)), &rules), "Extension 'keyUsage' not allowed");
    let constraints = custom(NAME_CONSTRAINTS, true, &[0x30, 0]);
    assert_eq!(refused(&with(constraints), &rules), "Extension 'nameConstraints' not allowed");
    let unheard_of = custom(UNHEARD_OF, true, &[5, 0]);
    assert_eq!(refused(&with(unheard_of), &rules), "Extension '1.3.6.1.4.1.99999.1' not allowed");
    let mut authority = params();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(refused(&csr(&authority), &rules), "Extension 'basicConstraints' not allowed");

    signed(&with(custom(UNHEARD_OF, false, &[5, 0])), &rules, |leaf| assert_eq!(leaf.extensions().len(), 1));
}

#[test]
fn an_authority_is_only_signed_where_that_is_allowed() {
    const CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
    let mut params = params();
    // CA:TRUE, not critical.
    params.custom_extensions = vec![custom(CONSTRAINTS, false, &[0x30, 3, 1, 1, 0xff])];
    signed(&csr(&params), &SigningRules::default(), |leaf| {
        let constraints = leaf.basic_constraints().unwrap().unwrap();
        assert!(!constraints.value.ca && !constraints.critical);
    });

    params.custom_extensions.push(usage(true, 1, 0b0000_0110));
    let mut rules = SigningRules { allow_ca: true, ..SigningRules::default() };
    assert_eq!(refused(&csr(&params), &rules), "Extension 'keyUsage' not allowed");
    rules.allowed_key_usage.extend(["Certificate Sign", "CRL Sign"].map(str::to_owned));
    signed(&csr(&params), &rules, |leaf| {
        assert!(leaf.is_ca());
        assert!(leaf.key_usage().unwrap().unwrap().value.key_cert_sign());
    });
    rules.allow_ca = false;
    assert_eq!(refused(&csr(&params), &rules), "Extension 'keyUsage' not allowed");
}

#[test]
fn the_table_of_extensions_decides() {
    let mut params = params();
    params.subject_alt_names = vec![SanType::DnsName("web".try_into().unwrap())];
    let rules = SigningRules { allowed_extensions: vec!["keyUsage".to_owned()], ..SigningRules::default() };
    signed(&csr(&params), &rules, |leaf| assert!(leaf.subject_alternative_name().unwrap().is_none()));
}

#[test]
fn requests_that_are_none_are_refused_in_words() {
    let good = csr(&params());
    let mut tampered = der(&good);
    // One letter of the subject.
    let position = tampered.windows(5).position(|window| window == b"admin").unwrap();
    tampered[position] = b'b';
    let tampered = pem("CERTIFICATE REQUEST", &tampered);
    let mut twice = params();
    twice.custom_extensions = vec![usage(false, 7, 0x80), usage(false, 7, 0x80)];
    let mut broken = params();
    broken.custom_extensions = vec![custom(KEY_USAGE, false, &[0xff, 0xff])];
    let mut followed = der(&good);
    followed.push(0);
    for (request, words) in [
        (String::new(), "it is not a PEM text"),
        ("nonsense".to_owned(), "it is not a PEM text"),
        ("\u{0}\u{ffff}-----BEGIN".to_owned(), "it is not a PEM text"),
        (AUTHORITY.certificate_pem().to_owned(), "it is a CERTIFICATE, not a CERTIFICATE REQUEST"),
        (pem("CERTIFICATE REQUEST", b"nonsense"), "it is not a PKCS#10 request"),
        (pem("CERTIFICATE REQUEST", &followed), "something follows the request"),
        (tampered, "its signature does not fit its public key"),
        (csr(&twice), "it has the extension keyUsage twice"),
        (csr(&broken), "its extension keyUsage can't be read"),
        ("-----BEGIN CERTIFICATE REQUEST-----\n".repeat(10_000), "it is longer than 65536 bytes"),
    ] {
        let said = refused(&request, &SigningRules::default());
        assert!(said.starts_with("Received invalid csr") && said.contains(words), "{said}");
        let node = NodeSubject { name: "node".to_owned(), names: vec![] };
        if !words.contains("extension") {
            let said = sign_node_csr(&AUTHORITY, &request, &node, 10).unwrap_err();
            assert!(matches!(said, CertError::InvalidCsr(_)), "{said}");
        }
    }
}

#[test]
fn a_node_gets_its_own_name_whatever_it_asks_for() {
    let mut greedy = params();
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    greedy.subject_alt_names = vec![SanType::DnsName("somebody.else".try_into().unwrap())];
    let node = NodeSubject {
        name: "web-worker-0".to_owned(),
        names: ["10.0.0.5", "127.0.0.1", "web-worker-0"].map(str::to_owned).to_vec(),
    };
    let certificate = der(&sign_node_csr(&AUTHORITY, &csr(&greedy), &node, 30).unwrap());
    let leaf = parse_x509_certificate(&certificate).unwrap().1;
    assert_eq!(leaf.subject().to_string(), "CN=web-worker-0, O=swarm.invalid");
    assert!(!leaf.is_ca());
    let usage = leaf.key_usage().unwrap().unwrap().value.flags;
    assert_eq!(usage, 0b101);
    let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.client_auth && purposes.server_auth);
    let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
    let wanted = [
        GeneralName::DNSName("web-worker-0"),
        GeneralName::IPAddress(&[10, 0, 0, 5]),
        GeneralName::IPAddress(&[127, 0, 0, 1]),
    ];
    assert_eq!(names.as_slice(), wanted);
}

fn pem(label: &str, der: &[u8]) -> String {
    pkcs8::der::pem::encode_string(label, pkcs8::LineEnding::LF, der).unwrap()
}
