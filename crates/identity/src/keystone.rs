//! Tokens of a Keystone elsewhere, checked as keystonemiddleware checks them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lc_rs::digest;
use axum::http::HeaderMap;
use magnum_domain::credential::Endpoint;
use magnum_domain::{Caller, Credential};
use magnum_openstack::{Error, Session, ValidToken};
use moka::Expiry;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};

use crate::session::AUTH_TOKEN;
use crate::{AuthError, Authenticator, IncomingRequest, access_rule};

/// Where clients of old object stores put their token; keystonemiddleware takes it from there as well.
const STORAGE_TOKEN: &str = "x-storage-token";
/// Header of the token of a service that acts for a user.
const SERVICE_TOKEN: &str = "x-service-token";
/// No token is longer, and none needs more memory here.
const LONGEST_TOKEN: usize = 64 << 10;
/// Bytes that remembered tokens may take, about. In a cloud of twenty services a token with its catalog takes 10 KiB.
const CACHE_SIZE: u64 = 64 << 20;
/// Time for which a bad token is remembered: enough that one who insists does not reach Keystone each time.
const BAD_LIFETIME: Duration = Duration::from_secs(10);

/// What can be set, under the names of `[keystone_authtoken]`.
#[derive(Debug, Clone)]
pub struct KeystoneOptions {
    /// Where clients get tokens; not set: where the service gets its own.
    pub www_authenticate_uri: Option<String>,
    /// Time for which a checked token is believed without asking again; nothing: always ask. Default 300 s.
    pub token_cache_time: Option<Duration>,
    /// Roles of which a service has one that may vouch for a token that has ended. Default `service`.
    pub service_token_roles: Vec<String>,
    /// Whether a service token without such a role is refused. Default true.
    pub service_token_roles_required: bool,
    /// Type of this service in the access rules of application credentials; not set: those that have any are refused.
    pub service_type: Option<String>,
    /// Whether requests without a good token are served as nobody's, for the policy to decide. Default false.
    pub delay_auth_decision: bool,
}

impl Default for KeystoneOptions {
    fn default() -> Self {
        Self {
            www_authenticate_uri: None,
            token_cache_time: Some(Duration::from_secs(300)),
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
            service_type: None,
            delay_auth_decision: false,
        }
    }
}

/// Asks a Keystone about tokens, and remembers what it said. Headers that name users or roles mean nothing here.
pub struct Keystone {
    session: Arc<Session>,
    options: KeystoneOptions,
    challenge: String,
    cache: Option<Cache<Key, Verdict>>,
}

/// SHA-256 of a token, and whether it may have ended.
type Key = ([u8; 32], bool);

/// What Keystone said of a token.
#[derive(Clone)]
enum Verdict {
    Good(Arc<Good>),
    Bad,
}

struct Good {
    token: ValidToken,
    credential: Credential,
}

/// How long a verdict counts.
struct Lifetime(Duration);

impl Expiry<Key, Verdict> for Lifetime {
    fn expire_after_create(&self, (_, allow_expired): &Key, verdict: &Verdict, _: Instant) -> Option<Duration> {
        Some(match verdict {
            Verdict::Bad => self.0.min(BAD_LIFETIME),
            Verdict::Good(_) if *allow_expired => self.0,
            Verdict::Good(good) => {
                let left = good.token.expires_at - magnum_domain::now();
                self.0.min(left.to_std().unwrap_or_default())
            }
        })
    }
}

/// Bytes that a verdict takes, about.
fn weight(_: &Key, verdict: &Verdict) -> u32 {
    const OF_ANY: usize = 512;
    let of_endpoint = |endpoint: &Endpoint| {
        let Endpoint { service_type, service_name, region, interface, url } = endpoint;
        let texts = [service_type, service_name, region, interface, url];
        size_of::<Endpoint>() + texts.map(String::len).iter().sum::<usize>()
    };
    let more = match verdict {
        Verdict::Bad => 0,
        Verdict::Good(good) => {
            let endpoints: usize = good.credential.endpoints().iter().map(of_endpoint).sum();
            good.credential.token().expose_secret().len() + endpoints
        }
    };
    u32::try_from(OF_ANY + more).unwrap_or(u32::MAX)
}

impl Keystone {
    /// An authenticator. Keystone is not asked before the first request.
    #[must_use]
    pub fn new(session: Arc<Session>, options: KeystoneOptions) -> Self {
        let uri = options.www_authenticate_uri.as_deref().unwrap_or(session.login().url.as_str());
        let of = |time| Cache::builder().max_capacity(CACHE_SIZE).weigher(weight).expire_after(Lifetime(time)).build();
        let cache = options.token_cache_time.filter(|time| !time.is_zero()).map(of);
        Self { challenge: format!("Keystone uri=\"{uri}\""), session, cache, options }
    }

    async fn caller(&self, request: IncomingRequest<'_>) -> Result<Caller, AuthError> {
        let vouched = match token(request.headers, &[SERVICE_TOKEN])? {
            Some(token) => Some(self.service(token, request.request_id).await?),
            None => None,
        };
        let token = token(request.headers, &[AUTH_TOKEN, STORAGE_TOKEN])?.ok_or(AuthError::Missing)?;
        let good = self.good(token, vouched == Some(Vouches::ForExpired), request.request_id).await?;
        self.check_access_rules(&good.token, request, vouched.is_some())?;
        Ok(caller(&good))
    }

    /// What the token of a service that acts for a user is worth.
    async fn service(&self, token: SecretString, request_id: Option<&str>) -> Result<Vouches, AuthError> {
        let good = self.good(token, false, request_id).await?;
        let wanted: HashSet<&str> = self.options.service_token_roles.iter().map(String::as_str).collect();
        if good.token.roles.iter().any(|role| wanted.contains(role.as_str())) {
            return Ok(Vouches::ForExpired);
        }
        if self.options.service_token_roles_required { Err(AuthError::Invalid) } else { Ok(Vouches::ForCurrent) }
    }

    async fn good(
        &self,
        token: SecretString,
        allow_expired: bool,
        request_id: Option<&str>,
    ) -> Result<Arc<Good>, AuthError> {
        let unavailable = |error: Arc<Error>| {
            tracing::error!(error = &*error as &dyn std::error::Error, "a token can't be checked");
            AuthError::Unavailable(Box::new(error))
        };
        let verdict = match &self.cache {
            None => self.ask(token, allow_expired, request_id).await.map_err(|error| unavailable(Arc::new(error)))?,
            Some(cache) => {
                let key = (sha256(&token), allow_expired);
                // Whoever comes with the same token meanwhile waits for the one answer.
                cache.try_get_with(key, self.ask(token, allow_expired, request_id)).await.map_err(unavailable)?
            }
        };
        match verdict {
            Verdict::Good(good) if allow_expired || good.token.expires_at > magnum_domain::now() => Ok(good),
            _ => Err(AuthError::Invalid),
        }
    }

    async fn ask(&self, token: SecretString, allow_expired: bool, request_id: Option<&str>) -> Result<Verdict, Error> {
        let Some(mut valid) = self.session.validate(&token, allow_expired, request_id).await? else {
            return Ok(Verdict::Bad);
        };
        let credential = Credential::new(token, std::mem::take(&mut valid.endpoints));
        Ok(Verdict::Good(Arc::new(Good { token: valid, credential })))
    }

    /// An application credential may be good for some requests only; a service that acts for its user is free of that.
    fn check_access_rules(
        &self,
        token: &ValidToken,
        request: IncomingRequest<'_>,
        for_a_service: bool,
    ) -> Result<(), AuthError> {
        let Some(rules) = &token.access_rules else { return Ok(()) };
        let Some(own) = &self.options.service_type else {
            tracing::warn!(
                "an application credential with access rules was refused: [keystone_authtoken] service_type is not set"
            );
            return Err(AuthError::Invalid);
        };
        let fits = |rule: &magnum_openstack::AccessRule| {
            rule.service == *own
                && rule.method == request.method.as_str()
                && access_rule::matches(&rule.path, request.path)
        };
        if for_a_service || rules.iter().any(fits) { Ok(()) } else { Err(AuthError::Invalid) }
    }
}

/// What a service answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vouches {
    ForCurrent,
    ForExpired,
}

/// The first of some headers that is there, as a token.
fn token(headers: &HeaderMap, names: &[&str]) -> Result<Option<SecretString>, AuthError> {
    let Some(value) = names.iter().find_map(|name| headers.get(*name)) else { return Ok(None) };
    let text = value.to_str().map_err(|_| AuthError::Invalid)?.trim();
    if text.is_empty() || text.len() > LONGEST_TOKEN { Err(AuthError::Invalid) } else { Ok(Some(text.into())) }
}

fn sha256(token: &SecretString) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.expose_secret().as_bytes()).as_ref());
    hash
}

fn caller(Good { token, credential }: &Good) -> Caller {
    Caller {
        user_id: token.user_id.clone(),
        user_name: token.user_name.clone(),
        user_domain_id: token.user_domain_id.clone(),
        user_domain_name: token.user_domain_name.clone(),
        project_id: token.project_id.clone(),
        project_name: token.project_name.clone(),
        project_domain_id: token.project_domain_id.clone(),
        roles: token.roles.clone(),
        system_scope: token.system.then(|| "all".to_owned()),
        credential: Some(credential.clone()),
        ..Caller::default()
    }
}

#[async_trait]
impl Authenticator for Keystone {
    async fn authenticate(&self, request: IncomingRequest<'_>) -> Result<Caller, AuthError> {
        match self.caller(request).await {
            Err(_) if self.options.delay_auth_decision => Ok(Caller::default()),
            decided => decided,
        }
    }

    fn challenge(&self) -> Option<String> {
        Some(self.challenge.clone())
    }
}
