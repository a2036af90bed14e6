//! A fresh database gets the upstream tables at head `b3e1cf4a2d5e`, in the shape upstream's migrations leave them,
//! so that upstream's tools can be pointed at it. Where `alembic_version` exists nothing is done.

use sea_orm::sea_query::{Alias, ColumnDef, Query, Table, TableCreateStatement};
use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::{IndexDef, create_indexed};
use crate::Backend;
use crate::schema::has_table;
use crate::upstream::UpstreamHead;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261101_000001_upstream"
    }
}

/// Type of a column. All may be null unless said otherwise.
#[derive(Clone, Copy)]
enum ColumnType {
    Text(u32),
    RequiredText(u32),
    LongText,
    Int,
    RequiredInt,
    Bool,
    Date,
}

use ColumnType::{Bool, Date, Int, LongText, RequiredInt, RequiredText, Text};

const UNIQUE: bool = true;
const PLAIN: bool = false;

struct Upstream {
    name: &'static str,
    columns: &'static [(&'static str, ColumnType)],
    /// Upstream's unique keys, by its names. The plain ones are not upstream's: its migrations do not mind them, and
    /// only tables made here get them.
    indices: &'static [IndexDef],
}

const TABLES: &[Upstream] = &[
    Upstream {
        name: "cluster",
        columns: &[
            ("project_id", Text(255)),
            ("user_id", Text(255)),
            ("uuid", Text(36)),
            ("name", Text(255)),
            ("cluster_template_id", Text(255)),
            ("keypair", Text(255)),
            ("docker_volume_size", Int),
            ("labels", LongText),
            ("master_flavor_id", Text(255)),
            ("flavor_id", Text(255)),
            ("stack_id", Text(255)),
            ("api_address", Text(255)),
            ("status", Text(20)),
            ("status_reason", LongText),
            ("health_status", Text(20)),
            ("health_status_reason", LongText),
            ("create_timeout", Int),
            ("discovery_url", Text(255)),
            ("coe_version", Text(255)),
            ("container_version", Text(255)),
            ("ca_cert_ref", Text(512)),
            ("magnum_cert_ref", Text(512)),
            ("etcd_ca_cert_ref", Text(512)),
            ("front_proxy_ca_cert_ref", Text(512)),
            ("fixed_network", Text(255)),
            ("fixed_subnet", Text(255)),
            ("floating_ip_enabled", Bool),
            ("master_lb_enabled", Bool),
        ],
        indices: &[
            ("uniq_bay0uuid", &["uuid"], UNIQUE),
            ("conductor_cluster_project", &["project_id", "id"], PLAIN),
            ("conductor_cluster_template", &["cluster_template_id"], PLAIN),
        ],
    },
    Upstream {
        name: "cluster_template",
        columns: &[
            ("uuid", Text(36)),
            ("project_id", Text(255)),
            ("user_id", Text(255)),
            ("name", Text(255)),
            ("image_id", Text(255)),
            ("flavor_id", Text(255)),
            ("master_flavor_id", Text(255)),
            ("keypair_id", Text(255)),
            ("external_network_id", Text(255)),
            ("fixed_network", Text(255)),
            ("fixed_subnet", Text(255)),
            ("network_driver", Text(255)),
            ("volume_driver", Text(255)),
            ("dns_nameserver", Text(255)),
            ("apiserver_port", Int),
            ("docker_volume_size", Int),
            ("docker_storage_driver", Text(512)),
            ("cluster_distro", Text(255)),
            ("coe", Text(255)),
            ("http_proxy", Text(255)),
            ("https_proxy", Text(255)),
            ("no_proxy", Text(255)),
            ("registry_enabled", Bool),
            ("labels", LongText),
            ("tls_disabled", Bool),
            ("public", Bool),
            ("server_type", Text(255)),
            ("insecure_registry", Text(255)),
            ("master_lb_enabled", Bool),
            ("floating_ip_enabled", Bool),
            ("hidden", Bool),
            ("tags", Text(255)),
            ("driver", Text(255)),
        ],
        indices: &[
            ("uniq_baymodel0uuid", &["uuid"], UNIQUE),
            ("conductor_template_project", &["project_id", "id"], PLAIN),
        ],
    },
    Upstream {
        name: "nodegroup",
        columns: &[
            ("uuid", RequiredText(36)),
            ("name", RequiredText(255)),
            ("cluster_id", RequiredText(255)),
            ("project_id", RequiredText(255)),
            ("docker_volume_size", Int),
            ("labels", LongText),
            ("flavor_id", Text(255)),
            ("image_id", Text(255)),
            ("node_addresses", LongText),
            ("node_count", Int),
            ("max_node_count", Int),
            ("min_node_count", Int),
            ("role", Text(255)),
            ("is_default", Bool),
            ("stack_id", Text(255)),
            ("status", Text(20)),
            ("status_reason", LongText),
            ("version", Text(20)),
            ("node_labels", LongText),
            ("node_taints", LongText),
        ],
        indices: &[
            ("uniq_nodegroup0uuid", &["uuid"], UNIQUE),
            ("uniq_nodegroup0cluster_id0name", &["cluster_id", "name"], UNIQUE),
            ("conductor_nodegroup_project", &["project_id"], PLAIN),
        ],
    },
    Upstream {
        name: "x509keypair",
        columns: &[
            ("uuid", Text(36)),
            ("certificate", LongText),
            ("private_key", LongText),
            ("private_key_passphrase", LongText),
            ("intermediates", LongText),
            ("project_id", Text(255)),
            ("user_id", Text(255)),
        ],
        indices: &[("uniq_x509keypair0uuid", &["uuid"], UNIQUE)],
    },
    Upstream {
        name: "magnum_service",
        columns: &[
            ("report_count", RequiredInt),
            ("host", Text(255)),
            ("binary", Text(255)),
            ("disabled", Bool),
            ("disabled_reason", Text(255)),
            ("last_seen_up", Date),
            ("forced_down", Bool),
        ],
        indices: &[("uniq_magnum_service0host0binary", &["host", "binary"], UNIQUE)],
    },
    Upstream {
        name: "quotas",
        columns: &[("project_id", Text(255)), ("resource", Text(255)), ("hard_limit", RequiredInt)],
        indices: &[("uniq_quotas0project_id0resource", &["project_id", "resource"], UNIQUE)],
    },
    Upstream {
        name: "federation",
        columns: &[
            ("project_id", Text(255)),
            ("uuid", Text(36)),
            ("name", Text(255)),
            ("hostcluster_id", Text(255)),
            ("member_ids", LongText),
            ("status", Text(20)),
            ("status_reason", LongText),
            ("properties", LongText),
        ],
        indices: &[("uniq_federation0uuid", &["uuid"], UNIQUE)],
    },
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let (database, backend) = match manager.get_database_backend() {
            DatabaseBackend::Postgres => (DatabaseBackend::Postgres, Backend::Postgres),
            DatabaseBackend::MySql => (DatabaseBackend::MySql, Backend::MySql),
            _ => (DatabaseBackend::Sqlite, Backend::Sqlite),
        };
        if has_table(db, backend, "alembic_version").await.map_err(|error| DbErr::Migration(error.to_string()))? {
            return Ok(());
        }
        for upstream in TABLES {
            create_indexed(manager, upstream.name, table(upstream, database), upstream.indices).await?;
        }
        let version = Alias::new("version_num");
        let mut column = ColumnDef::new(version.clone());
        column.string_len(32).not_null().primary_key();
        // Last, since it is what tells that the others are there.
        manager.create_table(Table::create().table(Alias::new("alembic_version")).col(column).to_owned()).await?;
        let head = Query::insert()
            .into_table(Alias::new("alembic_version"))
            .columns([version])
            .values_panic([UpstreamHead::NEWEST.as_str().into()])
            .to_owned();
        db.execute(&head).await?;
        Ok(())
    }
}

fn table(upstream: &Upstream, backend: DatabaseBackend) -> TableCreateStatement {
    let mut table = Table::create().table(Alias::new(upstream.name)).to_owned();
    if backend == DatabaseBackend::MySql {
        table.engine("InnoDB").character_set("utf8mb4");
    }
    table.col(ColumnDef::new(Alias::new("id")).integer().not_null().auto_increment().primary_key());
    table.col(column("created_at", Date, backend));
    table.col(column("updated_at", Date, backend));
    for (name, kind) in upstream.columns {
        let mut column = column(name, *kind, backend);
        if *name == "server_type" {
            column.default("vm");
        }
        table.col(&mut column);
    }
    table
}

fn column(name: &str, kind: ColumnType, backend: DatabaseBackend) -> ColumnDef {
    let mut column = ColumnDef::new(Alias::new(name));
    match kind {
        Text(length) => column.string_len(length),
        RequiredText(length) => column.string_len(length).not_null(),
        LongText => column.text(),
        Int => column.integer(),
        RequiredInt => column.integer().not_null(),
        Bool => column.boolean(),
        Date if backend == DatabaseBackend::Sqlite => column.custom(Alias::new("DATETIME")),
        Date => column.date_time(),
    };
    column
}
