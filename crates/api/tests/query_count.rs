//! What a list costs does not grow with its length. Alone in its binary: the counter is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![expect(dead_code, reason = "shared with the other tests, which use all of it")]

#[path = "api/fixtures.rs"]
mod fixtures;
#[path = "api/support.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use support::Service;
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

/// Reads, and how many statements each may take.
const READS: [(&str, usize); 8] = [
    ("/v1/clusters", 2),
    ("/v1/clusters/detail", 3),
    ("/v1/clusters/first", 2),
    ("/v1/clusters/first/nodegroups", 2),
    ("/v1/clusters/first/nodes", 3),
    ("/v1/clusters/first/events", 2),
    ("/v1/clustertemplates", 1),
    ("/v1/stats", 2),
];

#[tokio::test]
async fn reads_take_a_constant_number_of_statements() {
    tracing::subscriber::set_global_default(Counter).unwrap();
    let service = Service::with(|options| options.max_clusters_per_project = 1000).await;
    let template = fixtures::template(&service, "alice", "t").await;
    fixtures::cluster(&service, "alice", "first", &template).await;
    for round in 0..2 {
        for (path, most) in READS {
            // The least of several: one that opens a connection of the pool also makes its settings.
            let mut costs = Vec::new();
            for _ in 0..5 {
                let before = STATEMENTS.load(Ordering::SeqCst);
                service.get("alice", path).await.expect(200);
                costs.push(STATEMENTS.load(Ordering::SeqCst) - before);
            }
            assert_eq!(costs.iter().min(), Some(&most), "{path} in round {round}");
        }
        for number in 0..40 {
            fixtures::cluster(&service, "alice", &format!("more-{number}"), &template).await;
        }
    }
}
