//! Who uses the identity API, and what they may do.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::role::{ADMIN, SERVICE};
use crate::session::Session;

/// The bearer of a good `X-Auth-Token`.
pub(crate) struct Requester(pub(crate) Arc<Session>);

impl FromRequestParts<BuiltIn> for Requester {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, identity: &BuiltIn) -> Result<Self, Refusal> {
        Ok(Self(identity.session_of(&parts.headers).await?))
    }
}

impl Requester {
    /// Whether the token bears the role `admin`, wherever: as in Keystone's default policy.
    pub(crate) fn is_admin(&self) -> bool {
        self.0.has_role(ADMIN)
    }

    /// Whether the token may look at the tokens of others.
    pub(crate) fn may_validate(&self) -> bool {
        self.is_admin() || self.0.has_role(SERVICE)
    }

    /// Refuses everybody but administrators. `action` is named as in Keystone's policy.
    pub(crate) fn admin(&self, action: &str) -> Result<(), Refusal> {
        if self.is_admin() { Ok(()) } else { Err(Refusal::Forbidden(action.to_owned())) }
    }

    /// Refuses everybody but administrators and the user in question.
    pub(crate) fn admin_or(&self, user_id: &str, action: &str) -> Result<(), Refusal> {
        if self.is(user_id) { Ok(()) } else { self.admin(action) }
    }

    pub(crate) fn is(&self, user_id: &str) -> bool {
        self.0.user.id == user_id
    }
}

/// The other end of the connection, where there is one.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) Option<SocketAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)))
    }
}
