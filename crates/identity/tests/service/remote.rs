//! The built-in identity as a Keystone elsewhere: over HTTP, with a count of what it was asked, and a switch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use magnum_config::Settings;
use magnum_domain::Caller;
use magnum_identity::{AuthError, Authenticator, IncomingRequest, Keystone, KeystoneOptions};
use magnum_openstack::{Login, Session, SessionOptions, Transport, TransportOptions};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::cloud::{ADMIN_PASSWORD, Cloud, bootstrap, by_password, options, scoped};

pub struct Remote {
    pub cloud: Cloud,
    /// `http://127.0.0.1:PORT`
    pub base: String,
    pub seen: Arc<Seen>,
}

/// What the service was asked.
#[derive(Default)]
pub struct Seen {
    checks: AtomicUsize,
    logins: AtomicUsize,
    down: AtomicBool,
}

impl Seen {
    /// Tokens that were asked about.
    pub fn checks(&self) -> usize {
        self.checks.load(Ordering::SeqCst)
    }

    /// Tokens that were asked for.
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// Has it answer 503 to everything, or no longer.
    pub fn switch(&self, up: bool) {
        self.down.store(!up, Ordering::SeqCst);
    }
}

async fn count(State(seen): State<Arc<Seen>>, request: Request<Body>, next: Next) -> Response {
    if request.uri().path().ends_with("/auth/tokens") {
        let counter = if request.method() == Method::POST { &seen.logins } else { &seen.checks };
        counter.fetch_add(1, Ordering::SeqCst);
    }
    if seen.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}

impl Remote {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let cloud = Cloud::empty(options(), &base).await;
        cloud.identity.bootstrap(&bootstrap()).await.unwrap();
        let seen = Arc::new(Seen::default());
        let router: Router = cloud.router().layer(from_fn_with_state(Arc::clone(&seen), count));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { cloud, base, seen }
    }

    /// Our own credentials, as magnum.conf has them.
    pub fn credentials(&self, password: &str) -> String {
        format!(
            "[keystone_authtoken]\nwww_authenticate_uri = {base}/identity\nauth_url = {base}/identity\n\
             username = admin\npassword = {password}\nproject_name = admin\n",
            base = self.base
        )
    }

    pub fn keystone(&self, options: KeystoneOptions) -> Keystone {
        Keystone::new(session(&self.credentials(ADMIN_PASSWORD)), options)
    }

    /// A token for a user and a scope.
    pub async fn token(&self, user: &str, password: &str, scope: &Value) -> String {
        let mut auth = by_password(user, password);
        match scope {
            Value::String(project) => auth = scoped(auth, project),
            Value::Null => auth["scope"] = "unscoped".into(),
            other => auth["scope"] = other.clone(),
        }
        self.cloud.authenticate(auth).await.token()
    }
}

/// A session with the credentials of a configuration.
pub fn session(configuration: &str) -> Arc<Session> {
    let login = Login::for_validation(&Settings::parse(configuration).unwrap()).unwrap();
    let transport = Transport::new(TransportOptions { attempts: 1, ..TransportOptions::default() }).unwrap();
    Arc::new(Session::new(transport, login, SessionOptions::default()))
}

/// Headers of a request with a token, and others.
pub fn headers(token: &str, others: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = others.iter().copied().chain([("x-auth-token", token)]);
    pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

pub async fn ask(authenticator: &dyn Authenticator, token: &str) -> Result<Caller, AuthError> {
    authenticator.authenticate(IncomingRequest::with_headers(&headers(token, &[]))).await
}

/// The outcome in a word.
pub fn word(outcome: &Result<Caller, AuthError>) -> &'static str {
    match outcome {
        Ok(_) => "good",
        Err(AuthError::Missing) => "missing",
        Err(AuthError::Invalid) => "invalid",
        Err(AuthError::NotTrusted) => "not trusted",
        Err(AuthError::ForeignHost) => "foreign host",
        Err(AuthError::Unavailable(_)) => "unavailable",
    }
}
