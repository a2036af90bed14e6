//! Databases of upstream's making are used as they are; unknown ones are left alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Database;
use common::rows::{cluster, labels, new_cluster, template};
use magnum_domain::{ClusterStatus, OperationKind, OperationState};
use magnum_store::{Backend, ClusterOutcome, NodegroupChange, Page, Scope, StoreError, UpstreamHead};

const TIME: &str = "created_at DATETIME, updated_at DATETIME";

/// The tables as they stand at an older revision, with just what a test needs of the rest.
fn older(backend: Backend, head: &str) -> String {
    let id = match backend {
        Backend::Sqlite => "id INTEGER NOT NULL PRIMARY KEY",
        Backend::Postgres => "id SERIAL PRIMARY KEY",
        Backend::MySql => "id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY",
    };
    let trust = if head == "c0f832afc4fd" {
        "trust_id VARCHAR(255), trustee_username VARCHAR(255), trustee_user_id VARCHAR(255), \
         trustee_password VARCHAR(255),"
    } else {
        ""
    };
    let texts = |names: &str| {
        names.split_whitespace().map(|name| format!("{name} VARCHAR(255)")).collect::<Vec<_>>().join(", ")
    };
    // As in the wild: some tables in utf8mb3, some in whatever the server's default is.
    let old = if backend == Backend::MySql { "ENGINE=InnoDB DEFAULT CHARSET=utf8mb3" } else { "" };
    let ddl = format!(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
         INSERT INTO alembic_version VALUES ('{head}');
         CREATE TABLE cluster ({id}, {TIME}, uuid VARCHAR(36) UNIQUE, {trust} labels TEXT, status_reason TEXT,
             health_status_reason TEXT, docker_volume_size INTEGER, create_timeout INTEGER, status VARCHAR(20),
             health_status VARCHAR(20), floating_ip_enabled BOOLEAN, master_lb_enabled BOOLEAN, {}) {old};
         CREATE TABLE cluster_template ({id}, {TIME}, uuid VARCHAR(36) UNIQUE, labels TEXT, apiserver_port INTEGER,
             docker_volume_size INTEGER, registry_enabled BOOLEAN, tls_disabled BOOLEAN, public BOOLEAN, hidden BOOLEAN,
             master_lb_enabled BOOLEAN, floating_ip_enabled BOOLEAN, server_type VARCHAR(255) DEFAULT 'vm', {}) {old};
         CREATE TABLE nodegroup ({id}, {TIME}, uuid VARCHAR(36) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL,
             cluster_id VARCHAR(255) NOT NULL, labels TEXT, node_addresses TEXT, status_reason TEXT, node_count INTEGER,
             max_node_count INTEGER, min_node_count INTEGER, docker_volume_size INTEGER, is_default BOOLEAN,
             status VARCHAR(20), version VARCHAR(20), {}, UNIQUE (cluster_id, name));
         CREATE TABLE x509keypair ({id}, {TIME}, uuid VARCHAR(36) UNIQUE, certificate TEXT, private_key TEXT,
             private_key_passphrase TEXT, intermediates TEXT, project_id VARCHAR(255), user_id VARCHAR(255)) {old};
         CREATE TABLE quotas ({id}, {TIME}, project_id VARCHAR(255), resource VARCHAR(255),
             hard_limit INTEGER NOT NULL)",
        texts(
            "project_id user_id name cluster_template_id keypair master_flavor_id flavor_id stack_id api_address \
             discovery_url coe_version container_version ca_cert_ref magnum_cert_ref etcd_ca_cert_ref \
             front_proxy_ca_cert_ref fixed_network fixed_subnet"
        ),
        texts(
            "project_id user_id name image_id flavor_id master_flavor_id keypair_id external_network_id fixed_network \
             fixed_subnet network_driver volume_driver dns_nameserver docker_storage_driver cluster_distro coe http_proxy \
             https_proxy no_proxy insecure_registry tags driver"
        ),
        texts("project_id flavor_id image_id role stack_id"),
    );
    if backend == Backend::Postgres { ddl.replace("DATETIME", "TIMESTAMP") } else { ddl }
}

on_every_database![
    a_fresh_database_gets_everything,
    an_older_database_is_used_as_it_is,
    the_revision_between_is_known,
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

/// The oldest known revision: four more columns here, two fewer there.
async fn an_older_database_is_used_as_it_is(database: Database) {
    database.execute(&older(database.backend, "c0f832afc4fd")).await;
    let old = uuid::Uuid::new_v4();
    database
        .execute(&format!(
            "INSERT INTO cluster (uuid, name, project_id, trust_id, trustee_password, status, created_at)
         VALUES ('{old}', 'old', 'p1', 'trust', 'geheim', 'CREATE_COMPLETE', '2020-02-02 02:02:02')"
        ))
        .await;
    let store = database.store().await;
    let schema = store.schema().await.unwrap();
    assert_eq!((schema.upstream, schema.is_current()), (Some(UpstreamHead::Driver), true));
    assert_eq!(database.text("SELECT version_num FROM alembic_version").await.as_deref(), Some("c0f832afc4fd"));

    let template = store.create_template(&template("t")).await.unwrap();
    let mut new = new_cluster("web", "p1", &template);
    let refused = store.create_cluster(new.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::SchemaTooOld { column: "nodegroup.node_labels" }), "{refused}");
    for group in &mut new.nodegroups {
        group.node_labels.clear();
        group.node_taints.clear();
    }
    let made = store.create_cluster(new).await.unwrap();
    assert_eq!(store.reconcile_nodes(made.uuid, &[]).await.unwrap().len(), 3);
    let claimed = store.claim_operation("c", std::time::Duration::from_secs(9)).await.unwrap().unwrap();
    let outcome = ClusterOutcome { status: Some(ClusterStatus::CreateComplete), ..ClusterOutcome::default() };
    store.finish_operation(claimed.uuid, "c", OperationState::Succeeded, None, &outcome).await.unwrap();
    let clusters = store.list_clusters(&Scope::All, &Page::first(9)).await.unwrap();
    assert_eq!((clusters[0].uuid, clusters[1].status.clone()), (old, ClusterStatus::CreateComplete));
    assert_eq!(clusters[0].created_at.unwrap().to_rfc3339(), "2020-02-02T02:02:02+00:00");
    let groups = store.nodegroups_of(&[made.uuid]).await.unwrap();
    assert_eq!((groups.len(), groups[0].node_labels.len(), groups[0].node_count), (2, 0, 1));
    let by_labels = Page { sort_key: "node_labels".to_owned(), ..Page::first(9) };
    assert!(matches!(store.list_nodegroups(made.uuid, None, &by_labels).await, Err(StoreError::InvalidSortKey(_))));
    let taints = NodegroupChange { node_labels: Some(labels(&[("a", "b")])), ..NodegroupChange::default() };
    let refused = store.update_nodegroup(groups[0].uuid, &taints).await.unwrap_err();
    assert!(matches!(refused, StoreError::SchemaTooOld { .. }), "{refused}");
    let password = format!("SELECT trustee_password FROM cluster WHERE uuid = '{old}'");
    assert_eq!(database.text(&password).await.as_deref(), Some("geheim"));

    let mut delete = common::rows::operation(&cluster("x", "p1", &template), OperationKind::Delete);
    delete.cluster_uuid = made.uuid;
    store.request_operation(delete.clone(), &|_| true, Default::default()).await.unwrap();
    store.claim_operation("c", std::time::Duration::from_secs(9)).await.unwrap().unwrap();
    assert!(store.finish_delete(delete.uuid, "c").await.unwrap());
    store.prune_history(magnum_domain::now()).await.unwrap();
    assert_eq!(store.stats(None).await.unwrap().clusters, 1);
}

async fn the_revision_between_is_known(database: Database) {
    database.execute(&older(database.backend, "d7e6a4d39fe4")).await;
    let store = database.store().await;
    assert_eq!(store.schema().await.unwrap().upstream, Some(UpstreamHead::WithoutTrust));
    // Opened again, by a process that does not migrate.
    let again = database.open().await;
    let template = again.create_template(&template("t")).await.unwrap();
    let refused = again.create_cluster(new_cluster("web", "p1", &template)).await.unwrap_err();
    assert!(matches!(refused, StoreError::SchemaTooOld { .. }), "{refused}");
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
