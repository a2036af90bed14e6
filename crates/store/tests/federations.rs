//! Federations that a database holds from before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Database;
use magnum_store::{Ident, Page, SortDir, StoreError};
use uuid::Uuid;

/// A row as upstream writes it.
async fn insert(database: &Database, uuid: Uuid, name: &str, project: &str) {
    let sql = format!(
        "INSERT INTO federation (created_at, project_id, uuid, name, hostcluster_id, member_ids, status, \
         status_reason, properties) VALUES ('2026-01-02 03:04:05', '{project}', '{uuid}', '{name}', 'host', \
         '[\"m1\", \"m2\"]', 'CREATE_COMPLETE', NULL, '{{\"dns-zone\": \"example.com.\"}}')"
    );
    database.execute(&sql).await;
}

on_every_database! {
    async fn rows_are_listed_shown_and_deleted(database: Database) {
        let store = database.store().await;
        let uuids = [(); 4].map(|()| Uuid::new_v4());
        for (uuid, (name, project)) in uuids.iter().zip([("a", "p1"), ("b", "p1"), ("b", "p1"), ("c", "p2")]) {
            insert(&database, *uuid, name, project).await;
        }

        let page = |marker: Option<Uuid>, limit, sort_key: &str, sort_dir| Page {
            limit,
            marker: marker.map(|marker| marker.to_string()),
            sort_key: sort_key.to_owned(),
            sort_dir,
        };
        for (page, expected) in [
            (page(None, 10, "id", SortDir::Asc), vec![0, 1, 2]),
            (page(None, 10, "name", SortDir::Desc), vec![2, 1, 0]),
            (page(None, 2, "id", SortDir::Asc), vec![0, 1]),
            (page(Some(uuids[1]), 2, "id", SortDir::Asc), vec![2]),
            (page(Some(uuids[1]), 2, "status_reason", SortDir::Desc), vec![0]),
        ] {
            let listed = store.list_federations("p1", &page).await.unwrap();
            let expected: Vec<Uuid> = expected.into_iter().map(|at: usize| uuids[at]).collect();
            assert_eq!(listed.iter().map(|row| row.uuid).collect::<Vec<_>>(), expected, "{page:?}");
        }
        let foreign = store.list_federations("p1", &page(Some(uuids[3]), 2, "id", SortDir::Asc)).await;
        assert!(matches!(foreign, Err(StoreError::NotFound { .. })), "{foreign:?}");
        let unknown = store.list_federations("p1", &page(None, 2, "nothing", SortDir::Asc)).await;
        assert!(matches!(unknown, Err(StoreError::InvalidSortKey(_))), "{unknown:?}");

        let shown = store.get_federation("p1", &Ident::parse("a")).await.unwrap();
        assert_eq!(shown, store.get_federation("p1", &uuids[0].into()).await.unwrap());
        assert_eq!((shown.member_ids.join(","), shown.hostcluster_id.as_deref()), ("m1,m2".to_owned(), Some("host")));
        assert_eq!(shown.properties["dns-zone"], "example.com.");
        assert!(shown.created_at.is_some() && shown.status.as_deref() == Some("CREATE_COMPLETE"));
        let twice = store.get_federation("p1", &Ident::parse("b")).await;
        assert!(matches!(twice, Err(StoreError::Ambiguous { .. })), "{twice:?}");
        let foreign = store.get_federation("p1", &Ident::parse("c")).await;
        assert!(matches!(foreign, Err(StoreError::NotFound { .. })), "{foreign:?}");

        store.delete_federation(uuids[1]).await.unwrap();
        assert_eq!(store.get_federation("p1", &Ident::parse("b")).await.unwrap().uuid, uuids[2]);
        let again = store.delete_federation(uuids[1]).await;
        assert!(matches!(again, Err(StoreError::NotFound { .. })), "{again:?}");
        assert_eq!(store.list_federations("p1", &Page::first(10)).await.unwrap().len(), 2);
    }
}
