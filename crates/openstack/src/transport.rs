//! Requests over HTTP: time-outs, limits, TLS, what is tried again, and the ids both sides log.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use magnum_domain::text;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, Method, Response, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Service};

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
pub(crate) const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
/// Says that we heed the access rules of application credentials; Keystone does not know their tokens otherwise.
const ACCESS_RULES: HeaderName = HeaderName::from_static("openstack-identity-access-rules");
/// Old versions of Nova have a name of their own for it.
const COMPUTE_REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// The first pause before something is tried again; each is twice the one before, more or less by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause that a service may ask for; who wants a longer one is not asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a service's message that are kept.
const MESSAGE_LENGTH: usize = 300;

/// How certificates are checked and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Authorities that are believed, in PEM; not set: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Own certificate, in PEM.
    pub cert_file: Option<PathBuf>,
    /// Its key, in PEM; not set: it is in the same file.
    pub key_file: Option<PathBuf>,
    /// Whether any certificate is believed.
    pub insecure: bool,
}

/// How services are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    /// Longest wait for a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for the whole of an answer. Default 30 s.
    pub timeout: Duration,
    /// Greatest size of an answer in bytes. Default 8 MiB.
    pub max_answer: usize,
    /// How often something that may be repeated is asked, at most. Default 3.
    pub attempts: u32,
    /// Certificates.
    pub tls: TlsOptions,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_answer: 8 << 20,
            attempts: 3,
            tls: TlsOptions::default(),
        }
    }
}

/// Sends requests. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Transport {
    client: Client,
    options: TransportOptions,
}

/// A request.
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) token: Option<&'a SecretString>,
    /// The token that the question is about.
    pub(crate) subject: Option<&'a SecretString>,
    pub(crate) body: Option<&'a Value>,
    /// Id under which the service is to log it.
    pub(crate) request_id: Option<&'a str>,
}

/// A good answer.
pub(crate) struct Answer {
    service: Service,
    request_id: Option<String>,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|source| self.garbled(source))
    }

    pub(crate) fn garbled(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::garbled(self.service, self.request_id.as_deref(), source)
    }
}

impl Transport {
    /// Reads the certificates and sets connections up; none is made yet.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Certificate`], [`Error::Setup`].
    pub fn new(options: TransportOptions) -> Result<Self, Error> {
        let TlsOptions { ca_file, cert_file, key_file, insecure } = &options.tls;
        let mut builder = Client::builder()
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            // A token must not go where an answer says. None of the services moves.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("magnum/", env!("CARGO_PKG_VERSION")))
            .tls_danger_accept_invalid_certs(*insecure);
        if let Some(path) = ca_file {
            let source = |source| Error::Certificate { path: path.clone(), source };
            let authorities = Certificate::from_pem_bundle(&read(path)?).map_err(source)?;
            if authorities.is_empty() {
                return Err(Error::NoCertificate { path: path.clone() });
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(path) = cert_file {
            let mut pem = read(path)?;
            if let Some(key) = key_file {
                pem.push(b'\n');
                pem.extend(read(key)?);
            }
            let source = |source| Error::Certificate { path: path.clone(), source };
            builder = builder.identity(Identity::from_pem(&pem).map_err(source)?);
        }
        Ok(Self { client: builder.build().map_err(Error::Setup)?, options })
    }

    /// Sends a request, again if that is safe and may help.
    ///
    /// # Errors
    /// Any but those of the set-up. A status other than 2xx is [`Error::Status`].
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let error = match self.send_once(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wanted = wanted_pause(&error, &call.method, pause);
            let (Some(wait), true) = (wanted, attempt < self.options.attempts) else { return Err(error) };
            tracing::debug!(%error, attempt, ?wait, "asked again");
            tokio::time::sleep(wait).await;
            attempt += 1;
            pause *= 2;
        }
    }

    async fn send_once(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let service = call.service;
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        for (name, token) in [(AUTH_TOKEN, call.token), (SUBJECT_TOKEN, call.subject)] {
            if let Some(token) = token {
                let value = HeaderValue::from_str(token.expose_secret());
                let mut value = value.map_err(|_| Error::garbled(service, None, "the token can't be sent"))?;
                value.set_sensitive(true);
                request = request.header(name, value);
            }
        }
        if call.subject.is_some() {
            request = request.header(ACCESS_RULES, "1.0");
        }
        if let Some(id) = call.request_id {
            request = request.header(REQUEST_ID, id);
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let started = Instant::now();
        let response = request.send().await.map_err(|error| failure(service, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let header = |name| headers.get(name)?.to_str().ok().map(|value| text::clean(value, text::WORD));
        let request_id = header(REQUEST_ID).or_else(|| header(COMPUTE_REQUEST_ID));
        let body = self.read(service, response).await?;
        tracing::debug!(
            service = service.client(),
            method = %call.method,
            path = call.url.path(),
            status = status.as_u16(),
            service_request_id = request_id,
            sent_request_id = call.request_id,
            took = ?started.elapsed(),
            "asked"
        );
        if status.is_success() {
            return Ok(Answer { service, request_id, headers, body });
        }
        let retry_after = header(RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        let reason = status.canonical_reason().unwrap_or("no reason given");
        let message = without_tokens(message(&body).unwrap_or_else(|| reason.to_owned()), call);
        let message = text::cut(&message, MESSAGE_LENGTH).into_owned();
        Err(Error::Status { service, status: status.as_u16(), message, request_id, retry_after })
    }

    /// The whole body, if it is not too large.
    async fn read(&self, service: Service, mut response: Response) -> Result<Vec<u8>, Error> {
        let limit = self.options.max_answer;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(service, error))? {
            if body.len() + chunk.len() > limit {
                return Err(Error::TooLarge { service, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn failure(service: Service, source: reqwest::Error) -> Error {
    if source.is_connect() {
        Error::Unreachable { service, source }
    } else if source.is_timeout() {
        Error::TimedOut { service }
    } else {
        Error::Interrupted { service, source }
    }
}

/// How long to wait before a request is sent again; nothing if it must not be, or if that does not help.
fn wanted_pause(error: &Error, method: &Method, pause: Duration) -> Option<Duration> {
    let asks_only = matches!(*method, Method::GET | Method::HEAD);
    match error {
        // Nothing of it has arrived, whatever it is.
        Error::Unreachable { .. } => Some(jittered(pause)),
        // A connection from the pool that the other side had closed looks like this.
        Error::Interrupted { .. } if asks_only => Some(jittered(pause)),
        Error::Status { status: 429 | 502..=504, retry_after, .. } if asks_only => match retry_after {
            Some(seconds) => Some(Duration::from_secs(*seconds)).filter(|wait| *wait <= LONGEST_PAUSE),
            None => Some(jittered(pause)),
        },
        _ => None,
    }
}

/// Between half of a time and all of it, so that those who failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let chance = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    pause / 2 + pause / 512 * chance
}

/// What a service says of a failure: every service puts it elsewhere, but always one or two levels deep.
fn message(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let within = document.as_object()?.values().find_map(|value| value.get("message"));
    let text = document.get("message").or(within).and_then(Value::as_str)?;
    // Cut to what is kept when tokens are out of it: half a token would not be found.
    Some(text::clean(text, text::MESSAGE))
}

/// Old services repeat the token they refuse.
fn without_tokens(message: String, call: &Call<'_>) -> String {
    let tokens = [call.token, call.subject].into_iter().flatten().map(ExposeSecret::expose_secret);
    tokens.filter(|token| !token.is_empty()).fold(message, |message, token| message.replace(token, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after: Option<u64>) -> Error {
        let (message, request_id) = (String::new(), None);
        Error::Status { service: Service::Image, status, message, request_id, retry_after }
    }

    #[test]
    fn only_what_is_safe_and_may_help_is_repeated() {
        let table = [
            (status(503, None), Method::GET, true),
            (status(502, None), Method::HEAD, true),
            (status(503, None), Method::POST, false),
            (status(500, None), Method::GET, false),
            (status(404, None), Method::GET, false),
            (status(429, Some(1)), Method::GET, true),
            (status(429, Some(3600)), Method::GET, false),
            (Error::TimedOut { service: Service::Image }, Method::GET, false),
        ];
        for (error, method, expected) in table {
            assert_eq!(wanted_pause(&error, &method, FIRST_PAUSE).is_some(), expected, "{method} {error}");
        }
        let pauses: Vec<Duration> = (0..100).map(|_| jittered(FIRST_PAUSE)).collect();
        assert!(pauses.iter().all(|pause| (FIRST_PAUSE / 2..=FIRST_PAUSE).contains(pause)), "{pauses:?}");
    }

    #[test]
    fn messages_are_found_wherever_a_service_puts_them() {
        let table: [(&str, Option<&str>); 7] = [
            (r#"{"error": {"code": 404, "message": "gone", "title": "Not Found"}}"#, Some("gone")),
            (r#"{"itemNotFound": {"code": 404, "message": "gone"}}"#, Some("gone")),
            (r#"{"NeutronError": {"type": "X", "message": "gone", "detail": ""}}"#, Some("gone")),
            (r#"{"message": "gone"}"#, Some("gone")),
            ("<html>404</html>", None),
            ("[]", None),
            ("", None),
        ];
        for (body, expected) in table {
            assert_eq!(message(body.as_bytes()).as_deref(), expected, "{body}");
        }
        let long = format!(r#"{{"message": "\u001b[31m{}"}}"#, "é".repeat(5000));
        let found = message(long.as_bytes()).unwrap();
        assert!(found.len() <= text::MESSAGE && found.starts_with('é'), "{found}");
    }
}
