//! The tables that are read and written, and how the database is opened.

use anyhow::Result;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

/// Opens the database at a URL of sqlx; SQLite in WAL mode as the server left it.
pub(crate) async fn open(database: &str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(database);
    options.max_connections(20).test_before_acquire(false).sqlx_logging(false);
    Ok(Database::connect(options).await?)
}

pub(crate) mod cluster {
    //! A cluster.
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, DeriveEntityModel)]
    #[sea_orm(table_name = "cluster")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub created_at: Option<DateTime>,
        pub updated_at: Option<DateTime>,
        pub project_id: Option<String>,
        pub user_id: Option<String>,
        pub uuid: Option<String>,
        pub name: Option<String>,
        pub cluster_template_id: Option<String>,
        pub keypair: Option<String>,
        pub docker_volume_size: Option<i32>,
        pub labels: Option<String>,
        pub master_flavor_id: Option<String>,
        pub flavor_id: Option<String>,
        pub stack_id: Option<String>,
        pub api_address: Option<String>,
        pub status: Option<String>,
        pub status_reason: Option<String>,
        pub health_status: Option<String>,
        pub health_status_reason: Option<String>,
        pub create_timeout: Option<i32>,
        pub discovery_url: Option<String>,
        pub coe_version: Option<String>,
        pub container_version: Option<String>,
        pub ca_cert_ref: Option<String>,
        pub magnum_cert_ref: Option<String>,
        pub etcd_ca_cert_ref: Option<String>,
        pub front_proxy_ca_cert_ref: Option<String>,
        pub fixed_network: Option<String>,
        pub fixed_subnet: Option<String>,
        pub floating_ip_enabled: Option<bool>,
        pub master_lb_enabled: Option<bool>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod cluster_template {
    //! A cluster template.
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, DeriveEntityModel)]
    #[sea_orm(table_name = "cluster_template")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub created_at: Option<DateTime>,
        pub updated_at: Option<DateTime>,
        pub uuid: Option<String>,
        pub project_id: Option<String>,
        pub user_id: Option<String>,
        pub name: Option<String>,
        pub image_id: Option<String>,
        pub flavor_id: Option<String>,
        pub master_flavor_id: Option<String>,
        pub keypair_id: Option<String>,
        pub external_network_id: Option<String>,
        pub fixed_network: Option<String>,
        pub fixed_subnet: Option<String>,
        pub network_driver: Option<String>,
        pub volume_driver: Option<String>,
        pub dns_nameserver: Option<String>,
        pub apiserver_port: Option<i32>,
        pub docker_volume_size: Option<i32>,
        pub docker_storage_driver: Option<String>,
        pub cluster_distro: Option<String>,
        pub coe: Option<String>,
        pub http_proxy: Option<String>,
        pub https_proxy: Option<String>,
        pub no_proxy: Option<String>,
        pub registry_enabled: Option<bool>,
        pub labels: Option<String>,
        pub tls_disabled: Option<bool>,
        pub public: Option<bool>,
        pub server_type: Option<String>,
        pub insecure_registry: Option<String>,
        pub master_lb_enabled: Option<bool>,
        pub floating_ip_enabled: Option<bool>,
        pub hidden: Option<bool>,
        pub tags: Option<String>,
        pub driver: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod nodegroup {
    //! A node group; a list shows the counts of them.
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, DeriveEntityModel)]
    #[sea_orm(table_name = "nodegroup")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub created_at: Option<DateTime>,
        pub updated_at: Option<DateTime>,
        pub uuid: String,
        pub name: String,
        pub cluster_id: String,
        pub project_id: String,
        pub docker_volume_size: Option<i32>,
        pub labels: Option<String>,
        pub flavor_id: Option<String>,
        pub image_id: Option<String>,
        pub node_addresses: Option<String>,
        pub node_count: Option<i32>,
        pub max_node_count: Option<i32>,
        pub min_node_count: Option<i32>,
        pub role: Option<String>,
        pub is_default: Option<bool>,
        pub stack_id: Option<String>,
        pub status: Option<String>,
        pub status_reason: Option<String>,
        pub version: Option<String>,
        pub node_labels: Option<String>,
        pub node_taints: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
