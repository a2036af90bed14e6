//! Pages, order, and who sees what.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Database;
use common::rows::{a_cluster, new_cluster, nodegroup, operation, template};
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, OperationKind};
use magnum_store::{Change, Ident, NodegroupChange, Page, Scope, SortDir, Store, StoreError, Visibility};

/// Every page of so many rows, put together.
async fn pages(store: &Store, sort_key: &str, sort_dir: SortDir, limit: u64) -> Vec<Cluster> {
    let mut page = Page { limit, marker: None, sort_key: sort_key.to_owned(), sort_dir };
    let mut all = Vec::new();
    loop {
        let rows = store.list_clusters(&Scope::All, &page).await.unwrap();
        assert!(rows.len() as u64 <= limit);
        let Some(last) = rows.last() else { return all };
        page.marker = Some(last.uuid.to_string());
        all.extend(rows);
        assert!(all.len() < 100, "paging by {sort_key} does not end");
    }
}

const KEYS: [&str; 31] = [
    "id",
    "created_at",
    "updated_at",
    "project_id",
    "user_id",
    "uuid",
    "name",
    "cluster_template_id",
    "keypair",
    "docker_volume_size",
    "labels",
    "master_flavor_id",
    "flavor_id",
    "stack_id",
    "api_address",
    "status",
    "status_reason",
    "health_status",
    "health_status_reason",
    "create_timeout",
    "discovery_url",
    "coe_version",
    "container_version",
    "ca_cert_ref",
    "magnum_cert_ref",
    "etcd_ca_cert_ref",
    "front_proxy_ca_cert_ref",
    "fixed_network",
    "fixed_subnet",
    "floating_ip_enabled",
    "master_lb_enabled",
];

on_every_database![
    paging_gives_every_row_once,
    bad_pages_are_refused,
    other_lists_page_as_well,
    templates_are_seen_by_those_who_may,
    nodes_follow_their_groups,
    groups_of_one_name_have_different_nodes,
    large_groups_come_and_go,
];

/// Ties, nulls, mixed case: every key gives every row once, in the order of one big page, backwards as well.
async fn paging_gives_every_row_once(database: Database) {
    let store = database.store().await;
    let template = store.create_template(&template("t")).await.unwrap();
    let names = ["b", "a", "b", "B", "c", "a", "b"];
    for (number, name) in names.into_iter().enumerate() {
        let mut new = new_cluster(name, "p1", &template);
        new.cluster.docker_volume_size = (number % 3 != 0).then_some(i32::try_from(number % 2).unwrap());
        new.cluster.floating_ip_enabled = (number % 3 != 1).then_some(number % 2 == 0);
        new.cluster.stack_id = (number > 4).then(|| format!("s{}", number % 2));
        store.create_cluster(new).await.unwrap();
    }
    database.execute("UPDATE cluster SET name = NULL WHERE id = 5").await;
    database.execute("UPDATE cluster SET updated_at = created_at WHERE id IN (2, 3)").await;
    for key in KEYS {
        let ascending = pages(&store, key, SortDir::Asc, 100).await;
        assert_eq!(ascending.len(), names.len(), "{key}");
        let mut backwards = pages(&store, key, SortDir::Desc, 100).await;
        backwards.reverse();
        assert_eq!(backwards, ascending, "{key}");
        for limit in [1, 2, 3, 7] {
            assert_eq!(pages(&store, key, SortDir::Asc, limit).await, ascending, "{key} by {limit}");
        }
        let mut backwards = pages(&store, key, SortDir::Desc, 2).await;
        backwards.reverse();
        assert_eq!(backwards, ascending, "{key} backwards by 2");
    }
    let by_size: Vec<_> = pages(&store, "docker_volume_size", SortDir::Asc, 2).await;
    let sizes: Vec<_> = by_size.iter().map(|cluster| cluster.docker_volume_size).collect();
    assert!(sizes.is_sorted(), "{sizes:?}: null comes first on every database");
}

async fn bad_pages_are_refused(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    for key in ["node_count", "foo", "links", "trust_id", "", "id; DROP TABLE cluster"] {
        let page = Page { sort_key: key.to_owned(), ..Page::first(5) };
        let refused = store.list_clusters(&Scope::All, &page).await.unwrap_err();
        assert!(matches!(&refused, StoreError::InvalidSortKey(named) if named == key), "{refused}");
    }
    let marked = |marker: &str| Page { marker: Some(marker.to_owned()), ..Page::first(5) };
    let unknown = "00000000-0000-4000-8000-000000000000";
    let refused = store.list_clusters(&Scope::All, &marked(unknown)).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("Cluster {unknown} could not be found."));
    let foreign = Scope::Project("p2".to_owned());
    let refused = store.list_clusters(&foreign, &marked(&cluster.uuid.to_string())).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { resource: "Cluster", .. }), "{refused}");
    let refused = store.list_templates(&Visibility::default(), &marked(unknown)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { resource: "ClusterTemplate", .. }), "{refused}");
    let refused = store.list_nodegroups(cluster.uuid, None, &marked(unknown)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { resource: "Nodegroup", .. }), "{refused}");
    let refused = store.list_operations(cluster.uuid, &marked(unknown)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { resource: "Operation", .. }), "{refused}");
}

async fn other_lists_page_as_well(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    for number in 0..3 {
        store.create_template(&template(&format!("t{number}"))).await.unwrap();
        store.create_quota(&format!("p{number}"), "Cluster", 1).await.unwrap();
    }
    let group = Change { new_nodegroup: Some(nodegroup(&cluster, "gpu", "gpu", 1)), ..Change::default() };
    let create = store.claim_operation("c", std::time::Duration::from_secs(9)).await.unwrap().unwrap();
    let done = magnum_domain::OperationState::Succeeded;
    store.finish_operation(create.uuid, "c", done, None, &Default::default()).await.unwrap();
    let new = operation(&cluster, OperationKind::NodegroupCreate);
    store.request_operation(new, &|_| true, group).await.unwrap();

    let all = Visibility { admin: true, ..Visibility::default() };
    let first = store.list_templates(&all, &Page::first(2)).await.unwrap();
    let rest = Page { marker: Some(first[1].uuid.to_string()), ..Page::first(9) };
    assert_eq!((first.len(), store.list_templates(&all, &rest).await.unwrap().len()), (2, 2));

    let by_name = Page { sort_key: "name".to_owned(), sort_dir: SortDir::Desc, ..Page::first(1) };
    let first = store.list_nodegroups(cluster.uuid, None, &by_name).await.unwrap();
    let rest = Page { marker: Some(first[0].uuid.to_string()), limit: 9, ..by_name };
    let rest = store.list_nodegroups(cluster.uuid, None, &rest).await.unwrap();
    let names: Vec<_> = first.iter().chain(&rest).map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["gpu", "default-worker", "default-master"]);

    for (limit, sort_dir) in [(1, SortDir::Asc), (3, SortDir::Asc), (2, SortDir::Desc), (9, SortDir::Desc)] {
        let page = Page { sort_dir, ..Page::first(limit) };
        let (_, groups) = store.list_nodegroups_of(&Scope::All, &cluster.uuid.into(), None, &page).await.unwrap();
        assert_eq!(groups, store.list_nodegroups(cluster.uuid, None, &page).await.unwrap(), "{page:?}");
        assert_eq!(groups.len(), limit.min(3) as usize, "{page:?}");
    }

    let newest = Page { sort_dir: SortDir::Desc, ..Page::first(1) };
    let newest = store.list_operations(cluster.uuid, &newest).await.unwrap().remove(0);
    assert_eq!(newest.kind, OperationKind::NodegroupCreate);
    let older = Page { marker: Some(newest.uuid.to_string()), sort_dir: SortDir::Desc, ..Page::first(9) };
    assert_eq!(store.list_operations(cluster.uuid, &older).await.unwrap()[0].kind, OperationKind::Create);

    let quotas = store.list_quotas(None, &Page::first(2)).await.unwrap();
    let rest = Page { marker: Some(quotas[1].id.to_string()), ..Page::first(9) };
    assert_eq!(store.list_quotas(None, &rest).await.unwrap().len(), 1);
}

/// rest-api §4.2.
async fn templates_are_seen_by_those_who_may(database: Database) {
    let store = database.store().await;
    for (project, public, hidden) in
        [("p1", false, false), ("p1", false, true), ("p2", true, false), ("p2", true, true), ("p2", false, false)]
    {
        let name = format!("{project}-{public}-{hidden}");
        let row = ClusterTemplate { project_id: project.to_owned(), public, hidden, ..template(&name) };
        store.create_template(&row).await.unwrap();
    }
    // Written before there was a column `hidden`.
    let unsaid = ClusterTemplate { project_id: "p3".to_owned(), public: true, ..template("unsaid") };
    store.create_template(&unsaid).await.unwrap();
    database.execute("UPDATE cluster_template SET hidden = NULL WHERE name = 'unsaid'").await;
    let member = Visibility { project_id: Some("p1".to_owned()), ..Visibility::default() };
    let cases = [
        (member.clone(), vec!["p1-false-false", "p1-false-true", "p2-true-false"]),
        (
            Visibility { include_hidden: true, ..member },
            vec!["p1-false-false", "p1-false-true", "p2-true-false", "p2-true-true", "unsaid"],
        ),
        (Visibility::default(), vec!["p2-true-false"]),
        (
            Visibility { admin: true, ..Visibility::default() },
            vec!["p1-false-false", "p1-false-true", "p2-true-false", "p2-true-true", "p2-false-false", "unsaid"],
        ),
    ];
    let everybody = Visibility { admin: true, ..Visibility::default() };
    let all = store.list_templates(&everybody, &Page::first(99)).await.unwrap();
    for (visibility, expected) in cases {
        let seen = store.list_templates(&visibility, &Page::first(99)).await.unwrap();
        let names: Vec<_> = seen.iter().map(|template| template.name.clone().unwrap()).collect();
        assert_eq!(names, expected, "{visibility:?}");
        let hidden = store.get_template(&visibility, &Ident::Name("p2-true-true".to_owned())).await;
        assert_eq!(hidden.is_ok(), expected.contains(&"p2-true-true"), "{visibility:?}");
        for template in &all {
            let (found, name) =
                (store.get_template(&visibility, &template.uuid.into()).await, template.name.as_deref());
            assert_eq!(found.is_ok(), expected.contains(&name.unwrap()), "{visibility:?}, {name:?}");
        }
    }
    let uuids: Vec<_> = all.iter().map(|template| template.uuid.to_string()).chain(["nope".to_owned()]).collect();
    assert_eq!(store.templates_by_uuid(&uuids).await.unwrap().len(), 6);
}

async fn nodes_follow_their_groups(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let names = |nodes: &[magnum_domain::Node]| {
        let staying = nodes.iter().filter(|node| node.phase != magnum_domain::NodePhase::Leaving);
        let mut names: Vec<_> = staying.map(|node| node.name.clone()).collect();
        names.sort();
        names
    };
    let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    assert_eq!(names(&nodes), ["web-master-0", "web-worker-0", "web-worker-1"]);
    assert!(nodes[0].is_master && !nodes[1].is_master);
    let mut changed = store.nodes_changed();
    changed.mark_unchanged();
    assert_eq!(store.reconcile_nodes(cluster.uuid, &["nobody".to_owned()]).await.unwrap(), nodes);

    let worker = store.get_nodegroup(cluster.uuid, &Ident::Name("default-worker".to_owned())).await.unwrap();
    let resize = |count| {
        let store = store.clone();
        async move {
            let change = NodegroupChange { node_count: Some(count), ..NodegroupChange::default() };
            store.update_nodegroup(worker.uuid, &change).await.unwrap();
        }
    };
    resize(5).await;
    let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    assert_eq!(nodes.len(), 6);
    let by_name = |name: &str| nodes.iter().find(|node| node.name == name).unwrap().uuid;
    store.set_node_started(by_name("web-worker-2"), "10.1.0.9", "h").await.unwrap();

    // By name, UUID and address; then the highest position.
    resize(1).await;
    // The named leave whatever the size; it is kept by others, here by none.
    let remove = ["web-worker-0".to_owned(), by_name("web-worker-1").to_string(), "10.1.0.9".to_owned()];
    let nodes = store.reconcile_nodes(cluster.uuid, &remove).await.unwrap();
    assert_eq!(names(&nodes), ["web-master-0", "web-worker-3"]);
    assert_eq!(store.reconcile_nodes(cluster.uuid, &remove).await.unwrap(), nodes);

    // Positions of nodes that still leave are not given again; those of nodes that are gone are.
    store.delete_node(by_name("web-worker-1")).await.unwrap();
    resize(3).await;
    let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    assert_eq!(names(&nodes), ["web-master-0", "web-worker-1", "web-worker-3", "web-worker-5"]);

    let going = NodegroupChange { status: Some(ClusterStatus::DeleteInProgress), ..NodegroupChange::default() };
    store.update_nodegroup(worker.uuid, &going).await.unwrap();
    let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    assert_eq!(names(&nodes), ["web-master-0"]);
    database.execute("DELETE FROM nodegroup WHERE role = 'master'").await;
    assert!(names(&store.reconcile_nodes(cluster.uuid, &[]).await.unwrap()).is_empty());
}

/// No statement names more rows than a database takes, and a number that can't be meant makes none.
async fn large_groups_come_and_go(database: Database) {
    let store = database.store().await;
    let cluster = a_cluster(&store).await;
    let worker = store.get_nodegroup(cluster.uuid, &Ident::Name("default-worker".to_owned())).await.unwrap();
    let resized = |count| NodegroupChange { node_count: Some(count), ..NodegroupChange::default() };
    store.update_nodegroup(worker.uuid, &resized(i32::MAX)).await.unwrap();
    let refused = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManyNodes(_)), "{refused}");
    assert!(store.nodes(cluster.uuid).await.unwrap().is_empty());

    store.update_nodegroup(worker.uuid, &resized(2500)).await.unwrap();
    let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    assert_eq!(nodes.len(), 2501);
    store.update_nodegroup(worker.uuid, &resized(0)).await.unwrap();
    let named: Vec<String> = nodes.iter().map(|node| node.uuid.to_string()).collect();
    let nodes = store.reconcile_nodes(cluster.uuid, &named).await.unwrap();
    assert_eq!(nodes.iter().filter(|node| node.is_leaving()).count(), 2501);
    assert_eq!(nodes.iter().filter(|node| !node.is_leaving()).count(), 1, "another master in place of the named one");
}

/// `default-worker` and a group called `worker` must not both have a `web-worker-0`.
async fn groups_of_one_name_have_different_nodes(database: Database) {
    let store = database.store().await;
    let template = store.create_template(&template("t")).await.unwrap();
    let mut new = new_cluster("web", "p1", &template);
    for name in ["worker", "gpu!", "gpu?", "!"] {
        new.nodegroups.push(nodegroup(&new.cluster, name, "worker", 2));
    }
    let cluster = store.create_cluster(new).await.unwrap();
    let nodes = store.reconcile_nodes(cluster.uuid, &[]).await.unwrap();
    let names: std::collections::HashSet<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!((nodes.len(), names.len()), (11, 11), "{names:?}");
    assert!(names.contains("web-worker-0") && names.contains("web-gpu-1"), "{names:?}");
}
