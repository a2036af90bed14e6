//! `cargo xtask conformance`: whether we answer as the original does.
//!
//! The work is done by the crate `magnum-conformance`; here is what it needs: nothing for a replay, and with `--live`
//! a lab with real Keystone, Glance, Nova and Neutron, and the original.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::exec::Server;
use crate::lab::Lab;
use crate::lab::services::{LOOKUPS, Service};
use crate::original::{self, Release};
use crate::workspace::Workspace;
use crate::{debian, exec, say};

const CONFIGURATION: &str = include_str!("data/magnum.conf");
/// Everything it imports has to be read first.
const START: Duration = Duration::from_secs(120);

/// How `cargo xtask conformance` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Asks the original first, in a lab that is made for it, and keeps its answers in place of the recorded ones.
    #[arg(long)]
    live: bool,
    /// Only requests whose name begins so, such as `clusters/create`.
    #[arg(long, default_value = "")]
    only: String,
}

/// Compares our answers with the original's.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    debian::ensure(workspace, &[debian::COMPILER])?;
    if options.live {
        record(workspace, options)?;
    }
    say::step("Asking our API, and comparing with the original's answers");
    exec::run(&mut conformance(workspace, "replay", options))
}

fn conformance(workspace: &Workspace, task: &str, options: &Options) -> Command {
    let mut command = workspace.cargo();
    command.args([
        "run",
        "--locked",
        "--quiet",
        "--package",
        "magnum-conformance",
        "--",
        task,
        "--only",
        &options.only,
    ]);
    command
}

/// Asks the original everything, and keeps what it says.
fn record(workspace: &Workspace, options: &Options) -> Result<()> {
    let services: Vec<Service> = LOOKUPS.iter().copied().chain([Service::Rabbitmq]).collect();
    let release = Release::V23;
    let venv = original::install(workspace, release)?;
    let mut lab = Lab::private(workspace, &services)?;
    let database = lab.database("conformance")?;
    let folder = workspace.in_target("conformance");
    fs::create_dir_all(folder.join("drivers")).with_context(|| format!("cannot make {}", folder.display()))?;

    let values = lab
        .values()
        .with("venv", venv.to_string_lossy())
        .with("dir", folder.to_string_lossy())
        .with("trustee_domain", lab.domain("magnum")?)
        .with("virtual_host", lab.virtual_host("conformance")?)
        .with("database_url", database.replacen("mysql://", "mysql+pymysql://", 1));
    let configuration = folder.join("magnum.conf");
    fs::write(&configuration, values.fill(CONFIGURATION)?)?;
    let programs = workspace.root().join("conformance/original");
    let translation = folder.join("people.json");
    say::step("Who is who in this lab");
    exec::run_logged(
        Command::new(values.fill("{{python}}")?)
            .arg(programs.join("people.py"))
            .arg(workspace.root().join("conformance/data/people.yaml"))
            .arg(lab.description())
            .arg(&translation),
        &folder.join("people.log"),
    )?;

    say::step(&format!("Starting the original {release}, its conductor in one process with its API"));
    exec::run_logged(
        Command::new(venv.join("bin/magnum-db-manage")).arg("--config-file").arg(&configuration).arg("upgrade"),
        &folder.join("database.log"),
    )?;
    let port = free_port()?;
    let mut server = serve(&venv, &programs, &folder, &configuration, port)?;
    server.wait_until(START, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;

    say::step("Asking the original (a quarter of an hour)");
    exec::run(
        conformance(workspace, "record", options)
            .args(["--release", release.number(), "--url", &format!("http://127.0.0.1:{port}")])
            .args(["--database", &database, "--translation"])
            .arg(&translation),
    )?;
    server.stop()
}

fn serve(venv: &Path, programs: &Path, folder: &Path, configuration: &Path, port: u16) -> Result<Server> {
    let drivers: PathBuf = folder.join("drivers");
    Server::start(
        "the original",
        Command::new(venv.join("bin/python"))
            .arg(programs.join("serve.py"))
            .arg(port.to_string())
            .arg(drivers)
            .arg("--config-file")
            .arg(configuration),
        folder.join("original.log"),
    )
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port")?.local_addr()?.port())
}
