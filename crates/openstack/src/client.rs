//! One service, asked in a caller's name.

use magnum_domain::{Caller, Credential};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use crate::catalog::{Interface, base, below};
use crate::transport::Call;
use crate::{Error, Service, Transport};

/// Which of a service's addresses is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Which interface.
    pub interface: Interface,
    /// In which region; not set: in any.
    pub region: Option<String>,
}

/// In whose name a service is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Their token and catalog.
    pub credential: &'a Credential,
    /// Id under which the service is to log it.
    pub request_id: Option<&'a str>,
}

impl<'a> Asker<'a> {
    /// The sender of a request.
    ///
    /// # Errors
    /// [`Error::NoToken`] if they came without.
    pub fn of(caller: &'a Caller, service: Service) -> Result<Self, Error> {
        let credential = caller.credential.as_ref().ok_or(Error::NoToken(service))?;
        Ok(Self { credential, request_id: caller.request_id.as_deref() })
    }
}

/// A service.
#[derive(Debug, Clone)]
pub struct ServiceClient {
    service: Service,
    transport: Transport,
    options: ServiceOptions,
}

impl ServiceClient {
    /// A service, wherever the asker's catalog has it.
    #[must_use]
    pub fn new(service: Service, transport: Transport, options: ServiceOptions) -> Self {
        Self { service, transport, options }
    }

    pub(crate) fn service(&self) -> Service {
        self.service
    }

    /// Reads a document.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        asker: Asker<'_>,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let ServiceOptions { interface, region } = &self.options;
        let base: Url = base(asker.credential.endpoints(), self.service, *interface, region.as_deref())?;
        let call = Call {
            service: self.service,
            method: Method::GET,
            url: below(&base, path, query),
            token: Some(asker.credential.token()),
            subject: None,
            body: None,
            request_id: asker.request_id,
        };
        self.transport.send(&call).await?.json()
    }

    /// The same, where there may be none.
    pub(crate) async fn find<T: DeserializeOwned>(&self, asker: Asker<'_>, path: &[&str]) -> Result<Option<T>, Error> {
        match self.get(asker, path, &[]).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether something may be an identifier; services answer 400 to some questions by id that is none.
pub(crate) fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}
