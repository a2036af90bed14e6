//! A token that was found good, and what its bearer may do.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::{digest, rand};
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use magnum_domain::{Caller, Timestamp};
use magnum_store::StoreError;
use magnum_store::identity::{ApplicationCredential, GrantFilter, GrantScope, Project, Role, Token, User};
use secrecy::SecretString;

use crate::built_in::BuiltIn;
use crate::{AuthError, domain, role};

/// Length of a token: 32 random bytes in base64.
const TOKEN_LENGTH: usize = 43;

/// Header of the token that a request is made with.
pub(crate) const AUTH_TOKEN: &str = "x-auth-token";

/// What a token is for, with what clients are told of it.
#[derive(Debug, Clone)]
pub(crate) enum SessionScope {
    Project(Project),
    Domain,
    System,
}

impl SessionScope {
    pub(crate) fn grant_scope(&self) -> GrantScope {
        match self {
            Self::Project(project) => GrantScope::Project(project.id.clone()),
            Self::Domain => GrantScope::Domain,
            Self::System => GrantScope::System,
        }
    }
}

/// A good token.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) token: Token,
    pub(crate) user: User,
    pub(crate) scope: Option<SessionScope>,
    /// With those that are implied.
    pub(crate) roles: Vec<Role>,
    pub(crate) application_credential: Option<ApplicationCredential>,
}

/// A remembered session. It counts only while the generation is the current one.
#[derive(Clone)]
pub(crate) struct CachedSession {
    generation: u64,
    session: Arc<Session>,
}

impl Session {
    /// As the rest of the program sees its bearer.
    pub(crate) fn caller(&self) -> Caller {
        let project = match &self.scope {
            Some(SessionScope::Project(project)) => Some(project),
            _ => None,
        };
        Caller {
            user_id: self.user.id.clone(),
            user_name: self.user.name.clone(),
            user_domain_id: domain::ID.to_owned(),
            user_domain_name: domain::NAME.to_owned(),
            project_id: project.map(|project| project.id.clone()),
            project_name: project.map(|project| project.name.clone()),
            project_domain_id: project.map(|_| domain::ID.to_owned()),
            roles: self.roles.iter().map(|role| role.name.clone()).collect(),
            system_scope: matches!(self.scope, Some(SessionScope::System)).then(|| "all".to_owned()),
            ..Caller::default()
        }
    }

    pub(crate) fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name == name)
    }

    /// Whether it was made with an application credential that may not make others.
    pub(crate) fn is_restricted(&self) -> bool {
        self.application_credential.as_ref().is_some_and(|credential| !credential.unrestricted)
    }
}

/// A new token: what the client gets, and what is kept.
pub(crate) fn new_token() -> Result<(SecretString, String), NoRandomNumbers> {
    let token = random_text::<32>()?;
    let hash = hex(&sha256(&token));
    Ok((token.into(), hash))
}

/// Random bytes in URL-safe base64.
pub(crate) fn random_text<const BYTES: usize>() -> Result<String, NoRandomNumbers> {
    let mut bytes = [0_u8; BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandomNumbers)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The system's random number generator failed.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random numbers")]
pub(crate) struct NoRandomNumbers;

fn sha256(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl BuiltIn {
    /// The session of a request.
    pub(crate) async fn session_of(&self, headers: &HeaderMap) -> Result<Arc<Session>, AuthError> {
        let token = headers.get(AUTH_TOKEN).ok_or(AuthError::Missing)?;
        let session = self.session(token.to_str().map_err(|_| AuthError::Invalid)?).await;
        session.map_err(|error| AuthError::Unavailable(Box::new(error)))?.ok_or(AuthError::Invalid)
    }

    /// The session of a token, if that is good. Looked up by its hash, so there is no secret to compare.
    pub(crate) async fn session(&self, token: &str) -> Result<Option<Arc<Session>>, StoreError> {
        let well_formed = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if token.len() != TOKEN_LENGTH || !well_formed {
            return Ok(None);
        }
        let hash = sha256(token);
        if self.revoked().contains_key(&hash) {
            return Ok(None);
        }
        // Read before the database: if something is revoked in between, what is remembered here never counts.
        let generation = self.generation().load(Ordering::Acquire);
        let now = magnum_domain::now();
        if let Some(cached) = self.sessions().get(&hash).await
            && cached.generation == generation
        {
            return Ok(cached.session.is_current(now).then_some(cached.session));
        }
        let Some(session) = self.load(&hex(&hash), now).await? else { return Ok(None) };
        let session = Arc::new(session);
        self.sessions().insert(hash, CachedSession { generation, session: Arc::clone(&session) }).await;
        Ok(Some(session))
    }

    /// Makes this process forget one token.
    pub(crate) async fn forget_session(&self, token: &str) {
        let hash = sha256(token);
        // In this order: whoever is reading its row just now finds it among the revoked the next time.
        self.revoked().insert(hash, ()).await;
        self.sessions().invalidate(&hash).await;
    }

    /// Makes this process look at the database again for every token. Called after whatever may make one bad.
    pub(crate) fn forget_sessions(&self) {
        self.generation().fetch_add(1, Ordering::AcqRel);
    }

    async fn load(&self, hash: &str, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let tables = self.tables();
        let Some(token) = tables.find_token(hash).await?.filter(|token| token.expires_at > now) else {
            return Ok(None);
        };
        let user = tables.find_user(&token.user_id).await?;
        let Some(user) = user.filter(|user| user.enabled && user.epoch == token.user_epoch) else { return Ok(None) };
        let mut application_credential = None;
        if let Some(id) = &token.application_credential_id {
            application_credential = tables.find_application_credential(id).await?;
            if application_credential.is_none() {
                return Ok(None);
            }
        }
        let (scope, roles) = match &token.scope {
            None => (None, Vec::new()),
            Some(scope) => match self.rights(&user, scope, application_credential.as_ref()).await? {
                Some((scope, roles)) => (Some(scope), roles),
                None => return Ok(None),
            },
        };
        let session = Session { token, user, scope, roles, application_credential };
        Ok(session.is_current(now).then_some(session))
    }

    /// What a user may do somewhere: nothing if they have no role there, or the project is disabled.
    pub(crate) async fn rights(
        &self,
        user: &User,
        scope: &GrantScope,
        credential: Option<&ApplicationCredential>,
    ) -> Result<Option<(SessionScope, Vec<Role>)>, StoreError> {
        let tables = self.tables();
        let session_scope = match scope {
            GrantScope::Project(id) => match tables.find_project(id).await?.filter(|project| project.enabled) {
                Some(project) => SessionScope::Project(project),
                None => return Ok(None),
            },
            GrantScope::Domain => SessionScope::Domain,
            GrantScope::System => SessionScope::System,
        };
        let filter =
            GrantFilter { user_id: Some(user.id.clone()), scope: Some(scope.clone()), ..GrantFilter::default() };
        let granted: Vec<String> = tables.grants(&filter).await?.into_iter().map(|grant| grant.role_id).collect();
        if granted.is_empty() {
            return Ok(None);
        }
        let mut roles = role::with_implied(&granted, &tables.roles().await?);
        if let Some(credential) = credential {
            roles.retain(|role| credential.role_ids.contains(&role.id));
        }
        Ok((!roles.is_empty()).then_some((session_scope, roles)))
    }
}

impl Session {
    fn is_current(&self, now: Timestamp) -> bool {
        let credential_ends = self.application_credential.as_ref().and_then(|credential| credential.expires_at);
        self.token.expires_at > now && credential_ends.is_none_or(|end| end > now)
    }
}
