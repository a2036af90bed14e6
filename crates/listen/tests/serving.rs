//! What slow clients get: an end. What the others get meanwhile: an answer.

#![allow(clippy::unwrap_used, missing_docs)]

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::{get, post};
use futures::StreamExt;
use magnum_listen::{Limits, Listener, Pool, Tls, is_too_slow, serve_http, serve_streams};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);
const MUCH: usize = 64 << 20;

fn patient() -> Limits {
    Limits {
        connections: 16,
        handshake: LONG,
        head: LONG,
        body: LONG,
        body_pause: LONG,
        idle: LONG,
        write: LONG,
        stream_idle: LONG,
    }
}

/// An authority that never has anything to accept a connection with, as a client that never says hello.
struct NoHandshake;

#[async_trait]
impl Tls for NoHandshake {
    async fn config(&self) -> io::Result<Arc<ServerConfig>> {
        pending().await
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Http,
    Tls,
    Stream,
}

async fn read(body: Result<Bytes, BytesRejection>) -> (StatusCode, String) {
    match body {
        Ok(body) => (StatusCode::OK, format!("{} bytes", body.len())),
        Err(error) if is_too_slow(&error).is_some() => (StatusCode::REQUEST_TIMEOUT, String::new()),
        Err(_) => (StatusCode::BAD_REQUEST, String::new()),
    }
}

async fn held(State(release): State<Arc<Notify>>) -> &'static str {
    release.notified().await;
    "held to the end"
}

/// Says when an answer is given up.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn much(State(dropped): State<Arc<Notify>>) -> Body {
    let told = Told(dropped);
    Body::from_stream(futures::stream::iter(0..64).map(move |_| {
        let _ = &told;
        Ok::<_, io::Error>(vec![b'x'; MUCH / 64])
    }))
}

struct Server {
    address: SocketAddr,
    release: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(way: Way, limits: Limits) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener::new("test", socket, &Pool::new(1024), limits);
        let release = Arc::new(Notify::new());
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/", post(read))
            .route("/much", get(much))
            .route("/held", get(held))
            .with_state(Arc::clone(&release));
        let tls: Option<Arc<dyn Tls>> = (way == Way::Tls).then(|| Arc::new(NoHandshake) as _);
        let task = match way {
            Way::Stream => tokio::spawn(serve_streams(listener, |mut stream| async move {
                let (mut from, mut to) = tokio::io::split(&mut stream);
                let _ = tokio::io::copy(&mut from, &mut to).await;
            })),
            _ => tokio::spawn(serve_http(listener, tls, router, CancellationToken::new(), Duration::ZERO)),
        };
        Self { address, release, task }
    }

    async fn connect(&self, from: u8, first: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, from), 0).into()).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, from: u8) -> String {
        let stream = self.connect(from, "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await;
        all(stream).await
    }
}

/// What comes until the connection ends.
async fn all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const HALF_HEAD: &str = "GET / HTTP/1.1\r\nHost: he";
const HALF_BODY: &str = "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nhalf";
const WHOLE: &str = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
const UNREAD: &str = "GET /much HTTP/1.1\r\nHost: here\r\n\r\n";

#[tokio::test]
async fn every_limit_ends_what_uses_it_up() {
    type Shorten = fn(&mut Limits);
    let table: [(&str, Way, Shorten, &str, &str); 9] = [
        ("handshake", Way::Tls, |limits| limits.handshake = SHORT, "", ""),
        ("nothing", Way::Http, |limits| limits.head = SHORT, "", ""),
        ("head", Way::Http, |limits| limits.head = SHORT, HALF_HEAD, ""),
        ("body", Way::Http, |limits| limits.body = SHORT, HALF_BODY, "HTTP/1.1 408"),
        ("body pause", Way::Http, |limits| limits.body_pause = SHORT, HALF_BODY, "HTTP/1.1 408"),
        ("idle", Way::Http, |limits| limits.idle = SHORT, WHOLE, "HTTP/1.1 200"),
        ("unread", Way::Http, |limits| limits.write = SHORT, UNREAD, "HTTP/1.1 200"),
        ("stream start", Way::Stream, |limits| limits.head = SHORT, "", ""),
        ("stream idle", Way::Stream, |limits| limits.stream_idle = SHORT, "echo", "echo"),
    ];
    for (name, way, shorten, sent, expected) in table {
        let mut limits = patient();
        shorten(&mut limits);
        let server = Server::start(way, limits).await;
        let stream = server.connect(1, sent).await;
        if name == "unread" {
            // Nothing is taken before the server has given up: what the kernel holds is much less than the answer.
            server.release.notified().await;
        }
        let answer = all(stream).await;
        assert!(answer.starts_with(expected), "{name}: {answer:.80}");
        assert!(answer.len() < MUCH, "{name}: {}", answer.len());
    }
}

/// Whatever the slow ones of one address are slow at, and however many they are, the others get their answers: from
/// another address, from the same one, and those whose request was being answered.
#[tokio::test]
async fn slow_connections_shut_nobody_out() {
    for (name, sent) in [("nothing", ""), ("head", HALF_HEAD), ("body", HALF_BODY), ("idle", WHOLE), ("unread", UNREAD)]
    {
        let server = Server::start(Way::Http, patient()).await;
        let held = server.connect(3, "GET /held HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await;
        let mut bystander = server.connect(4, WHOLE).await;
        let mut first = [0; 12];
        bystander.read_exact(&mut first).await.unwrap();
        let mut slow = Vec::new();
        for index in 0..200 {
            slow.push(server.connect(1, sent).await);
            if index % 40 == 0 {
                for other in [1, 2] {
                    let answer = server.ask(other).await;
                    assert!(answer.ends_with("here"), "{name} from 127.0.0.{other}: {answer}");
                }
            }
        }
        // One with few connections loses none to one with many.
        bystander.write_all(WHOLE.as_bytes()).await.unwrap();
        loop {
            bystander.read_exact(&mut first).await.unwrap();
            if first.ends_with(b"here") || first.windows(4).any(|part| part == b"HTTP") {
                break;
            }
        }
        server.release.notify_one();
        assert!(all(held).await.ends_with("held to the end"), "{name}");
    }
}

#[tokio::test]
async fn slow_streams_shut_nobody_out() {
    let server = Server::start(Way::Stream, patient()).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(server.connect(1, "").await);
    }
    for from in [1, 2] {
        let mut stream = server.connect(from, "echo").await;
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"echo");
    }
}

#[tokio::test]
async fn draining_ends_with_the_last_answer() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let release = Arc::new(Notify::new());
    let router = Router::new().route("/held", get(held)).with_state(Arc::clone(&release));
    let shutdown = CancellationToken::new();
    let listener = Listener::new("test", socket, &Pool::new(16), patient());
    let serving = tokio::spawn(serve_http(listener, None, router, shutdown.clone(), LONG));
    let mut asking = TcpStream::connect(address).await.unwrap();
    asking.write_all(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    // A second connection that gets no further shows that the first was accepted.
    let idle = TcpStream::connect(address).await.unwrap();
    release.notify_one();
    let mut first = [0; 12];
    asking.read_exact(&mut first).await.unwrap();
    shutdown.cancel();
    serving.await.unwrap();
    assert!(all(asking).await.ends_with("held to the end"));
    assert_eq!(all(idle).await, "");
}
