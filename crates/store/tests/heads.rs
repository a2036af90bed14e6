//! Databases that upstream's migrations made, at every revision that is known: used as they are, none of their tables
//! changed; and brought to a later revision when that is asked for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::Database;
use common::rows::{cluster, labels, new_cluster, template};
use common::upstream::{LAST_WITH_HEAT, NEWEST, RELEASES, Recorded, STEIN, TRAIN, ZED};
use magnum_domain::{ClusterStatus, ClusterTemplate, OperationKind, OperationState};
use magnum_store::{
    CertificateRefs, ClusterOutcome, Ident, NewCluster, NodegroupChange, Page, Scope, Store, StoreError, UpstreamHead,
    Visibility,
};
use uuid::Uuid;

on_every_database![
    train,
    zed,
    the_last_with_heat,
    the_newest,
    what_an_older_schema_cannot_keep_is_refused,
    an_upgrade_is_made_when_asked_for,
    trusts_are_not_dropped,
    a_stamp_says_the_truth,
];

async fn train(database: Database) {
    is_used_as_it_is(database, &TRAIN).await;
}

async fn zed(database: Database) {
    is_used_as_it_is(database, &ZED).await;
}

async fn the_last_with_heat(database: Database) {
    is_used_as_it_is(database, &LAST_WITH_HEAT).await;
}

async fn the_newest(database: Database) {
    is_used_as_it_is(database, &NEWEST).await;
}

/// A template that every revision can keep.
fn plain_template(name: &str) -> ClusterTemplate {
    ClusterTemplate { tags: None, driver: None, ..template(name) }
}

/// A cluster that every revision can keep.
fn plain_cluster(name: &str, template: &ClusterTemplate) -> NewCluster {
    let mut new = new_cluster(name, "p1", template);
    new.cluster.etcd_ca_cert_ref = None;
    new.cluster.front_proxy_ca_cert_ref = None;
    for group in &mut new.nodegroups {
        group.node_labels.clear();
        group.node_taints.clear();
    }
    new
}

/// A cluster as upstream wrote it, with nulls where its time had no column yet.
async fn old_cluster(database: &Database, template: &str, trust: bool) -> Uuid {
    let uuid = Uuid::new_v4();
    let (columns, values) = if trust { (", trust_id, trustee_password", ", 'trust', 'geheim'") } else { ("", "") };
    database
        .execute(&format!(
            "INSERT INTO cluster (uuid, name, project_id, cluster_template_id, status, created_at{columns}) VALUES \
             ('{uuid}', 'old', 'p1', '{template}', 'CREATE_COMPLETE', '2020-02-02 02:02:02'{values})"
        ))
        .await;
    uuid
}

/// Everything the store does with clusters, from their template to their end.
async fn is_used_as_it_is(database: Database, recorded: &Recorded) {
    database.execute(&recorded.on(database.backend)).await;
    let before = database.upstream_tables().await;
    let store = database.store().await;
    let schema = store.schema().await.unwrap();
    assert_eq!((schema.upstream, schema.is_current()), (Some(recorded.head()), true));

    let template = store.create_template(&plain_template("t")).await.unwrap();
    assert!(template.master_lb_enabled);
    let old = old_cluster(&database, &template.uuid.to_string(), recorded.head() < UpstreamHead::WithoutTrust).await;
    let made = store.create_cluster(plain_cluster("web", &template)).await.unwrap();
    let read = store.get_cluster(&Scope::All, &made.uuid.into()).await.unwrap();
    assert!(read.master_lb_enabled);
    let shown = store.get_shown_cluster(&Scope::All, &Ident::Uuid(old)).await.unwrap();
    let (read_old, its_labels) = (shown.cluster, shown.template_labels);
    // Before there was the column the template's word held; a null in the column is no.
    assert_eq!(read_old.master_lb_enabled, recorded.head() < UpstreamHead::MasterLoadBalancer);
    assert_eq!(its_labels, Some(template.labels.clone()));
    assert_eq!(read_old.created_at.unwrap().to_rfc3339(), "2020-02-02T02:02:02+00:00");
    let found = store.templates_by_uuid(&[template.uuid.to_string()]).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&template));
    assert_eq!(store.count_clusters("p1").await.unwrap(), 2);

    lives_and_ends(&store, &made, &template).await;
    let everybody = Visibility { admin: true, ..Visibility::default() };
    for key in ["name", "created_at", "uuid"] {
        let page = Page { sort_key: key.to_owned(), marker: Some(template.uuid.to_string()), ..Page::first(9) };
        assert_eq!(store.list_templates(&everybody, &page).await.unwrap(), []);
    }
    assert_eq!(store.list_clusters(&Scope::All, &Page::first(9)).await.unwrap()[0].uuid, old);
    assert!(matches!(store.delete_template(template.uuid).await, Err(StoreError::TemplateInUse { .. })));
    if recorded.head() < UpstreamHead::WithoutTrust {
        let password = format!("SELECT trustee_password FROM cluster WHERE uuid = '{old}'");
        assert_eq!(database.text(&password).await.as_deref(), Some("geheim"));
    }
    assert_eq!(database.upstream_tables().await, before, "upstream's tables are as they were");
    assert_eq!(database.text("SELECT version_num FROM alembic_version").await.as_deref(), Some(recorded.revision));
}

async fn lives_and_ends(store: &Store, made: &magnum_domain::Cluster, template: &ClusterTemplate) {
    assert_eq!(store.reconcile_nodes(made.uuid, &[]).await.unwrap().len(), 3);
    let claimed = store.claim_operation("c", Duration::from_secs(9)).await.unwrap().unwrap();
    let outcome = ClusterOutcome { status: Some(ClusterStatus::CreateComplete), ..ClusterOutcome::default() };
    store.finish_operation(claimed.uuid, "c", OperationState::Succeeded, None, &outcome).await.unwrap();
    let groups = store.nodegroups_of(&[made.uuid]).await.unwrap();
    assert_eq!((groups.len(), groups[0].node_labels.len(), groups[0].node_count), (2, 0, 1));
    let grown = NodegroupChange { node_count: Some(3), ..NodegroupChange::default() };
    store.update_nodegroup(groups[1].uuid, &grown).await.unwrap();
    let group = store.get_nodegroup(made.uuid, &Ident::Name("default-worker".to_owned())).await.unwrap();
    assert_eq!((group.node_count, group.node_taints), (3, vec![]));
    let groups = store.list_nodegroups(made.uuid, Some("worker"), &Page::first(9)).await.unwrap();
    assert_eq!(groups.len(), 1);

    let mut delete = common::rows::operation(&cluster("x", "p1", template), OperationKind::Delete);
    delete.cluster_uuid = made.uuid;
    store.request_operation(delete.clone(), &|_| true, Default::default()).await.unwrap();
    store.claim_operation("c", Duration::from_secs(9)).await.unwrap().unwrap();
    assert!(store.finish_delete(delete.uuid, "c").await.unwrap());
    store.prune_history(magnum_domain::now()).await.unwrap();
    assert_eq!(store.stats(None).await.unwrap().clusters, 1);
}

async fn what_an_older_schema_cannot_keep_is_refused(database: Database) {
    database.execute(&TRAIN.on(database.backend)).await;
    let store = database.store().await;
    let lacks = |result: Result<(), StoreError>, wanted: (&str, &str, &str)| match result {
        Err(StoreError::SchemaTooOld { table, column, revision }) => assert_eq!((table, column, revision), wanted),
        other => panic!("{wanted:?}: {other:?}"),
    };
    for (template, wanted) in [
        (ClusterTemplate { driver: None, ..template("t") }, ("cluster_template", "tags", "f1d8b0ab8b8d")),
        (ClusterTemplate { tags: None, ..template("t") }, ("cluster_template", "driver", "c0f832afc4fd")),
    ] {
        lacks(store.create_template(&template).await.map(drop), wanted);
    }
    let template = store.create_template(&plain_template("t")).await.unwrap();
    let changed = ClusterTemplate { tags: Some("a".to_owned()), ..template.clone() };
    let refused = store.update_template(&template, &changed).await.map(drop);
    lacks(refused, ("cluster_template", "tags", "f1d8b0ab8b8d"));

    let mut other_balancer = plain_cluster("web", &template);
    other_balancer.cluster.master_lb_enabled = false;
    let mut says_otherwise = plain_cluster("web", &template);
    says_otherwise.nodegroups[0].node_labels = labels(&[("a", "b")]);
    lacks(store.create_cluster(says_otherwise).await.map(drop), ("nodegroup", "node_labels", "b3e1cf4a2d5e"));
    lacks(store.create_cluster(other_balancer).await.map(drop), ("cluster", "master_lb_enabled", "95096e2334ee"));
    let made = store.create_cluster(plain_cluster("web", &template)).await.unwrap();
    let refs = CertificateRefs { etcd_ca: Some("x".to_owned()), ..CertificateRefs::default() };
    let refused = store.set_certificate_refs(made.uuid, &refs).await;
    lacks(refused, ("cluster", "etcd_ca_cert_ref", "7da8489d6a68"));
    let groups = store.nodegroups_of(&[made.uuid]).await.unwrap();
    let taints = NodegroupChange { node_labels: Some(labels(&[("a", "b")])), ..NodegroupChange::default() };
    let refused = store.update_nodegroup(groups[0].uuid, &taints).await;
    lacks(refused, ("nodegroup", "node_labels", "b3e1cf4a2d5e"));
    let by = |key: &str| Page { sort_key: key.to_owned(), ..Page::first(9) };
    let sorted = store.list_nodegroups(made.uuid, None, &by("node_labels")).await;
    assert!(matches!(sorted, Err(StoreError::InvalidSortKey(_))));
    assert!(matches!(
        store.list_clusters(&Scope::All, &by("etcd_ca_cert_ref")).await,
        Err(StoreError::InvalidSortKey(_))
    ));
}

/// From where upstream's own tool ends on PostgreSQL up to the newest.
async fn an_upgrade_is_made_when_asked_for(database: Database) {
    database.execute(&STEIN.on(database.backend)).await;
    let store = database.open().await;
    let refused = store.migrate().await.unwrap_err();
    assert!(refused.to_string().contains("47380964133d is none of"), "{refused}");
    let template = Uuid::new_v4();
    database
        .execute(&format!(
            "INSERT INTO cluster_template (uuid, name, master_lb_enabled) VALUES ('{template}', 't', TRUE)"
        ))
        .await;
    let old = old_cluster(&database, &template.to_string(), false).await;
    database
        .execute(&format!(
            "INSERT INTO nodegroup (uuid, name, cluster_id, project_id) VALUES ('{}', 'default-master', '{old}', 'p1')",
            Uuid::new_v4()
        ))
        .await;

    let steps = store.upgrade_upstream(UpstreamHead::Tags).await.unwrap();
    let words: Vec<&str> = steps.iter().map(|step| step.to).collect();
    assert_eq!(words, ["c04e925e65c2", "95096e2334ee", "f1d8b0ab8b8d"]);
    assert_eq!(steps[0].from, "47380964133d");
    assert_eq!(store.upgrade_upstream(UpstreamHead::NEWEST).await.unwrap().len(), 4);
    assert_eq!(store.upgrade_upstream(UpstreamHead::NEWEST).await.unwrap(), []);
    let back = store.upgrade_upstream(UpstreamHead::Driver).await.unwrap_err();
    assert!(back.to_string().contains("there is no way back"), "{back}");

    let store = database.store().await;
    assert_eq!(store.schema().await.unwrap().upstream, Some(UpstreamHead::NEWEST));
    let read = store.get_cluster(&Scope::All, &Ident::Uuid(old)).await.unwrap();
    assert!(read.master_lb_enabled);
    let groups = store.nodegroups_of(&[old]).await.unwrap();
    assert_eq!(
        (groups[0].status.clone(), groups[0].version.as_deref()),
        (Some(ClusterStatus::CreateComplete), Some("0"))
    );
    let template = store.create_template(&common::rows::template("new")).await.unwrap();
    store.create_cluster(new_cluster("web", "p1", &template)).await.unwrap();
}

async fn trusts_are_not_dropped(database: Database) {
    database.execute(&LAST_WITH_HEAT.on(database.backend)).await;
    let old = old_cluster(&database, "t", true).await;
    let store = database.store().await;
    let refused = store.upgrade_upstream(UpstreamHead::NEWEST).await.unwrap_err();
    assert!(matches!(refused, StoreError::TrustsInUse { clusters: 1, revision: "d7e6a4d39fe4" }), "{refused}");
    assert_eq!(store.revision().await.unwrap().as_deref(), Some("c0f832afc4fd"));
    database.execute(&format!("UPDATE cluster SET trust_id = NULL WHERE uuid = '{old}'")).await;
    assert_eq!(store.upgrade_upstream(UpstreamHead::NEWEST).await.unwrap().len(), 2);
}

async fn a_stamp_says_the_truth(database: Database) {
    for recorded in &RELEASES {
        let tables = recorded.head();
        for table in ["alembic_version", "cluster", "cluster_template", "federation", "magnum_service", "nodegroup"] {
            database.execute(&format!("DROP TABLE IF EXISTS {table}")).await;
        }
        for table in ["quotas", "x509keypair"] {
            database.execute(&format!("DROP TABLE IF EXISTS {table}")).await;
        }
        database.execute(&recorded.on(database.backend)).await;
        database.execute("DROP TABLE alembic_version").await;
        let store = database.open().await;
        let wrong = store.stamp(UpstreamHead::Tags).await.unwrap_err();
        assert!(wrong.to_string().contains(&format!("those of {}", tables.as_str())), "{wrong}");
        assert_eq!(store.revision().await.unwrap(), None);
        store.stamp(tables).await.unwrap();
        store.stamp(tables).await.unwrap();
        assert_eq!(store.revision().await.unwrap().as_deref(), Some(recorded.revision));
        store.close().await;
    }
}
