//! The service's own credentials, as the configuration gives them.

use magnum_config::address::read_web_address;
use magnum_config::{FromValue, Settings};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::catalog::versioned;
use crate::{Error, Service};

/// Where and how to get a token. Secrets in it are not shown.
#[derive(Debug, Clone)]
pub struct Login {
    /// Group of the configuration this is from, for messages.
    pub group: String,
    /// Keystone, `/v3` included.
    pub url: Url,
    /// With what.
    pub method: Method,
    /// What for.
    pub scope: Scope,
}

/// With what a token is got.
#[derive(Debug, Clone)]
pub enum Method {
    /// A user's password.
    Password {
        /// Who.
        user: Who,
        /// Their password.
        password: SecretString,
    },
    /// Another token.
    Token(SecretString),
    /// An application credential.
    ApplicationCredential {
        /// Which: its id, or its name with that of its user.
        credential: ApplicationCredential,
        /// Its secret.
        secret: SecretString,
    },
}

/// An application credential.
#[derive(Debug, Clone)]
pub enum ApplicationCredential {
    /// By id.
    Id(String),
    /// By name.
    Name {
        /// Its name.
        name: String,
        /// Whose it is.
        user: Who,
    },
}

/// Something that has an id, or a name within a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// By id.
    Id(String),
    /// By name.
    Name {
        /// The name.
        name: String,
        /// Its domain, which has no domain itself.
        domain: Domain,
    },
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Nothing in particular, or what the credential is bound to.
    Unscoped,
    /// A project.
    Project(Who),
    /// A domain.
    Domain(Domain),
    /// The whole system.
    System,
    /// What a trust allows.
    Trust(String),
}

/// Groups that hold credentials, the first that does being used.
const GROUPS: [&str; 2] = ["keystone_authtoken", "keystone_auth"];

impl Login {
    /// The credentials that tokens are checked with: those of `[keystone_authtoken]`, in old notation as well, otherwise
    /// those of `[keystone_auth]`.
    ///
    /// # Errors
    /// [`Error::Options`], when there are none or they are incomplete.
    pub fn for_validation(settings: &Settings) -> Result<Self, Error> {
        for group in GROUPS {
            let options = Options { settings, group };
            if options.text("auth_url").is_some() || options.text("auth_section").is_some() {
                return options.follow();
            }
            if group == "keystone_authtoken" && options.text("admin_user").is_some() {
                return options.old_notation();
            }
        }
        let reason = "has no auth_url: the service can't check tokens without credentials of its own in Keystone";
        Err(Error::Options { group: GROUPS[0].to_owned(), reason: reason.to_owned() })
    }

    /// The question for a token.
    pub(crate) fn body(&self) -> Value {
        let identity = match &self.method {
            Method::Password { user, password } => {
                let mut user = user.json();
                user["password"] = password.expose_secret().into();
                json!({"methods": ["password"], "password": {"user": user}})
            }
            Method::Token(token) => json!({"methods": ["token"], "token": {"id": token.expose_secret()}}),
            Method::ApplicationCredential { credential, secret } => {
                let mut document = match credential {
                    ApplicationCredential::Id(id) => json!({"id": id}),
                    ApplicationCredential::Name { name, user } => json!({"name": name, "user": user.json()}),
                };
                document["secret"] = secret.expose_secret().into();
                json!({"methods": ["application_credential"], "application_credential": document})
            }
        };
        let scope = match &self.scope {
            Scope::Unscoped => None,
            Scope::Project(project) => Some(json!({"project": project.json()})),
            Scope::Domain(domain) => Some(json!({"domain": domain.json()})),
            Scope::System => Some(json!({"system": {"all": true}})),
            Scope::Trust(id) => Some(json!({"OS-TRUST:trust": {"id": id}})),
        };
        let mut auth = json!({"identity": identity});
        if let Some(scope) = scope {
            auth["scope"] = scope;
        }
        json!({"auth": auth})
    }
}

impl Who {
    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name { name, domain } => json!({"name": name, "domain": domain.json()}),
        }
    }
}

impl Domain {
    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name(name) => json!({"name": name}),
        }
    }
}

/// The domain where none is given.
fn default_domain() -> Domain {
    Domain::Id("default".to_owned())
}

/// The options of one group.
#[derive(Clone, Copy)]
struct Options<'a> {
    settings: &'a Settings,
    group: &'a str,
}

impl Options<'_> {
    fn get<T: FromValue>(&self, name: &str) -> Option<T> {
        self.settings.get::<Option<T>>(self.group, name).ok().flatten()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get::<String>(name).filter(|text| !text.is_empty())
    }

    fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Options { group: self.group.to_owned(), reason: reason.into() }
    }

    fn need<T>(&self, value: Option<T>, what: &str) -> Result<T, Error> {
        value.ok_or_else(|| self.wrong(format!("has no {what}")))
    }

    /// The credentials of this group, or of the one it names.
    fn follow(self) -> Result<Login, Error> {
        let Some(section) = self.text("auth_section").filter(|section| section != self.group) else {
            return self.read();
        };
        if !GROUPS.contains(&section.as_str()) {
            return Err(self.wrong(format!("auth_section is {section}: it can be {}", GROUPS.join(" or "))));
        }
        Options { settings: self.settings, group: &section }.read()
    }

    fn read(self) -> Result<Login, Error> {
        let kind = self.text("auth_type").unwrap_or_else(|| "password".to_owned());
        let method = match kind.as_str() {
            "password" | "v3password" => {
                Method::Password { user: self.user()?, password: self.need(self.get("password"), "password")? }
            }
            "token" | "v3token" => Method::Token(self.need(self.get("token"), "token")?),
            "v3applicationcredential" => self.application_credential()?,
            other => {
                let known = "password, v3password, token, v3token and v3applicationcredential";
                return Err(self.wrong(format!("auth_type is {other}: what can be used is {known}")));
            }
        };
        // An application credential is bound to its project; Keystone refuses any other scope.
        let bound = matches!(method, Method::ApplicationCredential { .. });
        let scope = if bound { Scope::Unscoped } else { self.scope()? };
        let url = self.address(&self.need(self.text("auth_url"), "auth_url")?)?;
        Ok(Login { group: self.group.to_owned(), url, method, scope })
    }

    /// As releases before keystoneauth had it.
    fn old_notation(self) -> Result<Login, Error> {
        let named = |name| Who::Name { name, domain: default_domain() };
        let address = self.text("identity_uri").or_else(|| self.text("www_authenticate_uri"));
        let password = self.need(self.get("admin_password"), "admin_password")?;
        Ok(Login {
            group: self.group.to_owned(),
            url: self.address(&self.need(address, "identity_uri")?)?,
            method: Method::Password { user: named(self.need(self.text("admin_user"), "admin_user")?), password },
            scope: self.text("admin_tenant_name").map_or(Scope::Unscoped, |name| Scope::Project(named(name))),
        })
    }

    fn address(&self, text: &str) -> Result<Url, Error> {
        let url = read_web_address(text).map_err(|problem| self.wrong(format!("auth_url {problem}")))?;
        versioned(url.as_str(), Service::Identity).ok_or_else(|| self.wrong("auth_url is no address of a Keystone"))
    }

    fn user(&self) -> Result<Who, Error> {
        let found = self.who(["user_id", "username"], ["user_domain_id", "user_domain_name"]);
        self.need(found, "username")
    }

    /// Something by its id, otherwise by its name and the domain that is given for it, or for everything.
    fn who(&self, [id, name]: [&str; 2], domain: [&str; 2]) -> Option<Who> {
        if let Some(id) = self.text(id) {
            return Some(Who::Id(id));
        }
        let given = || self.domain(domain).or_else(|| self.domain(["default_domain_id", "default_domain_name"]));
        self.text(name).map(|name| Who::Name { name, domain: given().unwrap_or_else(default_domain) })
    }

    fn domain(&self, [id, name]: [&str; 2]) -> Option<Domain> {
        self.text(id).map(Domain::Id).or_else(|| self.text(name).map(Domain::Name))
    }

    fn application_credential(&self) -> Result<Method, Error> {
        let credential = match self.text("application_credential_id") {
            Some(id) => ApplicationCredential::Id(id),
            None => ApplicationCredential::Name {
                name: self.need(self.text("application_credential_name"), "application_credential_id")?,
                user: self.user()?,
            },
        };
        let secret = self.need(self.get("application_credential_secret"), "application_credential_secret")?;
        Ok(Method::ApplicationCredential { credential, secret })
    }

    fn scope(&self) -> Result<Scope, Error> {
        if let Some(id) = self.text("trust_id") {
            return Ok(Scope::Trust(id));
        }
        match self.text("system_scope").as_deref() {
            None => {}
            Some("all") => return Ok(Scope::System),
            Some(other) => return Err(self.wrong(format!("system_scope is {other}: it can only be all"))),
        }
        if let Some(domain) = self.domain(["domain_id", "domain_name"]) {
            return Ok(Scope::Domain(domain));
        }
        let project = self.who(["project_id", "project_name"], ["project_domain_id", "project_domain_name"]);
        Ok(project.map_or(Scope::Unscoped, Scope::Project))
    }
}
