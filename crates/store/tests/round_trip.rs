//! What goes into each table comes out again; odd rows of old releases are readable.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Database;
use common::rows::{a_cluster, labels, new_cluster, template};
use magnum_domain::agent::{DesiredNode, EngineSpec, ObservedNode, SwarmSpec};
use magnum_domain::certificate::StoredKeyPair;
use magnum_domain::event::NewEvent;
use magnum_domain::{Cluster, ClusterStatus, EventState, HealthStatus, NodePhase, OperationKind, ResourceState};
use magnum_store::{
    CertificateRefs, Ident, NodegroupChange, Page, Scope, SealError, Stats, Store, StoreError, Visibility,
};
use serde_json::json;
use uuid::Uuid;

fn everybody() -> Visibility {
    Visibility { admin: true, ..Visibility::default() }
}

on_every_database![
    templates,
    clusters,
    nodegroups,
    nodes,
    ledger,
    events,
    key_pairs,
    quotas,
    services,
    operations,
    odd_rows_are_readable,
];

async fn templates(database: Database) {
    let store = database.store().await;
    let mut wanted = template("t");
    let made = store.create_template(&wanted).await.unwrap();
    wanted.id = made.id;
    wanted.created_at = made.created_at;
    assert!(made.created_at.is_some());
    assert_eq!(made, wanted);
    for ident in [Ident::Uuid(made.uuid), Ident::Name("t".to_owned()), Ident::Id(made.id)] {
        assert_eq!(store.get_template(&everybody(), &ident).await.unwrap(), wanted, "{ident:?}");
    }
    let sql = "SELECT labels FROM cluster_template";
    assert_eq!(database.text(sql).await.as_deref(), Some(r#"{"a": "\u00e4 \"quoted\"", "b": "True"}"#));

    let again = store.create_template(&wanted).await.unwrap_err();
    assert!(matches!(again, StoreError::Duplicate { resource: "ClusterTemplate", .. }), "{again}");

    let mut changed = wanted.clone();
    changed.image_id = None;
    changed.labels = labels(&[("c", "d")]);
    changed.hidden = false;
    let updated = store.update_template(&wanted, &changed).await.unwrap();
    changed.updated_at = updated.updated_at;
    assert!(updated.updated_at.is_some());
    assert_eq!(updated, changed);

    store.delete_template(made.uuid).await.unwrap();
    let gone = store.delete_template(made.uuid).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { resource: "ClusterTemplate", .. }), "{gone}");
}

async fn clusters(database: Database) {
    let store = database.store().await;
    let template = store.create_template(&template("t")).await.unwrap();
    let new = new_cluster("web", "p1", &template);
    let made = store.create_cluster(new.clone()).await.unwrap();
    let wanted = Cluster { id: made.id, created_at: made.created_at, ..new.cluster.clone() };
    assert_eq!(made, wanted);
    for ident in [Ident::Uuid(made.uuid), Ident::Name("web".to_owned()), Ident::Id(made.id)] {
        assert_eq!(store.get_cluster(&Scope::All, &ident).await.unwrap(), wanted, "{ident:?}");
    }
    let other = Scope::Project("p2".to_owned());
    let foreign = store.get_cluster(&other, &Ident::Uuid(made.uuid)).await.unwrap_err();
    assert_eq!(foreign.to_string(), format!("Cluster {} could not be found.", made.uuid));

    let groups = store.nodegroups_of(&[made.uuid]).await.unwrap();
    for (group, mut wanted) in groups.into_iter().zip(new.nodegroups) {
        wanted.id = group.id;
        wanted.created_at = group.created_at;
        assert_eq!(group, wanted);
    }
    store.update_health(made.uuid, &HealthStatus::Healthy, &labels(&[("api", "yes")])).await.unwrap();
    let refs = CertificateRefs { ca: Some("new".to_owned()), ..CertificateRefs::default() };
    store.set_certificate_refs(made.uuid, &refs).await.unwrap();
    let read = store.get_cluster(&Scope::All, &made.uuid.into()).await.unwrap();
    assert_eq!(read.health_status, Some(HealthStatus::Healthy));
    assert_eq!(read.health_status_reason, labels(&[("api", "yes")]));
    assert_eq!((read.ca_cert_ref.as_deref(), read.magnum_cert_ref.as_deref()), (Some("new"), Some("magnum")));
    assert!(read.updated_at.is_some());
    let gone = store.update_health(Uuid::new_v4(), &HealthStatus::Healthy, &labels(&[])).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");

    store.create_cluster(new_cluster("web", "p1", &template)).await.unwrap();
    let two = store.get_cluster(&Scope::All, &Ident::Name("web".to_owned())).await.unwrap_err();
    assert!(matches!(two, StoreError::Ambiguous { resource: "Cluster" }), "{two}");
    assert_eq!(store.count_clusters("p1").await.unwrap(), 2);
    assert_eq!(store.stats(None).await.unwrap(), Stats { clusters: 2, nodes: 6 });
    assert_eq!(store.stats(Some("p1")).await.unwrap(), Stats { clusters: 2, nodes: 6 });
    assert_eq!(store.stats(Some("p2")).await.unwrap(), Stats::default());
}

async fn nodegroups(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let worker = store.get_nodegroup(cluster.uuid, &Ident::Name("default-worker".to_owned())).await.unwrap();
    assert_eq!(store.get_nodegroup(cluster.uuid, &Ident::Id(worker.id)).await.unwrap(), worker);
    assert_eq!(store.get_nodegroup(cluster.uuid, &worker.uuid.into()).await.unwrap(), worker);
    let elsewhere = store.get_nodegroup(Uuid::new_v4(), &worker.uuid.into()).await.unwrap_err();
    assert!(matches!(elsewhere, StoreError::NotFound { resource: "Nodegroup", .. }), "{elsewhere}");

    let change = NodegroupChange {
        status: Some(ClusterStatus::UpdateComplete),
        status_reason: Some(None),
        node_count: Some(7),
        min_node_count: Some(3),
        max_node_count: Some(None),
        node_addresses: Some(vec![]),
        stack_id: Some("other".to_owned()),
        image_id: Some("newer".to_owned()),
        labels: Some(labels(&[("k", "v")])),
        node_labels: Some(labels(&[])),
        node_taints: Some(vec![]),
    };
    store.update_nodegroup(worker.uuid, &change).await.unwrap();
    let read = store.get_nodegroup(cluster.uuid, &worker.uuid.into()).await.unwrap();
    assert_eq!(read.status, Some(ClusterStatus::UpdateComplete));
    assert_eq!((read.node_count, read.min_node_count, read.max_node_count), (7, 3, None));
    assert_eq!((read.status_reason, read.node_addresses, read.node_taints), (None, vec![], vec![]));
    assert_eq!((read.stack_id.as_deref(), read.image_id.as_deref()), (Some("other"), Some("newer")));
    assert_eq!((read.labels, read.node_labels), (labels(&[("k", "v")]), labels(&[])));
    let roles = |role| {
        let store = store.clone();
        async move { store.list_nodegroups(cluster.uuid, role, &Page::first(10)).await.unwrap().len() }
    };
    assert_eq!((roles(None).await, roles(Some("master")).await, roles(Some("nope")).await), (2, 1, 0));
}

async fn nodes(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    let node = &nodes[1];
    store.set_node_started(node.uuid, "10.1.0.7", "hash").await.unwrap();
    let desired = DesiredNode {
        generation: 3,
        engine: EngineSpec { port: 2376, tls: true, ..EngineSpec::default() },
        swarm: SwarmSpec::Join {
            managers: vec!["10.1.0.1:2377".to_owned()],
            token: "SWMTKN-geheim".to_owned(),
            advertise: "10.1.0.7".to_owned(),
        },
    };
    store.set_node_desired(node.uuid, &desired).await.unwrap();
    let stored =
        database.text(&format!("SELECT desired FROM conductor_node WHERE uuid = '{}'", node.uuid)).await.unwrap();
    assert!(stored.starts_with("sealed:") && !stored.contains("geheim"), "{stored}");
    let observed = ObservedNode { generation: 2, engine_ready: true, ..ObservedNode::default() };
    store.node_report(node.uuid, &observed, Some(NodePhase::EngineReady), Some("up")).await.unwrap();
    let read = store.get_node(node.uuid).await.unwrap();
    assert_eq!((read.desired, read.observed), (Some(desired), Some(observed.clone())));
    assert_eq!((read.address.as_deref(), read.message.as_deref()), (Some("10.1.0.7"), Some("up")));
    assert_eq!((read.phase, read.join_token_hash.as_deref()), (NodePhase::EngineReady, Some("hash")));
    assert!(read.last_seen_at.is_some());

    let unsealed = Store::connect(&database.url, &Default::default()).await.unwrap();
    let refused = unsealed.get_node(node.uuid).await.unwrap_err();
    assert!(matches!(refused, StoreError::Seal(SealError::NoKey)), "{refused}");

    store.set_leaving(node.uuid).await.unwrap();
    store.node_report(node.uuid, &observed, Some(NodePhase::Ready), None).await.unwrap();
    assert_eq!(store.get_node(node.uuid).await.unwrap().phase, NodePhase::Leaving);
    store.delete_node(node.uuid).await.unwrap();
    store.delete_node(node.uuid).await.unwrap();
    assert_eq!(store.nodes(cluster.uuid).await.unwrap().len(), 2);
    for gone in [store.set_leaving(node.uuid).await, store.node_report(node.uuid, &observed, None, None).await] {
        assert!(matches!(gone, Err(StoreError::NotFound { resource: "Node", .. })), "{gone:?}");
    }
}

async fn ledger(database: Database) {
    let store = database.store().await;
    let (cluster, node) = (Uuid::new_v4(), Uuid::new_v4());
    let first = store.plan_resource(cluster, None, "directory", "/a/Ä", &json!({"mode": 7})).await.unwrap();
    let second = store.plan_resource(cluster, Some(node), "process", "x", &json!({})).await.unwrap();
    assert_eq!((first.state, first.node_uuid), (ResourceState::Planned, None));
    store.resource_made(second.id, &json!({"pid": 42})).await.unwrap();
    let listed = store.resources(cluster).await.unwrap();
    assert_eq!(listed[0], first);
    assert_eq!((listed[1].id, listed[1].state, listed[1].node_uuid), (second.id, ResourceState::Made, Some(node)));
    assert_eq!(listed[1].attributes, json!({"pid": 42}));

    let again = store.plan_resource(cluster, None, "directory", "/a/Ä", &json!({"mode": 8})).await.unwrap();
    assert_eq!((again.id, again.attributes), (first.id, json!({"mode": 8})));
    let other_case = store.plan_resource(cluster, None, "directory", "/A/ä", &json!({})).await.unwrap();
    assert_ne!(other_case.id, first.id);
    assert_eq!(store.all_clusters_with_resources().await.unwrap(), [cluster]);
    for id in [first.id, second.id, other_case.id, first.id] {
        store.delete_resource(id).await.unwrap();
    }
    assert!(store.all_clusters_with_resources().await.unwrap().is_empty());
    let gone = store.resource_made(first.id, &json!({})).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
}

async fn events(database: Database) {
    let store = database.store().await;
    let (cluster, operation) = (Uuid::new_v4(), Uuid::new_v4());
    let new = |step: &str| NewEvent {
        cluster_uuid: cluster,
        operation_uuid: Some(operation),
        node: Some("web-worker-0".to_owned()),
        step: step.to_owned(),
        state: EventState::Waiting,
        message: "für 3 s".to_owned(),
    };
    let mut seen = store.events_changed();
    seen.mark_unchanged();
    let first = store.add_event(new("a")).await.unwrap();
    assert!(seen.has_changed().unwrap());
    let second = store.add_event(new("b")).await.unwrap();
    assert!(second.id > first.id);
    assert_eq!(store.events(cluster, None, 10).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.events(cluster, None, 1).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.events(cluster, Some(first.id), 10).await.unwrap(), [second]);
    assert_eq!(store.events(Uuid::new_v4(), None, 10).await.unwrap(), []);
    let endless = store.add_event(NewEvent { message: "€".repeat(100_000), ..new("c") }).await.unwrap();
    assert_eq!(store.events(cluster, Some(first.id + 1), 10).await.unwrap(), [endless]);
}

async fn key_pairs(database: Database) {
    let store = database.store().await;
    let pair = StoredKeyPair {
        uuid: Uuid::new_v4(),
        certificate: "-----BEGIN CERTIFICATE-----".to_owned(),
        private_key: "-----BEGIN ENCRYPTED PRIVATE KEY-----".to_owned(),
        private_key_passphrase: "sealed:v1:x".to_owned(),
        project_id: "p1".to_owned(),
        user_id: "u1".to_owned(),
        created_at: None,
    };
    store.put_key_pair(&pair).await.unwrap();
    let read = store.get_key_pair(pair.uuid).await.unwrap();
    assert!(read.created_at.is_some());
    assert!(read == StoredKeyPair { created_at: read.created_at, ..pair.clone() });
    assert!(matches!(store.put_key_pair(&pair).await, Err(StoreError::Duplicate { .. })));
    store.delete_key_pair(pair.uuid).await.unwrap();
    store.delete_key_pair(pair.uuid).await.unwrap();
    assert!(matches!(store.get_key_pair(pair.uuid).await, Err(StoreError::NotFound { .. })));
}

async fn quotas(database: Database) {
    let store = database.store().await;
    let missing = store.get_quota("p1", "Cluster").await.unwrap_err();
    assert_eq!(missing.to_string(), "Quota project_id p1 resource Cluster could not be found.");
    let made = store.create_quota("p1", "Cluster", 5).await.unwrap();
    assert_eq!(store.get_quota("p1", "Cluster").await.unwrap(), made);
    assert!(matches!(store.create_quota("p1", "Cluster", 6).await, Err(StoreError::Duplicate { .. })));
    store.create_quota("p2", "Cluster", 6).await.unwrap();
    let updated = store.update_quota("p1", "Cluster", 9).await.unwrap();
    assert_eq!((updated.id, updated.hard_limit, updated.updated_at.is_some()), (made.id, 9, true));
    assert!(matches!(store.update_quota("p3", "Cluster", 9).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.list_quotas(Some("p1"), &Page::first(10)).await.unwrap(), [updated]);
    let page = Page { marker: Some(made.id.to_string()), ..Page::first(10) };
    assert_eq!(store.list_quotas(None, &page).await.unwrap()[0].project_id, "p2");
    let page = Page { marker: Some("x".to_owned()), ..Page::first(10) };
    assert!(matches!(store.list_quotas(None, &page).await, Err(StoreError::InvalidMarker)));
    store.delete_quota("p1", "Cluster").await.unwrap();
    assert!(matches!(store.delete_quota("p1", "Cluster").await, Err(StoreError::NotFound { .. })));
}

async fn services(database: Database) {
    let store = database.store().await;
    let beats = (0..8).map(|_| {
        let store = store.clone();
        async move { store.heartbeat("host", "magnum-conductor").await }
    });
    for beat in futures::future::join_all(beats).await {
        beat.unwrap();
    }
    store.heartbeat("other", "magnum-conductor").await.unwrap();
    let services = store.list_services().await.unwrap();
    assert_eq!(services.len(), 2);
    assert_eq!((services[0].host.as_deref(), services[0].report_count), (Some("host"), 8));
    assert!(!services[0].disabled && !services[0].forced_down && services[0].last_seen_up.is_some());
}

async fn operations(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let listed = store.list_operations(cluster.uuid, &Page::first(10)).await.unwrap();
    assert_eq!(listed.len(), 1);
    let operation = &listed[0];
    assert_eq!((operation.kind, operation.attempts), (OperationKind::Create, 0));
    assert_eq!(operation.request_id.as_deref(), Some("req-1"));
    assert_eq!(&store.get_operation(operation.uuid).await.unwrap(), operation);
    let events = store.events(cluster.uuid, None, 10).await.unwrap();
    assert_eq!((events.len(), events[0].message.as_str()), (1, "create requested"));
    assert_eq!(events[0].operation_uuid, Some(operation.uuid));
    let gone = store.get_operation(Uuid::new_v4()).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { resource: "Operation", .. }), "{gone}");
}

/// Rows of old releases have null wherever they may, and words nobody knows any more.
async fn odd_rows_are_readable(database: Database) {
    let store = database.store().await;
    let (cluster, template, pair, group) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    database
        .execute(&format!(
            "
        INSERT INTO cluster (uuid) VALUES ('{cluster}');
        INSERT INTO cluster (name) VALUES ('without uuid');
        INSERT INTO cluster (uuid, status, health_status, labels) VALUES
            ('{template}', 'ODD', 'STRANGE', '{{\"a\": true, \"b\": 1}}');
        INSERT INTO cluster_template (uuid, server_type) VALUES ('{template}', NULL);
        INSERT INTO cluster_template (uuid, coe, labels) VALUES ('{pair}', 'dcos', 'not json');
        INSERT INTO nodegroup (uuid, name, cluster_id, project_id) VALUES ('{group}', 'g', '{cluster}', 'p1');
        INSERT INTO x509keypair (uuid) VALUES ('{pair}');
        INSERT INTO magnum_service (report_count) VALUES (3);
        INSERT INTO quotas (hard_limit) VALUES (3)
    "
        ))
        .await;
    let clusters = store.list_clusters(&Scope::All, &Page::first(10)).await.unwrap();
    assert_eq!(clusters.len(), 2);
    assert_eq!(clusters[0].uuid, cluster);
    assert_eq!(
        (clusters[0].labels.len(), clusters[0].floating_ip_enabled, clusters[0].master_lb_enabled),
        (0, None, false)
    );
    assert_eq!(clusters[1].status, ClusterStatus::Other("ODD".to_owned()));
    assert_eq!(clusters[1].health_status, Some(HealthStatus::Other("STRANGE".to_owned())));
    assert_eq!(clusters[1].labels, labels(&[("a", "True"), ("b", "1")]));
    let templates = store.list_templates(&everybody(), &Page::first(10)).await.unwrap();
    assert_eq!((templates[0].server_type.as_str(), templates[0].hidden, templates[0].public), ("vm", false, false));
    assert_eq!((templates[1].coe.as_str(), templates[1].labels.as_str()), ("dcos", "{}"));
    let groups = store.nodegroups_of(&[cluster]).await.unwrap();
    assert_eq!((groups[0].node_count, groups[0].min_node_count, groups[0].role.as_str()), (1, 0, "worker"));
    assert_eq!((groups[0].is_default, &groups[0].status, groups[0].node_taints.len()), (false, &None, 0));
    assert_eq!(store.get_key_pair(pair).await.unwrap().private_key, "");
    assert_eq!(store.list_services().await.unwrap()[0].report_count, 3);
    assert_eq!(store.list_quotas(None, &Page::first(10)).await.unwrap()[0].resource, "Cluster");
    assert_eq!(store.stats(None).await.unwrap().nodes, 0);
}
