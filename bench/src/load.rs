//! A few connections that ask for the same page for a while.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What one connection has seen.
#[derive(Debug, Default)]
struct Seen {
    latencies: Vec<Duration>,
    bytes: u64,
}

/// Puts the load on; fails at the first answer that is not 200.
pub(crate) async fn run(url: &str, token: &str, connections: u16, seconds: u64) -> Result<Value> {
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        // A client of its own is a connection of its own.
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        tasks.spawn(ask(client, url.to_owned(), token.to_owned(), end));
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
        "bytes_per_answer": all.bytes.checked_div(requests as u64).unwrap_or(0),
        "latency_ms": {"median": at(50), "p99": at(99)},
    }))
}

async fn ask(client: reqwest::Client, url: String, token: String, end: Instant) -> Result<Seen> {
    let mut seen = Seen::default();
    while Instant::now() < end {
        let began = Instant::now();
        let answer = client.get(&url).header("X-Auth-Token", &token).send().await?;
        if answer.status() != 200 {
            bail!("{url}: {}", answer.status());
        }
        seen.bytes += answer.bytes().await?.len() as u64;
        seen.latencies.push(began.elapsed());
    }
    Ok(seen)
}
