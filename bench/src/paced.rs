//! Requests at a fixed pace, each of several bodies and from several addresses in turn, until the standard input ends: those
//! of a victim, whose answers count, or the guesses of an attacker.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client, Method, Url};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Paced {
    /// The page.
    #[arg(long)]
    url: Url,
    /// Authority of the server.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Sent as `X-Auth-Token`.
    #[arg(long)]
    token: Option<String>,
    /// How it is asked for.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// JSON bodies, in turn; `{}` in one becomes a number that rises.
    #[arg(long)]
    body: Vec<String>,
    /// Addresses that the requests come from, in turn.
    #[arg(long)]
    from: Vec<IpAddr>,
    /// Requests a second.
    #[arg(long)]
    rate: f64,
    /// Requests at the same time; what would be beyond is left out.
    #[arg(long, default_value_t = 500)]
    at_once: usize,
    /// Use a connection for several requests.
    #[arg(long)]
    reuse: bool,
    /// Longest time.
    #[arg(long)]
    seconds: u64,
}

#[derive(Debug, Default)]
struct Seen {
    statuses: BTreeMap<String, usize>,
    times: Vec<f64>,
    left_out: usize,
}

/// Asks; answers how often each status came, and the time of each answer in milliseconds.
pub(crate) async fn run(paced: Paced) -> Result<Value> {
    let host = paced.url.host_str().context("a URL without a host")?;
    ensure!(host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback()), "{host} is not a loopback address");
    let from = if paced.from.is_empty() { vec![None] } else { paced.from.iter().copied().map(Some).collect() };
    let clients = from.into_iter().map(|from| client(&paced, from)).collect::<Result<Vec<_>>>()?;
    let (paced, seen, over) = (Arc::new(paced), Arc::new(Mutex::new(Seen::default())), Arc::new(Notify::new()));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        told.notify_one();
    });
    crate::print("ready")?;
    let slots = Arc::new(Semaphore::new(paced.at_once));
    let asking = async {
        let mut due = interval(Duration::from_secs_f64(1.0 / paced.rate));
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0_usize.. {
            due.tick().await;
            let (Some(client), Ok(slot)) = (clients.get(number % clients.len()), slots.clone().try_acquire_owned())
            else {
                lock(&seen).left_out += 1;
                continue;
            };
            let (client, paced, seen) = (client.clone(), Arc::clone(&paced), Arc::clone(&seen));
            tokio::spawn(async move {
                let began = Instant::now();
                let status = ask(&client, &paced, number).await;
                let mut seen = lock(&seen);
                *seen.statuses.entry(status).or_default() += 1;
                seen.times.push(began.elapsed().as_secs_f64() * 1e3);
                drop(slot);
            });
        }
    };
    tokio::select! {
        () = asking => {}
        _ = timeout(Duration::from_secs(paced.seconds), over.notified()) => {}
    }
    // Those that are under way count, too.
    let at_once = u32::try_from(paced.at_once)?;
    drop(timeout(PATIENCE, slots.acquire_many(at_once)).await);
    let seen = lock(&seen);
    Ok(json!({"statuses": seen.statuses, "times": seen.times, "left_out": seen.left_out}))
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn client(paced: &Paced, from: Option<IpAddr>) -> Result<Client> {
    let mut client = Client::builder().no_proxy().timeout(PATIENCE).local_address(from);
    if !paced.reuse {
        client = client.pool_max_idle_per_host(0);
    }
    if let Some(ca) = &paced.ca {
        client = client.tls_certs_only([Certificate::from_pem(&std::fs::read(ca)?)?]);
    }
    Ok(client.build()?)
}

/// The status of the answer, or in a word why there is none.
async fn ask(client: &Client, paced: &Paced, number: usize) -> String {
    let mut request = client
        .request(paced.method.clone(), paced.url.clone())
        .header("OpenStack-API-Version", "container-infra latest");
    if let Some(token) = &paced.token {
        request = request.header("X-Auth-Token", token);
    }
    if let Some(body) = paced.body.get(number % paced.body.len().max(1)) {
        let body = body.replace("{}", &number.to_string());
        request = request.header("Content-Type", "application/json").body(body);
    }
    let answered = async {
        let answer = request.send().await?;
        let status = answer.status().as_u16().to_string();
        answer.bytes().await?;
        Ok(status)
    };
    answered.await.unwrap_or_else(|error: reqwest::Error| {
        let word = if error.is_timeout() {
            "timeout"
        } else if error.is_connect() {
            "no connection"
        } else {
            "broken"
        };
        word.to_owned()
    })
}
