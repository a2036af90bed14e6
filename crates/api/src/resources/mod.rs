//! One file per resource: its routes, each with its document, and what they do.

pub(crate) mod bay;
pub(crate) mod bay_model;
pub(crate) mod certificate;
pub(crate) mod cluster;
pub(crate) mod cluster_action;
pub(crate) mod cluster_create;
pub(crate) mod cluster_template;
pub(crate) mod cluster_update;
pub(crate) mod credential;
pub(crate) mod event;
pub(crate) mod federation;
pub(crate) mod health;
pub(crate) mod mservice;
pub(crate) mod node;
pub(crate) mod nodegroup;
pub(crate) mod nodegroup_write;
pub(crate) mod operation;
pub(crate) mod quota;
pub(crate) mod root;
pub(crate) mod stats;
pub(crate) mod vocabulary;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use magnum_domain::operation::{Arguments, NewOperation};
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, OperationKind, now};
use magnum_store::{Page, Scope, SortDir, StoreError};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::ApiState;
use crate::context::Context;
use crate::error::{ApiError, Result};

/// The state as handlers take it.
pub(crate) type Api = State<Arc<ApiState>>;

/// Parts of the path. What can't be decoded names nothing.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<ApiState>> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ApiState>) -> Result<Self> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(ApiError::invalid("The path can't be decoded. Send it as UTF-8, percent-encoded."))
            }
            Err(error) => Err(ApiError::Internal(error.to_string())),
        }
    }
}

/// Refuses names that no row can have before a database is asked, some of which it would choke on.
pub(crate) fn nameable(resource: &str, ident: &str) -> Result<()> {
    if ident.is_empty() || ident.chars().count() > 255 || ident.chars().any(char::is_control) {
        return Err(ApiError::not_found(resource, &crate::field::read::shorten(&ident.escape_debug().to_string())));
    }
    Ok(())
}

/// A cluster by UUID or name.
pub(crate) async fn find_cluster(api: &ApiState, scope: &Scope, ident: &str) -> Result<Cluster> {
    nameable("Cluster", ident)?;
    Ok(api.store.get_cluster(scope, &magnum_store::Ident::parse(ident)).await?)
}

/// The template of a cluster, whoever may see it: hiding a template must not hide its clusters.
pub(crate) async fn template_of(api: &ApiState, cluster: &Cluster) -> Result<ClusterTemplate> {
    let found = api.store.templates_by_uuid(std::slice::from_ref(&cluster.cluster_template_id)).await?;
    found.into_iter().next().ok_or_else(|| ApiError::not_found("ClusterTemplate", &cluster.cluster_template_id))
}

/// Refuses to change a cluster that no driver here looks after, such as one that upstream made in its cloud: the
/// operation would fail, and leave a failure where there was none.
pub(crate) async fn looked_after(api: &ApiState, cluster: &Cluster) -> Result<()> {
    let template = template_of(api, cluster).await?;
    api.planner.supported(&template).map_err(|error| {
        ApiError::conflict(format!(
            "{error} No driver here looks after cluster {}: it can be shown, and its certificates signed, but not changed or \
             deleted. Nothing was changed.",
            cluster.uuid
        ))
    })
}

/// An operation on a cluster, to be done in the time that the cluster gives.
pub(crate) fn operation(
    api: &ApiState,
    context: &Context,
    cluster: &Cluster,
    kind: OperationKind,
    arguments: Arguments,
) -> NewOperation {
    let minutes = cluster.create_timeout.and_then(|minutes| u64::try_from(minutes).ok()).filter(|minutes| *minutes > 0);
    let time = minutes.map_or(api.options.create_timeout, |minutes| Duration::from_secs(minutes * 60));
    // Thirty years at most: beyond that dates overflow.
    let time = time.min(Duration::from_secs(30 * 365 * 24 * 3600));
    NewOperation {
        uuid: Uuid::new_v4(),
        cluster_uuid: cluster.uuid,
        project_id: cluster.project_id.clone(),
        user_id: context.caller.user_id.clone(),
        request_id: context.request_id.to_option(),
        kind,
        arguments,
        deadline_at: chrono::Duration::from_std(time).ok().map(|time| now() + time),
    }
}

/// The rule about the statuses in which an operation may be asked for, as the store asks for it.
pub(crate) fn allowed(kind: OperationKind) -> impl Fn(&ClusterStatus) -> bool + Sync {
    move |status| kind.is_allowed_in(status)
}

/// Upstream's 400 for what it checks while the client waits, in place of the 409 that everything else gets.
pub(crate) fn wrong_status(action: &str) -> impl Fn(StoreError) -> ApiError {
    move |error| match error {
        StoreError::WrongStatus { status, busy_with } => status_message(action, &status, busy_with),
        other => other.into(),
    }
}

/// Refuses a cluster whose status does not allow something, and names the operation that is in the way.
///
/// # Errors
/// The refusal.
pub(crate) async fn refuse_status(
    api: &ApiState,
    action: &str,
    cluster: &Cluster,
    allowed: impl Fn(&ClusterStatus) -> bool,
) -> Result<()> {
    if allowed(&cluster.status) {
        return Ok(());
    }
    let newest = Page { sort_dir: SortDir::Desc, ..Page::first(8) };
    let operations = api.store.list_operations(cluster.uuid, &newest).await?;
    let in_the_way = operations.iter().rev().find(|operation| !operation.state.is_finished());
    Err(status_message(action, &cluster.status, in_the_way.map(|operation| operation.kind)))
}

/// See [`wrong_status`].
fn status_message(action: &str, status: &ClusterStatus, busy_with: Option<OperationKind>) -> ApiError {
    let what_to_do = match busy_with {
        Some(kind) => {
            format!("Its operation {} is not finished: wait for it, or cancel it, and try again.", kind.as_str())
        }
        None => "Bring the cluster to a status that ends in COMPLETE first.".to_owned(),
    };
    ApiError::invalid(format!("{action} when status is \"{status}\" is not supported. {what_to_do}"))
}

/// Query of every list, for the document of the API.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct PageQuery {
    /// Most items; the server has a bound of its own.
    limit: Option<i64>,
    /// Last item of the page before: a UUID, for quotas the integer id.
    marker: Option<String>,
    /// Field to sort by; `id` when it is not given.
    sort_key: Option<String>,
    /// `asc` or `desc`.
    sort_dir: Option<String>,
}

/// Query of what can be tried without effect, for the document of the API.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its form is of use")]
pub(crate) struct DryRunQuery {
    /// Answers 200 with what would be done, and does nothing.
    dry_run: Option<bool>,
}
