//! The tables of the built-in identity service.

use sea_orm::sea_query::{Alias, ColumnDef, ForeignKey, ForeignKeyAction, Index, Table, TableCreateStatement};
use sea_orm::{DatabaseBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::migration::{exact, timestamp};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261101_000003_identity"
    }
}

#[derive(Clone, Copy)]
enum ColumnType {
    /// Text of at most so many characters.
    Text(u32),
    LongText,
    Int,
    Bool,
    Date,
    /// The `id` of another table; the row goes when that one does.
    Of(&'static str),
}

use ColumnType::{Bool, Date, Int, LongText, Of, Text};

struct Own {
    name: &'static str,
    key: &'static [&'static str],
    /// Name, type, whether it may be null.
    columns: &'static [(&'static str, ColumnType, bool)],
    /// Name, columns, whether it is unique.
    indices: &'static [(&'static str, &'static [&'static str], bool)],
}

const NULL: bool = true;
const REQUIRED: bool = false;
const UNIQUE: bool = true;
const PLAIN: bool = false;

/// Length of an id: 32 in fact, with room for those of another service.
const ID: u32 = 64;

const TABLES: [Own; 6] = [
    Own {
        name: "identity_user",
        key: &["id"],
        columns: &[
            ("id", Text(ID), REQUIRED),
            ("name", Text(255), REQUIRED),
            ("enabled", Bool, REQUIRED),
            ("password_hash", Text(255), NULL),
            ("default_project_id", Text(ID), NULL),
            ("epoch", Int, REQUIRED),
            ("extra", LongText, REQUIRED),
            ("created_at", Date, REQUIRED),
        ],
        indices: &[("identity_user_name", &["name"], UNIQUE)],
    },
    Own {
        name: "identity_project",
        key: &["id"],
        columns: &[
            ("id", Text(ID), REQUIRED),
            ("name", Text(64), REQUIRED),
            ("description", LongText, REQUIRED),
            ("enabled", Bool, REQUIRED),
            ("tags", LongText, REQUIRED),
            ("extra", LongText, REQUIRED),
            ("created_at", Date, REQUIRED),
        ],
        indices: &[("identity_project_name", &["name"], UNIQUE)],
    },
    Own {
        name: "identity_role",
        key: &["id"],
        columns: &[("id", Text(ID), REQUIRED), ("name", Text(255), REQUIRED), ("description", LongText, NULL)],
        indices: &[("identity_role_name", &["name"], UNIQUE)],
    },
    Own {
        name: "identity_grant",
        key: &["user_id", "scope_kind", "scope_id", "role_id"],
        columns: &[
            ("user_id", Of("identity_user"), REQUIRED),
            ("scope_kind", Text(16), REQUIRED),
            ("scope_id", Text(ID), REQUIRED),
            ("role_id", Of("identity_role"), REQUIRED),
        ],
        indices: &[
            ("identity_grant_scope", &["scope_kind", "scope_id"], PLAIN),
            ("identity_grant_role", &["role_id"], PLAIN),
        ],
    },
    Own {
        name: "identity_application_credential",
        key: &["id"],
        columns: &[
            ("id", Text(ID), REQUIRED),
            ("user_id", Of("identity_user"), REQUIRED),
            ("project_id", Of("identity_project"), REQUIRED),
            ("name", Text(255), REQUIRED),
            ("description", LongText, NULL),
            ("secret_hash", Text(255), REQUIRED),
            ("role_ids", LongText, REQUIRED),
            ("unrestricted", Bool, REQUIRED),
            ("expires_at", Date, NULL),
            ("created_at", Date, REQUIRED),
        ],
        indices: &[
            ("identity_application_credential_name", &["user_id", "name"], UNIQUE),
            ("identity_application_credential_project", &["project_id"], PLAIN),
        ],
    },
    Own {
        name: "identity_token",
        key: &["hash"],
        columns: &[
            ("hash", Text(64), REQUIRED),
            ("user_id", Of("identity_user"), REQUIRED),
            ("user_epoch", Int, REQUIRED),
            ("scope_kind", Text(16), NULL),
            ("scope_id", Text(ID), NULL),
            ("methods", Text(255), REQUIRED),
            ("audit_ids", Text(255), REQUIRED),
            ("application_credential_id", Text(ID), NULL),
            ("issued_at", Date, REQUIRED),
            ("expires_at", Date, REQUIRED),
        ],
        indices: &[
            ("identity_token_user", &["user_id"], PLAIN),
            ("identity_token_scope", &["scope_kind", "scope_id"], PLAIN),
            ("identity_token_expires", &["expires_at"], PLAIN),
        ],
    },
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for own in &TABLES {
            manager.create_table(table(own, backend)).await?;
            for (name, columns, unique) in own.indices {
                let mut index = Index::create().name(*name).table(Alias::new(own.name)).to_owned();
                for column in *columns {
                    index.col(Alias::new(*column));
                }
                if *unique {
                    index.unique();
                }
                manager.create_index(index).await?;
            }
        }
        Ok(())
    }
}

fn table(own: &Own, backend: DatabaseBackend) -> TableCreateStatement {
    let mut table = Table::create().table(Alias::new(own.name)).to_owned();
    for (name, kind, nullable) in own.columns {
        let mut column = match kind {
            Date => timestamp(backend, name),
            _ => ColumnDef::new(Alias::new(*name)),
        };
        match kind {
            Text(length) => column.string_len(*length),
            Of(_) => column.string_len(ID),
            LongText => column.text(),
            Int => column.integer(),
            Bool => column.boolean(),
            Date => &mut column,
        };
        if !nullable {
            column.not_null();
        }
        table.col(&mut column);
        if let Of(other) = kind {
            let mut reference = ForeignKey::create()
                .name(format!("{}_{name}", own.name))
                .from(Alias::new(own.name), Alias::new(*name))
                .to(Alias::new(*other), Alias::new("id"))
                .on_delete(ForeignKeyAction::Cascade)
                .to_owned();
            table.foreign_key(&mut reference);
        }
    }
    let mut key = Index::create();
    for column in own.key {
        key.col(Alias::new(*column));
    }
    table.primary_key(&mut key);
    exact(&mut table, backend).to_owned()
}
