//! All routes, and what every request goes through.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use tower::ServiceBuilder;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::error::{ApiError, Result};
use crate::middleware::{Gate, every_request, normalize};
use crate::openapi::Head;
use crate::resources::{
    bay, bay_model, certificate, cluster, cluster_action, cluster_create, cluster_template, cluster_update, credential,
    event, federation, health, mservice, node, nodegroup, nodegroup_write, operation, quota, root, stats,
};
use crate::throttle::Throttle;

/// The API as a service. Paths that are not its own are read as if `/v1` stood before them, so whoever mounts other
/// things beside it nests those and takes this as the fallback.
pub fn router(state: ApiState) -> Router {
    let state = Arc::new(state);
    let (documented, _) = documented().split_for_parts();
    let throttle = Arc::new(Throttle::new(&state.options.rates, &state.options.streams, state.metrics.clone()));
    let gate = Gate { state: Arc::clone(&state), throttle };
    let routes = with_oddities(documented)
        .fallback(unknown)
        .method_not_allowed_fallback(|| async { ApiError::Routing(StatusCode::METHOD_NOT_ALLOWED) })
        .layer(from_fn_with_state(gate, every_request))
        .layer(DefaultBodyLimit::max(state.options.body_limit))
        .with_state(state);
    let service =
        ServiceBuilder::new().map_request(normalize::request).map_response(normalize::response).service(routes);
    Router::new().fallback_service(service)
}

/// Every route with its document: there is no other way to add one.
pub(crate) fn documented() -> OpenApiRouter<Arc<ApiState>> {
    OpenApiRouter::with_openapi(Head::openapi())
        .routes(routes!(root::root))
        .routes(routes!(root::v1))
        .routes(routes!(health::healthcheck))
        .routes(routes!(root::metrics))
        .routes(routes!(root::openapi))
        .routes(routes!(cluster_template::list, cluster_template::create))
        .routes(routes!(cluster_template::detail))
        .routes(routes!(cluster_template::show, cluster_template::update, cluster_template::delete))
        .routes(routes!(cluster::list, cluster_create::create))
        .routes(routes!(cluster::detail))
        .routes(routes!(cluster::show, cluster_update::update, cluster::delete))
        .routes(routes!(cluster_action::resize))
        .routes(routes!(cluster_action::upgrade))
        .routes(routes!(nodegroup::list, nodegroup_write::create))
        .routes(routes!(nodegroup::show, nodegroup_write::update, nodegroup_write::delete))
        .routes(routes!(event::list))
        .routes(routes!(operation::list))
        .routes(routes!(operation::show))
        .routes(routes!(operation::cancel))
        .routes(routes!(operation::retry))
        .routes(routes!(node::list))
        .routes(routes!(certificate::create))
        .routes(routes!(certificate::show, certificate::rotate))
        .routes(routes!(certificate::show_type))
        .routes(routes!(credential::rotate))
        .routes(routes!(quota::list, quota::create, quota::update_named, quota::delete_named))
        .routes(routes!(quota::show, quota::update, quota::delete))
        .routes(routes!(stats::show))
        .routes(routes!(mservice::list))
        .routes(routes!(federation::list, federation::create))
        .routes(routes!(federation::detail))
        .routes(routes!(federation::show, federation::update, federation::delete))
        .routes(routes!(bay::list, bay::create))
        .routes(routes!(bay::detail))
        .routes(routes!(bay::show, bay::update, bay::delete))
        .routes(routes!(bay_model::list, bay_model::create))
        .routes(routes!(bay_model::detail))
        .routes(routes!(bay_model::show, bay_model::update, bay_model::delete))
}

/// Upstream's answers where a path lacks its last part (400) or has one too many (405, without a method that would do).
fn with_oddities(router: Router<Arc<ApiState>>) -> Router<Arc<ApiState>> {
    let nothing = MethodRouter::new;
    router
        .route("/v1.json", axum::routing::get(root::v1))
        .route("/v1/clustertemplates", missing("cluster_template_ident"))
        .route("/v1/clusters", missing("cluster_ident"))
        .route("/v1/federations", missing("federation_ident"))
        .route("/v1/certificates", axum::routing::patch(|| async { argument("cluster_ident") }))
        .route("/v1/credentials", axum::routing::patch(|| async { argument("cluster_ident") }))
        .route("/v1/clusters/{cluster_ident}/nodegroups", missing("nodegroup_id"))
        .route("/v1/quotas/{project_id}", axum::routing::get(|| async { argument("resource") }))
        .route("/v1/clusters/{cluster_ident}/actions", nothing())
        .route("/v1/clusters/{cluster_ident}/actions/{action}", nothing())
        .route("/v1/mservices/{id}", nothing())
        .route("/v1/stats/{id}", nothing())
}

async fn unknown(method: Method) -> ApiError {
    ApiError::NoPath { is_get: method == Method::GET }
}

fn missing(name: &'static str) -> MethodRouter<Arc<ApiState>> {
    axum::routing::delete(move || async move { argument(name) }).patch(move || async move { argument(name) })
}

fn argument(name: &str) -> Result<()> {
    Err(ApiError::invalid(format!("Missing argument: \"{name}\"")))
}
