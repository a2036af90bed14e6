//! Roles: `/v3/roles`, and which ones imply others.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use magnum_store::identity::{Role, RoleChange};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::body::{Body, Filter, Ids, present};
use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::field::{self, LONGEST_NAME};
use crate::list;
use crate::requester::Requester;

/// The role of administrators.
pub(crate) const ADMIN: &str = "admin";
/// The role of services, which may look at other users' tokens.
pub(crate) const SERVICE: &str = "service";
/// The role of those who work in a project.
pub(crate) const MEMBER: &str = "member";

/// The roles that are always there, each with what it implies.
pub(crate) const FIXED: [(&str, &[&str]); 4] =
    [(ADMIN, &[MEMBER, READER]), (MEMBER, &[READER]), (READER, &[]), (SERVICE, &[])];

/// The role of those who look on.
const READER: &str = "reader";

fn implied_by(name: &str) -> &'static [&'static str] {
    FIXED.iter().find(|(fixed, _)| *fixed == name).map_or(&[], |(_, implied)| implied)
}

/// The roles with these ids and those they imply, each once.
pub(crate) fn with_implied(granted: &[String], all: &[Role]) -> Vec<Role> {
    let granted: Vec<&Role> = all.iter().filter(|role| granted.contains(&role.id)).collect();
    let has = |role: &Role| {
        granted.iter().any(|granted| granted.id == role.id || implied_by(&granted.name).contains(&role.name.as_str()))
    };
    all.iter().filter(|role| has(role)).cloned().collect()
}

/// The same for names.
pub(crate) fn names_with_implied<'a>(granted: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let implied = granted.clone().flat_map(|name| implied_by(name).iter().map(|implied| -> &'a str { implied }));
    let mut names: Vec<String> = Vec::new();
    for name in granted.chain(implied) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

pub(crate) fn document(identity: &BuiltIn, role: &Role) -> Value {
    json!({
        "id": role.id,
        "name": role.name,
        "domain_id": null,
        "description": role.description,
        "options": {},
        "links": {"self": identity.url(&format!("/roles/{}", role.id))},
    })
}

#[derive(Deserialize)]
pub(crate) struct RoleFilter {
    name: Option<String>,
    domain_id: Option<String>,
}

pub(crate) async fn list(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Filter(filter): Filter<RoleFilter>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:list_roles")?;
    // No role belongs to a domain.
    let in_domain = filter.domain_id.is_some_and(|id| !id.is_empty());
    let wanted = |role: &Role| !in_domain && filter.name.as_ref().is_none_or(|name| *name == role.name);
    let roles = identity.tables().roles().await?;
    let roles = roles.iter().filter(|role| wanted(role)).map(|role| document(&identity, role)).collect();
    Ok(Json(list::document(&identity, "roles", "/roles", &Default::default(), roles)))
}

pub(crate) async fn show(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:get_role")?;
    Ok(Json(json!({"role": document(&identity, &identity.role(&id).await?)})))
}

impl BuiltIn {
    /// # Errors
    /// 404.
    pub(crate) async fn role(&self, id: &str) -> Result<Role, Refusal> {
        field::id("role", id)?;
        self.tables().find_role(id).await?.ok_or_else(|| Refusal::not_found("role", id))
    }
}

#[derive(Deserialize)]
pub(crate) struct NewRoleBody {
    role: NewRole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    name: String,
    description: Option<String>,
    domain_id: Option<String>,
    options: Option<Map<String, Value>>,
}

pub(crate) async fn create(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Body(body): Body<NewRoleBody>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    requester.admin("identity:create_role")?;
    let new = body.role;
    check_name(&identity, &new.name, None).await?;
    check_rest(new.description.as_deref(), new.domain_id.as_deref(), new.options.as_ref())?;
    let role = Role { id: Uuid::new_v4().simple().to_string(), name: new.name, description: new.description };
    identity.tables().create_role(&role).await?;
    Ok((StatusCode::CREATED, Json(json!({"role": document(&identity, &role)}))))
}

#[derive(Deserialize)]
pub(crate) struct RoleChangeBody {
    role: RoleFields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleFields {
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    description: Option<Option<String>>,
    domain_id: Option<String>,
    options: Option<Map<String, Value>>,
}

pub(crate) async fn change(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
    Body(body): Body<RoleChangeBody>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:update_role")?;
    let role = identity.role(&id).await?;
    let RoleFields { id: given, name, description, domain_id, options } = body.role;
    field::same_id("role", given, &id)?;
    if let Some(name) = name.as_ref().filter(|name| **name != role.name) {
        not_fixed(&role)?;
        check_name(&identity, name, Some(&role.id)).await?;
    }
    check_rest(description.as_ref().and_then(Option::as_deref), domain_id.as_deref(), options.as_ref())?;
    let role = identity.tables().change_role(&id, &RoleChange { name, description }).await?;
    identity.forget_sessions();
    Ok(Json(json!({"role": document(&identity, &role)})))
}

pub(crate) async fn delete(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<StatusCode, Refusal> {
    requester.admin("identity:delete_role")?;
    not_fixed(&identity.role(&id).await?)?;
    identity.tables().delete_role(&id).await?;
    identity.forget_sessions();
    Ok(StatusCode::NO_CONTENT)
}

fn not_fixed(role: &Role) -> Result<(), Refusal> {
    if FIXED.iter().any(|(name, _)| *name == role.name) {
        return Err(Refusal::NotAllowed(format!("The role {} has a fixed meaning here and stays.", role.name)));
    }
    Ok(())
}

/// Policies compare role names without case: `Admin` must not come to mean `admin`.
async fn check_name(identity: &BuiltIn, name: &str, own_id: Option<&str>) -> Result<(), Refusal> {
    field::name(name, LONGEST_NAME)?;
    let lower = name.to_lowercase();
    let roles = identity.tables().roles().await?;
    let taken = roles.iter().any(|role| Some(role.id.as_str()) != own_id && role.name.to_lowercase() == lower);
    if taken {
        return Err(Refusal::Conflict(format!("There is a role with the name {name} already, whatever its case.")));
    }
    Ok(())
}

fn check_rest(
    description: Option<&str>,
    domain_id: Option<&str>,
    options: Option<&Map<String, Value>>,
) -> Result<(), Refusal> {
    field::no_options(options)?;
    if domain_id.is_some() {
        return Err(Refusal::bad("The built-in identity service has no roles that belong to a domain."));
    }
    description.map_or(Ok(()), field::description)
}

/// `GET /v3/role_inferences`: which roles imply which.
pub(crate) async fn list_inferences(
    State(identity): State<BuiltIn>,
    requester: Requester,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:list_role_inference_rules")?;
    let roles = identity.tables().roles().await?;
    let brief = |role: &Role| {
        let this = identity.url(&format!("/roles/{}", role.id));
        json!({"id": role.id, "name": role.name, "description": role.description, "links": {"self": this}})
    };
    let inferences = roles.iter().filter_map(|prior| {
        let implied = implied_by(&prior.name);
        let implied: Vec<Value> =
            roles.iter().filter(|role| implied.contains(&role.name.as_str())).map(brief).collect();
        (!implied.is_empty()).then(|| json!({"prior_role": brief(prior), "implies": implied}))
    });
    let inferences: Vec<Value> = inferences.collect();
    Ok(Json(json!({"role_inferences": inferences, "links": {"self": identity.url("/role_inferences")}})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_imply_others() {
        let role = |name: &str| Role { id: format!("id-{name}"), name: name.to_owned(), description: None };
        let all: Vec<Role> = ["admin", "auditor", "member", "reader", "service"].map(role).into();
        for (granted, expected) in [
            (vec!["admin"], vec!["admin", "member", "reader"]),
            (vec!["member"], vec!["member", "reader"]),
            (vec!["reader", "member"], vec!["member", "reader"]),
            (vec!["auditor"], vec!["auditor"]),
            (vec!["service", "reader"], vec!["reader", "service"]),
            (vec!["gone"], vec![]),
            (vec![], vec![]),
        ] {
            let ids: Vec<String> = granted.iter().map(|name| format!("id-{name}")).collect();
            let names: Vec<String> = with_implied(&ids, &all).into_iter().map(|role| role.name).collect();
            assert_eq!(names, expected, "{granted:?}");
        }
        assert_eq!(names_with_implied(["member", "x", "member"].into_iter()), ["member", "x", "reader"]);
    }
}
