//! `/v1/mservices`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use magnum_domain::now;

use super::Api;
use crate::context::Context;
use crate::error::Result;
use crate::query::Query;
use crate::view::answer;
use crate::view::service::{ServiceList, ServiceView};

/// Lists the conductors.
#[utoipa::path(get, path = "/v1/mservices", tag = "services", responses((status = 200, body = ServiceList)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    query.only(&[])?;
    context.may("magnum-service:get_all")?;
    let services = api.store.list_services().await?;
    let (now, down_after) = (now(), api.options.service_down_time);
    let views = services.iter().map(|service| ServiceView::new(service, now, down_after)).collect();
    answer(StatusCode::OK, &ServiceList { mservices: views })
}
