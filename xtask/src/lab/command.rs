//! `cargo xtask lab up|status|down`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, Subcommand};

use super::services::{self, Service};
use super::state::State;
use super::{DEFAULT_FIRST_PORT, Lab, folder, launch, probe, remove};
use crate::owner::Life;
use crate::say;
use crate::upstream::{self, Release};
use crate::workspace::Workspace;

/// How long `status` waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How `cargo xtask lab` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Installs what is missing and brings the lab up; it goes on running.
    Up {
        /// Only this service and what it needs; may be given several times.
        #[arg(long, value_enum)]
        only: Vec<Service>,
        /// Also this release of upstream, against the lab; may be given several times.
        #[arg(long, value_enum)]
        upstream: Vec<Release>,
        /// Ports are chosen from this one on, each time the first free one.
        #[arg(long, default_value_t = DEFAULT_FIRST_PORT)]
        first_port: u16,
    },
    /// Shows what runs, where, and whether it answers.
    Status,
    /// Ends everything and removes the lab's folder.
    Down,
}

/// Does what was asked.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    match &options.action {
        Action::Up { only, upstream: releases, first_port } => {
            let began = Instant::now();
            let services = if only.is_empty() { services::all() } else { only.clone() };
            let mut lab = Lab::kept(workspace, &services, *first_port)?;
            for &release in releases {
                let url = upstream::start(workspace, &mut lab, release)?;
                say::note(&format!("upstream {release} answers at {url}"));
            }
            say::step(&format!("The lab is up after {}", say::seconds(began.elapsed())));
            say::note(&format!("clients:     OS_CLIENT_CONFIG_FILE={}", lab.folder.join("clouds.yaml").display()));
            say::note("             OS_CLOUD=admin, demo, reader, other or magnum");
            say::note(&format!("for tests:   MAGNUM_TEST_LAB={}", lab.description().display()));
            say::note("to end it:   cargo xtask lab down");
            Ok(())
        }
        Action::Status => status(workspace),
        Action::Down => down(workspace),
    }
}

fn status(workspace: &Workspace) -> Result<()> {
    let folder = folder::kept(workspace);
    let Some(state) = State::read(&folder)? else {
        say::note("there is no lab: cargo xtask lab up");
        return Ok(());
    };
    let mut lab = Lab { folder, state, life: Life::ItsOwn, python: PathBuf::new(), temporary: None, lock: None };
    let mut table = say::table(&["service", "port", "pid", "MiB", "answers"]);
    let mut all = 0;
    let mut rows: Vec<_> = services::TABLE
        .iter()
        .filter(|row| !row.command.is_empty())
        .map(|row| (row, row.name.to_owned(), lab.values()))
        .collect();
    for (name, database_url) in &lab.state.upstreams {
        rows.extend(upstream::rows(&lab, name, database_url)?);
    }
    for (row, name, values) in rows {
        let Some(process) = lab.state.processes.get(&name).copied() else { continue };
        let unit = lab.unit(row, name, values)?;
        let answer = if !process.is_running() {
            "no: it has ended"
        } else if probe::answers(&unit, &launch::log(&lab, &unit), probe::HEARTBEAT, PATIENCE) {
            "yes"
        } else {
            "NO"
        };
        let memory = process.memory();
        all += memory;
        let port = unit.values.fill("{{port}}").unwrap_or_default();
        table.add_row([unit.name, port, process.pid.to_string(), memory.to_string(), answer.to_owned()]);
    }
    say::line(format_args!("{table}"));
    say::note(&format!("{all} MiB in all; folder: {}", lab.folder.display()));
    Ok(())
}

fn down(workspace: &Workspace) -> Result<()> {
    let lock_file = folder::lock_file(workspace);
    let folder = folder::kept(workspace);
    let _lock = folder::lock(&lock_file)?;
    if !folder.exists() {
        say::note("there is no lab");
        return Ok(());
    }
    let began = Instant::now();
    remove(&folder, State::read(&folder)?)?;
    say::note(&format!("the lab is gone after {}", say::seconds(began.elapsed())));
    Ok(())
}
