//! The interface every identity back-end has.

use std::net::SocketAddr;

use async_trait::async_trait;
use axum::http::HeaderMap;
use magnum_domain::Caller;

/// Turns the headers of a request into the caller they stand for.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Finds out who sent the request.
    ///
    /// `peer` is the other end of the connection, where there is one. [`Caller::is_admin`] is left `false`: it is
    /// the outcome of a policy rule, which the API evaluates.
    ///
    /// # Errors
    /// [`AuthError`], of which all but [`AuthError::Unavailable`] mean that the caller is to be answered with 401.
    async fn authenticate(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<Caller, AuthError>;

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
    /// The identity back-end can't answer now; the request may be good (503).
    #[error("the identity service is not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
