//! Cluster templates in answers.

use magnum_domain::ClusterTemplate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::labels::Shown;
use super::links::{LinkSchema, Links, Place};
use super::when::When;
use crate::link::BaseUrl;

/// A cluster template. What the fields mean is told where they are sent, in `crate::field::table`.
#[derive(Serialize, ToSchema)]
pub(crate) struct TemplateView<'a> {
    uuid: Uuid,
    name: Option<&'a str>,
    coe: &'a str,
    image_id: Option<&'a str>,
    flavor_id: Option<&'a str>,
    master_flavor_id: Option<&'a str>,
    dns_nameserver: Option<&'a str>,
    keypair_id: Option<&'a str>,
    external_network_id: Option<&'a str>,
    fixed_network: Option<&'a str>,
    fixed_subnet: Option<&'a str>,
    network_driver: Option<&'a str>,
    apiserver_port: Option<i32>,
    docker_volume_size: Option<i32>,
    cluster_distro: Option<&'a str>,
    #[schema(value_type = Vec<LinkSchema>)]
    links: Links<'a>,
    http_proxy: Option<&'a str>,
    https_proxy: Option<&'a str>,
    no_proxy: Option<&'a str>,
    volume_driver: Option<&'a str>,
    registry_enabled: bool,
    #[schema(value_type = HashMap<String, String>)]
    labels: Shown<'a>,
    tls_disabled: bool,
    public: bool,
    server_type: &'a str,
    insecure_registry: Option<&'a str>,
    docker_storage_driver: Option<&'a str>,
    master_lb_enabled: bool,
    floating_ip_enabled: Option<bool>,
    project_id: &'a str,
    user_id: &'a str,
    hidden: bool,
    tags: Option<&'a str>,
    driver: Option<&'a str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<When>,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<When>,
}

impl<'a> TemplateView<'a> {
    /// The view of a row.
    pub(crate) fn new<L>(template: &'a ClusterTemplate<L>, base: &'a BaseUrl) -> Self
    where
        Shown<'a>: From<&'a L>,
    {
        Self {
            uuid: template.uuid,
            name: template.name.as_deref(),
            coe: &template.coe,
            image_id: template.image_id.as_deref(),
            flavor_id: template.flavor_id.as_deref(),
            master_flavor_id: template.master_flavor_id.as_deref(),
            dns_nameserver: template.dns_nameserver.as_deref(),
            keypair_id: template.keypair_id.as_deref(),
            external_network_id: template.external_network_id.as_deref(),
            fixed_network: template.fixed_network.as_deref(),
            fixed_subnet: template.fixed_subnet.as_deref(),
            network_driver: template.network_driver.as_deref(),
            apiserver_port: template.apiserver_port,
            docker_volume_size: template.docker_volume_size,
            cluster_distro: template.cluster_distro.as_deref(),
            links: Links { base, place: Place::ClusterTemplate(template.uuid) },
            http_proxy: template.http_proxy.as_deref(),
            https_proxy: template.https_proxy.as_deref(),
            no_proxy: template.no_proxy.as_deref(),
            volume_driver: template.volume_driver.as_deref(),
            registry_enabled: template.registry_enabled,
            labels: Shown::from(&template.labels),
            tls_disabled: template.tls_disabled,
            public: template.public,
            server_type: &template.server_type,
            insecure_registry: template.insecure_registry.as_deref(),
            docker_storage_driver: template.docker_storage_driver.as_deref(),
            master_lb_enabled: template.master_lb_enabled,
            floating_ip_enabled: template.floating_ip_enabled,
            project_id: &template.project_id,
            user_id: &template.user_id,
            hidden: template.hidden,
            tags: template.tags.as_deref(),
            driver: template.driver.as_deref(),
            created_at: When::maybe(template.created_at),
            updated_at: When::maybe(template.updated_at),
        }
    }
}

/// One page of cluster templates.
#[derive(Serialize, ToSchema)]
pub(crate) struct TemplateList<'a> {
    /// The page.
    pub(crate) clustertemplates: Vec<TemplateView<'a>>,
    /// URL of the next page, when this one is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
