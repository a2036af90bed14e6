//! TLS settings for listeners.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use secrecy::ExposeSecret;

use crate::{CertError, CertificateAuthority, Identity, KeyKind, PrivateKey, generate_authority, server_certificate};

/// File names in the folder of [`load_or_create`].
pub const AUTHORITY_FILE: &str = "ca.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const KEY_FILE: &str = "key.pem";
/// Days that a self-made listener certificate is valid. It is made anew when fewer than [`RENEWAL_DAYS`] are left.
const LISTENER_DAYS: u32 = 825;
const RENEWAL_DAYS: i64 = 30;

/// The one cryptography of this program.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// For a listener that asks nobody for a certificate: the API's.
///
/// # Errors
/// When certificate and key don't fit together.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, CertError> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?.with_no_client_auth();
    let (chain, key) = rustls_identity(identity)?;
    Ok(Arc::new(speaking_http(builder.with_single_cert(chain, key)?)))
}

/// For a listener with an operator's own certificate: PEM files; the key PKCS#8, PKCS#1 or SEC1.
///
/// # Errors
/// [`CertError::File`] for a file that can't be read.
pub fn server_config_from_files(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, CertError> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| CertError::file(certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| CertError::file(key, error))?;
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(Arc::new(speaking_http(builder.with_single_cert(chain, key)?)))
}

/// For the agents' listener: a client may come without a certificate (to join) or with one of the authorities'; any
/// other ends the handshake. [`peer_fingerprint`] says which.
///
/// # Errors
/// When certificate, key and authorities can't be taken up.
pub fn agent_server_config(identity: &Identity, authorities: &[&str]) -> Result<Arc<ServerConfig>, CertError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from(crate::certificate::from_pem(authority)?))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| CertError::InvalidCertificate(error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier);
    let (chain, key) = rustls_identity(identity)?;
    Ok(Arc::new(speaking_http(builder.with_single_cert(chain, key)?)))
}

/// [`crate::fingerprint`] of the certificate that the client has shown, if it has.
#[must_use]
pub fn peer_fingerprint(connection: &ServerConnection) -> Option<String> {
    connection.peer_certificates()?.first().map(|certificate| crate::fingerprint(certificate))
}

/// The identity of a listener nobody has given a certificate for, kept in `folder`: an authority of its own
/// ([`AUTHORITY_FILE`], for clients to trust) whose key is thrown away, and a certificate for `names`. All are made
/// anew when the names have changed or the certificate is about to expire.
///
/// # Errors
/// [`CertError::File`] when the folder can't be read or written.
pub fn load_or_create(folder: &Path, names: &[String]) -> Result<Identity, CertError> {
    match load(folder, names)? {
        Some(identity) => Ok(identity),
        None => create(folder, names),
    }
}

fn load(folder: &Path, names: &[String]) -> Result<Option<Identity>, CertError> {
    let (Some(certificate_pem), Some(key_pem)) = (read(&folder.join(CERTIFICATE_FILE))?, read(&folder.join(KEY_FILE))?)
    else {
        return Ok(None);
    };
    // What can't be read any more, such as the halves of a write that was cut short, is made anew.
    let Ok(key) = PrivateKey::from_pem(&key_pem) else { return Ok(None) };
    let Ok(der) = crate::certificate::from_pem(&certificate_pem) else { return Ok(None) };
    let Ok(parsed) = crate::certificate::parse(&der) else { return Ok(None) };
    let pair = parsed.public_key().raw == key.public_key_der()?;
    let expires = parsed.validity().not_after.timestamp();
    let fresh = expires > (chrono::Utc::now() + chrono::Duration::days(RENEWAL_DAYS)).timestamp();
    let wanted = crate::extension::subject_alternative_names(names)?;
    let same_names = parsed.extensions().iter().any(|extension| wanted.is(extension));
    Ok((pair && fresh && same_names).then_some(Identity { certificate_pem, key }))
}

fn create(folder: &Path, names: &[String]) -> Result<Identity, CertError> {
    let authority: CertificateAuthority = generate_authority("Magnum API", LISTENER_DAYS, KeyKind::P256)?;
    let identity = server_certificate(&authority, names, LISTENER_DAYS)?;
    fs::create_dir_all(folder).map_err(|error| CertError::file(folder, error))?;
    let key = identity.key.to_pem()?;
    let files = [
        (AUTHORITY_FILE, authority.certificate_pem()),
        (KEY_FILE, key.expose_secret()),
        (CERTIFICATE_FILE, identity.certificate_pem.as_str()),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        magnum_files::write_private(&path, content.as_bytes()).map_err(|error| CertError::file(&path, error))?;
    }
    Ok(identity)
}

fn read(path: &Path) -> Result<Option<String>, CertError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CertError::file(path, error)),
    }
}

fn rustls_identity(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertError> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CertError::InvalidCertificate(error.to_string()))?;
    Ok((chain, PrivatePkcs8KeyDer::from(identity.key.der().to_vec()).into()))
}

fn speaking_http(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
