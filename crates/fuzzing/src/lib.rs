//! What the readers of foreign input promise: for every sequence of bytes they answer, in bounded time, without a panic,
//! and what they have read they would write and read again as the same.
//!
//! One function for each reader ([`TARGETS`]). The folder `fuzz/` beside the workspace hands them to cargo-fuzz, which needs
//! a nightly compiler; the tests of this crate run them over the corpus in `fuzz/corpus` and over changes of it.
//!
//! A broken promise panics: that is how a fuzzer is told.
#![allow(clippy::panic, clippy::expect_used, reason = "a broken promise is told by a panic")]

use std::sync::LazyLock;

use magnum_certs::{CertificateAuthority, KeyKind, PrivateKey, SigningRules, generate_authority, sign_csr};

/// Reads bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus too.
pub const TARGETS: [(&str, Target); 9] = [
    ("json_patch", json_patch),
    ("labels", labels),
    ("policy_expression", policy_expression),
    ("ini", ini),
    ("paging", paging),
    ("csr", csr),
    ("certificate", certificate),
    ("python_literal", python_literal),
    ("microversion", microversion),
];

/// The body of a `PATCH`, applied to a cluster template.
pub fn json_patch(data: &[u8]) {
    magnum_api::fuzzing::json_patch(data);
}

/// Labels in each of their forms: JSON object, Python literal, `k=v,k2=v2`.
pub fn labels(data: &[u8]) {
    magnum_api::fuzzing::labels(data);
}

/// A literal of Python, as clients put dictionaries into patches.
pub fn python_literal(data: &[u8]) {
    magnum_api::fuzzing::python_literal(data);
}

/// The query of a list.
pub fn paging(data: &[u8]) {
    magnum_api::fuzzing::paging(data);
}

/// The header that asks for a version.
pub fn microversion(data: &[u8]) {
    magnum_api::fuzzing::microversion(data);
}

/// A rule of a policy file: printed and read again it is the same.
pub fn policy_expression(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = magnum_policy::parse_text(&text);
    let printed = parsed.check.to_string();
    assert!(magnum_policy::parse_text(&printed).check == parsed.check, "{printed:?} is read as something else");
}

/// A configuration file: whatever is found is told with a line that there is.
pub fn ini(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let document = magnum_config::read_ini(&text);
    let lines = text.lines().count();
    for entry in &document.entries {
        assert!((1..=lines).contains(&entry.line) && !entry.key.is_empty(), "an entry at line {}", entry.line);
    }
    for error in &document.errors {
        assert!((1..=lines).contains(&error.line), "an error at line {}", error.line);
    }
    // Either settings or a report of what is wrong.
    let _ = magnum_config::Settings::parse(&text);
}

/// Longest input that is looked at, as the limit of the API for bodies has it.
const LONGEST: usize = 112 * 1024;

static AUTHORITY: LazyLock<CertificateAuthority> =
    LazyLock::new(|| generate_authority("fuzzing", 30, KeyKind::P256).expect("an authority"));

/// A request for a certificate: refused, or signed by the authority. PEM, or bare DER, which is armoured first.
pub fn csr(data: &[u8]) {
    let Some(pem) = armoured(data, "CERTIFICATE REQUEST") else { return };
    match sign_csr(&AUTHORITY, &pem, &SigningRules::default()) {
        Ok(certificate) => assert!(certificate.contains("BEGIN CERTIFICATE"), "{certificate}"),
        Err(error) => assert!(error.is_clients_fault(), "a wrong request is held to be our fault: {error}"),
    }
}

/// An authority's certificate from an existing database: taken, or refused in words.
pub fn certificate(data: &[u8]) {
    let Some(pem) = armoured(data, "CERTIFICATE") else { return };
    // The message must not be empty: it is all that an operator has.
    let Ok(key) = PrivateKey::generate(KeyKind::P256) else { return };
    if let Err(error) = CertificateAuthority::new(&pem, key) {
        assert!(!error.to_string().is_empty());
    }
}

/// Text as it is, anything else as PEM.
fn armoured(data: &[u8], label: &str) -> Option<String> {
    if data.len() > LONGEST {
        return None;
    }
    match std::str::from_utf8(data) {
        Ok(text) if text.contains("-----BEGIN") => Some(text.to_owned()),
        _ => {
            let lines: Vec<String> =
                base64(data).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into()).collect();
            Some(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")))
        }
    }
}

fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let bytes = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let word = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    out
}
