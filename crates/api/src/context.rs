//! What is known of a request once the middleware has seen it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::Method;
use axum::http::request::Parts;
use magnum_domain::Caller;
use magnum_identity::AuthError;
use magnum_policy::Target;
use magnum_store::{Scope, Visibility};

use crate::ApiState;
use crate::error::{ApiError, Result};
use crate::link::BaseUrl;
use crate::microversion::Microversion;
use crate::middleware::request_id::RequestId;

/// Who asks, at which version, by which URL.
pub(crate) struct Context {
    /// Who asks.
    pub(crate) caller: Arc<Caller>,
    /// At which version.
    pub(crate) version: Microversion,
    /// By which URL.
    pub(crate) base: BaseUrl,
    /// The request's id.
    pub(crate) request_id: RequestId,
    /// Whether something is asked to be shown.
    pub(crate) is_get: bool,
    /// The other end of the connection, where there is one.
    pub(crate) peer: Option<SocketAddr>,
    state: Arc<ApiState>,
}

impl FromRequestParts<Arc<ApiState>> for Context {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ApiState>) -> Result<Self> {
        // Both are put there by the middleware of every route that has a caller.
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        let version = parts.extensions.get::<Microversion>().copied();
        let (Some(caller), Some(version)) = (caller, version) else {
            return Err(ApiError::Authentication {
                error: AuthError::Missing,
                challenge: state.authenticator.challenge(),
            });
        };
        Ok(Self {
            caller,
            version,
            base: BaseUrl::of(&parts.headers, &state.options.links),
            request_id: parts.extensions.get::<RequestId>().cloned().unwrap_or_default(),
            is_get: parts.method == Method::GET,
            peer: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
            state: Arc::clone(state),
        })
    }
}

impl Context {
    /// Asks the policy about something that is no object yet: whatever belongs to the caller.
    pub(crate) fn may(&self, rule: &str) -> Result<()> {
        Ok(self.state.policy.enforce(rule, &self.caller, &Target::caller(&self.caller))?)
    }

    /// Asks the policy about an object.
    pub(crate) fn may_with(&self, rule: &str, project_id: &str, user_id: &str) -> Result<()> {
        Ok(self.state.policy.enforce(rule, &self.caller, &Target::owned(project_id, user_id))?)
    }

    /// Whose clusters a request is about. An administrator sees those of all projects, if `all_projects` allows it.
    pub(crate) fn scope(&self, all_projects: &str) -> Result<Scope> {
        if self.caller.is_admin {
            self.may(all_projects)?;
            return Ok(Scope::All);
        }
        self.own()
    }

    /// Only the caller's own project, administrator or not.
    pub(crate) fn own(&self) -> Result<Scope> {
        Ok(Scope::Project(self.project()?.to_owned()))
    }

    /// The caller's project.
    pub(crate) fn project(&self) -> Result<&str> {
        self.caller.project_id.as_deref().ok_or_else(|| {
            ApiError::Forbidden("The token is not scoped to a project. Ask for one with a project.".to_owned())
        })
    }

    /// Which templates a request is about, widened for administrators if `all_projects` allows it.
    pub(crate) fn templates(&self, all_projects: &str) -> Result<Visibility> {
        if self.caller.is_admin {
            self.may(all_projects)?;
        }
        Ok(Visibility {
            project_id: self.caller.project_id.clone(),
            admin: self.caller.is_admin,
            include_hidden: self.caller.is_admin,
        })
    }

    /// Which templates clusters may be made from: the project's own and public ones, hidden ones to be refused later.
    pub(crate) fn usable_templates(&self) -> Visibility {
        Visibility { project_id: self.caller.project_id.clone(), admin: false, include_hidden: self.caller.is_admin }
    }

    /// Refuses what the version that was asked for does not have.
    pub(crate) fn since(&self, first: Microversion, method: &'static str) -> Result<()> {
        if self.version < first {
            return Err(ApiError::NotAtVersion { version: self.version, since: first, method });
        }
        Ok(())
    }
}
