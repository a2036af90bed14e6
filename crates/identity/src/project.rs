//! Projects: `/v3/projects`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use magnum_store::identity::{Extra, ListPage, Project, ProjectChange, ProjectFilter};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::body::{Body, Filter, Ids, flag};
use crate::built_in::BuiltIn;
use crate::domain;
use crate::error::Refusal;
use crate::field::{self, LONGEST_PROJECT_NAME};
use crate::list;
use crate::requester::Requester;
use crate::session::SessionScope;

/// Attributes that can't be kept as [`Extra`], since documents have them anyway.
const RESERVED: [&str; 2] = ["id", "links"];
/// Longest tag, in characters, as in Keystone.
const LONGEST_TAG: usize = 255;
/// Most tags of a project, as in Keystone.
const MOST_TAGS: usize = 80;

pub(crate) fn document(identity: &BuiltIn, project: &Project) -> Value {
    let mut document = json!({
        "id": project.id,
        "name": project.name,
        "domain_id": domain::ID,
        "parent_id": domain::ID,
        "description": project.description,
        "enabled": project.enabled,
        "is_domain": false,
        "tags": project.tags,
        "options": {},
        "links": {"self": identity.url(&format!("/projects/{}", project.id))},
    });
    for (key, value) in &project.extra {
        document[key] = value.clone();
    }
    document
}

#[derive(Deserialize)]
pub(crate) struct ProjectQuery {
    name: Option<String>,
    enabled: Option<String>,
    domain_id: Option<String>,
    parent_id: Option<String>,
    is_domain: Option<String>,
    tags: Option<String>,
    #[serde(rename = "tags-any")]
    tags_any: Option<String>,
    #[serde(rename = "not-tags")]
    not_tags: Option<String>,
    #[serde(rename = "not-tags-any")]
    not_tags_any: Option<String>,
    limit: Option<String>,
    marker: Option<String>,
}

impl ProjectQuery {
    fn by_tags(&self) -> bool {
        [&self.tags, &self.tags_any, &self.not_tags, &self.not_tags_any].into_iter().any(Option::is_some)
    }

    /// Each filter is a list of tags, separated by commas.
    fn matches(&self, project: &Project) -> bool {
        let has = |tag: &str| project.tags.iter().any(|own| own == tag);
        let all = |tags: &str| tags.split(',').all(has);
        let any = |tags: &str| tags.split(',').any(has);
        self.tags.as_deref().is_none_or(all)
            && self.tags_any.as_deref().is_none_or(any)
            && self.not_tags.as_deref().is_none_or(|tags| !all(tags))
            && self.not_tags_any.as_deref().is_none_or(|tags| !any(tags))
    }

    fn nowhere(&self) -> bool {
        let elsewhere = |id: &Option<String>| id.as_deref().is_some_and(|id| id != domain::ID);
        elsewhere(&self.domain_id)
            || elsewhere(&self.parent_id)
            || (self.is_domain.is_some() && flag(self.is_domain.as_deref()))
    }
}

pub(crate) async fn list(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Filter(query): Filter<ProjectQuery>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:list_projects")?;
    list_some(&identity, "/projects", None, query).await
}

/// `GET /v3/users/{id}/projects`: those in which a user has a role.
pub(crate) async fn list_of_user(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(user): Ids<String>,
    Filter(query): Filter<ProjectQuery>,
) -> Result<Json<Value>, Refusal> {
    requester.admin_or(&user, "identity:list_user_projects")?;
    let user = identity.user(&user).await?;
    list_some(&identity, &format!("/users/{}/projects", user.id), Some(user.id), query).await
}

async fn list_some(
    identity: &BuiltIn,
    path: &str,
    of_user: Option<String>,
    query: ProjectQuery,
) -> Result<Json<Value>, Refusal> {
    let page = list::page(query.limit.as_deref(), query.marker.as_deref())?;
    // Tags are sorted out here, not in the database, so a page of those can't be.
    let page = if query.by_tags() { ListPage::default() } else { page };
    if let Some(name) = &query.name {
        field::text("filter", name, LONGEST_PROJECT_NAME)?;
    }
    let filter = ProjectFilter { name: query.name.clone(), enabled: list::enabled(query.enabled.as_deref()), of_user };
    let projects = if query.nowhere() { Vec::new() } else { identity.tables().projects(&filter, &page).await? };
    let matching = projects.iter().filter(|project| query.matches(project));
    let projects = matching.map(|project| document(identity, project)).collect();
    Ok(Json(list::document(identity, "projects", path, &page, projects)))
}

pub(crate) async fn show(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<Json<Value>, Refusal> {
    let own = matches!(&requester.0.scope, Some(SessionScope::Project(project)) if project.id == id);
    if !own {
        requester.admin("identity:get_project")?;
    }
    Ok(Json(json!({"project": document(&identity, &identity.project(&id).await?)})))
}

impl BuiltIn {
    /// # Errors
    /// 404.
    pub(crate) async fn project(&self, id: &str) -> Result<Project, Refusal> {
        field::id("project", id)?;
        self.tables().find_project(id).await?.ok_or_else(|| Refusal::not_found("project", id))
    }
}

#[derive(Deserialize)]
pub(crate) struct ProjectBody {
    project: ProjectFields,
}

/// Of a new project, or of a change. Clients send null for what they do not set.
#[derive(Deserialize)]
struct ProjectFields {
    name: Option<String>,
    description: Option<String>,
    enabled: Option<bool>,
    domain_id: Option<String>,
    parent_id: Option<String>,
    is_domain: Option<bool>,
    tags: Option<Vec<String>>,
    options: Option<Map<String, Value>>,
    #[serde(flatten)]
    extra: Extra,
}

impl ProjectFields {
    fn check(&self) -> Result<(), Refusal> {
        if let Some(name) = &self.name {
            field::name(name, LONGEST_PROJECT_NAME)?;
        }
        if let Some(description) = &self.description {
            field::description(description)?;
        }
        if self.is_domain == Some(true) {
            return Err(Refusal::bad("The built-in identity service has one domain, and can't have more."));
        }
        if self.parent_id.as_deref().is_some_and(|id| id != domain::ID) {
            return Err(Refusal::bad("In the built-in identity service, projects do not nest."));
        }
        let tags = self.tags.as_deref().unwrap_or_default();
        if tags.len() > MOST_TAGS {
            return Err(Refusal::bad(format!("A project has at most {MOST_TAGS} tags.")));
        }
        for tag in tags {
            field::name(tag, LONGEST_TAG)?;
            if tag.contains([',', '/']) {
                return Err(Refusal::bad("A tag can't hold commas or slashes."));
            }
        }
        field::domain_id(self.domain_id.as_deref())?;
        field::no_options(self.options.as_ref())?;
        field::extra(&self.extra, &RESERVED)
    }
}

pub(crate) async fn create(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Body(body): Body<ProjectBody>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    requester.admin("identity:create_project")?;
    let mut fields = body.project;
    fields.extra.retain(|_, value| !value.is_null());
    fields.check()?;
    let project = Project {
        id: Uuid::new_v4().simple().to_string(),
        name: fields.name.ok_or_else(|| Refusal::bad("Expecting to find name in project."))?,
        description: fields.description.unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        tags: unique(fields.tags.unwrap_or_default()),
        extra: fields.extra,
        created_at: magnum_domain::now(),
    };
    identity.tables().create_project(&project).await?;
    Ok((StatusCode::CREATED, Json(json!({"project": document(&identity, &project)}))))
}

pub(crate) async fn change(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
    Body(body): Body<ProjectBody>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:update_project")?;
    let mut fields = body.project;
    field::same_id("project", fields.extra.remove("id"), &id)?;
    fields.check()?;
    let together: Extra = identity.project(&id).await?.extra.into_iter().chain(fields.extra.clone()).collect();
    field::extra(&together, &RESERVED)?;
    if fields.enabled == Some(false) {
        not_in_use(&requester, &id, "disable")?;
    }
    let change = ProjectChange {
        name: fields.name,
        description: fields.description,
        enabled: fields.enabled,
        tags: fields.tags.map(unique),
        extra: fields.extra,
    };
    let project = identity.tables().change_project(&id, &change).await?;
    identity.forget_sessions();
    Ok(Json(json!({"project": document(&identity, &project)})))
}

pub(crate) async fn delete(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<StatusCode, Refusal> {
    requester.admin("identity:delete_project")?;
    field::id("project", &id)?;
    not_in_use(&requester, &id, "delete")?;
    identity.tables().delete_project(&id).await?;
    identity.forget_sessions();
    Ok(StatusCode::NO_CONTENT)
}

/// The project one's token is for may be the only one where anybody is an administrator.
fn not_in_use(requester: &Requester, id: &str, what: &str) -> Result<(), Refusal> {
    match &requester.0.scope {
        Some(SessionScope::Project(project)) if project.id == id => {
            Err(Refusal::NotAllowed(format!("To {what} a project, use a token that is for another one.")))
        }
        _ => Ok(()),
    }
}

fn unique(tags: Vec<String>) -> Vec<String> {
    let mut tags = tags;
    tags.sort();
    tags.dedup();
    tags
}
