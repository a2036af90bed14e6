//! Listener settings, in real handshakes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use magnum_certs::tls::{self, AUTHORITY_FILE};
use magnum_certs::{
    CertificateAuthority, Identity, KeyKind, client_certificate, generate_authority, server_certificate,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn client(trusted: &str, identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(identity.key.to_pem().unwrap().expose_secret().as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// What the server knows of its client once both have spoken; `Err` when they do not come together.
async fn shake_hands(server: Arc<ServerConfig>, client: ClientConfig) -> Result<Option<String>, String> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(ours).await.map_err(|error| error.to_string())?;
        stream.write_all(b"hi").await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())?;
        Ok::<_, String>(tls::peer_fingerprint(stream.get_ref().1))
    });
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream =
        TlsConnector::from(Arc::new(client)).connect(name, theirs).await.map_err(|error| error.to_string())?;
    let mut words = [0; 2];
    stream.read_exact(&mut words).await.map_err(|error| error.to_string())?;
    serving.await.unwrap()
}

fn authority(name: &str) -> CertificateAuthority {
    generate_authority(name, 30, KeyKind::P256).unwrap()
}

fn server(authority: &CertificateAuthority) -> Identity {
    server_certificate(authority, &["127.0.0.1".to_owned()], 10).unwrap()
}

#[tokio::test]
async fn agents_come_without_a_certificate_or_with_one_of_the_cluster() {
    let (cluster, stranger) = (authority("cluster"), authority("cluster"));
    let config = tls::agent_server_config(&server(&cluster), &[cluster.certificate_pem()]).unwrap();
    let ca = cluster.certificate_pem();

    assert_eq!(shake_hands(config.clone(), client(ca, None)).await, Ok(None));
    let member = client_certificate(&cluster, 10, KeyKind::P256).unwrap();
    let der = CertificateDer::from_pem_slice(member.certificate_pem.as_bytes()).unwrap();
    let known = shake_hands(config.clone(), client(ca, Some(&member))).await;
    assert_eq!(known, Ok(Some(magnum_certs::fingerprint(&der))));
    let other = client_certificate(&stranger, 10, KeyKind::P256).unwrap();
    assert!(shake_hands(config.clone(), client(ca, Some(&other))).await.is_err());
    // A server's certificate is none for a client.
    assert!(shake_hands(config.clone(), client(ca, Some(&server(&cluster)))).await.is_err());
    // A node does not speak to a listener of another cluster, even one of the same name.
    assert!(shake_hands(config, client(stranger.certificate_pem(), None)).await.is_err());
}

#[tokio::test]
async fn an_authority_with_an_rsa_key_does_as_well() {
    let cluster = generate_authority("cluster", 30, KeyKind::Rsa2048).unwrap();
    let config = tls::agent_server_config(&server(&cluster), &[cluster.certificate_pem()]).unwrap();
    let member = client_certificate(&cluster, 10, KeyKind::Rsa2048).unwrap();
    assert!(shake_hands(config, client(cluster.certificate_pem(), Some(&member))).await.unwrap().is_some());
}

fn names() -> Vec<String> {
    ["127.0.0.1", "localhost"].map(str::to_owned).to_vec()
}

fn trusted(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(AUTHORITY_FILE)).unwrap()
}

#[tokio::test]
async fn a_self_made_listener_identity_is_kept_until_it_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tls");
    let first = tls::load_or_create(&place, &names()).unwrap();
    let config = tls::server_config(&first).unwrap();
    assert_eq!(shake_hands(config, client(&trusted(&place), None)).await, Ok(None));

    let again = tls::load_or_create(&place, &names()).unwrap();
    assert_eq!(first.certificate_pem, again.certificate_pem);
    let from_files = tls::server_config_from_files(&place.join("cert.pem"), &place.join("key.pem")).unwrap();
    assert_eq!(shake_hands(from_files, client(&trusted(&place), None)).await, Ok(None));

    let mut more = names();
    more.push("magnum.example".to_owned());
    let wider = tls::load_or_create(&place, &more).unwrap();
    assert_ne!(first.certificate_pem, wider.certificate_pem);

    // A write that was cut short is no reason not to start.
    std::fs::write(place.join("key.pem"), "-----BEGIN PRIV").unwrap();
    let mended = tls::load_or_create(&place, &more).unwrap();
    let config = tls::server_config(&mended).unwrap();
    assert_eq!(shake_hands(config, client(&trusted(&place), None)).await, Ok(None));
}
