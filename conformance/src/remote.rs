//! A service that is asked over HTTP.

use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::case::Request;
use crate::database::Database;
use crate::subject::{HOST, Raw, Subject};

const TIME_OUT: Duration = Duration::from_secs(120);

/// A service at a URL, and its database.
pub struct Remote {
    base: String,
    client: reqwest::Client,
    database: Database,
}

impl Remote {
    /// The service at `base`, such as `http://127.0.0.1:9511`.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(base: &str, database: Database) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIME_OUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client, database })
    }
}

#[async_trait]
impl Subject for Remote {
    async fn send(&mut self, request: &Request) -> Result<Raw> {
        let url = format!("{}{}", self.base, request.path);
        let method = request.method.parse().context("no such method")?;
        let mut asked = self.client.request(method, &url).header("host", HOST);
        if request.person != "nobody" {
            asked = asked.header("x-auth-token", &request.person);
        }
        for (name, value) in &request.headers {
            asked = asked.header(name, value);
        }
        if let Some(body) = &request.body {
            asked = asked.body(body.clone());
        }
        let answer = asked.send().await.with_context(|| format!("{} {url}", request.method))?;
        let mut raw = Raw { status: answer.status().as_u16(), ..Raw::default() };
        for (name, value) in answer.headers() {
            raw.header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
        raw.body = answer.text().await?;
        Ok(raw)
    }

    async fn reset(&mut self) -> Result<()> {
        self.database.reset().await
    }
}
