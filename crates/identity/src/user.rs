//! Users: `/v3/users`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use magnum_store::identity::{Extra, User, UserChange, UserFilter};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::body::{Body, Filter, Ids, Secret, present};
use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::field::{self, LONGEST_NAME};
use crate::list;
use crate::lockout::Subject;
use crate::requester::{Peer, Requester};
use crate::{IdentityError, domain};

/// Attributes that can't be kept as [`Extra`], since documents have them anyway.
const RESERVED: [&str; 4] = ["id", "links", "password_expires_at", "federated"];

fn document(identity: &BuiltIn, user: &User) -> Value {
    let mut document = json!({
        "id": user.id,
        "name": user.name,
        "domain_id": domain::ID,
        "enabled": user.enabled,
        "password_expires_at": null,
        "options": {},
        "links": {"self": identity.url(&format!("/users/{}", user.id))},
    });
    if let Some(project) = &user.default_project_id {
        document["default_project_id"] = json!(project);
    }
    for (key, value) in &user.extra {
        document[key] = value.clone();
    }
    document
}

#[derive(Deserialize)]
pub(crate) struct UserQuery {
    name: Option<String>,
    enabled: Option<String>,
    domain_id: Option<String>,
    default_project_id: Option<String>,
    limit: Option<String>,
    marker: Option<String>,
}

pub(crate) async fn list(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Filter(query): Filter<UserQuery>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:list_users")?;
    let page = list::page(query.limit.as_deref(), query.marker.as_deref())?;
    for value in [&query.name, &query.default_project_id].into_iter().flatten() {
        field::text("filter", value, LONGEST_NAME)?;
    }
    let elsewhere = query.domain_id.is_some_and(|id| id != domain::ID);
    let filter = UserFilter {
        name: query.name,
        enabled: list::enabled(query.enabled.as_deref()),
        default_project_id: query.default_project_id,
    };
    let users = if elsewhere { Vec::new() } else { identity.tables().users(&filter, &page).await? };
    let users = users.iter().map(|user| document(&identity, user)).collect();
    Ok(Json(list::document(&identity, "users", "/users", &page, users)))
}

pub(crate) async fn show(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<Json<Value>, Refusal> {
    requester.admin_or(&id, "identity:get_user")?;
    Ok(Json(json!({"user": document(&identity, &identity.user(&id).await?)})))
}

impl BuiltIn {
    /// # Errors
    /// 404.
    pub(crate) async fn user(&self, id: &str) -> Result<User, Refusal> {
        field::id("user", id)?;
        self.tables().find_user(id).await?.ok_or_else(|| Refusal::not_found("user", id))
    }
}

#[derive(Deserialize)]
pub(crate) struct NewUserBody {
    user: NewUser,
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
    password: Option<Secret>,
    enabled: Option<bool>,
    default_project_id: Option<String>,
    domain_id: Option<String>,
    options: Option<Map<String, Value>>,
    #[serde(flatten)]
    extra: Extra,
}

pub(crate) async fn create(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Body(body): Body<NewUserBody>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    requester.admin("identity:create_user")?;
    let mut new = body.user;
    field::name(&new.name, LONGEST_NAME)?;
    new.extra.retain(|_, value| !value.is_null());
    check_rest(new.domain_id.as_deref(), new.default_project_id.as_deref(), new.options.as_ref(), &new.extra)?;
    let password_hash = match new.password {
        Some(Secret(password)) => {
            field::secret(&password)?;
            Some(identity.hasher().hash(password).await?)
        }
        None => None,
    };
    let user = User {
        id: Uuid::new_v4().simple().to_string(),
        name: new.name,
        enabled: new.enabled.unwrap_or(true),
        password_hash,
        default_project_id: new.default_project_id,
        epoch: 0,
        extra: new.extra,
        created_at: magnum_domain::now(),
    };
    identity.tables().create_user(&user).await?;
    Ok((StatusCode::CREATED, Json(json!({"user": document(&identity, &user)}))))
}

#[derive(Deserialize)]
pub(crate) struct UserChangeBody {
    user: UserFields,
}

#[derive(Deserialize)]
struct UserFields {
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    password: Option<Option<Secret>>,
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    default_project_id: Option<Option<String>>,
    domain_id: Option<String>,
    options: Option<Map<String, Value>>,
    #[serde(flatten)]
    extra: Extra,
}

pub(crate) async fn change(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
    Body(body): Body<UserChangeBody>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:update_user")?;
    let user = identity.user(&id).await?;
    let mut fields = body.user;
    field::same_id("user", fields.extra.remove("id"), &id)?;
    if let Some(name) = &fields.name {
        field::name(name, LONGEST_NAME)?;
    }
    if fields.enabled == Some(false) {
        not_oneself(&requester, &id, "disable")?;
    }
    let project = fields.default_project_id.as_ref().and_then(Option::as_deref);
    check_rest(fields.domain_id.as_deref(), project, fields.options.as_ref(), &fields.extra)?;
    let together: Extra = user.extra.into_iter().chain(fields.extra.clone()).collect();
    field::extra(&together, &RESERVED)?;
    let password_hash = match fields.password {
        Some(Some(Secret(password))) => {
            field::secret(&password)?;
            Some(Some(identity.hasher().hash(password).await?))
        }
        Some(None) => Some(None),
        None => None,
    };
    let change = UserChange {
        name: fields.name,
        enabled: fields.enabled,
        password_hash,
        default_project_id: fields.default_project_id,
        extra: fields.extra,
    };
    let user = identity.tables().change_user(&id, &change).await?;
    identity.forget_sessions();
    Ok(Json(json!({"user": document(&identity, &user)})))
}

pub(crate) async fn delete(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<StatusCode, Refusal> {
    requester.admin("identity:delete_user")?;
    field::id("user", &id)?;
    not_oneself(&requester, &id, "delete")?;
    identity.tables().delete_user(&id).await?;
    identity.forget_sessions();
    Ok(StatusCode::NO_CONTENT)
}

/// There is no way back in for the last administrator who shuts himself out.
pub(crate) fn not_oneself(requester: &Requester, user_id: &str, what: &str) -> Result<(), Refusal> {
    if requester.is(user_id) {
        return Err(Refusal::NotAllowed(format!("Another administrator has to {what} you.")));
    }
    Ok(())
}

fn check_rest(
    domain_id: Option<&str>,
    default_project_id: Option<&str>,
    options: Option<&Map<String, Value>>,
    extra: &Extra,
) -> Result<(), Refusal> {
    field::domain_id(domain_id)?;
    field::no_options(options)?;
    if default_project_id.is_some_and(|id| !field::is_id(id)) {
        return Err(Refusal::bad("default_project_id is not the id of a project."));
    }
    field::extra(extra, &RESERVED)
}

#[derive(Deserialize)]
pub(crate) struct PasswordBody {
    user: PasswordFields,
}

#[derive(Deserialize)]
struct PasswordFields {
    password: Secret,
    original_password: Secret,
}

/// `POST /v3/users/{id}/password`: a user changes their own. The old one is proof enough, so no token is asked for,
/// and guesses at it count as guesses do at the login.
pub(crate) async fn change_password(
    State(identity): State<BuiltIn>,
    Peer(peer): Peer,
    Ids(id): Ids<String>,
    Body(body): Body<PasswordBody>,
) -> Result<StatusCode, Refusal> {
    let Secret(password) = body.user.password;
    field::secret(&password)?;
    let user = if field::is_id(&id) { identity.tables().find_user(&id).await? } else { None };
    let subject = Subject::user(user.as_ref().map_or(&id, |user| &user.name));
    let stored = user.as_ref().and_then(|user| user.password_hash.clone());
    identity.check_secret(subject, peer, stored, body.user.original_password.0).await?;
    let user = user.filter(|user| user.enabled).ok_or_else(Refusal::unauthorized)?;
    let hash = identity.hash_for(&user.id, password).await?;
    let change = UserChange { password_hash: Some(Some(hash)), ..UserChange::default() };
    identity.tables().change_user(&user.id, &change).await?;
    identity.forget_sessions();
    Ok(StatusCode::NO_CONTENT)
}

impl BuiltIn {
    /// Gives a user a new password and enables them, whoever asks: for an operator on the machine itself. Ends every
    /// token of the user.
    ///
    /// # Errors
    /// [`IdentityError::NoUser`], [`IdentityError::Password`] for one that nobody can have, and those of the store.
    pub async fn set_password(&self, user_name: &str, password: SecretString) -> Result<(), IdentityError> {
        let user = self.tables().find_user_by_name(user_name).await?;
        let user = user.ok_or_else(|| IdentityError::NoUser(user_name.to_owned()))?;
        let hash = self.hash_checked(password).await?;
        let change = UserChange { password_hash: Some(Some(hash)), enabled: Some(true), ..UserChange::default() };
        self.tables().change_user(&user.id, &change).await?;
        self.forget_sessions();
        Ok(())
    }
}
