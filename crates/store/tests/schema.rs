//! Fresh databases get everything, unknown ones are left alone. Those of upstream's making: `heads.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Database;
use magnum_store::{Backend, Page, Scope, StoreError, UpstreamHead};

on_every_database![
    a_fresh_database_gets_everything,
    an_interrupted_migration_is_taken_up,
    unknown_databases_are_left_alone,
];

async fn a_fresh_database_gets_everything(database: Database) {
    let store = database.open().await;
    let before = store.schema().await.unwrap();
    assert!(before.upstream.is_none() && !before.pending.is_empty() && !before.is_current());
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let after = store.schema().await.unwrap();
    assert_eq!((after.upstream, after.is_current()), (Some(UpstreamHead::NodeLabels), true));
    assert_eq!(database.text("SELECT version_num FROM alembic_version").await.as_deref(), Some("b3e1cf4a2d5e"));
    assert_eq!(store.backend(), database.backend);
    store.ping().await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
}

/// A process that dies while it creates tables leaves some behind, where the database has no transactions for that.
async fn an_interrupted_migration_is_taken_up(database: Database) {
    let store = database.store().await;
    if database.backend == Backend::MySql {
        database
            .execute(
                "DROP TABLE alembic_version; DROP TABLE conductor_node; DROP TABLE quotas;
            DELETE FROM conductor_migration WHERE version NOT LIKE '%identity%'",
            )
            .await;
    }
    store.migrate().await.unwrap();
    assert!(store.schema().await.unwrap().is_current());
    let cluster = common::rows::a_cluster(&store).await;
    store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    store.create_quota("p1", "Cluster", 1).await.unwrap();
}

async fn unknown_databases_are_left_alone(database: Database) {
    database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)").await;
    for (sql, expected) in [
        ("DELETE FROM alembic_version", "`alembic_version` is empty"),
        ("INSERT INTO alembic_version VALUES ('0123456789ab')", "revision 0123456789ab is none of"),
        ("INSERT INTO alembic_version VALUES ('b3e1cf4a2d5e')", "`alembic_version` has 2 rows"),
    ] {
        database.execute(sql).await;
        let store = database.open().await;
        for refused in [store.migrate().await.unwrap_err(), store.schema().await.unwrap_err()] {
            assert!(matches!(refused, StoreError::SchemaUnknown { .. }), "{refused}");
            assert!(refused.to_string().contains(expected), "{refused}");
        }
    }
    database.execute("DROP TABLE alembic_version; CREATE TABLE cluster (id INTEGER)").await;
    let refused = database.open().await.migrate().await.unwrap_err();
    assert!(refused.to_string().contains("no `alembic_version`"), "{refused}");
}

#[tokio::test]
async fn nobody_there_is_told_without_the_password() {
    for url in ["postgresql+psycopg2://u:geheim@127.0.0.1:1/m", "mysql+pymysql://u:geheim@127.0.0.1:1/m"] {
        let options = magnum_store::ConnectOptions {
            acquire_timeout: std::time::Duration::from_millis(500),
            ..Default::default()
        };
        let error = magnum_store::Store::connect(url, &options).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_database_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:///{}", folder.path().join("magnum.sqlite").display());
    let store = magnum_store::Store::connect(&url, &Default::default()).await.unwrap();
    store.migrate().await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn a_database_in_memory_works() {
    let store = magnum_store::Store::connect("sqlite://", &Default::default()).await.unwrap();
    store.migrate().await.unwrap();
    common::rows::a_cluster(&store).await;
    assert_eq!(store.list_clusters(&Scope::All, &Page::first(9)).await.unwrap().len(), 1);
}
