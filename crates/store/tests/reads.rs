//! Connections of reads: they rest between reads, and hinder neither writers nor the end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::Database;
use common::rows::template;
use futures::StreamExt;
use magnum_store::{ConnectOptions, Page, Store, StoreError, Visibility};

/// Two connections, one of which may rest; nobody waits for longer than the patience of a test.
async fn narrow(database: &Database) -> Store {
    let options =
        ConnectOptions { max_connections: 2, acquire_timeout: Duration::from_secs(60), ..ConnectOptions::default() };
    let store = Store::connect(&database.url, &options).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn count(store: &Store) -> Result<usize, StoreError> {
    let everything = Visibility { admin: true, include_hidden: true, ..Visibility::default() };
    Ok(store.list_templates(&everything, &Page::first(1000)).await?.len())
}

on_every_database! {
    /// Many more than there are connections, each in turn reading and writing.
    async fn readers_and_writers_share_few_connections(database: Database) {
        let store = narrow(&database).await;
        let work = (0..16).map(|worker| {
            let store = store.clone();
            tokio::spawn(async move {
                for turn in 0..5 {
                    count(&store).await.unwrap();
                    store.create_template(&template(&format!("{worker}-{turn}"))).await.unwrap();
                }
            })
        });
        for ended in futures::future::join_all(work).await {
            ended.unwrap();
        }
        assert_eq!(count(&store).await.unwrap(), 80);
    }

    /// A request that is given up in the middle of an answer leaves no half of it to the next, and takes no connection
    /// with it for good. Given up at many moments of a long answer, and on connections that have not seen the statement:
    /// it is prepared first, which is answered by itself.
    async fn reads_that_are_given_up_leave_nothing_behind(database: Database) {
        let store = narrow(&database).await;
        for number in 0..50 {
            let mut template = template(&number.to_string());
            template.labels.insert("long".to_owned(), "x".repeat(50_000));
            store.create_template(&template).await.unwrap();
        }
        let moments = (0..20).map(|moment| Duration::from_micros(moment * 500)).map(|moment| {
            let database = &database;
            async move {
                let store = narrow(database).await;
                store.ping().await.unwrap();
                for _ in 0..16 {
                    let reading = count(&store);
                    tokio::pin!(reading);
                    let begun = Instant::now();
                    while futures::poll!(&mut reading).is_pending() && begun.elapsed() < moment {
                        tokio::task::yield_now().await;
                    }
                }
                assert_eq!(count(&store).await.unwrap(), 50, "given up after {moment:?}");
            }
        });
        futures::stream::iter(moments).buffer_unordered(5).collect::<Vec<()>>().await;
    }

    /// The end waits for connections that are in use, and for no others.
    async fn a_store_closes_while_connections_rest(database: Database) {
        let store = narrow(&database).await;
        assert_eq!(count(&store).await.unwrap(), 0);
        let reading = tokio::spawn({ let store = store.clone(); async move { while count(&store).await.is_ok() {} } });
        tokio::task::yield_now().await;
        store.close().await;
        reading.await.unwrap();
        let error = count(&store).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
}
