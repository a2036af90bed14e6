//! What Keystone says of a token.

use magnum_domain::Timestamp;
use magnum_domain::credential::Endpoint;
use serde::Deserialize;

/// A token that Keystone knows, with what its bearer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidToken {
    /// The user.
    pub user_id: String,
    /// The user's name.
    pub user_name: String,
    /// The user's domain.
    pub user_domain_id: String,
    /// Name of the user's domain.
    pub user_domain_name: String,
    /// The project it is for.
    pub project_id: Option<String>,
    /// Name of the project.
    pub project_name: Option<String>,
    /// Domain of the project.
    pub project_domain_id: Option<String>,
    /// Whether it is for the whole system.
    pub system: bool,
    /// Names of roles, those that others imply included.
    pub roles: Vec<String>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The requests it is good for; nothing if for all.
    pub access_rules: Option<Vec<AccessRule>>,
    /// The catalog.
    pub endpoints: Vec<Endpoint>,
}

/// A request that an application credential is good for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccessRule {
    /// Type of the service.
    pub service: String,
    /// HTTP method.
    pub method: String,
    /// Path, with `*` for a segment, `**` for anything, `{name}` for a segment.
    pub path: String,
}

/// The answer to `POST` and `GET /v3/auth/tokens`, as far as it matters.
#[derive(Deserialize)]
pub(crate) struct Document {
    token: Body,
}

#[derive(Deserialize)]
struct Body {
    expires_at: Timestamp,
    user: Named,
    project: Option<Named>,
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    catalog: Vec<Entry>,
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    #[serde(default)]
    name: String,
    domain: Option<Domain>,
}

/// The domain of a federated user may have no name.
#[derive(Deserialize)]
struct Domain {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    endpoints: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    interface: String,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    access_rules: Option<Vec<AccessRule>>,
}

impl From<Document> for ValidToken {
    fn from(Document { token }: Document) -> Self {
        let domain = token.user.domain.unwrap_or(Domain { id: None, name: None });
        let (project_id, project_name, project_domain) = match token.project {
            Some(project) => (Some(project.id), Some(project.name), project.domain),
            None => (None, None, None),
        };
        Self {
            user_id: token.user.id,
            user_name: token.user.name,
            user_domain_id: domain.id.unwrap_or_default(),
            user_domain_name: domain.name.unwrap_or_default(),
            project_id,
            project_name,
            project_domain_id: project_domain.and_then(|domain| domain.id),
            system: token.system.is_some_and(|system| system.all),
            roles: token.roles.into_iter().map(|role| role.name).collect(),
            expires_at: token.expires_at,
            access_rules: token.application_credential.and_then(|credential| credential.access_rules),
            endpoints: token.catalog.into_iter().flat_map(Entry::endpoints).collect(),
        }
    }
}

impl Entry {
    fn endpoints(self) -> impl Iterator<Item = Endpoint> {
        let (service_type, service_name) = (self.kind, self.name.unwrap_or_default());
        // Services whose address needs a project have none in the catalog of other tokens.
        self.endpoints.into_iter().filter_map(move |address| {
            Some(Endpoint {
                service_type: service_type.clone(),
                service_name: service_name.clone(),
                region: address.region_id.or(address.region).unwrap_or_default(),
                interface: address.interface,
                url: address.url?,
            })
        })
    }
}
