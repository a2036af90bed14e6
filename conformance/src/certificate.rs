//! A certificate in one line: what of it can be compared.

use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

/// The certificate of a PEM text; `None` when it is none.
pub(crate) fn summary(pem: &str) -> Option<String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&pem.contents).ok()?;
    let validity = certificate.validity();
    let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
    let extensions: Vec<String> = certificate
        .extensions()
        .iter()
        .map(|extension| {
            let critical = if extension.critical { " critical" } else { "" };
            format!("{}{critical}", shown(extension.parsed_extension()))
        })
        .collect();
    let mut extensions = extensions;
    extensions.sort();
    // What is signed ends no later than its authority: how long that is depends on today.
    let is_own = certificate.subject() == certificate.issuer();
    let duration = if is_own { format!(" for {days} days") } else { String::new() };
    Some(format!(
        "<certificate of {} by {}{duration}, {} with {}: {}>",
        certificate.subject(),
        certificate.issuer(),
        certificate.public_key().parsed().map_or(0, |key| key.key_size()),
        certificate.signature_algorithm.algorithm,
        extensions.join("; ")
    ))
}

fn shown(extension: &ParsedExtension<'_>) -> String {
    match extension {
        ParsedExtension::KeyUsage(usage) => format!("keyUsage {usage}"),
        ParsedExtension::ExtendedKeyUsage(usage) => format!(
            "extendedKeyUsage server={} client={} any={} other={}",
            usage.server_auth,
            usage.client_auth,
            usage.any,
            usage.other.len()
        ),
        ParsedExtension::BasicConstraints(basic) => {
            format!("basicConstraints ca={} path={:?}", basic.ca, basic.path_len_constraint)
        }
        ParsedExtension::SubjectAlternativeName(names) => {
            let names: Vec<String> = names.general_names.iter().map(name).collect();
            format!("subjectAltName {}", names.join(" "))
        }
        ParsedExtension::SubjectKeyIdentifier(_) => "subjectKeyIdentifier".to_owned(),
        ParsedExtension::AuthorityKeyIdentifier(_) => "authorityKeyIdentifier".to_owned(),
        ParsedExtension::UnsupportedExtension { oid } => format!("unknown {oid}"),
        other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_owned(),
    }
}

fn name(name: &GeneralName<'_>) -> String {
    name.to_string()
}
