//! `/v1/stats`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Api, nameable};
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::view::answer;
use crate::view::quota::StatsView;

/// Counts clusters and nodes of a project; to administrators, of all projects.
#[utoipa::path(get, path = "/v1/stats", tag = "statistics",
    params(("project_id" = Option<String>, Query, description = "The project; the caller's own when it is not given"),
           ("type" = Option<String>, Query, description = "`cluster`")),
    responses((status = 200, body = StatsView)))]
pub(crate) async fn show(State(api): Api, context: Context, query: Query) -> Result<Response> {
    let query = query.only(&["project_id", "type"])?;
    context.may("stats:get_all")?;
    if query.text("type").is_some_and(|kind| !kind.eq_ignore_ascii_case("cluster")) {
        return Err(ApiError::invalid("Invalid stats type. Allowed values are 'cluster'"));
    }
    let asked = query.text("project_id").filter(|project| !project.is_empty());
    let project = match asked {
        Some(project) if !context.caller.is_admin && Some(project) != context.caller.project_id.as_deref() => {
            return Err(ApiError::Forbidden("Not authorized.".to_owned()));
        }
        Some(project) => {
            nameable("Project", project)?;
            Some(project)
        }
        None if context.caller.is_admin => None,
        None => Some(context.project()?),
    };
    let stats = api.store.stats(project).await?;
    answer(StatusCode::OK, &StatsView { clusters: stats.clusters, nodes: stats.nodes })
}
