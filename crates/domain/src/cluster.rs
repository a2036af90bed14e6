//! A cluster: what the tenant asked for and what became of it.

use uuid::Uuid;

use crate::{ClusterStatus, HealthStatus, Labels, Timestamp};

/// One row of the `cluster` table.
///
/// The trust columns of the older schema head are left out: only the Heat driver has a use for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Database key; never shown, but the order of lists.
    pub id: i64,
    /// Identity in the API.
    pub uuid: Uuid,
    /// Name; not unique. Null in rows of old releases.
    pub name: Option<String>,
    /// Owning project.
    pub project_id: String,
    /// The creator: only they (or an administrator) may fetch credentials.
    pub user_id: String,
    /// UUID of the template.
    pub cluster_template_id: String,
    /// Key pair for the nodes.
    pub keypair: Option<String>,
    /// GB.
    pub docker_volume_size: Option<i32>,
    /// Effective labels.
    pub labels: Labels,
    /// Flavor of masters.
    pub master_flavor_id: Option<String>,
    /// Flavor of workers.
    pub flavor_id: Option<String>,
    /// Identifier at the infrastructure (Heat stack; local: the cluster's network namespace).
    pub stack_id: Option<String>,
    /// URL of the orchestration engine, once known.
    pub api_address: Option<String>,
    /// Where its life stands.
    pub status: ClusterStatus,
    /// Why, in words, when it failed.
    pub status_reason: Option<String>,
    /// What the last health check said.
    pub health_status: Option<HealthStatus>,
    /// Per checked thing: how it was.
    pub health_status_reason: Labels,
    /// Minutes a create may take; 0 or null leave it to the driver.
    pub create_timeout: Option<i32>,
    /// etcd discovery URL.
    pub discovery_url: Option<String>,
    /// Version of the orchestration engine.
    pub coe_version: Option<String>,
    /// Version of the container engine.
    pub container_version: Option<String>,
    /// Where the cluster CA is kept.
    pub ca_cert_ref: Option<String>,
    /// Where the service's own client certificate is kept.
    pub magnum_cert_ref: Option<String>,
    /// Where the etcd CA is kept (Kubernetes).
    pub etcd_ca_cert_ref: Option<String>,
    /// Where the front-proxy CA is kept (Kubernetes).
    pub front_proxy_ca_cert_ref: Option<String>,
    /// Network of the nodes.
    pub fixed_network: Option<String>,
    /// Subnet of the nodes.
    pub fixed_subnet: Option<String>,
    /// Whether nodes get floating IPs. Null is possible and shown as null.
    pub floating_ip_enabled: Option<bool>,
    /// Whether a load balancer stands before the masters.
    pub master_lb_enabled: bool,
    /// When the row was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

impl Cluster {
    /// The name, or the UUID for the nameless rows of old releases.
    #[must_use]
    pub fn display_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uuid.to_string())
    }
}
