//! `magnum-db-manage`: version, upgrade, stamp, revision.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use magnum_config::Settings;
use magnum_store::{ConnectOptions, Store, UpstreamHead};
use secrecy::ExposeSecret;

use super::Options;
use crate::cli::StateDir;
use crate::{print, state_dir, wiring};

/// Looks after the database.
#[derive(Debug, Parser)]
#[command(name = "magnum-db-manage", version, about)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say at which revision of upstream's schema the database is
    Version,
    /// Make what is missing: in an empty database everything, else our own tables. Upstream's tables are brought to a
    /// later revision only when one is named
    Upgrade {
        /// Revision of upstream's schema, or `head`
        revision: Option<String>,
    },
    /// Write a revision into the database without changing tables, if the tables are those of that revision
    Stamp {
        /// Revision of upstream's schema, or `head`
        revision: String,
    },
    /// Upstream's developers write migrations with this; here it only says why not
    Revision {
        /// Message of the revision
        #[arg(short, long)]
        message: Option<String>,
        /// Find out by comparing
        #[arg(long)]
        autogenerate: bool,
    },
}

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if let Command::Revision { .. } = cli.command {
        bail!("a revision is a Python script of upstream's: write it there, with upstream's own tool");
    }
    let settings = wiring::settings(&cli.options.into_files(), &StateDir { state_dir: None })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Version => {
                let revision = connect(&settings).await?.revision().await?;
                print::line(format_args!("Current DB revision is {}", revision.as_deref().unwrap_or("None")))?;
            }
            Command::Upgrade { revision } => upgrade(&settings, revision.as_deref()).await?,
            Command::Stamp { revision } => connect(&settings).await?.stamp(known(&revision)?).await?,
            Command::Revision { .. } => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn upgrade(settings: &Settings, wanted: Option<&str>) -> anyhow::Result<()> {
    let wanted = wanted.map(known).transpose()?;
    let store = connect(settings).await?;
    let found = store.revision().await?;
    match (wanted, &found) {
        (Some(to), Some(_)) => {
            for step in store.upgrade_upstream(to).await? {
                print::aside(format_args!("INFO  Running upgrade {} -> {}, {}", step.from, step.to, step.title));
            }
            store.close().await;
        }
        (Some(to), None) if to != UpstreamHead::NEWEST => {
            bail!("an empty database gets {} and nothing older", UpstreamHead::NEWEST.as_str())
        }
        _ => {}
    }
    // Opened anew: how rows are read and written depends on the revision.
    let store = connect(settings).await?;
    let pending = store.schema().await?.pending;
    store.migrate().await.context("the tables can't be made")?;
    for name in pending {
        print::aside(format_args!("INFO  Running upgrade of our own tables: {name}"));
    }
    if let (None, Some(head)) = (wanted, store.schema().await?.upstream)
        && head != UpstreamHead::NEWEST
    {
        print::aside(format_args!(
            "INFO  Upstream's tables stay at {}: they can be used as they are. 'magnum-db-manage upgrade head' would bring \
             them to {}, for good",
            head.as_str(),
            UpstreamHead::NEWEST.as_str()
        ));
    }
    Ok(())
}

fn known(word: &str) -> anyhow::Result<UpstreamHead> {
    let known = UpstreamHead::words().join(", ");
    UpstreamHead::from_word(word)
        .with_context(|| format!("Can't locate revision identified by '{word}'; those known here are {known}, head"))
}

async fn connect(settings: &Settings) -> anyhow::Result<Store> {
    let url = settings.database.url();
    let url = url.expose_secret();
    if url.starts_with("sqlite") {
        // Where its file is unless something else is said.
        state_dir::StateDir::open(&settings.service.state_path)?;
    }
    let connected = Store::connect(url, &ConnectOptions::default()).await;
    connected.context("the database can't be opened: see [database] connection")
}
