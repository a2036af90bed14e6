//! Proving who one is: by password, by an earlier token, by an application credential.

use std::net::IpAddr;
use std::time::Instant;

use magnum_domain::Timestamp;
use magnum_store::identity::{ApplicationCredential, PasswordHash, User};
use secrecy::{ExposeSecret, SecretString};

use crate::auth_request::{CredentialMethod, Identity, PasswordUser, TokenMethod, UserReference};
use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::field::{self, LONGEST_NAME};
use crate::lockout::{Attempt, Subject};

/// A user who has proved themselves, and what limits the token they get for it.
pub(crate) struct Proof {
    pub(crate) user: User,
    pub(crate) methods: Vec<String>,
    /// The token must not outlive this.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) application_credential: Option<ApplicationCredential>,
    /// Audit id of the first token in the chain.
    pub(crate) chain: Option<String>,
}

impl BuiltIn {
    /// Checks what the user gave.
    ///
    /// # Errors
    /// 400 for what is incomplete, 401 without a reason for what is wrong, 429 for too many tries.
    pub(crate) async fn prove(&self, identity: Identity, peer: Option<IpAddr>) -> Result<Proof, Refusal> {
        let missing = |method: &str| Refusal::bad(format!("Expecting to find {method} in identity."));
        let [method] = identity.methods.as_slice() else {
            return Err(Refusal::bad("auth.identity.methods has to name exactly one method."));
        };
        match method.as_str() {
            "password" => {
                let given = identity.password.ok_or_else(|| missing("password"))?;
                self.prove_by_password(given.user, peer).await
            }
            "token" => self.prove_by_token(identity.token.ok_or_else(|| missing("token"))?).await,
            "application_credential" => {
                let given = identity.application_credential.ok_or_else(|| missing("application_credential"))?;
                self.prove_by_credential(given, peer).await
            }
            _ => Err(Refusal::Unauthorized(
                "The built-in identity service offers the methods password, token and application_credential.".into(),
            )),
        }
    }

    async fn prove_by_password(&self, given: PasswordUser, peer: Option<IpAddr>) -> Result<Proof, Refusal> {
        let (user, subject) = self.find_referenced(&given.user).await?;
        let stored = user.as_ref().and_then(|user| user.password_hash.clone());
        self.check_secret(subject, peer, stored, given.password.0).await?;
        let user = user.filter(|user| user.enabled).ok_or_else(Refusal::unauthorized)?;
        Ok(Proof {
            user,
            methods: vec!["password".to_owned()],
            expires_at: None,
            application_credential: None,
            chain: None,
        })
    }

    async fn prove_by_token(&self, given: TokenMethod) -> Result<Proof, Refusal> {
        let session = self.session(given.id.0.expose_secret()).await?.ok_or_else(Refusal::unauthorized)?;
        let mut methods = session.token.methods.clone();
        if !methods.iter().any(|method| method == "token") {
            methods.insert(0, "token".to_owned());
        }
        Ok(Proof {
            user: session.user.clone(),
            methods,
            // A token that begets another does not prolong its life.
            expires_at: Some(session.token.expires_at),
            application_credential: session.application_credential.clone(),
            chain: session.token.audit_ids.last().cloned(),
        })
    }

    async fn prove_by_credential(&self, given: CredentialMethod, peer: Option<IpAddr>) -> Result<Proof, Refusal> {
        let tables = self.tables();
        let (credential, subject) = match (&given.id, &given.name, &given.user) {
            (Some(id), _, _) => {
                let found = if field::is_id(id) { tables.find_application_credential(id).await? } else { None };
                (found, Subject::Credential(cut(id)))
            }
            (None, Some(name), Some(user)) => {
                let (user, subject) = self.find_referenced(user).await?;
                let named = match &user {
                    Some(user) if is_name(name) => tables.application_credentials(&user.id, Some(name)).await?.pop(),
                    _ => None,
                };
                // Counted as if given by id, where there is one.
                let subject = named.as_ref().map_or(subject, |named| Subject::Credential(named.id.clone()));
                (named, subject)
            }
            _ => return Err(Refusal::bad("Expecting to find id, or name and user, in application_credential.")),
        };
        let stored = credential.as_ref().map(|credential| credential.secret_hash.clone());
        self.check_secret(subject, peer, stored, given.secret.0).await?;
        let credential = credential.ok_or_else(Refusal::unauthorized)?;
        let user = tables.find_user(&credential.user_id).await?;
        let user = user.filter(|user| user.enabled).ok_or_else(Refusal::unauthorized)?;
        if credential.expires_at.is_some_and(|end| end <= magnum_domain::now()) {
            return Err(Refusal::Unauthorized("The application credential has expired.".to_owned()));
        }
        Ok(Proof {
            user,
            methods: vec!["application_credential".to_owned()],
            expires_at: credential.expires_at,
            application_credential: Some(credential),
            chain: None,
        })
    }

    /// The user somebody claims to be, if there is one, and what failures are counted for.
    async fn find_referenced(&self, reference: &UserReference) -> Result<(Option<User>, Subject), Refusal> {
        let tables = self.tables();
        match (&reference.id, &reference.name, &reference.domain) {
            (Some(id), _, _) => {
                let user = if field::is_id(id) { tables.find_user(id).await? } else { None };
                // Guesses by id and by name count together.
                let subject = Subject::user(user.as_ref().map_or(&cut(id), |user| &user.name));
                Ok((user, subject))
            }
            (None, Some(name), Some(domain)) => {
                let known = domain.exists() && is_name(name);
                let user = if known { tables.find_user_by_name(name).await? } else { None };
                Ok((user, Subject::user(&cut(name))))
            }
            (None, Some(_), None) => Err(Refusal::bad("Expecting to find domain in user.")),
            (None, None, _) => Err(Refusal::bad("Expecting to find id or name in user.")),
        }
    }

    /// Lets a secret pass, or counts a failure. Costs the same work whether or not there is something `stored`.
    pub(crate) async fn check_secret(
        &self,
        subject: Subject,
        peer: Option<IpAddr>,
        stored: Option<PasswordHash>,
        secret: SecretString,
    ) -> Result<(), Refusal> {
        let possible = field::can_be_secret(&secret);
        let secret = if possible { secret } else { SecretString::default() };
        let stored = stored.filter(|_| possible);
        let attempt = Attempt { subject, address: peer };
        if let Some(stored) = &stored
            && self.familiar().is_known(&attempt, stored, &secret).await
        {
            self.lockout().succeeded(&attempt);
            return Ok(());
        }
        // Asked for first, and given back after the failure is counted: a thousand guesses sent at once are no
        // cheaper than one after another.
        let turn = self.hasher().turn(&attempt).await?;
        if let Some(retry_after) = self.lockout().closed_for(&attempt, Instant::now()) {
            return Err(Refusal::LockedOut { retry_after });
        }
        let right = self.hasher().verify(peer, stored.clone(), secret.clone()).await?;
        match stored.filter(|_| right) {
            Some(stored) => {
                self.lockout().succeeded(&attempt);
                self.familiar().remember(&attempt, &stored, &secret).await;
            }
            None => {
                self.lockout().failed(&attempt, Instant::now());
                tracing::info!(subject = ?attempt.subject, peer = ?attempt.address, "a secret was not right");
            }
        }
        drop(turn);
        if right { Ok(()) } else { Err(Refusal::unauthorized()) }
    }
}

fn is_name(name: &str) -> bool {
    field::name(name, LONGEST_NAME).is_ok()
}

/// Bounds what a made-up name takes in memory.
fn cut(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}
