//! A few connections that ask for the same things for a while: as fast as they are answered, or at a fixed rate.
//!
//! One thread and no client library above hyper: what the load itself costs is taken from the servers that are measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver as Receiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// A page, or several to be asked for in turn; all of one server.
    #[arg(long, required = true)]
    url: Vec<Uri>,
    /// Sent as `X-Auth-Token`.
    #[arg(long, default_value = "none")]
    token: String,
    /// How it is asked for.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// A JSON body, or several to be sent in turn.
    #[arg(long)]
    body: Vec<String>,
    /// Status that every answer must have.
    #[arg(long, default_value_t = 200)]
    expect: u16,
    /// Connections that ask at the same time.
    #[arg(long, default_value_t = 4)]
    connections: u16,
    /// For how long.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Requests a second, whether or not earlier ones were answered; without it as many as are answered.
    #[arg(long)]
    rate: Option<f64>,
}

/// What one connection has seen.
#[derive(Debug, Default)]
struct Seen {
    latencies: Vec<Duration>,
    bytes: usize,
}

/// Puts the load on; fails at the first answer of another status.
pub(crate) async fn run(load: Load) -> Result<Value> {
    let load = Arc::new(load);
    let sent = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let end = began + Duration::from_secs(load.seconds);
    let timetable = load.rate.map(|rate| Arc::new(Mutex::new(timetable(began, end, rate))));
    let mut tasks = JoinSet::new();
    for _ in 0..load.connections {
        tasks.spawn(ask(Arc::clone(&load), Arc::clone(&sent), timetable.clone(), end));
    }
    let mut all = Seen::default();
    while let Some(seen) = tasks.join_next().await {
        let seen = seen.context("a connection's task failed")??;
        all.latencies.extend(seen.latencies);
        all.bytes += seen.bytes;
    }
    let elapsed = began.elapsed().as_secs_f64();
    all.latencies.sort_unstable();
    let requests = all.latencies.len();
    let at = |part: usize| all.latencies.get(requests * part / 100).map_or(0.0, |latency| latency.as_secs_f64() * 1e3);
    Ok(json!({
        "requests": requests,
        "requests_per_second": f64::from(u32::try_from(requests)?) / elapsed,
        "bytes_per_answer": all.bytes.checked_div(requests).unwrap_or(0),
        "latency_ms": {"median": at(50), "p99": at(99)},
    }))
}

/// The times at which requests are due, each handed out when it has come. By a thread of its own: the runtime's timers go
/// by whole milliseconds, longer than most answers take.
fn timetable(began: Instant, end: Instant, rate: f64) -> Receiver<Instant> {
    let (sender, receiver) = unbounded_channel();
    thread::spawn(move || {
        for number in 0_u32.. {
            let due = began + Duration::from_secs_f64(f64::from(number) / rate);
            if due >= end {
                return;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    receiver
}

/// One connection's requests. At a fixed rate the time of each counts from when it was due, so that a server that is
/// behind is not asked less.
async fn ask(
    load: Arc<Load>,
    sent: Arc<AtomicUsize>,
    timetable: Option<Arc<Mutex<Receiver<Instant>>>>,
    end: Instant,
) -> Result<Seen> {
    let first = load.url.first().context("no URL")?;
    let authority = first.authority().context("a URL without a host")?.to_string();
    let mut connection = None;
    let mut seen = Seen::default();
    loop {
        let due = match &timetable {
            None => Some(Instant::now()).filter(|now| *now < end),
            Some(timetable) => timetable.lock().await.recv().await,
        };
        let Some(due) = due else { return Ok(seen) };
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let request = request(&load, number, &authority)?;
        let open = match connection.take() {
            Some(open) => open,
            None => connect(&authority).await?,
        };
        let answered = timeout(PATIENCE, answered(open, request, load.expect));
        let (open, bytes) = answered.await.with_context(|| format!("no answer within {PATIENCE:?}"))??;
        connection = open;
        seen.bytes += bytes;
        seen.latencies.push(due.elapsed());
    }
}

fn request(load: &Load, number: usize, authority: &str) -> Result<Request<Body>> {
    let url = load.url.get(number % load.url.len()).context("no URL")?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(load.method.clone())
        .uri(path)
        .header(HOST, authority)
        .header("OpenStack-API-Version", "container-infra latest")
        .header("X-Auth-Token", load.token.as_str());
    let body = match load.body.get(number % load.body.len().max(1)) {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(Bytes::from(body.clone()))
        }
        None => Body::empty(),
    };
    Ok(request.body(body)?)
}

async fn connect(authority: &str) -> Result<SendRequest<Body>> {
    let stream = TcpStream::connect(authority).await.with_context(|| format!("{authority} does not listen"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the sender, or with the answer after which the server closes; either shows at the next request.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Sends a request and reads its whole answer; gives the connection back unless the server closes it.
async fn answered(
    mut sender: SendRequest<Body>,
    request: Request<Body>,
    expect: u16,
) -> Result<(Option<SendRequest<Body>>, usize)> {
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let closes = answer.headers().get(CONNECTION).map(HeaderValue::as_bytes) == Some(b"close")
        || answer.version() < axum::http::Version::HTTP_11;
    let mut body = answer.into_body();
    let mut bytes = 0;
    let mut said = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        bytes += data.len();
        if status != expect {
            said.extend_from_slice(data);
        }
    }
    if status != expect {
        bail!("answered {status} instead of {expect}: {}", String::from_utf8_lossy(&said));
    }
    let goes_on = !closes && sender.ready().await.is_ok();
    Ok((goes_on.then_some(sender), bytes))
}
