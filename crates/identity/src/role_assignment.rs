//! Who has which role where: `/v3/role_assignments` and `/v3/{projects,domains,system}/../users/../roles`.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use magnum_store::identity::{Grant, GrantFilter, GrantScope, Role};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::{Filter, Ids, flag};
use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::requester::Requester;
use crate::{domain, field, list, role, user};

/// Parts of the path: with a project, with a domain, or with neither for the whole system.
#[derive(Deserialize)]
pub(crate) struct GrantPath {
    project: Option<String>,
    domain: Option<String>,
    user: String,
    role: Option<String>,
}

impl GrantPath {
    /// The scope, if it exists.
    async fn scope(&self, identity: &BuiltIn) -> Result<GrantScope, Refusal> {
        match (&self.project, &self.domain) {
            (Some(project), _) => Ok(GrantScope::Project(identity.project(project).await?.id)),
            (None, Some(domain)) if domain == domain::ID => Ok(GrantScope::Domain),
            (None, Some(domain)) => Err(Refusal::not_found("domain", domain.escape_debug().to_string())),
            (None, None) => Ok(GrantScope::System),
        }
    }

    /// The grant, if user, role and scope exist.
    async fn grant(&self, identity: &BuiltIn) -> Result<(Grant, Role), Refusal> {
        let role = identity.role(self.role.as_deref().unwrap_or_default()).await?;
        let user = identity.user(&self.user).await?;
        let scope = self.scope(identity).await?;
        Ok((Grant { user_id: user.id, scope, role_id: role.id.clone() }, role))
    }
}

/// `PUT`: gives a role.
pub(crate) async fn add(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(path): Ids<GrantPath>,
) -> Result<StatusCode, Refusal> {
    requester.admin("identity:create_grant")?;
    let (grant, _) = path.grant(&identity).await?;
    identity.tables().add_grant(&grant).await?;
    identity.forget_sessions();
    Ok(StatusCode::NO_CONTENT)
}

/// `GET` and `HEAD`: whether the user has that very role there.
pub(crate) async fn check(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(path): Ids<GrantPath>,
) -> Result<StatusCode, Refusal> {
    requester.admin("identity:check_grant")?;
    let (grant, role) = path.grant(&identity).await?;
    if identity.tables().has_grant(&grant).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::not_found("role assignment", role.name))
    }
}

/// `DELETE`: takes a role away.
pub(crate) async fn remove(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(path): Ids<GrantPath>,
) -> Result<StatusCode, Refusal> {
    requester.admin("identity:revoke_grant")?;
    let (grant, role) = path.grant(&identity).await?;
    if role.name == role::ADMIN {
        user::not_oneself(&requester, &grant.user_id, "take this role from")?;
    }
    identity.tables().remove_grant(&grant).await?;
    identity.forget_sessions();
    Ok(StatusCode::NO_CONTENT)
}

/// `GET ../users/{user}/roles`: the roles that were given, without those they imply.
pub(crate) async fn roles_of_user(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(path): Ids<GrantPath>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:list_grants")?;
    let user = identity.user(&path.user).await?;
    let scope = path.scope(&identity).await?;
    let url = match &scope {
        GrantScope::Project(id) => format!("/projects/{id}/users/{}/roles", user.id),
        GrantScope::Domain => format!("/domains/{}/users/{}/roles", domain::ID, user.id),
        GrantScope::System => format!("/system/users/{}/roles", user.id),
    };
    let filter = GrantFilter { user_id: Some(user.id), scope: Some(scope), role_id: None };
    let granted = identity.tables().grants(&filter).await?;
    let all = identity.tables().roles().await?;
    let has = |role: &&Role| granted.iter().any(|grant| grant.role_id == role.id);
    let roles = all.iter().filter(has).map(|role| role::document(&identity, role)).collect();
    Ok(Json(list::document(&identity, "roles", &url, &Default::default(), roles)))
}

#[derive(Deserialize)]
pub(crate) struct AssignmentQuery {
    #[serde(rename = "user.id")]
    user: Option<String>,
    #[serde(rename = "group.id")]
    group: Option<String>,
    #[serde(rename = "role.id")]
    role: Option<String>,
    #[serde(rename = "scope.project.id")]
    project: Option<String>,
    #[serde(rename = "scope.domain.id")]
    domain: Option<String>,
    #[serde(rename = "scope.system")]
    system: Option<String>,
    #[serde(rename = "scope.OS-INHERIT:inherited_to")]
    inherited_to: Option<String>,
    effective: Option<String>,
    include_names: Option<String>,
}

impl AssignmentQuery {
    /// What to look for; nothing if no assignment can be like that.
    fn filter(&self) -> Result<Option<GrantFilter>, Refusal> {
        for id in [&self.user, &self.role, &self.project].into_iter().flatten() {
            field::text("filter", id, field::LONGEST_NAME)?;
        }
        let system = self.system.as_ref().filter(|_| flag(self.system.as_deref()));
        let scope = match (&self.project, &self.domain, system) {
            (None, None, None) => None,
            (Some(project), None, None) => Some(GrantScope::Project(project.clone())),
            (None, Some(domain), None) if domain == domain::ID => Some(GrantScope::Domain),
            (None, Some(_), None) => return Ok(None),
            (None, None, Some(_)) => Some(GrantScope::System),
            _ => return Err(Refusal::bad("Assignments can be listed for one project, domain or system only.")),
        };
        if self.group.is_some() || self.inherited_to.is_some() {
            return Ok(None);
        }
        // Those of an implied role are found only after what implies it has been looked up.
        let role_id = self.role.clone().filter(|_| !flag(self.effective.as_deref()));
        Ok(Some(GrantFilter { user_id: self.user.clone(), scope, role_id }))
    }
}

/// `GET /v3/role_assignments`. Users may look at their own.
pub(crate) async fn list(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Filter(query): Filter<AssignmentQuery>,
) -> Result<Json<Value>, Refusal> {
    requester.admin_or(query.user.as_deref().unwrap_or_default(), "identity:list_role_assignments")?;
    let mut grants = match query.filter()? {
        Some(filter) => identity.tables().grants(&filter).await?,
        None => Vec::new(),
    };
    let roles = identity.tables().roles().await?;
    if flag(query.effective.as_deref()) {
        grants = effective(&grants, &roles);
        grants.retain(|grant| query.role.as_ref().is_none_or(|role| *role == grant.role_id));
    }
    let mut names = None;
    if flag(query.include_names.as_deref()) {
        names = Some(Names::of(&identity, &grants, &roles).await?);
    }
    let assignments = grants.iter().map(|grant| document(&identity, grant, names.as_ref())).collect();
    Ok(Json(list::document(&identity, "role_assignments", "/role_assignments", &Default::default(), assignments)))
}

/// The same with the roles that are implied, each once.
fn effective(grants: &[Grant], roles: &[Role]) -> Vec<Grant> {
    let mut all: Vec<Grant> = Vec::new();
    for grant in grants {
        for role in role::with_implied(std::slice::from_ref(&grant.role_id), roles) {
            let one = Grant { role_id: role.id, ..grant.clone() };
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all
}

/// Names by id, of what a list of assignments refers to.
struct Names {
    users: HashMap<String, String>,
    projects: HashMap<String, String>,
    roles: HashMap<String, String>,
}

impl Names {
    async fn of(identity: &BuiltIn, grants: &[Grant], roles: &[Role]) -> Result<Self, Refusal> {
        let users = unique(grants.iter().map(|grant| grant.user_id.clone()));
        let projects = unique(grants.iter().filter_map(|grant| match &grant.scope {
            GrantScope::Project(id) => Some(id.clone()),
            _ => None,
        }));
        let users = identity.tables().users_by_id(&users).await?;
        let projects = identity.tables().projects_by_id(&projects).await?;
        Ok(Self {
            users: users.into_iter().map(|user| (user.id, user.name)).collect(),
            projects: projects.into_iter().map(|project| (project.id, project.name)).collect(),
            roles: roles.iter().map(|role| (role.id.clone(), role.name.clone())).collect(),
        })
    }
}

fn unique(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids.dedup();
    ids
}

fn document(identity: &BuiltIn, grant: &Grant, names: Option<&Names>) -> Value {
    let mut user = json!({"id": grant.user_id});
    let mut role = json!({"id": grant.role_id});
    let (mut scope, place) = match &grant.scope {
        GrantScope::Project(id) => (json!({"project": {"id": id}}), format!("projects/{id}")),
        GrantScope::Domain => (json!({"domain": {"id": domain::ID}}), format!("domains/{}", domain::ID)),
        GrantScope::System => (json!({"system": {"all": true}}), "system".to_owned()),
    };
    if let Some(names) = names {
        user["name"] = json!(names.users.get(&grant.user_id));
        user["domain"] = domain::reference();
        role["name"] = json!(names.roles.get(&grant.role_id));
        match &grant.scope {
            GrantScope::Project(id) => {
                scope["project"]["name"] = json!(names.projects.get(id));
                scope["project"]["domain"] = domain::reference();
            }
            GrantScope::Domain => scope["domain"] = domain::reference(),
            GrantScope::System => {}
        }
    }
    let this = identity.url(&format!("/{place}/users/{}/roles/{}", grant.user_id, grant.role_id));
    json!({"user": user, "role": role, "scope": scope, "links": {"assignment": this}})
}
