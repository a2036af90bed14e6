//! Application credentials: `/v3/users/{user}/application_credentials`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, NaiveDateTime, Utc};
use magnum_domain::Timestamp;
use magnum_store::identity::{ApplicationCredential, Role};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::body::{Body, Filter, Ids, Secret};
use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::field::{self, LONGEST_NAME};
use crate::list as lists;
use crate::requester::Requester;
use crate::session::{Session, SessionScope, random_text};

/// Most of them that a user can have.
const MOST: usize = 100;

fn document(identity: &BuiltIn, credential: &ApplicationCredential, roles: &[Role]) -> Value {
    let of_it = roles.iter().filter(|role| credential.role_ids.contains(&role.id));
    let roles: Vec<Value> = of_it.map(|role| json!({"id": role.id, "name": role.name, "domain_id": null})).collect();
    let path = format!("/users/{}/application_credentials/{}", credential.user_id, credential.id);
    json!({
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "roles": roles,
        "unrestricted": credential.unrestricted,
        "expires_at": credential.expires_at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()),
        "links": {"self": identity.url(&path)},
    })
}

#[derive(Deserialize)]
pub(crate) struct CredentialFilter {
    name: Option<String>,
}

pub(crate) async fn list(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(user): Ids<String>,
    Filter(filter): Filter<CredentialFilter>,
) -> Result<Json<Value>, Refusal> {
    requester.admin_or(&user, "identity:list_application_credentials")?;
    let user = identity.user(&user).await?;
    if let Some(name) = &filter.name {
        field::text("filter", name, LONGEST_NAME)?;
    }
    let credentials = identity.tables().application_credentials(&user.id, filter.name.as_deref()).await?;
    let roles = identity.tables().roles().await?;
    let credentials = credentials.iter().map(|credential| document(&identity, credential, &roles)).collect();
    let path = format!("/users/{}/application_credentials", user.id);
    Ok(Json(lists::document(&identity, "application_credentials", &path, &Default::default(), credentials)))
}

pub(crate) async fn show(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids((user, id)): Ids<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    requester.admin_or(&user, "identity:get_application_credential")?;
    field::id("application credential", &id)?;
    let found = identity.tables().find_application_credential(&id).await?;
    let found = found.filter(|found| found.user_id == user);
    let found = found.ok_or_else(|| Refusal::not_found("application credential", id))?;
    let roles = identity.tables().roles().await?;
    Ok(Json(json!({"application_credential": document(&identity, &found, &roles)})))
}

pub(crate) async fn delete(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids((user, id)): Ids<(String, String)>,
) -> Result<StatusCode, Refusal> {
    requester.admin_or(&user, "identity:delete_application_credential")?;
    not_restricted(&requester.0, "identity:delete_application_credential")?;
    field::id("user", &user)?;
    field::id("application credential", &id)?;
    identity.tables().delete_application_credential(&user, &id).await?;
    identity.forget_sessions();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(crate) struct NewCredentialBody {
    application_credential: NewCredential,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCredential {
    name: String,
    description: Option<String>,
    secret: Option<Secret>,
    expires_at: Option<String>,
    roles: Option<Vec<RoleReference>>,
    unrestricted: Option<bool>,
    access_rules: Option<Vec<Value>>,
    project_id: Option<String>,
}

#[derive(Deserialize)]
struct RoleReference {
    id: Option<String>,
    name: Option<String>,
}

/// `POST`: made by users for themselves, with a token for the project it is to be for. The secret is told once.
pub(crate) async fn create(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(user): Ids<String>,
    Body(body): Body<NewCredentialBody>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let action = "identity:create_application_credential";
    if !requester.is(&user) {
        return Err(Refusal::Forbidden(action.to_owned()));
    }
    let session = &requester.0;
    not_restricted(session, action)?;
    let Some(SessionScope::Project(project)) = &session.scope else {
        return Err(Refusal::bad("An application credential is made with a token that is for a project."));
    };
    let new = body.application_credential;
    new.check(&project.id)?;
    let expires_at = new.expires_at.as_deref().map(read_time).transpose()?;
    let roles = chosen_roles(session, new.roles.as_deref())?;
    let existing = identity.tables().application_credentials(&session.user.id, None).await?;
    if existing.len() >= MOST {
        return Err(Refusal::NotAllowed(format!("A user has at most {MOST} application credentials.")));
    }
    let secret = match new.secret {
        Some(Secret(secret)) => secret,
        None => SecretString::from(random_text::<64>()?),
    };
    let credential = ApplicationCredential {
        id: Uuid::new_v4().simple().to_string(),
        user_id: session.user.id.clone(),
        project_id: project.id.clone(),
        name: new.name,
        description: new.description,
        secret_hash: identity.hash_for(&session.user.id, secret.clone()).await?,
        role_ids: roles.iter().map(|role| role.id.clone()).collect(),
        unrestricted: new.unrestricted.unwrap_or(false),
        expires_at,
        created_at: magnum_domain::now(),
    };
    identity.tables().create_application_credential(&credential).await?;
    let mut document = document(&identity, &credential, &roles);
    document["secret"] = json!(secret.expose_secret());
    Ok((StatusCode::CREATED, Json(json!({"application_credential": document}))))
}

/// A restricted application credential can't be used to make another, or to remove one.
fn not_restricted(session: &Session, action: &str) -> Result<(), Refusal> {
    if session.is_restricted() { Err(Refusal::Forbidden(action.to_owned())) } else { Ok(()) }
}

impl NewCredential {
    fn check(&self, project_id: &str) -> Result<(), Refusal> {
        field::name(&self.name, LONGEST_NAME)?;
        if let Some(description) = &self.description {
            field::description(description)?;
        }
        if let Some(Secret(secret)) = &self.secret {
            field::secret(secret)?;
        }
        if self.access_rules.as_ref().is_some_and(|rules| !rules.is_empty()) {
            return Err(Refusal::bad("The built-in identity service has no access rules."));
        }
        if self.project_id.as_deref().is_some_and(|id| id != project_id) {
            return Err(Refusal::bad("An application credential is for the project of the token it is made with."));
        }
        Ok(())
    }
}

/// The roles asked for, or all of the token's. Nobody can pass on a role they do not have.
fn chosen_roles(session: &Session, asked: Option<&[RoleReference]>) -> Result<Vec<Role>, Refusal> {
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else { return Ok(session.roles.clone()) };
    let mut chosen: Vec<Role> = Vec::new();
    for reference in asked {
        let is_it = |role: &&Role| match (&reference.id, &reference.name) {
            (Some(id), _) => role.id == *id,
            (None, Some(name)) => role.name == *name,
            (None, None) => false,
        };
        let Some(word) = reference.id.as_ref().or(reference.name.as_ref()) else {
            return Err(Refusal::bad("Expecting to find id or name in roles."));
        };
        let role = session.roles.iter().find(is_it);
        let role = role.ok_or_else(|| Refusal::not_found("role assignment", word.escape_debug().to_string()))?;
        if !chosen.contains(role) {
            chosen.push(role.clone());
        }
    }
    Ok(chosen)
}

/// A time in the future, with or without a zone; without, it is UTC.
fn read_time(text: &str) -> Result<Timestamp, Refusal> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc));
    let read = zoned.or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc()));
    let at = read.map_err(|_| Refusal::bad("expires_at has to be a time like 2030-12-31T23:59:59.000000Z."))?;
    if at <= magnum_domain::now() {
        return Err(Refusal::bad("expires_at has to be in the future."));
    }
    // What every database can hold.
    if chrono::Datelike::year(&at) > 9999 {
        return Err(Refusal::bad("expires_at can't be after the year 9999."));
    }
    Ok(at)
}
