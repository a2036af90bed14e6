//! Whether a cloud answers, for an operator who asks: Keystone with our own credentials, and each service with the token
//! they give.

use magnum_domain::Credential;
use serde_json::Value;

use crate::client::{Asker, ServiceClient};
use crate::{Error, OpenStackCloud, Service};

/// What became of asking a service.
#[derive(Debug)]
pub struct Probe {
    /// Which.
    pub service: Service,
    /// Nothing if it answered as it should.
    pub problem: Option<Error>,
}

impl OpenStackCloud {
    /// Logs in and asks each service for one thing, side by side. Each takes no longer than its options allow.
    pub async fn probe(&self) -> Vec<Probe> {
        let token = match self.keystone().token(None).await {
            Ok(token) => token,
            Err(error) => return vec![Probe { service: Service::Identity, problem: Some(error) }],
        };
        let credential = &Credential::new(token.secret.clone(), token.endpoints.clone());
        let [glance, nova, neutron] = self.clients();
        let (glance, nova, neutron) = tokio::join!(
            ask(glance, credential, &["images"]),
            ask(nova, credential, &["flavors"]),
            ask(neutron, credential, &["networks"]),
        );
        vec![Probe { service: Service::Identity, problem: None }, glance, nova, neutron]
    }
}

async fn ask(client: &ServiceClient, credential: &Credential, path: &[&str]) -> Probe {
    let asker = Asker { credential, request_id: None };
    let answer: Result<Value, Error> = client.get(asker, path, &[("limit", "1")]).await;
    Probe { service: client.service(), problem: answer.err() }
}
