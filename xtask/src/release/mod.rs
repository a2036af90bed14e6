//! `cargo xtask release-test`: longer checks than CI has time for, of a real server with real nodes.
//!
//! Each check that has passed is remembered with the commit and its scale, and is not made again on the same commit.

mod attack;
mod people;
mod processes;
mod random;
mod recorded;
mod report;
mod soak;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::server::{self, Programs};
use crate::workspace::Workspace;
use crate::{debian, python, say, stop};
use recorded::{Recorded, Run};

/// How `cargo xtask release-test` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this check; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Check>,
    /// Make the checks again that have passed on this commit.
    #[arg(long)]
    fresh: bool,
    /// Write the tables of this commit into docs/release-test.md.
    #[arg(long)]
    record: bool,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
    /// Soak: how many requests.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    /// Soak: how often the server is killed. Of the nodes' processes a quarter as many are.
    #[arg(long, default_value_t = 60)]
    kills: u32,
    /// Soak: what the random choices begin with. The same seed makes the same choices, at other moments.
    #[arg(long, default_value_t = 9)]
    seed: u64,
    /// Attack: slow connections on each listener.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// Attack: wrong passwords a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    logins: u32,
}

/// A check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Check {
    /// Mixed requests of several users, while the server is killed again and again.
    Soak,
    /// Slow connections and wrong passwords, while others work.
    Attack,
}

/// What a run without `--only` does.
const ALL: &[Check] = &[Check::Soak, Check::Attack];

impl Check {
    fn name(self) -> &'static str {
        match self {
            Self::Soak => "soak",
            Self::Attack => "attack",
        }
    }

    /// With which figures it is made, as one would type them.
    fn scale(self, options: &Options) -> String {
        match self {
            Self::Soak => {
                format!("--requests {} --kills {} --seed {}", options.requests, options.kills, options.seed)
            }
            Self::Attack => format!("--connections {} --logins {}", options.connections, options.logins),
        }
    }
}

/// Makes the checks that have not passed yet, all of them even when one fails, and shows what is known of this commit.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let checks = if options.only.is_empty() { ALL } else { &options.only };
    let mut recorded = Recorded::read(workspace)?;
    let wanted = |check: Check| options.fresh || !recorded.has_passed(check.name(), &check.scale(options));
    let (due, known): (Vec<Check>, Vec<Check>) = checks.iter().partition(|check| wanted(**check));
    for check in known {
        say::note(&format!("{} has passed on this commit: not made again (--fresh does)", check.name()));
    }
    let mut failed = Vec::new();
    if !due.is_empty() {
        let tools = prepare(workspace, options)?;
        for check in due {
            let began = Instant::now();
            let outcome = match check {
                Check::Soak => soak::run(workspace, &tools, options),
                Check::Attack => attack::run(workspace, &tools, options),
            };
            stop::check()?;
            let table = outcome.unwrap_or_else(|error| {
                say::error(&error);
                report::Table::broken(&error)
            });
            table.print(check.name());
            if !table.is_fine() {
                failed.push(check.name());
            }
            recorded.keep(Run::new(check.name(), check.scale(options), began.elapsed(), table))?;
        }
    }
    recorded.print_summary();
    if options.record {
        recorded.write_page(workspace)?;
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// Programs that the checks use.
pub(crate) struct Tools {
    /// Server and agent.
    pub(crate) programs: Programs,
    /// Attackers and victims.
    pub(crate) helper: std::path::PathBuf,
    /// The real client.
    pub(crate) openstack: std::path::PathBuf,
}

fn prepare(workspace: &Workspace, options: &Options) -> Result<Tools> {
    if !debian::is_root() {
        bail!("the checks make network namespaces and run container engines on this machine: run them as root");
    }
    debian::ensure(workspace, &[debian::COMPILER, debian::NODES, debian::PYTHON])?;
    let openstack = python::openstack_client(workspace, true)?;
    if !options.no_build {
        say::step("Building magnum, its node agent and the attackers");
    }
    let (programs, helper) = server::for_release_test(workspace, !options.no_build)?;
    Ok(Tools { programs, helper, openstack })
}
