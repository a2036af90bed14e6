//! Services, endpoints and regions: what this process offers, and where. Fixed by the configuration.

use aws_lc_rs::digest;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::{Filter, Ids};
use crate::built_in::BuiltIn;
use crate::error::Refusal;
use crate::list::document;
use crate::requester::Requester;

/// What tokens tell clients about where things are. The identity service itself need not be listed in `services`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCatalog {
    /// Name of the one region.
    pub region: String,
    /// Where [`crate::BuiltIn::router`] can be reached, without `/v3`: `http://127.0.0.1:9511/identity`.
    pub identity_url: String,
    /// The other services.
    pub services: Vec<CatalogService>,
}

/// A service with one URL for all of its interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogService {
    /// What clients look for. They find `container-infra` under each of its names (`container-infrastructure-management`, ...).
    pub service_type: String,
    /// For people.
    pub name: String,
    /// With its version, if the service has that in its path.
    pub url: String,
}

impl ServiceCatalog {
    /// That of a process which serves container-infra under `base/v1` and identity under `base/identity`.
    #[must_use]
    pub fn of_this_process(region: &str, base: &str) -> Self {
        let base = base.trim_end_matches('/');
        Self {
            region: region.to_owned(),
            identity_url: format!("{base}/identity"),
            services: vec![CatalogService {
                service_type: "container-infra".to_owned(),
                name: "magnum".to_owned(),
                url: format!("{base}/v1"),
            }],
        }
    }

    /// With the identity service, which is last.
    pub(crate) fn all(&self) -> Vec<CatalogService> {
        let identity = CatalogService {
            service_type: "identity".to_owned(),
            name: "keystone".to_owned(),
            url: format!("{}/v3", self.identity_url),
        };
        self.services.iter().cloned().chain([identity]).collect()
    }

    /// As tokens hold it.
    pub(crate) fn document(&self) -> Value {
        let services = self.all().into_iter().map(|service| {
            let endpoints: Vec<Value> = INTERFACES
                .iter()
                .map(|interface| {
                    json!({
                        "id": endpoint_id(&service, interface),
                        "interface": interface,
                        "region": self.region,
                        "region_id": self.region,
                        "url": service.url,
                    })
                })
                .collect();
            json!({
                "id": service_id(&service),
                "type": service.service_type,
                "name": service.name,
                "endpoints": endpoints,
            })
        });
        services.collect()
    }
}

const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

/// Ids that stay the same from start to start.
fn stable_id(parts: &[&str]) -> String {
    let hash = digest::digest(&digest::SHA256, parts.join("\0").as_bytes());
    hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn service_id(service: &CatalogService) -> String {
    stable_id(&["service", &service.service_type, &service.name])
}

fn endpoint_id(service: &CatalogService, interface: &str) -> String {
    stable_id(&["endpoint", &service.service_type, &service.name, interface])
}

#[derive(Deserialize)]
pub(crate) struct ServiceFilter {
    #[serde(rename = "type")]
    service_type: Option<String>,
    name: Option<String>,
}

pub(crate) async fn list_services(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Filter(filter): Filter<ServiceFilter>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:list_services")?;
    let wanted = |service: &Value| {
        filter.service_type.as_ref().is_none_or(|wanted| service["type"] == **wanted)
            && filter.name.as_ref().is_none_or(|wanted| service["name"] == **wanted)
    };
    let services = services(&identity).into_iter().filter(wanted).collect();
    Ok(Json(document(&identity, "services", "/services", &Default::default(), services)))
}

pub(crate) async fn show_service(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:get_service")?;
    let service = services(&identity).into_iter().find(|service| service["id"] == *id);
    Ok(Json(json!({"service": service.ok_or_else(|| Refusal::not_found("service", id))?})))
}

fn services(identity: &BuiltIn) -> Vec<Value> {
    let document = |service: CatalogService| {
        let id = service_id(&service);
        let this = identity.url(&format!("/services/{id}"));
        json!({
            "id": id,
            "type": service.service_type,
            "name": service.name,
            "enabled": true,
            "links": {"self": this},
        })
    };
    identity.service_catalog().all().into_iter().map(document).collect()
}

#[derive(Deserialize)]
pub(crate) struct EndpointFilter {
    interface: Option<String>,
    service_id: Option<String>,
    region_id: Option<String>,
    region: Option<String>,
}

pub(crate) async fn list_endpoints(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Filter(filter): Filter<EndpointFilter>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:list_endpoints")?;
    let filters = [
        ("interface", filter.interface),
        ("service_id", filter.service_id),
        ("region_id", filter.region_id),
        ("region", filter.region),
    ];
    let wanted = |endpoint: &Value| {
        filters.iter().all(|(key, wanted)| wanted.as_ref().is_none_or(|wanted| endpoint[*key] == **wanted))
    };
    let endpoints = endpoints(&identity).into_iter().filter(wanted).collect();
    Ok(Json(document(&identity, "endpoints", "/endpoints", &Default::default(), endpoints)))
}

pub(crate) async fn show_endpoint(
    State(identity): State<BuiltIn>,
    requester: Requester,
    Ids(id): Ids<String>,
) -> Result<Json<Value>, Refusal> {
    requester.admin("identity:get_endpoint")?;
    let endpoint = endpoints(&identity).into_iter().find(|endpoint| endpoint["id"] == *id);
    Ok(Json(json!({"endpoint": endpoint.ok_or_else(|| Refusal::not_found("endpoint", id))?})))
}

fn endpoints(identity: &BuiltIn) -> Vec<Value> {
    let region = &identity.service_catalog().region;
    let document = |service: &CatalogService, interface: &str| {
        let id = endpoint_id(service, interface);
        let this = identity.url(&format!("/endpoints/{id}"));
        json!({
            "id": id,
            "service_id": service_id(service),
            "interface": interface,
            "region": region,
            "region_id": region,
            "url": service.url,
            "enabled": true,
            "links": {"self": this},
        })
    };
    let services = identity.service_catalog().all();
    services.iter().flat_map(|service| INTERFACES.map(|interface| document(service, interface))).collect()
}

pub(crate) async fn list_regions(State(identity): State<BuiltIn>, _: Requester) -> Json<Value> {
    Json(document(&identity, "regions", "/regions", &Default::default(), vec![region(&identity)]))
}

pub(crate) async fn show_region(
    State(identity): State<BuiltIn>,
    _: Requester,
    Ids(id): Ids<String>,
) -> Result<Json<Value>, Refusal> {
    if id != identity.service_catalog().region {
        return Err(Refusal::not_found("region", id.escape_debug().to_string()));
    }
    Ok(Json(json!({"region": region(&identity)})))
}

fn region(identity: &BuiltIn) -> Value {
    let id = &identity.service_catalog().region;
    json!({
        "id": id,
        "description": "",
        "parent_region_id": null,
        "links": {"self": identity.url(&format!("/regions/{id}"))},
    })
}
