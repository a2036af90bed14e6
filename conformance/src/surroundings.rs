//! What our API stands in: whom it asks about tokens and names. Tables of our own, or a lab's real services.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use magnum_config::Settings;
use magnum_domain::Caller;
use magnum_domain::cloud::CloudLookup;
use magnum_identity::{AuthError, Authenticator, IncomingRequest, Keystone, KeystoneOptions};
use magnum_openstack::{Login, OpenStackCloud, ServiceOptions, Session, SessionOptions, Transport, TransportOptions};
use serde::Deserialize;

use crate::cloud::Cloud;
use crate::people::People;
use crate::translation::Translation;

/// The type of this service in Keystone's catalog.
const SERVICE_TYPE: &str = "container-infra";

/// Whom our API asks.
pub struct Surroundings {
    /// About tokens.
    pub authenticator: Arc<dyn Authenticator>,
    /// About images, flavors, keypairs, networks, projects.
    pub cloud: Arc<dyn CloudLookup>,
    /// What the words of the data are called there.
    pub translation: Translation,
}

/// What a lab says of itself, as far as it is of use here.
#[derive(Deserialize)]
struct Lab {
    keystone: String,
    password: String,
}

impl Surroundings {
    /// The tables that come with this crate.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn tables(people: &People) -> Result<Self> {
        Ok(Self {
            authenticator: Arc::new(Names(people.clone())),
            cloud: Arc::new(Cloud::load(people.clone())?),
            translation: Translation::default(),
        })
    }

    /// The Keystone, Glance, Nova and Neutron of a lab, by its description.
    ///
    /// # Errors
    /// When the description can't be read.
    pub fn lab(description: &Path, translation: Translation) -> Result<Self> {
        let text = crate::read(description)?;
        let lab: Lab = serde_json::from_str(&text).with_context(|| description.display().to_string())?;
        let configuration = format!(
            "[keystone_authtoken]\nauth_url = {}\nauth_type = password\nusername = magnum\npassword = {}\n\
             project_name = service\nuser_domain_id = default\nproject_domain_id = default\n",
            lab.keystone, lab.password
        );
        let login = Login::for_validation(&Settings::parse(&configuration)?)?;
        let transport = Transport::new(TransportOptions::default())?;
        let session = Arc::new(Session::new(transport.clone(), login, SessionOptions::default()));
        let service = || (transport.clone(), ServiceOptions::default());
        let options = KeystoneOptions { service_type: Some(SERVICE_TYPE.to_owned()), ..KeystoneOptions::default() };
        Ok(Self {
            cloud: Arc::new(OpenStackCloud::new(Arc::clone(&session), service(), service(), service())),
            authenticator: Arc::new(Keystone::new(session, options)),
            translation,
        })
    }
}

/// Takes names for tokens.
struct Names(People);

#[async_trait]
impl Authenticator for Names {
    async fn authenticate(&self, request: IncomingRequest<'_>) -> Result<Caller, AuthError> {
        let name =
            request.headers.get("x-auth-token").ok_or(AuthError::Missing)?.to_str().map_err(|_| AuthError::Invalid)?;
        let person = self.0.person(name).ok_or(AuthError::Invalid)?;
        Ok(Caller {
            user_id: person.user_id.clone(),
            user_name: person.name.clone(),
            project_id: self.0.projects.get(&person.project).cloned(),
            project_name: Some(person.project.clone()),
            roles: person.roles.clone(),
            ..Caller::default()
        })
    }

    fn challenge(&self) -> Option<String> {
        Some("Keystone uri=\"http://keystone.test/v3\"".to_owned())
    }
}
