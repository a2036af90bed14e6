//! Who uses the identity API, and what they may do.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::Method;
use axum::http::request::Parts;
use magnum_listen::address;

use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::role::{ADMIN, SERVICE};
use crate::session::Session;

/// The bearer of a good `X-Auth-Token`.
pub(crate) struct Requester(pub(crate) Arc<Session>);

impl FromRequestParts<BuiltIn> for Requester {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, identity: &BuiltIn) -> Result<Self, Refusal> {
        let requester = Self(identity.session_of(&parts.headers).await?);
        if !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            identity.count_write(&requester.0.user.id)?;
        }
        Ok(requester)
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

/// Where a request comes from, as far as that is known and believed.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

impl FromRequestParts<BuiltIn> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, identity: &BuiltIn) -> Result<Self, Self::Rejection> {
        let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Ok(Self(address::client(&parts.headers, connection, identity.options().proxy_headers)))
    }
}
