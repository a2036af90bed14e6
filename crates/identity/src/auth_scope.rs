//! What the bearer of a token can have one for: `/v3/auth/projects` and its like.

use axum::Json;
use axum::extract::State;
use magnum_store::identity::{GrantFilter, GrantScope, ListPage, ProjectFilter};
use serde_json::{Value, json};

use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::list::document;
use crate::requester::Requester;
use crate::{domain, project};

pub(crate) async fn catalog(State(identity): State<BuiltIn>, requester: Requester) -> Result<Json<Value>, Refusal> {
    if requester.0.scope.is_none() {
        return Err(Refusal::Forbidden("identity:get_auth_catalog".to_owned()));
    }
    let links = json!({"self": identity.url("/auth/catalog"), "previous": null, "next": null});
    Ok(Json(json!({"catalog": identity.service_catalog().document(), "links": links})))
}

pub(crate) async fn projects(State(identity): State<BuiltIn>, requester: Requester) -> Result<Json<Value>, Refusal> {
    let filter =
        ProjectFilter { of_user: Some(requester.0.user.id.clone()), enabled: Some(true), ..ProjectFilter::default() };
    let projects = identity.tables().projects(&filter, &ListPage::default()).await?;
    let projects = projects.iter().map(|project| project::document(&identity, project)).collect();
    Ok(Json(document(&identity, "projects", "/auth/projects", &ListPage::default(), projects)))
}

pub(crate) async fn domains(State(identity): State<BuiltIn>, requester: Requester) -> Result<Json<Value>, Refusal> {
    let any = identity.has_any_role(&requester, GrantScope::Domain).await?;
    let domains = if any { vec![domain::document(&identity)] } else { Vec::new() };
    Ok(Json(document(&identity, "domains", "/auth/domains", &ListPage::default(), domains)))
}

pub(crate) async fn system(State(identity): State<BuiltIn>, requester: Requester) -> Result<Json<Value>, Refusal> {
    let any = identity.has_any_role(&requester, GrantScope::System).await?;
    let system = if any { json!([{"all": true}]) } else { json!([]) };
    Ok(Json(json!({"system": system, "links": {"self": identity.url("/auth/system")}})))
}

impl BuiltIn {
    async fn has_any_role(&self, requester: &Requester, scope: GrantScope) -> Result<bool, Refusal> {
        let filter =
            GrantFilter { user_id: Some(requester.0.user.id.clone()), scope: Some(scope), ..GrantFilter::default() };
        Ok(!self.tables().grants(&filter).await?.is_empty())
    }
}
