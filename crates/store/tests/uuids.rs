//! Rows whose UUID upstream has kept in another spelling are found, listed and used like all others; rows whose UUID is
//! none are neither listed nor counted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Database;
use common::rows::{new_cluster, template};
use magnum_domain::{ClusterStatus, HealthStatus, Labels};
use magnum_store::{Ident, NodegroupChange, Page, Scope, Stats, Store, StoreError, Visibility};
use uuid::Uuid;

/// How the same UUID may be spelled in the 36 characters of a column.
const SPELLINGS: [fn(Uuid) -> String; 6] = [
    |uuid| uuid.to_string(),
    |uuid| uuid.to_string().to_uppercase(),
    |uuid| uuid.simple().to_string(),
    |uuid| uuid.simple().to_string().to_uppercase(),
    |uuid| format!("{{{}}}", uuid.simple()),
    |uuid| format!("{}{}", &uuid.to_string()[..18], uuid.to_string()[18..].to_uppercase()),
];

fn everybody() -> Visibility {
    Visibility { admin: true, include_hidden: true, ..Visibility::default() }
}

/// A store that has seen what others have written meanwhile.
async fn opened(database: &Database) -> Store {
    database.store().await
}

/// Writes a UUID, and all that refers to it, in another spelling, as upstream would have.
async fn respell(database: &Database, columns: &[(&str, &str)], uuid: Uuid, spelling: &str) {
    for (table, column) in columns {
        database.execute(&format!("UPDATE {table} SET {column} = '{spelling}' WHERE {column} = '{uuid}'")).await;
    }
}

const TEMPLATE: [(&str, &str); 2] = [("cluster_template", "uuid"), ("cluster", "cluster_template_id")];
const CLUSTER: [(&str, &str); 2] = [("cluster", "uuid"), ("nodegroup", "cluster_id")];
const GROUP: [(&str, &str); 1] = [("nodegroup", "uuid")];

on_every_database! {
    async fn templates_are_found_in_every_spelling(database: Database) {
        let writer = opened(&database).await;
        for spelled in SPELLINGS {
            let made = writer.create_template(&template("t")).await.unwrap();
            let cluster = writer.create_cluster(new_cluster("web", "p1", &made)).await.unwrap();
            let spelling = spelled(made.uuid);
            respell(&database, &TEMPLATE, made.uuid, &spelling).await;
            // Without being opened anew: upstream may run beside us.
            let found = writer.get_template(&everybody(), &made.uuid.into()).await.unwrap();
            assert_eq!(found, made, "{spelling}");
            let store = opened(&database).await;
            for ident in SPELLINGS {
                let found = store.get_template(&everybody(), &Ident::parse(&ident(made.uuid))).await.unwrap();
                assert_eq!(found.uuid, made.uuid, "{spelling}");
            }
            let read = store.get_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap();
            assert_eq!(read.cluster_template_id, made.uuid.to_string());
            assert_eq!(store.templates_by_uuid(&[read.cluster_template_id]).await.unwrap().len(), 1, "{spelling}");
            let shown = store.get_shown_cluster(&Scope::All, &cluster.uuid.into()).await.unwrap();
            assert_eq!(shown.template_labels, Some(made.labels.clone()), "{spelling}");
            // Another cluster, made from it by us.
            let second = store.create_cluster(new_cluster("second", "p1", &made)).await.unwrap();
            let shown = store.get_shown_cluster(&Scope::All, &second.uuid.into()).await.unwrap();
            assert_eq!(shown.template_labels, Some(made.labels.clone()), "{spelling}");
            let used = store.delete_template(made.uuid).await;
            assert!(matches!(used, Err(StoreError::TemplateInUse { .. })), "{spelling}: {used:?}");
            let mut other = made.clone();
            other.name = Some("renamed".to_owned());
            assert_eq!(store.update_template(&made, &other).await.unwrap().name, other.name, "{spelling}");
            other.coe = "mesos".to_owned();
            assert!(matches!(store.update_template(&made, &other).await, Err(StoreError::TemplateInUse { .. })));
            let again = store.create_template(&made).await;
            assert!(matches!(again, Err(StoreError::Duplicate { .. })), "{spelling}: {again:?}");
            database.execute("DELETE FROM nodegroup").await;
            database.execute("DELETE FROM cluster").await;
            store.delete_template(made.uuid).await.unwrap();
        }
    }

    async fn clusters_and_groups_are_found_in_every_spelling(database: Database) {
        let writer = opened(&database).await;
        let made_from = writer.create_template(&template("t")).await.unwrap();
        for spelled in SPELLINGS {
            let made = writer.create_cluster(new_cluster("web", "p1", &made_from)).await.unwrap();
            let groups = writer.nodegroups_of(&[made.uuid]).await.unwrap();
            let spelling = spelled(made.uuid);
            respell(&database, &CLUSTER, made.uuid, &spelling).await;
            for group in &groups {
                respell(&database, &GROUP, group.uuid, &spelled(group.uuid)).await;
            }
            let store = opened(&database).await;
            let found = store.get_cluster(&Scope::All, &made.uuid.into()).await.unwrap();
            assert_eq!(found.uuid, made.uuid);
            let shown = store.get_shown_cluster(&Scope::All, &made.uuid.into()).await.unwrap();
            assert_eq!(shown.nodegroups.len(), 2, "{spelling}");
            assert_eq!(store.nodegroups_of(&[made.uuid]).await.unwrap(), groups, "{spelling}");
            assert_eq!(store.nodegroup_states(&[made.uuid]).await.unwrap()[&made.uuid].len(), 2, "{spelling}");
            let counts = store.node_counts(&[made.uuid]).await.unwrap()[&made.uuid];
            assert_eq!((counts.masters, counts.workers), (1, 2), "{spelling}");
            let (uuid, listed) =
                store.list_nodegroups_of(&Scope::All, &made.uuid.into(), None, &Page::first(9)).await.unwrap();
            assert_eq!((uuid, listed.len()), (made.uuid, 2), "{spelling}");
            let page = Page { marker: Some(listed[0].uuid.to_string()), ..Page::first(9) };
            let (_, rest) = store.list_nodegroups_of(&Scope::All, &made.uuid.into(), None, &page).await.unwrap();
            assert_eq!(rest.len(), 1, "{spelling}");
            let group = store.get_nodegroup(made.uuid, &groups[0].uuid.into()).await.unwrap();
            assert_eq!(group, groups[0], "{spelling}");
            let change = NodegroupChange { status: Some(ClusterStatus::UpdateFailed), ..NodegroupChange::default() };
            store.update_nodegroup(groups[0].uuid, &change).await.unwrap();
            store.update_health(made.uuid, &HealthStatus::Healthy, &Labels::new()).await.unwrap();
            let page = Page { marker: Some(made.uuid.to_string()), ..Page::first(9) };
            assert_eq!(store.list_clusters(&Scope::All, &page).await.unwrap(), [], "{spelling}");
            database.execute("DELETE FROM nodegroup").await;
            database.execute("DELETE FROM cluster").await;
        }
    }

    /// What can't be named is not counted either: a project would have to make room for a cluster that it can't delete.
    async fn lists_and_counts_agree(database: Database) {
        let writer = opened(&database).await;
        let made_from = writer.create_template(&template("t")).await.unwrap();
        let mut clusters = Vec::new();
        for name in ["a", "b", "c", "d"] {
            clusters.push(writer.create_cluster(new_cluster(name, "p1", &made_from)).await.unwrap());
            writer.create_template(&template(name)).await.unwrap();
        }
        database.execute("UPDATE cluster SET uuid = 'none' WHERE name = 'a'").await;
        database.execute("UPDATE cluster SET uuid = NULL WHERE name = 'b'").await;
        for (at, cluster) in clusters[..2].iter().enumerate() {
            let gone = cluster.uuid;
            database.execute(&format!("UPDATE nodegroup SET cluster_id = 'none-{at}' WHERE cluster_id = '{gone}'")).await;
        }
        let kept = clusters[2].uuid;
        database
            .execute(&format!("UPDATE nodegroup SET uuid = 'x' WHERE cluster_id = '{kept}' AND name = 'default-worker'"))
            .await;
        database.execute("UPDATE cluster_template SET uuid = '1234567890123456789012345678901g' WHERE name = 'a'").await;
        let store = opened(&database).await;
        let listed = store.list_clusters(&Scope::All, &Page::first(9)).await.unwrap();
        assert_eq!(listed.iter().map(|cluster| cluster.uuid).collect::<Vec<_>>(), [kept, clusters[3].uuid]);
        assert_eq!(store.count_clusters("p1").await.unwrap(), 2);
        let counts = store.node_counts(&[kept, clusters[3].uuid]).await.unwrap();
        let nodes: i64 = counts.values().map(|counts| counts.masters + counts.workers).sum();
        for project in [None, Some("p1")] {
            assert_eq!(store.stats(project).await.unwrap(), Stats { clusters: 2, nodes });
        }
        assert_eq!(nodes, 4);
        assert_eq!(store.nodegroup_states(&[kept]).await.unwrap()[&kept].len(), 1);
        // A page is full although there are rows between that can't be shown: its end is not taken for the list's.
        let page = store.list_cluster_summaries(&Scope::All, &Page::first(2)).await.unwrap();
        assert_eq!(page.len(), 2);
        assert_eq!(store.list_templates(&everybody(), &Page::first(4)).await.unwrap().len(), 4);
        // The quota counts the same.
        let mut third = new_cluster("e", "p1", &made_from);
        third.quota = 3;
        store.create_cluster(third.clone()).await.unwrap();
        let mut fourth = new_cluster("f", "p1", &made_from);
        fourth.quota = 3;
        assert!(matches!(store.create_cluster(fourth).await, Err(StoreError::QuotaExceeded { limit: 3 })));
    }
}
