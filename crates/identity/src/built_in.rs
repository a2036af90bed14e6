//! The built-in identity service: its parts, its routes, its place behind [`Authenticator`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware;
use axum::routing::{get, post};
use axum::{Router, http};
use magnum_domain::Caller;
use magnum_listen::rate::Rates;
use magnum_store::Store;
use magnum_store::identity::IdentityTables;
use moka::future::Cache;
use tower::ServiceExt;

use crate::error::Refusal;
use crate::familiar::Familiar;
use crate::lockout::Lockout;
use crate::password::{Hasher, PasswordCost};
use crate::service_catalog::ServiceCatalog;
use crate::session::CachedSession;
use crate::{AuthError, Authenticator, IncomingRequest};
use crate::{
    application_credential, auth_scope, discovery, domain, project, role, role_assignment, service_catalog, token, user,
};

/// What can be set.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a token is good. Default 1 h, as in Keystone.
    pub token_lifetime: Duration,
    /// How long a validated token is believed without a look into the database. What this process revokes or changes
    /// takes effect at once; this is how long it takes in other processes on the same database. Default 10 s.
    pub cache_lifetime: Duration,
    /// Greatest number of validated tokens that are remembered. Default 4096.
    pub cache_size: u64,
    /// How much work a guess at a password costs.
    pub password_cost: PasswordCost,
    /// Whether `X-Forwarded-For` and `Forwarded` are believed: only behind a proxy that sets them. Default no.
    pub proxy_headers: bool,
    /// Changes, and logins, of one user in a second on average; none for any number. Default none.
    pub writes_per_second: Option<NonZeroU32>,
    /// Changes, and logins, of one user at once. Default 2000.
    pub write_burst: NonZeroU32,
    /// Tokens of a user, or of one application credential, that are good at the same time; the oldest go. Default 1000.
    pub tokens_per_user: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_secs(3600),
            cache_lifetime: Duration::from_secs(10),
            cache_size: 4096,
            password_cost: PasswordCost::default(),
            proxy_headers: false,
            writes_per_second: None,
            write_burst: NonZeroU32::MIN.saturating_add(1999),
            tokens_per_user: 1000,
        }
    }
}

/// Revoked tokens that are remembered as such.
const MOST_REVOKED: u64 = 100_000;
/// Longer than the rows of a session are read.
const READING: Duration = Duration::from_secs(60);

/// Why the service could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// argon2 does not take these figures, or there are no random numbers.
    #[error("passwords can't be hashed: {0}")]
    PasswordCost(argon2::Error),
    /// Not something to put into a header.
    #[error("{0:?} is no URL for the identity service")]
    Url(String),
    /// Not something a user can have.
    #[error("{0}")]
    Password(String),
    /// There is nobody of that name.
    #[error("there is no user {0}")]
    NoUser(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] magnum_store::StoreError),
}

/// The service. Cheap to clone; clones share caches and counts.
#[derive(Clone)]
pub struct BuiltIn(Arc<Parts>);

struct Parts {
    tables: IdentityTables,
    service_catalog: ServiceCatalog,
    challenge: HeaderValue,
    options: Options,
    hasher: Hasher,
    lockout: Lockout,
    familiar: Familiar,
    writes: Option<Rates<String>>,
    sessions: Cache<[u8; 32], CachedSession>,
    /// Tokens that were revoked by this process while somebody may have been reading their rows.
    revoked: Cache<[u8; 32], ()>,
    generation: AtomicU64,
    pruned_at: AtomicI64,
}

impl std::fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuiltIn").field("service_catalog", &self.0.service_catalog).finish_non_exhaustive()
    }
}

impl BuiltIn {
    /// Sets the service up on a migrated database. [`Self::bootstrap`] gives it its first users.
    ///
    /// # Errors
    /// [`IdentityError::PasswordCost`], [`IdentityError::Url`].
    pub fn new(store: &Store, service_catalog: ServiceCatalog, options: Options) -> Result<Self, IdentityError> {
        let challenge = format!("Keystone uri=\"{}\"", service_catalog.identity_url);
        let is_url = service_catalog.identity_url.parse::<Uri>().is_ok_and(|uri| uri.scheme().is_some());
        let challenge = HeaderValue::from_str(&challenge).ok().filter(|_| is_url);
        let challenge = challenge.ok_or_else(|| IdentityError::Url(service_catalog.identity_url.clone()))?;
        Ok(Self(Arc::new(Parts {
            tables: store.identity(),
            service_catalog,
            challenge,
            hasher: Hasher::new(options.password_cost).map_err(IdentityError::PasswordCost)?,
            lockout: Lockout::default(),
            familiar: Familiar::new().map_err(IdentityError::PasswordCost)?,
            writes: options.writes_per_second.map(|rate| Rates::per_second(rate, options.write_burst, String::new())),
            revoked: Cache::builder().max_capacity(MOST_REVOKED).time_to_live(options.cache_lifetime + READING).build(),
            sessions: Cache::builder().max_capacity(options.cache_size).time_to_live(options.cache_lifetime).build(),
            options,
            generation: AtomicU64::new(0),
            pruned_at: AtomicI64::new(0),
        })))
    }

    /// The routes, to be served under `/identity` of the URL the service_catalog names:
    /// `Router::new().nest_service("/identity", built_in.router())`.
    ///
    /// Guesses are counted for the peer if requests carry `ConnectInfo<SocketAddr>`.
    pub fn router(&self) -> Router {
        let v3 = auth_routes().merge(resource_routes()).merge(grant_routes());
        let routes = Router::new()
            .route("/", get(discovery::versions))
            .route("/v3", get(discovery::version))
            .nest("/v3", v3)
            .fallback(async || Refusal::NoRoute)
            .method_not_allowed_fallback(async || Refusal::Method)
            .layer(middleware::map_response_with_state(self.clone(), mark))
            .layer(DefaultBodyLimit::max(crate::body::LIMIT))
            .with_state(self.clone());
        // Outside of the router, which has chosen a route before its layers run.
        Router::new().fallback_service(routes.map_request(without_trailing_slash))
    }

    pub(crate) fn tables(&self) -> &IdentityTables {
        &self.0.tables
    }

    pub(crate) fn service_catalog(&self) -> &ServiceCatalog {
        &self.0.service_catalog
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn hasher(&self) -> &Hasher {
        &self.0.hasher
    }

    pub(crate) fn lockout(&self) -> &Lockout {
        &self.0.lockout
    }

    pub(crate) fn familiar(&self) -> &Familiar {
        &self.0.familiar
    }

    /// Counts a change of this user.
    ///
    /// # Errors
    /// 429 when there are too many.
    pub(crate) fn count_write(&self, user_id: &str) -> Result<(), Refusal> {
        let Some(writes) = &self.0.writes else { return Ok(()) };
        writes.count(&user_id.to_owned()).map_err(|retry_after| Refusal::TooFast { retry_after })
    }

    pub(crate) fn revoked(&self) -> &Cache<[u8; 32], ()> {
        &self.0.revoked
    }

    pub(crate) fn sessions(&self) -> &Cache<[u8; 32], CachedSession> {
        &self.0.sessions
    }

    pub(crate) fn generation(&self) -> &AtomicU64 {
        &self.0.generation
    }

    pub(crate) fn pruned_at(&self) -> &AtomicI64 {
        &self.0.pruned_at
    }

    /// URL of something under `/v3`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v3{path}", self.0.service_catalog.identity_url)
    }
}

fn auth_routes() -> Router<BuiltIn> {
    Router::new()
        .route("/auth/tokens", post(token::issue).get(token::show).delete(token::revoke))
        .route("/auth/catalog", get(auth_scope::catalog))
        .route("/auth/projects", get(auth_scope::projects))
        .route("/auth/domains", get(auth_scope::domains))
        .route("/auth/system", get(auth_scope::system))
}

fn resource_routes() -> Router<BuiltIn> {
    Router::new()
        .route("/users", get(user::list).post(user::create))
        .route("/users/{user}", get(user::show).patch(user::change).delete(user::delete))
        .route("/users/{user}/password", post(user::change_password))
        .route("/users/{user}/projects", get(project::list_of_user))
        .route(
            "/users/{user}/application_credentials",
            get(application_credential::list).post(application_credential::create),
        )
        .route(
            "/users/{user}/application_credentials/{credential}",
            get(application_credential::show).delete(application_credential::delete),
        )
        .route("/projects", get(project::list).post(project::create))
        .route("/projects/{project}", get(project::show).patch(project::change).delete(project::delete))
        .route("/roles", get(role::list).post(role::create))
        .route("/roles/{role}", get(role::show).patch(role::change).delete(role::delete))
        .route("/role_inferences", get(role::list_inferences))
        .route("/domains", get(domain::list_domains))
        .route("/domains/{domain}", get(domain::show))
        .route("/services", get(service_catalog::list_services))
        .route("/services/{service}", get(service_catalog::show_service))
        .route("/endpoints", get(service_catalog::list_endpoints))
        .route("/endpoints/{endpoint}", get(service_catalog::show_endpoint))
        .route("/regions", get(service_catalog::list_regions))
        .route("/regions/{region}", get(service_catalog::show_region))
}

fn grant_routes() -> Router<BuiltIn> {
    let one = || get(role_assignment::check).put(role_assignment::add).delete(role_assignment::remove);
    let all = || get(role_assignment::roles_of_user);
    Router::new()
        .route("/role_assignments", get(role_assignment::list))
        .route("/projects/{project}/users/{user}/roles", all())
        .route("/projects/{project}/users/{user}/roles/{role}", one())
        .route("/domains/{domain}/users/{user}/roles", all())
        .route("/domains/{domain}/users/{user}/roles/{role}", one())
        .route("/system/users/{user}/roles", all())
        .route("/system/users/{user}/roles/{role}", one())
}

/// Headers of every answer: none may be kept by a proxy, and a 401 says where to log in.
async fn mark<B>(State(identity): State<BuiltIn>, mut response: http::Response<B>) -> http::Response<B> {
    let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("X-Auth-Token"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, identity.0.challenge.clone());
    }
    response
}

/// Clients write `/v3/` as often as `/v3`.
fn without_trailing_slash(mut request: Request) -> Request {
    let uri = request.uri();
    let path = uri.path();
    if path.len() > 1 && path.ends_with('/') {
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { "/" } else { path };
        let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = target.parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

#[async_trait]
impl Authenticator for BuiltIn {
    async fn authenticate(&self, request: IncomingRequest<'_>) -> Result<Caller, AuthError> {
        Ok(self.session_of(request.headers).await?.caller())
    }

    fn challenge(&self) -> Option<String> {
        self.0.challenge.to_str().ok().map(str::to_owned)
    }
}
