//! Calls to the conductor.

use std::error::Error as _;
use std::time::Duration;

use magnum_domain::agent::{
    AgentConfig, DesiredNode, JOIN_PATH, JoinRequest, JoinResponse, POLL_SECONDS, REPORT_PATH, Report, STATE_PATH,
};
use magnum_domain::text;
use reqwest::{Certificate, Client, Identity, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use crate::error::AgentError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// What a poll may take beyond the time the conductor holds it open.
const POLL_GRACE: Duration = Duration::from_secs(15);
/// A desired state is a few KiB.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// Longest message of the conductor that is passed on, in bytes.
const LONGEST_MESSAGE: usize = 500;

/// A connection to the conductor, without a certificate or with the node's.
#[derive(Debug, Clone)]
pub(crate) struct Conductor {
    http: Client,
    server: String,
}

impl Conductor {
    /// Trusts nobody but the cluster's authority: both, while one takes the place of the other.
    pub(crate) fn new(config: &AgentConfig, identity: Option<&SecretString>) -> Result<Self, AgentError> {
        let unusable = |error: reqwest::Error| AgentError::NoAnswer(cause(&error));
        let authorities = Certificate::from_pem_bundle(config.ca.as_bytes()).map_err(unusable)?;
        let mut builder = Client::builder()
            .tls_backend_rustls()
            .tls_certs_only(authorities)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_only();
        if let Some(identity) = identity {
            builder = builder.identity(Identity::from_pem(identity.expose_secret().as_bytes()).map_err(unusable)?);
        }
        let server = config.server.trim_end_matches('/').to_owned();
        Ok(Self { http: builder.build().map_err(unusable)?, server })
    }

    /// Trades the join token for a certificate.
    pub(crate) async fn join(&self, config: &AgentConfig, csr: String) -> Result<JoinResponse, AgentError> {
        let request = JoinRequest { node: config.node, join_token: config.join_token.clone(), csr };
        let response = send(self.http.post(self.url(JOIN_PATH)).json(&request).timeout(TIMEOUT)).await?;
        parse(response).await
    }

    /// Waits for a desired state newer than `after`; `None` when there is none for now.
    pub(crate) async fn poll(&self, after: Option<i64>) -> Result<Option<DesiredNode>, AgentError> {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let timeout = Duration::from_secs(POLL_SECONDS) + POLL_GRACE;
        let url = format!("{}{query}", self.url(STATE_PATH));
        let response = send(self.http.get(url).timeout(timeout)).await?;
        if response.status() == StatusCode::NO_CONTENT { Ok(None) } else { parse(response).await.map(Some) }
    }

    /// Says how the node is.
    pub(crate) async fn report(&self, report: &Report) -> Result<(), AgentError> {
        send(self.http.post(self.url(REPORT_PATH)).json(report).timeout(TIMEOUT)).await.map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }
}

impl AgentError {
    /// Whether asking again in the same way is no use: the request itself is at fault, or nobody knows this node.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if (400..500).contains(status) && ![408, 429].contains(status))
    }
}

async fn send(request: RequestBuilder) -> Result<Response, AgentError> {
    let response = request.send().await.map_err(|error| AgentError::NoAnswer(cause(&error)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = body(response).await.unwrap_or_default();
    let message = text::clean_bytes(&body, LONGEST_MESSAGE);
    Err(AgentError::Refused { status: status.as_u16(), message })
}

async fn parse<T: serde::de::DeserializeOwned>(response: Response) -> Result<T, AgentError> {
    let body = body(response).await?;
    serde_json::from_slice(&body).map_err(|error| AgentError::NoAnswer(format!("its answer makes no sense: {error}")))
}

async fn body(mut response: Response) -> Result<Vec<u8>, AgentError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| AgentError::NoAnswer(cause(&error)))? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(AgentError::NoAnswer(format!("its answer is longer than {LONGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The innermost error: the outer ones only repeat the address.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut innermost = error.source();
    while let Some(deeper) = innermost.and_then(std::error::Error::source) {
        innermost = Some(deeper);
    }
    innermost.map_or_else(|| error.to_string(), ToString::to_string)
}
