//! What a request costs does not grow with the number of rows. Alone in its binary: the counter is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::rows::{new_cluster, template};
use magnum_store::{ConnectOptions, Ident, Page, Scope, Store, Visibility};
use tracing::span;

static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

/// Counts the statements that sqlx says it has run.
struct Counter;

impl tracing::Subscriber for Counter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, _: &tracing::Event<'_>) {
        STATEMENTS.fetch_add(1, Ordering::SeqCst);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What the API reads for a list, one cluster and one conductor round; how many statements each takes.
async fn costs(store: &Store) -> Vec<usize> {
    let mut costs = Vec::new();
    let mut before = STATEMENTS.load(Ordering::SeqCst);
    let mut note = || {
        let now = STATEMENTS.load(Ordering::SeqCst);
        costs.push(now - before);
        before = now;
    };
    let clusters = store.list_clusters(&Scope::All, &Page::first(1000)).await.unwrap();
    note();
    let uuids: Vec<_> = clusters.iter().map(|cluster| cluster.uuid).collect();
    store.nodegroups_of(&uuids).await.unwrap();
    note();
    let templates: Vec<_> = clusters.iter().map(|cluster| cluster.cluster_template_id.clone()).collect();
    store.templates_by_uuid(&templates).await.unwrap();
    note();
    let page = Page { marker: clusters.first().map(|cluster| cluster.uuid.to_string()), ..Page::first(1000) };
    store.list_clusters(&Scope::All, &page).await.unwrap();
    note();
    store.list_templates(&Visibility::default(), &Page::first(1000)).await.unwrap();
    note();
    store.get_cluster(&Scope::All, &Ident::Uuid(uuids[0])).await.unwrap();
    note();
    store.get_shown_cluster(&Scope::All, &Ident::Uuid(uuids[0])).await.unwrap();
    note();
    store.nodegroup_states(&uuids).await.unwrap();
    note();
    store.list_nodegroups_of(&Scope::All, &Ident::Uuid(uuids[0]), None, &Page::first(1000)).await.unwrap();
    note();
    store.stats(None).await.unwrap();
    note();
    store.reconcile_nodes(uuids[0], &[]).await.unwrap();
    note();
    store.nodes(uuids[0]).await.unwrap();
    note();
    costs
}

#[tokio::test]
async fn queries_do_not_grow_with_rows() {
    tracing::subscriber::set_global_default(Counter).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:///{}", folder.path().join("magnum.sqlite").display());
    // One reader: opening another runs statements as well.
    let options = ConnectOptions { max_connections: 1, ..ConnectOptions::default() };
    let store = Store::connect(&url, &options).await.unwrap();
    store.migrate().await.unwrap();
    let template = store.create_template(&template("t")).await.unwrap();
    store.create_cluster(new_cluster("first", "p1", &template)).await.unwrap();
    // The first reconciling writes, later ones find nothing to do.
    costs(&store).await;
    let few = costs(&store).await;
    for number in 0..60 {
        store.create_cluster(new_cluster(&format!("c{number}"), "p1", &template)).await.unwrap();
    }
    let many = costs(&store).await;
    assert_eq!(many, few);
    assert_eq!(&few[..10], [1, 1, 1, 2, 1, 1, 1, 1, 1, 2], "statements of each read");
}
