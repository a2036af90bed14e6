//! The conductor's own tables: operations, events, ledger, nodes, locks.

use sea_orm::sea_query::{Alias, ColumnDef, Table, TableCreateStatement};
use sea_orm::{DatabaseBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::{IndexDef, create_indexed, exact, timestamp};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261101_000002_conductor"
    }
}

#[derive(Clone, Copy)]
enum Kind {
    /// Text of at most so many characters.
    Text(u32),
    LongText,
    Int,
    Bool,
    Date,
}

use Kind::{Bool, Date, Int, LongText, Text};

struct Own {
    name: &'static str,
    /// Name, type, whether it may be null.
    columns: &'static [(&'static str, Kind, bool)],
    indices: &'static [IndexDef],
}

const NULL: bool = true;
const REQUIRED: bool = false;
const UNIQUE: bool = true;
const PLAIN: bool = false;

/// Every table with a serial `id`.
const TABLES: [Own; 4] = [
    Own {
        name: "conductor_operation",
        columns: &[
            ("uuid", Text(36), REQUIRED),
            ("cluster_uuid", Text(36), REQUIRED),
            ("project_id", Text(255), REQUIRED),
            ("user_id", Text(255), REQUIRED),
            ("request_id", Text(255), NULL),
            ("kind", Text(32), REQUIRED),
            ("arguments", LongText, REQUIRED),
            ("state", Text(16), REQUIRED),
            ("attempts", Int, REQUIRED),
            ("step", LongText, NULL),
            ("waiting_for", LongText, NULL),
            ("error", LongText, NULL),
            ("cancel_requested", Bool, REQUIRED),
            ("lease_owner", Text(255), NULL),
            ("lease_expires_at", Date, NULL),
            ("not_before", Date, REQUIRED),
            ("deadline_at", Date, NULL),
            ("created_at", Date, REQUIRED),
            ("updated_at", Date, REQUIRED),
            ("finished_at", Date, NULL),
        ],
        indices: &[
            ("conductor_operation_uuid", &["uuid"], UNIQUE),
            ("conductor_operation_cluster", &["cluster_uuid", "id"], PLAIN),
            ("conductor_operation_state", &["state", "id"], PLAIN),
        ],
    },
    Own {
        name: "conductor_event",
        columns: &[
            ("cluster_uuid", Text(36), REQUIRED),
            ("operation_uuid", Text(36), NULL),
            ("node", Text(255), NULL),
            ("step", Text(255), REQUIRED),
            ("state", Text(16), REQUIRED),
            ("message", LongText, REQUIRED),
            ("created_at", Date, REQUIRED),
        ],
        indices: &[
            ("conductor_event_cluster", &["cluster_uuid", "id"], PLAIN),
            ("conductor_event_created", &["created_at"], PLAIN),
        ],
    },
    Own {
        name: "conductor_resource",
        columns: &[
            ("cluster_uuid", Text(36), REQUIRED),
            ("node_uuid", Text(36), NULL),
            ("kind", Text(64), REQUIRED),
            ("name", Text(512), REQUIRED),
            ("attributes", LongText, REQUIRED),
            ("state", Text(16), REQUIRED),
            ("created_at", Date, REQUIRED),
        ],
        indices: &[("conductor_resource_name", &["cluster_uuid", "kind", "name"], UNIQUE)],
    },
    Own {
        name: "conductor_node",
        columns: &[
            ("uuid", Text(36), REQUIRED),
            ("cluster_uuid", Text(36), REQUIRED),
            ("nodegroup_uuid", Text(36), REQUIRED),
            ("name", Text(255), REQUIRED),
            ("position", Int, REQUIRED),
            ("is_master", Bool, REQUIRED),
            ("address", Text(255), NULL),
            ("phase", Text(16), REQUIRED),
            ("message", LongText, NULL),
            ("join_token_hash", Text(64), NULL),
            ("certificate_fingerprint", Text(64), NULL),
            ("desired", LongText, NULL),
            ("observed", LongText, NULL),
            ("last_seen_at", Date, NULL),
            ("created_at", Date, REQUIRED),
            ("updated_at", Date, REQUIRED),
        ],
        indices: &[
            ("conductor_node_uuid", &["uuid"], UNIQUE),
            ("conductor_node_name", &["cluster_uuid", "name"], UNIQUE),
            ("conductor_node_position", &["nodegroup_uuid", "position"], UNIQUE),
            ("conductor_node_fingerprint", &["certificate_fingerprint"], UNIQUE),
        ],
    },
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for own in &TABLES {
            create_indexed(manager, own.name, table(own, backend), own.indices).await?;
        }
        let mut lock = Table::create().table(Alias::new("conductor_lock")).if_not_exists().to_owned();
        lock.col(ColumnDef::new(Alias::new("name")).string_len(300).not_null().primary_key())
            .col(ColumnDef::new(Alias::new("turn")).big_integer().not_null());
        manager.create_table(exact(&mut lock, backend).to_owned()).await
    }
}

fn table(own: &Own, backend: DatabaseBackend) -> TableCreateStatement {
    let mut table = Table::create().table(Alias::new(own.name)).to_owned();
    table.col(ColumnDef::new(Alias::new("id")).big_integer().not_null().auto_increment().primary_key());
    for (name, kind, nullable) in own.columns {
        let mut column = match kind {
            Date => timestamp(backend, name),
            _ => ColumnDef::new(Alias::new(*name)),
        };
        match kind {
            Text(length) => column.string_len(*length),
            LongText => column.text(),
            Int => column.integer(),
            Bool => column.boolean(),
            Date => &mut column,
        };
        if !nullable {
            column.not_null();
        }
        table.col(&mut column);
    }
    exact(&mut table, backend).to_owned()
}
