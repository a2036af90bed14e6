//! A cluster template: the defaults that clusters are made from.

use uuid::Uuid;

use crate::{Labels, Timestamp};

/// One row of the `cluster_template` table.
///
/// `L` is what its labels are kept in; lists, which only show them, leave them as the text they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTemplate<L = Labels> {
    /// Database key; accepted as `cluster_template_id` by cluster create.
    pub id: i64,
    /// Identity in the API.
    pub uuid: Uuid,
    /// Name; not unique.
    pub name: Option<String>,
    /// Owning project.
    pub project_id: String,
    /// Creator.
    pub user_id: String,
    /// Container orchestration engine: `swarm`, `swarm-mode`, `kubernetes`, ... Text, since old rows hold any word.
    pub coe: String,
    /// Image name or id, as given.
    pub image_id: Option<String>,
    /// Worker flavor.
    pub flavor_id: Option<String>,
    /// Master flavor.
    pub master_flavor_id: Option<String>,
    /// Default key pair.
    pub keypair_id: Option<String>,
    /// Network that leads outside.
    pub external_network_id: Option<String>,
    /// Existing network for the nodes.
    pub fixed_network: Option<String>,
    /// Existing subnet for the nodes.
    pub fixed_subnet: Option<String>,
    /// Network driver of the COE.
    pub network_driver: Option<String>,
    /// Volume driver of the COE.
    pub volume_driver: Option<String>,
    /// Comma-separated IPv4 addresses.
    pub dns_nameserver: Option<String>,
    /// Port of the COE's API.
    pub apiserver_port: Option<i32>,
    /// GB.
    pub docker_volume_size: Option<i32>,
    /// Storage driver of the container engine.
    pub docker_storage_driver: Option<String>,
    /// `os_distro` of the image.
    pub cluster_distro: Option<String>,
    /// Proxy for HTTP.
    pub http_proxy: Option<String>,
    /// Proxy for HTTPS.
    pub https_proxy: Option<String>,
    /// Hosts reached without a proxy.
    pub no_proxy: Option<String>,
    /// Whether the cluster has its own registry.
    pub registry_enabled: bool,
    /// Labels that clusters inherit.
    pub labels: L,
    /// Whether the COE's API is served without TLS.
    pub tls_disabled: bool,
    /// Whether every project sees it.
    pub public: bool,
    /// `vm` or `bm`.
    pub server_type: String,
    /// Registry to use without TLS.
    pub insecure_registry: Option<String>,
    /// Default for clusters.
    pub master_lb_enabled: bool,
    /// Default for clusters.
    pub floating_ip_enabled: Option<bool>,
    /// Whether it is kept out of lists and of cluster creation.
    pub hidden: bool,
    /// Comma-separated words.
    pub tags: Option<String>,
    /// Name of the driver, where it is not chosen by (server type, distribution, COE).
    pub driver: Option<String>,
    /// When the row was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}
