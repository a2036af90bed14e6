//! Keystone: what it says of tokens and projects.

use std::sync::Arc;

use reqwest::{Method, Url};
use secrecy::SecretString;

use crate::catalog::below;
use crate::client::Asker;
use crate::session::OwnToken;
use crate::token::Document;
use crate::transport::{Answer, Call};
use crate::{Error, Service, Session, ValidToken};

impl Session {
    /// What Keystone says of somebody's token; nothing if it is not good.
    ///
    /// With `allow_expired` one that has ended a while ago is good as well, as long as Keystone allows
    /// (`[token] allow_expired_window` there).
    ///
    /// # Errors
    /// If Keystone gives no proper answer, or does not let us ask.
    pub async fn validate(
        &self,
        subject: &SecretString,
        allow_expired: bool,
        request_id: Option<&str>,
    ) -> Result<Option<ValidToken>, Error> {
        let query: &[(&str, &str)] = if allow_expired { &[("allow_expired", "1")] } else { &[] };
        let ask = |base: Url, own: Arc<OwnToken>| async move {
            let call = Call {
                service: Service::Identity,
                method: Method::GET,
                url: below(&base, &["auth", "tokens"], query),
                token: Some(&own.secret),
                subject: Some(subject),
                body: None,
                request_id,
            };
            self.transport().send(&call).await
        };
        match self.as_ourselves(request_id, ask).await {
            Ok(answer) => Ok(Some(answer.json::<Document>()?.into())),
            Err(Error::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks with our own token, and once more with a new one if Keystone no longer accepts it.
    async fn as_ourselves<F>(
        &self,
        request_id: Option<&str>,
        ask: impl Fn(Url, Arc<OwnToken>) -> F,
    ) -> Result<Answer, Error>
    where
        F: Future<Output = Result<Answer, Error>>,
    {
        let own = self.token(request_id).await?;
        match ask(self.identity(&own), Arc::clone(&own)).await {
            Err(Error::Status { status: 401, .. }) => {
                self.forget(&own).await;
                let newer = self.token(request_id).await?;
                ask(self.identity(&newer), newer).await
            }
            answered => answered,
        }
    }

    /// Whether there is a project of this id, as far as the asker may know.
    ///
    /// # Errors
    /// [`Error::Status`] with 403 if they may not, or if Keystone gives no proper answer.
    pub async fn project_exists(&self, asker: Asker<'_>, id: &str) -> Result<bool, Error> {
        let own = self.token(asker.request_id).await?;
        let call = Call {
            service: Service::Identity,
            method: Method::GET,
            url: below(&self.identity(&own), &["projects", id], &[]),
            token: Some(asker.credential.token()),
            subject: None,
            body: None,
            request_id: asker.request_id,
        };
        match self.transport().send(&call).await {
            Ok(_) => Ok(true),
            Err(Error::Status { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
