//! Asks and compares: `cargo xtask conformance` calls this.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use magnum_conformance::case::{Case, Corpus};
use magnum_conformance::database::{Database, Temporary};
use magnum_conformance::difference::Table;
use magnum_conformance::ours::Ours;
use magnum_conformance::people::People;
use magnum_conformance::record::Record;
use magnum_conformance::release::{Release, Upstream};
use magnum_conformance::remote::Remote;
use magnum_conformance::report::Report;
use magnum_conformance::run::run;
use magnum_conformance::seed::Seed;
use magnum_conformance::subject::Subject;
use magnum_conformance::surroundings::Surroundings;
use magnum_conformance::translation::Translation;
use magnum_store::Backend;

/// Whether we answer as upstream does.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Asks our API in this process and compares with the recorded answers of upstream.
    Replay(Replay),
    /// Asks upstream and our API, both in one cloud, and compares.
    Live(Live),
    /// Counts what there is to ask.
    Count,
}

#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    shown: Shown,
    /// A server of PostgreSQL or MariaDB to make a database on; SQLite without.
    #[arg(long)]
    server: Option<String>,
}

#[derive(Debug, Args)]
struct Live {
    #[command(flatten)]
    shown: Shown,
    /// Release of upstream, where it listens, and its database; may be given several times.
    #[arg(long, required = true, num_args = 3, value_names = ["RELEASE", "URL", "DATABASE"])]
    upstream: Vec<String>,
    /// A database for ours.
    #[arg(long)]
    ours: String,
    /// Description of the lab.
    #[arg(long)]
    lab: PathBuf,
    /// What `people.py` has written: who is who there.
    #[arg(long)]
    translation: PathBuf,
    /// Keeps upstream's answers in place of the recorded ones.
    #[arg(long)]
    record: bool,
}

/// What is asked and shown.
#[derive(Debug, Args)]
struct Shown {
    /// Only requests whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
    /// Prints every name that differs without a reason, and nothing else of them.
    #[arg(long)]
    brief: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let people = People::load()?;
    let seed = Seed::load(&people)?;
    let mut corpus = Corpus::load(&magnum_conformance::data().join("cases"), &seed)?;
    match Arguments::parse().task {
        Task::Replay(options) => {
            corpus.cases.retain(|case| case.name.starts_with(&options.shown.only));
            replay(&options, &corpus, &seed, &people).await
        }
        Task::Live(options) => live(&options, &corpus, &seed).await,
        Task::Count => {
            say(format_args!("{} cases, {} requests", corpus.cases.len(), corpus.requests()));
            Ok(())
        }
    }
}

async fn replay(options: &Replay, corpus: &Corpus, seed: &Seed, people: &People) -> Result<()> {
    let upstreams = Release::all()?.into_iter().map(Release::answers).collect::<Result<Vec<_>>>()?;
    let database = match &options.server {
        Some(server) => Temporary::on(server).await?,
        None => Temporary::sqlite()?,
    };
    let began = Instant::now();
    let outcome = async {
        let surroundings = Surroundings::tables(people)?;
        let mut ours = Ours::start(&database.url, seed, &surroundings).await?;
        run(&mut ours, &corpus.cases, seed, &surroundings.translation).await
    }
    .await;
    database.drop_it().await?;
    say(format_args!("asked in {:.1} s", began.elapsed().as_secs_f64()));
    let backend = match options.server.as_deref() {
        Some(server) if server.starts_with("postgres") => Backend::Postgres,
        Some(_) => Backend::MySql,
        None => Backend::Sqlite,
    };
    show(&options.shown, corpus, &upstreams, &outcome?, backend)
}

/// Prints what a comparison finds; fails when something has no reason.
fn show(shown: &Shown, corpus: &Corpus, upstreams: &[Upstream], ours: &Record, backend: Backend) -> Result<()> {
    let table = Table::load()?;
    let report = Report::new(corpus, upstreams, ours, &table);
    let whole = shown.only.is_empty().then_some(backend);
    let failure = report.failure(&table, whole);
    if shown.brief {
        report.unexplained.iter().for_each(|found| say(format_args!("{}", found.name)));
    } else if let Some(failure) = &failure {
        say(format_args!("{failure}"));
    }
    if whole.is_some() {
        say(format_args!("{}", report.differences(&table)));
    }
    say(format_args!("{}", report.table()));
    if failure.is_some() {
        bail!("there are differences without a reason");
    }
    Ok(())
}

async fn live(options: &Live, whole: &Corpus, seed: &Seed) -> Result<()> {
    let only = |case: &&Case| case.name.starts_with(&options.shown.only);
    let corpus = &Corpus { cases: whole.cases.iter().filter(only).cloned().collect() };
    let translation = Translation::load(&options.translation)?;
    let began = Instant::now();
    // Each has a database of its own, and most of the time one of them waits for the cloud.
    let mut asked = Vec::new();
    for upstream in options.upstream.chunks(3) {
        let [number, url, database] = upstream else { bail!("a release, a URL and a database") };
        let release = Release::all()?.into_iter().find(|release| release.number == *number);
        let release = release.with_context(|| format!("releases.yaml has no {number}"))?;
        let database = Database::open(database, seed, &translation).await.context("upstream's database")?;
        let cases = release.part(corpus);
        let subject = Remote::new(url, database)?;
        let asking = ask(format!("upstream {number}"), subject, cases, seed.clone(), translation.clone());
        asked.push((release, tokio::spawn(asking)));
    }
    let surroundings = Surroundings::lab(&options.lab, translation.clone())?;
    let ours = Ours::start(&options.ours, seed, &surroundings).await?;
    let ours = tokio::spawn(ask("ours".to_owned(), ours, corpus.cases.clone(), seed.clone(), translation));
    let mut upstreams = Vec::new();
    let mut outcomes = Vec::new();
    for (release, asking) in asked {
        let (answers, outcome) = asking.await?;
        upstreams.push(Upstream { release, answers });
        outcomes.push(outcome);
    }
    let (ours, outcome) = ours.await?;
    outcomes.push(outcome);
    say(format_args!("asked in {:.0} s", began.elapsed().as_secs_f64()));
    for upstream in &upstreams {
        keep(upstream, whole, options.record)?;
    }
    outcomes.into_iter().collect::<Result<()>>()?;
    show(&options.shown, corpus, &upstreams, &ours, Backend::MySql)
}

/// Asks one subject everything, file by file, and says how far it is. What was answered before a failure is kept.
async fn ask(
    name: String,
    mut subject: impl Subject,
    cases: Vec<Case>,
    seed: Seed,
    translation: Translation,
) -> (Record, Result<()>) {
    let mut record = Record::default();
    for part in cases.chunk_by(|one, next| one.file() == next.file()) {
        let began = Instant::now();
        let fresh = match run(&mut subject, part, &seed, &translation).await {
            Ok(fresh) => fresh,
            Err(error) => return (record, Err(error.context(name))),
        };
        let file = part.first().map(Case::file).unwrap_or_default();
        say(format_args!("{name}: {file}: {} requests in {:.0} s", fresh.len(), began.elapsed().as_secs_f64()));
        record.merge(fresh);
    }
    (record, Ok(()))
}

/// Says which answers are not the recorded ones, and if wanted records them.
fn keep(upstream: &Upstream, whole: &Corpus, record: bool) -> Result<()> {
    let number = &upstream.release.number;
    let mut kept = upstream.release.clone().answers()?.answers;
    let changed = kept.changed_by(&upstream.answers);
    say(format_args!("upstream {number}: {} answers, {} are not as recorded", upstream.answers.len(), changed.len()));
    if !record {
        changed.iter().for_each(|name| say(format_args!("    {name}")));
        return Ok(());
    }
    kept.merge(upstream.answers.clone());
    let asked: BTreeSet<String> = Corpus { cases: upstream.release.part(whole) }.names().into_iter().collect();
    kept.retain(|name| asked.contains(name));
    kept.save(&upstream.release.folder())
}

/// Prints a line if somebody reads it. What was asked is kept even when nobody reads any more.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
