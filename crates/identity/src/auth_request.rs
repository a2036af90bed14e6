//! The body of `POST /v3/auth/tokens`.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::body::Secret;
use crate::domain;
use crate::error::Refusal;

#[derive(Deserialize)]
pub(crate) struct AuthRequest {
    pub(crate) auth: Auth,
}

#[derive(Deserialize)]
pub(crate) struct Auth {
    pub(crate) identity: Identity,
    pub(crate) scope: Option<Value>,
}

/// How the user proves themselves: the first of `methods` says which of the other fields counts.
#[derive(Deserialize)]
pub(crate) struct Identity {
    pub(crate) methods: Vec<String>,
    pub(crate) password: Option<PasswordMethod>,
    pub(crate) token: Option<TokenMethod>,
    pub(crate) application_credential: Option<CredentialMethod>,
}

#[derive(Deserialize)]
pub(crate) struct PasswordMethod {
    pub(crate) user: PasswordUser,
}

#[derive(Deserialize)]
pub(crate) struct PasswordUser {
    #[serde(flatten)]
    pub(crate) user: UserReference,
    pub(crate) password: Secret,
}

#[derive(Deserialize)]
pub(crate) struct TokenMethod {
    pub(crate) id: Secret,
}

#[derive(Deserialize)]
pub(crate) struct CredentialMethod {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) user: Option<UserReference>,
    pub(crate) secret: Secret,
}

/// A user: by id, or by name and domain.
#[derive(Deserialize)]
pub(crate) struct UserReference {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) domain: Option<DomainReference>,
}

/// A domain: by id, or by name.
#[derive(Deserialize)]
pub(crate) struct DomainReference {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
}

impl DomainReference {
    /// Whether it is the one that there is.
    pub(crate) fn exists(&self) -> bool {
        match (&self.id, &self.name) {
            (Some(id), _) => id == domain::ID,
            (None, Some(name)) => name == domain::NAME,
            (None, None) => false,
        }
    }
}

/// What the token is to be for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScopeRequest {
    /// Nothing was said: the user's default project, if they have one.
    Default,
    Unscoped,
    ProjectId(String),
    ProjectName(String),
    Domain,
    System,
    /// A domain that does not exist, or a project in one.
    Nowhere,
}

#[derive(Deserialize)]
struct ScopeObject {
    project: Option<ProjectReference>,
    domain: Option<DomainReference>,
    system: Option<SystemReference>,
    unscoped: Option<Map<String, Value>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize)]
struct ProjectReference {
    id: Option<String>,
    name: Option<String>,
    domain: Option<DomainReference>,
}

#[derive(Deserialize)]
struct SystemReference {
    all: bool,
}

impl ScopeRequest {
    /// Reads `auth.scope`.
    pub(crate) fn read(scope: Option<Value>) -> Result<Self, Refusal> {
        let object: ScopeObject = match scope {
            None | Some(Value::Null) => return Ok(Self::Default),
            Some(Value::String(word)) if word == "unscoped" => return Ok(Self::Unscoped),
            Some(scope @ Value::Object(_)) => serde_json::from_value(scope)
                .map_err(|error| Refusal::bad(format!("auth.scope is not what is expected here: {error}.")))?,
            Some(_) => return Err(Refusal::bad("auth.scope has to be an object, or the word 'unscoped'.")),
        };
        if let Some(key) = object.other.keys().next() {
            return Err(Refusal::bad(format!("The built-in identity service knows no scope {key:?}.")));
        }
        match (object.project, object.domain, object.system, object.unscoped) {
            (Some(project), None, None, None) => project.read(),
            (None, Some(domain), None, None) => Ok(if domain.exists() { Self::Domain } else { Self::Nowhere }),
            (None, None, Some(system), None) if system.all => Ok(Self::System),
            (None, None, Some(_), None) => Err(Refusal::bad("The only system scope is {\"all\": true}.")),
            (None, None, None, Some(_)) => Ok(Self::Unscoped),
            _ => Err(Refusal::bad("auth.scope has to hold exactly one of project, domain, system and unscoped.")),
        }
    }
}

impl ProjectReference {
    fn read(self) -> Result<ScopeRequest, Refusal> {
        match (self.id, self.name, self.domain) {
            (Some(id), _, _) => Ok(ScopeRequest::ProjectId(id)),
            (None, Some(name), Some(domain)) if domain.exists() => Ok(ScopeRequest::ProjectName(name)),
            (None, Some(_), Some(_)) => Ok(ScopeRequest::Nowhere),
            (None, Some(_), None) => Err(Refusal::bad("Expecting to find domain in project.")),
            (None, None, _) => Err(Refusal::bad("Expecting to find id or name in project.")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn scopes_are_read() {
        let in_domain = |key: &str, value: &str| json!({"project": {"name": "p", "domain": {key: value}}});
        for (scope, expected) in [
            (json!(null), Some(ScopeRequest::Default)),
            (json!("unscoped"), Some(ScopeRequest::Unscoped)),
            (json!({"unscoped": {}}), Some(ScopeRequest::Unscoped)),
            (json!({"project": {"id": "x"}}), Some(ScopeRequest::ProjectId("x".into()))),
            (in_domain("id", "default"), Some(ScopeRequest::ProjectName("p".into()))),
            (in_domain("name", "Default"), Some(ScopeRequest::ProjectName("p".into()))),
            (in_domain("id", "other"), Some(ScopeRequest::Nowhere)),
            (json!({"domain": {"id": "default"}}), Some(ScopeRequest::Domain)),
            (json!({"domain": {"name": "nowhere"}}), Some(ScopeRequest::Nowhere)),
            (json!({"system": {"all": true}}), Some(ScopeRequest::System)),
            (json!({"system": {"all": false}}), None),
            (json!({"system": true}), None),
            (json!({"project": {"name": "p"}}), None),
            (json!({"project": {}}), None),
            (json!({"project": {"id": 1}}), None),
            (json!({"project": {"id": "x"}, "domain": {"id": "default"}}), None),
            (json!({"OS-TRUST:trust": {"id": "x"}}), None),
            (json!({}), None),
            (json!([]), None),
            (json!("scoped"), None),
        ] {
            assert_eq!(ScopeRequest::read(Some(scope.clone())).ok(), expected, "{scope}");
        }
        assert_eq!(ScopeRequest::read(None).unwrap(), ScopeRequest::Default);
    }
}
