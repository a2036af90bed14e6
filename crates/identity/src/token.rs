//! Tokens: `/v3/auth/tokens`.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{SecondsFormat, SubsecRound};
use magnum_domain::Timestamp;
use magnum_store::StoreError;
use magnum_store::identity::{GrantScope, Token};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth_request::{AuthRequest, ScopeRequest};
use crate::body::{Body, Filter, flag};
use crate::built_in::BuiltIn;
use crate::domain;
use crate::error::Refusal;
use crate::field;
use crate::login::Proof;
use crate::requester::{Peer, Requester};
use crate::session::{Session, SessionScope, new_token, random_text};

/// Header of the token that a request is about.
const SUBJECT_TOKEN: &str = "x-subject-token";
/// How often expired tokens are swept out, in seconds.
const PRUNE_EVERY: i64 = 300;

#[derive(Deserialize)]
pub(crate) struct TokenQuery {
    nocatalog: Option<String>,
}

impl TokenQuery {
    /// `?nocatalog` by itself means it too.
    fn with_catalog(&self) -> bool {
        !flag(self.nocatalog.as_deref())
    }
}

/// `POST`: logs in.
pub(crate) async fn issue(
    State(identity): State<BuiltIn>,
    Peer(peer): Peer,
    Filter(query): Filter<TokenQuery>,
    Body(request): Body<AuthRequest>,
) -> Result<Response, Refusal> {
    let scope = ScopeRequest::read(request.auth.scope)?;
    let proof = identity.prove(request.auth.identity, peer).await?;
    let (token, session) = identity.issue(proof, scope).await?;
    Ok((StatusCode::CREATED, subject(&token)?, document(&identity, &session, query.with_catalog())).into_response())
}

/// `GET` and `HEAD`: what a token stands for.
pub(crate) async fn show(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Filter(query): Filter<TokenQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (token, session) = identity.subject_of(&headers).await?;
    if !requester.may_validate() && !requester.is(&session.user.id) {
        return Err(Refusal::Forbidden("identity:validate_token".to_owned()));
    }
    Ok((subject(&token)?, document(&identity, &session, query.with_catalog())).into_response())
}

/// `DELETE`: ends a token.
pub(crate) async fn revoke(
    State(identity): State<BuiltIn>,
    requester: Requester,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (token, session) = identity.subject_of(&headers).await?;
    requester.admin_or(&session.user.id, "identity:revoke_token")?;
    identity.tables().delete_token(&session.token.hash).await?;
    // Only this one: whoever makes and revokes tokens must not have everybody's looked up again.
    identity.forget_session(token.expose_secret()).await;
    Ok(StatusCode::NO_CONTENT)
}

fn subject(token: &SecretString) -> Result<[(&'static str, HeaderValue); 1], Refusal> {
    let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| Refusal::Internal)?;
    value.set_sensitive(true);
    Ok([(SUBJECT_TOKEN, value)])
}

impl BuiltIn {
    async fn subject_of(&self, headers: &HeaderMap) -> Result<(SecretString, std::sync::Arc<Session>), Refusal> {
        let unknown = || Refusal::not_found("token", "the one in X-Subject-Token");
        let token = headers.get(SUBJECT_TOKEN);
        let token = token.ok_or_else(|| Refusal::bad("Expecting to find X-Subject-Token among the headers."))?;
        let token = token.to_str().map_err(|_| unknown())?;
        let session = self.session(token).await?.ok_or_else(unknown)?;
        Ok((token.into(), session))
    }

    /// Makes a token for somebody who has proved themselves.
    async fn issue(&self, proof: Proof, scope: ScopeRequest) -> Result<(SecretString, Session), Refusal> {
        self.count_write(&proof.user.id)?;
        let (scope, roles) = match self.grant_scope(&proof, scope).await? {
            None => (None, Vec::new()),
            Some(scope) => {
                let rights = self.rights(&proof.user, &scope, proof.application_credential.as_ref()).await?;
                let (scope, roles) = rights.ok_or_else(no_access)?;
                (Some(scope), roles)
            }
        };
        let (token, hash) = new_token()?;
        let now = magnum_domain::now().trunc_subsecs(0);
        let expires_at = now + self.options().token_lifetime;
        let row = Token {
            hash,
            user_id: proof.user.id.clone(),
            user_epoch: proof.user.epoch,
            scope: scope.as_ref().map(SessionScope::grant_scope),
            methods: proof.methods,
            audit_ids: [Some(random_text::<16>()?), proof.chain].into_iter().flatten().collect(),
            application_credential_id: proof.application_credential.as_ref().map(|credential| credential.id.clone()),
            issued_at: now,
            expires_at: proof.expires_at.map_or(expires_at, |end| end.min(expires_at)),
        };
        match self.tables().add_token(&row).await {
            // The user was removed while they logged in.
            Err(StoreError::NotFound { .. }) => return Err(Refusal::unauthorized()),
            added => added?,
        }
        self.prune(now).await;
        self.tables().trim_tokens(&row, self.options().tokens_per_user.max(1)).await?;
        let session = Session {
            token: row,
            user: proof.user,
            scope,
            roles,
            application_credential: proof.application_credential,
        };
        Ok((token, session))
    }

    /// What the token is to be for; `None` for nothing in particular.
    async fn grant_scope(&self, proof: &Proof, scope: ScopeRequest) -> Result<Option<GrantScope>, Refusal> {
        let requested = match scope {
            ScopeRequest::Default if proof.application_credential.is_some() => None,
            ScopeRequest::Default => return Ok(self.default_scope(proof).await?),
            ScopeRequest::Unscoped if proof.application_credential.is_none() => return Ok(None),
            ScopeRequest::Unscoped | ScopeRequest::Nowhere => return Err(no_access()),
            ScopeRequest::Domain => Some(GrantScope::Domain),
            ScopeRequest::System => Some(GrantScope::System),
            ScopeRequest::ProjectId(id) if field::is_id(&id) => Some(GrantScope::Project(id)),
            ScopeRequest::ProjectId(_) => return Err(no_access()),
            ScopeRequest::ProjectName(name) => {
                field::name(&name, field::LONGEST_PROJECT_NAME).map_err(|_| no_access())?;
                let project = self.tables().find_project_by_name(&name).await?;
                Some(GrantScope::Project(project.ok_or_else(no_access)?.id))
            }
        };
        let Some(credential) = &proof.application_credential else { return Ok(requested) };
        let bound = GrantScope::Project(credential.project_id.clone());
        if requested.is_some_and(|requested| requested != bound) {
            return Err(Refusal::Unauthorized("An application credential is good for its own project only.".into()));
        }
        Ok(Some(bound))
    }

    /// The user's default project, if they have one and may use it.
    async fn default_scope(&self, proof: &Proof) -> Result<Option<GrantScope>, StoreError> {
        let Some(project) = proof.user.default_project_id.clone() else { return Ok(None) };
        let scope = GrantScope::Project(project);
        Ok(self.rights(&proof.user, &scope, None).await?.map(|_| scope))
    }

    /// Sweeps out expired tokens now and then. Nobody waits for a failure to do so.
    async fn prune(&self, now: Timestamp) {
        let last = self.pruned_at().load(Ordering::Relaxed);
        let due = now.timestamp() - last >= PRUNE_EVERY;
        let mine = || self.pruned_at().compare_exchange(last, now.timestamp(), Ordering::Relaxed, Ordering::Relaxed);
        if due
            && mine().is_ok()
            && let Err(error) = self.tables().prune_tokens(now).await
        {
            tracing::warn!(%error, "expired tokens could not be removed");
        }
    }
}

/// The same for a scope that does not exist and one where the user has no role.
fn no_access() -> Refusal {
    Refusal::Unauthorized("The user has no role in the project, domain or system that the token is to be for.".into())
}

fn document(identity: &BuiltIn, session: &Session, with_catalog: bool) -> Json<Value> {
    let mut token = json!({
        "methods": session.token.methods,
        "user": {
            "id": session.user.id,
            "name": session.user.name,
            "domain": domain::reference(),
            "password_expires_at": null,
        },
        "audit_ids": session.token.audit_ids,
        "issued_at": time(session.token.issued_at),
        "expires_at": time(session.token.expires_at),
    });
    match &session.scope {
        None => {}
        Some(SessionScope::Project(project)) => {
            token["project"] = json!({"id": project.id, "name": project.name, "domain": domain::reference()});
            token["is_domain"] = json!(false);
        }
        Some(SessionScope::Domain) => token["domain"] = domain::reference(),
        Some(SessionScope::System) => token["system"] = json!({"all": true}),
    }
    if session.scope.is_some() {
        let roles = session.roles.iter().map(|role| json!({"id": role.id, "name": role.name}));
        token["roles"] = roles.collect();
        if with_catalog {
            token["catalog"] = identity.service_catalog().document();
        }
    }
    if let Some(credential) = &session.application_credential {
        token["application_credential"] =
            json!({"id": credential.id, "name": credential.name, "restricted": !credential.unrestricted});
    }
    Json(json!({"token": token}))
}

/// As Keystone writes it: `2026-11-01T12:00:00.000000Z`.
fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
