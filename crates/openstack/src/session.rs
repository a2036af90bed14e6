//! A token of our own: got when needed, renewed before it ends, and by one request at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use magnum_domain::Timestamp;
use magnum_domain::credential::Endpoint;
use reqwest::{Method, Url};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::catalog::{Interface, base, below};
use crate::token::Document;
use crate::transport::{Call, SUBJECT_TOKEN};
use crate::{Error, Login, Service, Transport, ValidToken};

/// A token is renewed this long before its end, or in the last quarter of its life if that is shorter.
const MARGIN: TimeDelta = TimeDelta::minutes(2);
/// After Keystone has refused our credentials it is left alone for this long: it may lock users out who insist.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// Which of Keystone's addresses tokens are checked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Which interface.
    pub interface: Interface,
    /// In which region; not set: in any.
    pub region: Option<String>,
}

/// The service's own session with Keystone.
pub struct Session {
    transport: Transport,
    login: Login,
    options: SessionOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<OwnToken>>,
    failed: Option<Failed>,
}

/// The last attempt, if it was in vain.
struct Failed {
    ended: Instant,
    error: Arc<Error>,
}

impl Failed {
    /// Whether it counts for somebody who has waited since some time, rather than that they try again.
    fn counts_for(&self, waiting_since: Instant) -> bool {
        let refused = matches!(*self.error, Error::OwnCredentials { .. });
        self.ended >= waiting_since || (refused && self.ended.elapsed() < REFUSED_PAUSE)
    }
}

/// A token of our own.
pub(crate) struct OwnToken {
    pub(crate) secret: SecretString,
    renew_at: Timestamp,
    pub(crate) endpoints: Vec<Endpoint>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("login", &self.login).field("options", &self.options).finish_non_exhaustive()
    }
}

impl Session {
    /// A session. Keystone is not asked before something is wanted of it.
    #[must_use]
    pub fn new(transport: Transport, login: Login, options: SessionOptions) -> Self {
        Self { transport, login, options, state: Mutex::default() }
    }

    /// Where it logs in.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Logs in, unless it is.
    ///
    /// # Errors
    /// [`Error::Login`], with [`Error::OwnCredentials`] or whatever keeps Keystone from answering.
    pub async fn log_in(&self) -> Result<(), Error> {
        self.token(None).await.map(drop)
    }

    /// A token that is good for some time yet.
    pub(crate) async fn token(&self, request_id: Option<&str>) -> Result<Arc<OwnToken>, Error> {
        let waiting_since = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| magnum_domain::now() < token.renew_at) {
            return Ok(Arc::clone(token));
        }
        if let Some(failed) = state.failed.as_ref().filter(|failed| failed.counts_for(waiting_since)) {
            return Err(Error::Login(Arc::clone(&failed.error)));
        }
        *state = State::default();
        match self.ask_for_token(request_id).await {
            Ok(token) => {
                let token = Arc::new(token);
                state.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(error) => {
                let error = Arc::new(self.of_login(error));
                state.failed = Some(Failed { ended: Instant::now(), error: Arc::clone(&error) });
                Err(Error::Login(error))
            }
        }
    }

    /// Drops a token that Keystone no longer accepts, unless another request has done so already.
    pub(crate) async fn forget(&self, refused: &Arc<OwnToken>) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            state.token = None;
        }
    }

    /// A refusal here is about our own credentials.
    fn of_login(&self, error: Error) -> Error {
        match error {
            Error::Status { status: 401 | 403 | 404, message, .. } => {
                Error::OwnCredentials { group: self.login.group.clone(), message }
            }
            other => other,
        }
    }

    async fn ask_for_token(&self, request_id: Option<&str>) -> Result<OwnToken, Error> {
        let call = Call {
            service: Service::Identity,
            method: Method::POST,
            url: below(&self.login.url, &["auth", "tokens"], &[]),
            token: None,
            subject: None,
            body: Some(&self.login.body()),
            request_id,
        };
        let answer = self.transport.send(&call).await?;
        let text = answer.headers.get(SUBJECT_TOKEN).and_then(|value| value.to_str().ok());
        let secret: SecretString = text.ok_or_else(|| answer.garbled("there is no token in the answer"))?.into();
        let token: ValidToken = answer.json::<Document>()?.into();
        let now = magnum_domain::now();
        let margin = MARGIN.min((token.expires_at - now) / 4);
        Ok(OwnToken { secret, renew_at: token.expires_at - margin, endpoints: token.endpoints })
    }

    /// Where Keystone is asked: its address in the catalog, otherwise where the token came from.
    pub(crate) fn identity(&self, token: &OwnToken) -> Url {
        let SessionOptions { interface, region } = &self.options;
        let found = base(&token.endpoints, Service::Identity, *interface, region.as_deref());
        found.unwrap_or_else(|_| self.login.url.clone())
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }
}
