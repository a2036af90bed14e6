//! Waits for a server that is being started. Started before the server, so that its own start is not measured.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use reqwest::{Certificate, Client};
use tokio::time::{Instant, sleep};

/// How often it is tried.
const PAUSE: Duration = Duration::from_millis(1);
/// When to give up.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers when the page was first answered with 200, in microseconds since 1970.
pub(crate) async fn run(url: &str, ca: Option<&Path>) -> Result<u128> {
    let end = Instant::now() + LIMIT;
    let mut client = None;
    while Instant::now() < end {
        if client.is_none() {
            client = trusting(ca);
        }
        if let Some(client) = &client
            && client.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
        {
            return Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros());
        }
        sleep(PAUSE).await;
    }
    bail!("{url} has not answered within {} s", LIMIT.as_secs())
}

/// A client, for this authority once its file is there and whole.
fn trusting(ca: Option<&Path>) -> Option<Client> {
    let mut client = Client::builder().no_proxy();
    if let Some(ca) = ca {
        client = client.tls_certs_only([Certificate::from_pem(&std::fs::read(ca).ok()?).ok()?]);
    }
    client.build().ok()
}
