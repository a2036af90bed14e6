//! The interface every identity back-end has.

use std::net::SocketAddr;

use async_trait::async_trait;
use axum::http::{HeaderMap, Method};
use magnum_domain::Caller;

/// What a request shows of its sender.
#[derive(Debug, Clone, Copy)]
pub struct IncomingRequest<'a> {
    /// Its headers, as they came: none of them is believed before it has been checked.
    pub headers: &'a HeaderMap,
    /// The other end of the connection, where there is one.
    pub peer: Option<SocketAddr>,
    /// Its method, for credentials that are good for some requests only.
    pub method: &'a Method,
    /// Its path, for the same.
    pub path: &'a str,
    /// Id under which the identity back-end is asked.
    pub request_id: Option<&'a str>,
}

impl<'a> IncomingRequest<'a> {
    /// A request of which nothing but the headers is known.
    #[must_use]
    pub fn with_headers(headers: &'a HeaderMap) -> Self {
        Self { headers, peer: None, method: &Method::GET, path: "/", request_id: None }
    }
}

/// Turns a request into the caller it comes from.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Finds out who sent the request.
    ///
    /// [`Caller::is_admin`] is left `false`: it is the outcome of a policy rule, which the API evaluates.
    ///
    /// # Errors
    /// [`AuthError`], of which all but [`AuthError::Unavailable`] mean that the caller is to be answered with 401.
    async fn authenticate(&self, request: IncomingRequest<'_>) -> Result<Caller, AuthError>;

    /// Value of `WWW-Authenticate` in a 401 answer: tells a client where to get a token.
    fn challenge(&self) -> Option<String>;
}

/// Why a request has no caller.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The request bears no credentials at all.
    #[error("the request has no credentials")]
    Missing,
    /// The token is unknown, has expired or was revoked, or whom it stands for may no longer use it.
    #[error("the credentials are not valid")]
    Invalid,
    /// Headers that name a user came from where they are not believed.
    #[error("identity headers are believed only from this machine, and not through a proxy")]
    NotTrusted,
    /// The request is for a host name that is not this machine's, as a web page would send it that has its own name lead here.
    #[error(
        "identity headers are believed only for host names of this machine: use localhost, or set [identity] public_url"
    )]
    ForeignHost,
    /// The identity back-end can't answer now; the request may be good (503). What it says is for the log.
    #[error("The identity service is not available. Try again shortly.")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
