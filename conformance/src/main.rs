//! Asks and compares: `cargo xtask conformance` calls this.
#![allow(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use magnum_conformance::case::Corpus;
use magnum_conformance::database::{Database, Temporary};
use magnum_conformance::difference::Table;
use magnum_conformance::ours::Ours;
use magnum_conformance::people::People;
use magnum_conformance::record::Record;
use magnum_conformance::remote::Remote;
use magnum_conformance::report::Report;
use magnum_conformance::run::run;
use magnum_conformance::seed::Seed;
use magnum_conformance::translation::Translation;
use magnum_store::Backend;

/// Whether we answer as the original does.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Asks our API in this process and compares with the original's recorded answers.
    Replay(Replay),
    /// Asks the original and keeps its answers.
    Record(Recording),
    /// Counts what there is to ask.
    Count,
}

#[derive(Debug, Args)]
struct Replay {
    /// Only requests whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
    /// A server of PostgreSQL or MariaDB to make a database on; SQLite without.
    #[arg(long)]
    server: Option<String>,
    /// Release of the original.
    #[arg(long, default_value = "23.0.0")]
    release: String,
    /// Prints every name that differs without a reason, and nothing else of them.
    #[arg(long)]
    brief: bool,
}

#[derive(Debug, Args)]
struct Recording {
    /// Only requests whose name begins so; of the others the recorded answers stay.
    #[arg(long, default_value = "")]
    only: String,
    /// Only what has no recorded answer yet.
    #[arg(long)]
    new: bool,
    /// Where the original listens.
    #[arg(long)]
    url: String,
    /// Its database.
    #[arg(long)]
    database: String,
    /// What `people.py` has written: who is who there.
    #[arg(long)]
    translation: Option<PathBuf>,
    /// Its release.
    #[arg(long, default_value = "23.0.0")]
    release: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let people = People::load()?;
    let seed = Seed::load(&people)?;
    let corpus = Corpus::load(&magnum_conformance::data().join("cases"), &seed)?;
    match Arguments::parse().task {
        Task::Replay(options) => replay(&options, corpus, &seed, &people).await,
        Task::Record(options) => record(&options, corpus, &seed).await,
        Task::Count => {
            println!("{} cases, {} requests", corpus.cases.len(), corpus.requests());
            Ok(())
        }
    }
}

fn answers(release: &str) -> PathBuf {
    magnum_conformance::data().join("answers").join(release)
}

async fn replay(options: &Replay, mut corpus: Corpus, seed: &Seed, people: &People) -> Result<()> {
    let table = Table::load()?;
    let original = Record::load(&answers(&options.release))?;
    corpus.cases.retain(|case| case.name.starts_with(&options.only));
    let database = match &options.server {
        Some(server) => Temporary::on(server).await?,
        None => Temporary::sqlite()?,
    };
    let began = Instant::now();
    let outcome = async {
        let mut ours = Ours::start(&database, seed, people).await?;
        run(&mut ours, &corpus.cases, seed, &Translation::default()).await
    }
    .await;
    database.drop_it().await?;
    let report = Report::new(&corpus, &original, &outcome?, &table);
    let backend = match options.server.as_deref() {
        Some(server) if server.starts_with("postgres") => Backend::Postgres,
        Some(_) => Backend::MySql,
        None => Backend::Sqlite,
    };
    let whole = options.only.is_empty().then_some(backend);
    if options.brief {
        report.unexplained.iter().for_each(|found| println!("{}", found.name));
    } else if let Some(failure) = report.failure(&table, whole) {
        println!("{failure}");
    }
    if whole.is_some() {
        println!("{}", report.differences(&table));
    }
    println!("{}", report.table());
    println!("asked in {:.1} s", began.elapsed().as_secs_f64());
    if report.failure(&table, whole).is_some() {
        bail!("there are differences without a reason");
    }
    Ok(())
}

async fn record(options: &Recording, mut corpus: Corpus, seed: &Seed) -> Result<()> {
    let folder = answers(&options.release);
    let mut kept = Record::load(&folder)?;
    let names: Vec<String> = corpus.cases.iter().map(|case| case.name.clone()).collect();
    corpus
        .cases
        .retain(|case| case.name.starts_with(&options.only) && !(options.new && kept.get(&case.name).is_some()));
    let translation = match &options.translation {
        Some(file) => Translation::load(file)?,
        None => Translation::default(),
    };
    let database = Database::open(&options.database, seed, &translation).await.context("the original's database")?;
    let mut original = Remote::new(&options.url, database)?;
    let began = Instant::now();
    let fresh = run(&mut original, &corpus.cases, seed, &translation).await?;
    println!("{} answers in {:.0} s", fresh.len(), began.elapsed().as_secs_f64());
    kept.merge(fresh);
    kept.retain(|name| names.iter().any(|known| name == known || name.starts_with(&format!("{known} then "))));
    kept.save(&folder)
}
