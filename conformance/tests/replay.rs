//! We answer as upstream did when it was asked, but for the differences that are meant.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly")]

use std::io::Write as _;

use magnum_conformance::case::Corpus;
use magnum_conformance::database::Temporary;
use magnum_conformance::difference::Table;
use magnum_conformance::ours::Ours;
use magnum_conformance::people::People;
use magnum_conformance::release::{Release, Upstream};
use magnum_conformance::report::Report;
use magnum_conformance::run::run;
use magnum_conformance::seed::Seed;
use magnum_conformance::surroundings::Surroundings;
use magnum_store::Backend;

/// Fewer than this, and somebody has lost a file.
const LEAST: usize = 1500;

/// The server named by a variable; says so when there is none, and fails where one is required.
fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        let required = std::env::var("MAGNUM_TEST_REQUIRE_DATABASES").is_ok_and(|value| value == "1");
        assert!(!required, "{variable} must lead to a database server");
        // Past the test runner's capture: nobody shall take this test for one that ran.
        let _ = writeln!(std::io::stderr(), "NOT RUN: no database server was given in {variable}");
    }
    url
}

async fn replay(database: Temporary, backend: Backend) {
    let people = People::load().unwrap();
    let seed = Seed::load(&people).unwrap();
    let corpus = Corpus::load(&magnum_conformance::data().join("cases"), &seed).unwrap();
    let upstreams: Vec<Upstream> = Release::all().unwrap().into_iter().map(|one| one.answers().unwrap()).collect();
    let table = Table::load().unwrap();
    let outcome = async {
        let surroundings = Surroundings::tables(&people)?;
        let mut ours = Ours::start(&database.url, &seed, &surroundings).await?;
        run(&mut ours, &corpus.cases, &seed, &surroundings.translation).await
    }
    .await;
    database.drop_it().await.unwrap();
    let report = Report::new(&corpus, &upstreams, &outcome.unwrap(), &table);
    eprintln!("{}", report.table());
    if let Some(failure) = report.failure(&table, Some(backend)) {
        panic!("{failure}");
    }
    assert!(report.totals().requests >= LEAST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    replay(Temporary::sqlite().unwrap(), Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let Some(server) = server("MAGNUM_TEST_POSTGRES_URL") else { return };
    replay(Temporary::on(&server).await.unwrap(), Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    let Some(server) = server("MAGNUM_TEST_MARIADB_URL") else { return };
    replay(Temporary::on(&server).await.unwrap(), Backend::MySql).await;
}
