//! Requests to an engine: over a local socket, over TLS, or plain.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use magnum_domain::text;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{EngineError, EngineInfo};

/// Newest version of the API that we know.
const NEWEST_VERSION: (u32, u32) = (1, 41);
/// A list of some thousand nodes stays below this.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For questions.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// For changes: to join a swarm, an engine waits up to 20 s for its managers.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// One engine. Cheap to clone; connections are kept and shared.
#[derive(Debug, Clone)]
pub struct EngineClient {
    http: Client,
    /// What messages call it.
    address: Arc<str>,
    /// URL that paths are appended to.
    base: Arc<str>,
    /// Version to speak, once agreed.
    version: Arc<OnceCell<String>>,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl EngineClient {
    /// An engine that is reached over TLS and wants to know who asks.
    ///
    /// `address` is `https://..` or the `tcp://..` that clusters show as their `api_address`; `ca_pem` the only
    /// authority that is trusted; `identity_pem` certificate and key (PKCS#8).
    ///
    /// # Errors
    /// [`EngineError::Settings`] for an address or certificates that can't be used.
    pub fn tls(address: &str, ca_pem: &str, identity_pem: &SecretString) -> Result<Self, EngineError> {
        let base = with_scheme(address, "https");
        let settings = |error| EngineError::settings(address, error);
        let authority = Certificate::from_pem(ca_pem.as_bytes()).map_err(settings)?;
        let identity = Identity::from_pem(identity_pem.expose_secret().as_bytes()).map_err(settings)?;
        Self::build(address, &base, builder().tls_certs_only([authority]).identity(identity).https_only(true))
    }

    /// An engine that anybody may use, at `http://..` or `tcp://..`.
    ///
    /// # Errors
    /// [`EngineError::Settings`] for an address that can't be used.
    pub fn plain(address: &str) -> Result<Self, EngineError> {
        Self::build(address, &with_scheme(address, "http"), builder())
    }

    /// This machine's engine, at its socket.
    ///
    /// # Errors
    /// [`EngineError::Settings`] when there can be no client at all.
    pub fn unix(socket: &Path) -> Result<Self, EngineError> {
        Self::build(&format!("unix://{}", socket.display()), "http://engine", builder().unix_socket(socket.to_owned()))
    }

    fn build(address: &str, base: &str, builder: ClientBuilder) -> Result<Self, EngineError> {
        reqwest::Url::parse(base).map_err(|error| EngineError::settings(address, error))?;
        Ok(Self {
            http: builder.build().map_err(|error| EngineError::settings(address, error))?,
            address: address.into(),
            base: base.trim_end_matches('/').into(),
            version: Arc::default(),
        })
    }

    /// What messages call this engine.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] when it does not.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.hello().await.map(drop)
    }

    /// Name, version and membership.
    ///
    /// # Errors
    /// When the engine can't be asked.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.get("/info").await
    }

    /// The version of the API to speak: the engine's, but none that we don't know. Old engines have no newer one, and
    /// new engines drop old ones, for which [`NEWEST_VERSION`] is then too old: there the engine's oldest is taken.
    async fn version(&self) -> Result<&str, EngineError> {
        let version = self.version.get_or_try_init(|| async {
            let hello = self.hello().await?;
            let newest = hello.headers().get("api-version").and_then(|value| value.to_str().ok()).and_then(numbers);
            let (major, minor) = newest.map_or(NEWEST_VERSION, |newest| newest.min(NEWEST_VERSION));
            let version = format!("v{major}.{minor}");
            match self.answer(Method::GET, &format!("/{version}/version"), None::<&()>).await {
                Err(EngineError::Refused { status: 400, message }) => oldest_supported(&message)
                    .map(|(major, minor)| format!("v{major}.{minor}"))
                    .ok_or_else(|| EngineError::malformed(&self.address, message)),
                other => other.map(|_| version),
            }
        });
        version.await.map(String::as_str)
    }

    async fn hello(&self) -> Result<Response, EngineError> {
        let request = self.http.get(format!("{}/_ping", self.base)).timeout(READ_TIMEOUT);
        let response = request.send().await.map_err(|error| EngineError::no_answer(&self.address, &error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, EngineError> {
        let path = format!("/{}{path}", self.version().await?);
        let answer = self.answer(Method::GET, &path, None::<&()>).await?;
        serde_json::from_slice(&answer).map_err(|error| EngineError::malformed(&self.address, error))
    }

    /// Makes a change and returns the answer's text.
    pub(super) async fn change<T: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&T>,
    ) -> Result<Vec<u8>, EngineError> {
        let path = format!("/{}{path}", self.version().await?);
        self.answer(method, &path, body).await
    }

    async fn answer<T: Serialize>(&self, method: Method, path: &str, body: Option<&T>) -> Result<Vec<u8>, EngineError> {
        let timeout = if method == Method::GET { READ_TIMEOUT } else { CHANGE_TIMEOUT };
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| EngineError::no_answer(&self.address, &error))?;
        if response.status().is_success() { self.body(response).await } else { Err(self.refused(response).await) }
    }

    async fn refused(&self, response: Response) -> EngineError {
        let status = response.status();
        let body = match self.body(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        let message = serde_json::from_slice::<ErrorBody>(&body)
            .map_or_else(|_| text::clean_bytes(&body, text::MESSAGE), |body| text::clean(&body.message, text::MESSAGE));
        let message = if message.is_empty() { status.to_string() } else { message };
        EngineError::Refused { status: status.as_u16(), message }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, EngineError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| EngineError::no_answer(&self.address, &error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(EngineError::malformed(&self.address, format!("more than {LONGEST_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(super) fn malformed(&self, why: impl ToString) -> EngineError {
        EngineError::malformed(&self.address, why)
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .tls_backend_rustls()
        .connect_timeout(CONNECT_TIMEOUT)
        // An engine is near; proxies of the machine's environment are not for it.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
}

fn with_scheme(address: &str, scheme: &str) -> String {
    match address.strip_prefix("tcp://") {
        Some(rest) => format!("{scheme}://{rest}"),
        None => address.to_owned(),
    }
}

/// Reads `1.41`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The engine's words for a client that is too old: `.. Minimum supported API version is 1.44, ..`
fn oldest_supported(message: &str) -> Option<(u32, u32)> {
    let (_, rest) = message.split_once("inimum supported API version is ")?;
    numbers(rest.split([',', ' ']).next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(numbers("1.41"), Some((1, 41)));
        assert_eq!(numbers("1"), None);
        let words = "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client";
        assert_eq!(oldest_supported(words), Some((1, 44)));
        assert_eq!(oldest_supported("no idea"), None);
    }

    #[test]
    fn the_address_that_clusters_show_is_understood() {
        assert_eq!(with_scheme("tcp://10.0.0.1:2376", "https"), "https://10.0.0.1:2376");
        assert_eq!(with_scheme("https://10.0.0.1:2376", "https"), "https://10.0.0.1:2376");
    }
}
