//! The node's own key, which never leaves it, and the certificate made for that key.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use magnum_domain::agent::{AgentConfig, JoinResponse};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::AgentError;
use crate::files;

/// `O` of the certificates of Swarm nodes.
const ORGANIZATION: &str = "swarm.invalid";

/// Where key and certificates are; the engine reads the same files.
#[derive(Debug, Clone)]
pub(crate) struct IdentityFiles {
    /// The cluster's authority.
    pub(crate) ca: PathBuf,
    /// The node's certificate.
    pub(crate) certificate: PathBuf,
    /// The node's key.
    pub(crate) key: PathBuf,
}

impl IdentityFiles {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { ca: directory.join("ca.pem"), certificate: directory.join("cert.pem"), key: directory.join("key.pem") }
    }

    /// Certificate and key in one text; `None` before the node has joined.
    pub(crate) fn load(&self) -> Result<Option<SecretString>, AgentError> {
        let (Some(certificate), Some(key)) = (files::read(&self.certificate)?, self.key_text()?) else {
            return Ok(None);
        };
        Ok(Some(SecretString::from(format!("{certificate}\n{}", key.expose_secret()))))
    }

    fn key_text(&self) -> Result<Option<SecretString>, AgentError> {
        Ok(files::read(&self.key)?.map(SecretString::from))
    }

    /// The node's key; made and written down when there is none, so that a second try asks for the same key.
    fn key(&self) -> Result<KeyPair, AgentError> {
        let failed = |source| AgentError::Key { what: "key", source };
        if let Some(text) = self.key_text()? {
            return KeyPair::from_pem(text.expose_secret()).map_err(failed);
        }
        let key = KeyPair::generate().map_err(failed)?;
        files::write_private(&self.key, Zeroizing::new(key.serialize_pem()).as_bytes())?;
        Ok(key)
    }

    /// A certificate request (PEM) for this node.
    pub(crate) fn request(&self, config: &AgentConfig) -> Result<String, AgentError> {
        let key = self.key()?;
        request(config, &key).map_err(|source| AgentError::Key { what: "certificate request", source })
    }

    /// Keeps what the conductor has signed. The certificate is written last: with it, the node has joined.
    pub(crate) fn keep(&self, joined: &JoinResponse) -> Result<(), AgentError> {
        files::write_private(&self.ca, joined.ca.as_bytes())?;
        files::write_private(&self.certificate, joined.certificate.as_bytes())
    }
}

fn request(config: &AgentConfig, key: &KeyPair) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, config.name.as_str());
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.subject_alt_names = vec![
        match config.address.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(config.address.as_str().try_into()?),
        },
        SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
        SanType::DnsName(config.name.as_str().try_into()?),
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.serialize_request(key)?.pem()
}
