//! Keystones behind TLS: an authority of one's own, none, and one that wants to see a certificate.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use magnum_config::Settings;
use magnum_openstack::{Login, Session, SessionOptions, TlsOptions, Transport, TransportOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority and a server's certificate; the authority and a client's certificate are also in files.
struct Papers {
    authority: CertificateDer<'static>,
    server: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Papers {
    fn new(folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
            (certificate, key)
        };
        let ((server, server_key), (client, client_key)) = (signed("127.0.0.1"), signed("magnum"));
        std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(folder.join("client.pem"), client.pem()).unwrap();
        std::fs::write(folder.join("client.key"), client_key.serialize_pem()).unwrap();
        let server_key = PrivatePkcs8KeyDer::from(server_key.serialize_der()).into();
        Self { authority: authority.der().clone(), server: (server.der().clone(), server_key) }
    }

    /// A Keystone that gives out tokens; its address.
    async fn keystone(&self, wants_certificate: bool) -> String {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = if wants_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(self.authority.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        } else {
            builder.unwrap().with_no_client_auth()
        };
        let (certificate, key) = (self.server.0.clone(), self.server.1.clone_key());
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // Clients that do not like the certificate go away.
                let Ok(mut connection) = acceptor.accept(connection).await else { continue };
                let _ = connection.read(&mut [0; 4096]).await;
                let body = r#"{"token": {"user": {"id": "u"}, "expires_at": "2999-01-01T00:00:00.000000Z"}}"#;
                let length = body.len();
                let head = "HTTP/1.1 201 Created\r\nX-Subject-Token: own\r\nConnection: close\r\nContent-Length: ";
                let _ = connection.write_all(format!("{head}{length}\r\n\r\n{body}").as_bytes()).await;
                let _ = connection.shutdown().await;
            }
        });
        address
    }
}

#[tokio::test]
async fn certificates_are_checked_and_shown_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let papers = Papers::new(folder.path());
    let file = |name: &str| Some(folder.path().join(name));
    let (open, closed) = (papers.keystone(false).await, papers.keystone(true).await);
    let system = TlsOptions::default();
    let own = TlsOptions { ca_file: file("ca.pem"), ..TlsOptions::default() };
    let insecure = TlsOptions { insecure: true, ..TlsOptions::default() };
    let shown = TlsOptions { cert_file: file("client.pem"), key_file: file("client.key"), ..own.clone() };
    let table = [
        (&open, &system, false),
        (&open, &own, true),
        (&open, &insecure, true),
        (&closed, &own, false),
        (&closed, &shown, true),
    ];
    for (address, tls, expected) in table {
        let text = format!("[keystone_authtoken]\nauth_url = {address}\nusername = m\npassword = p\n");
        let login = Login::for_validation(&Settings::parse(&text).unwrap()).unwrap();
        let options = TransportOptions { tls: tls.clone(), attempts: 1, ..TransportOptions::default() };
        let session = Session::new(Transport::new(options).unwrap(), login, SessionOptions::default());
        let outcome = session.log_in().await;
        assert_eq!(outcome.is_ok(), expected, "{tls:?}: {outcome:?}");
    }
}
