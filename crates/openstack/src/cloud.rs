//! A cloud as the cloud that names in templates and clusters are looked up in.

use std::error::Error as _;
use std::sync::Arc;

use async_trait::async_trait;
use magnum_domain::Caller;
use magnum_domain::cloud::{CloudLookup, Flavor, Image, LookupError, Thing};

use crate::client::{Asker, ServiceClient};
use crate::network::NetworkResource;
use crate::{Error, Service, ServiceOptions, Session, Transport, compute, image, network};

/// Glance, Nova, Neutron and Keystone, asked with the caller's own token.
#[derive(Debug)]
pub struct OpenStackCloud {
    keystone: Arc<Session>,
    glance: ServiceClient,
    nova: ServiceClient,
    neutron: ServiceClient,
}

impl OpenStackCloud {
    /// A cloud. `keystone` says where its Keystone is; each service has its own connections and options.
    #[must_use]
    pub fn new(
        keystone: Arc<Session>,
        glance: (Transport, ServiceOptions),
        nova: (Transport, ServiceOptions),
        neutron: (Transport, ServiceOptions),
    ) -> Self {
        let client = |service, (transport, options)| ServiceClient::new(service, transport, options);
        Self {
            keystone,
            glance: client(Service::Image, glance),
            nova: client(Service::Compute, nova),
            neutron: client(Service::Network, neutron),
        }
    }

    pub(crate) fn keystone(&self) -> &Session {
        &self.keystone
    }

    /// Glance, Nova and Neutron.
    pub(crate) fn clients(&self) -> [&ServiceClient; 3] {
        [&self.glance, &self.nova, &self.neutron]
    }

    async fn network(
        &self,
        caller: &Caller,
        kind: NetworkResource,
        thing: Thing,
        name: &str,
    ) -> Result<(), LookupError> {
        let asker = asker(caller, Service::Network)?;
        match network::count(&self.neutron, asker, kind, name).await {
            Ok(1) => Ok(()),
            Ok(0) => Err(LookupError::NotFound { thing, name: name.to_owned() }),
            Ok(_) => Err(LookupError::Ambiguous { thing, name: name.to_owned() }),
            Err(error) => Err(in_words(Service::Network, &error)),
        }
    }
}

#[async_trait]
impl CloudLookup for OpenStackCloud {
    async fn image(&self, caller: &Caller, name: &str) -> Result<Image, LookupError> {
        let asker = asker(caller, Service::Image)?;
        let mut found = match image::images(&self.glance, asker, name).await {
            Ok(found) => found.into_iter(),
            Err(error) if error.status() == Some(403) => return Err(LookupError::Forbidden(name.to_owned())),
            Err(error) => return Err(in_words(Service::Image, &error)),
        };
        let (thing, name) = (Thing::Image, name.to_owned());
        match (found.next(), found.next()) {
            (Some(image), None) => Ok(image),
            (None, _) => Err(LookupError::NotFound { thing, name }),
            (Some(_), Some(_)) => Err(LookupError::Ambiguous { thing, name }),
        }
    }

    async fn flavor(&self, caller: &Caller, name: &str) -> Result<Flavor, LookupError> {
        let asker = asker(caller, Service::Compute)?;
        let found = compute::flavor(&self.nova, asker, name).await;
        let found = found.map_err(|error| in_words(Service::Compute, &error))?;
        found.ok_or_else(|| LookupError::NotFound { thing: Thing::Flavor, name: name.to_owned() })
    }

    async fn external_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        self.network(caller, NetworkResource::ExternalNetwork, Thing::ExternalNetwork, name).await
    }

    async fn fixed_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        self.network(caller, NetworkResource::Network, Thing::FixedNetwork, name).await
    }

    async fn fixed_subnet(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        self.network(caller, NetworkResource::Subnet, Thing::FixedSubnet, name).await
    }

    async fn keypair(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        let asker = asker(caller, Service::Compute)?;
        match compute::has_keypair(&self.nova, asker, name).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(LookupError::NotFound { thing: Thing::Keypair, name: name.to_owned() }),
            Err(error) => Err(in_words(Service::Compute, &error)),
        }
    }

    async fn project(&self, caller: &Caller, id: &str) -> Result<(), LookupError> {
        let asker = asker(caller, Service::Identity)?;
        match self.keystone.project_exists(asker, id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(LookupError::NotFound { thing: Thing::Project, name: id.to_owned() }),
            Err(error) => Err(in_words(Service::Identity, &error)),
        }
    }
}

fn asker(caller: &Caller, service: Service) -> Result<Asker<'_>, LookupError> {
    Asker::of(caller, service).map_err(|error| in_words(service, &error))
}

/// What a tenant is told of a failure: upstream's words, then what they can do. All of it is in the log.
fn in_words(service: Service, error: &Error) -> LookupError {
    tracing::warn!(service = service.client(), %error, cause = cause(error), "a lookup failed");
    let refused = |reason: String| {
        let client = service.client();
        LookupError::Refused(format!("{client} connection failed. unexpected client error occurred: {reason}"))
    };
    match error {
        Error::NoEndpoint { interface, region, .. } => {
            LookupError::Misconfigured(no_endpoint(service, interface, region))
        }
        Error::NoToken(_) => refused(error.to_string()),
        Error::Status { status: 401, .. } => {
            refused(format!("the {service} does not accept the token of the request. Ask for a new one."))
        }
        // What the request said is at fault, or who sent it.
        Error::Status { status: 400 | 403 | 404 | 409, message, .. } => refused(message.clone()),
        _ => LookupError::Unavailable(format!(
            "The {service} could not be asked. Try again shortly; if it stays so, tell the operator the id of the request."
        )),
    }
}

/// Nobody can ask, whoever they are: not a matter of the request.
fn no_endpoint(service: Service, interface: &str, region: &Option<String>) -> String {
    let place = region.as_ref().map(|region| format!(" in region {region}")).unwrap_or_default();
    let group = service.client();
    format!(
        "The {service} has no {interface} endpoint{place}, so nothing can be looked up there. Tell the operator: the endpoint has \
         to be registered in Keystone, or region_name or endpoint_type of [{group}_client] corrected."
    )
}

fn cause(error: &Error) -> Option<String> {
    let mut last = error.source()?;
    while let Some(next) = last.source() {
        last = next;
    }
    Some(last.to_string())
}
