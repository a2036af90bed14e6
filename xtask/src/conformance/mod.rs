//! `cargo xtask conformance`: whether we answer as upstream does.
//!
//! The work is done by the crate `magnum-conformance`; here is what it needs: nothing for a replay, and with `--live`
//! a lab with real Keystone, Glance, Nova and Neutron, and two releases of upstream.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::exec::Server;
use crate::lab::Lab;
use crate::lab::services::{LOOKUPS, Service};
use crate::upstream::{self, Release};
use crate::workspace::Workspace;
use crate::{debian, exec, say};

const CONFIGURATION: &str = include_str!("data/magnum.conf");
/// Everything it imports has to be read first.
const START: Duration = Duration::from_secs(120);
/// Who is asked; the newest first.
const RELEASES: &[Release] = &[Release::V23, Release::V21];

/// How `cargo xtask conformance` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Asks upstream and our API in a lab, which is that of `cargo xtask lab up` if it is there.
    #[arg(long)]
    live: bool,
    /// Keeps upstream's answers in place of the recorded ones.
    #[arg(long, requires = "live")]
    record: bool,
    /// Only this release of upstream; may be given several times.
    #[arg(long, value_enum, requires = "live")]
    upstream: Vec<Release>,
    /// Only requests whose name begins so, such as `clusters/create`.
    #[arg(long, default_value = "")]
    only: String,
}

/// Compares our answers with upstream's.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    debian::ensure(workspace, &[debian::COMPILER])?;
    if options.live {
        return live(workspace, options);
    }
    say::step("Asking our API, and comparing with upstream's recorded answers");
    exec::run(conformance(workspace).args(["replay", "--only", &options.only]))
}

fn conformance(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.args(["run", "--locked", "--quiet", "--package", "magnum-conformance", "--"]);
    command
}

/// Asks upstream and ours everything, in one cloud.
fn live(workspace: &Workspace, options: &Options) -> Result<()> {
    let began = Instant::now();
    say::step("Building");
    exec::run(workspace.cargo().args(["build", "--locked", "--quiet", "--package", "magnum-conformance"]))?;
    let releases = match options.upstream.as_slice() {
        [] => RELEASES,
        some => some,
    };
    let installed = releases.iter().map(|&release| Ok((release, upstream::install(workspace, release)?)));
    let installed = installed.collect::<Result<Vec<_>>>()?;
    let services: Vec<Service> = LOOKUPS.iter().copied().chain([Service::Rabbitmq]).collect();
    let mut lab = Lab::any(workspace, &services)?;
    let folder = workspace.in_target("conformance");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    say::step("Who is who in this lab");
    let programs = workspace.root().join("conformance/upstream");
    let translation = folder.join("people.json");
    exec::run_logged(
        Command::new(lab.values().fill("{{python}}")?)
            .arg(programs.join("people.py"))
            .arg(workspace.root().join("conformance/data/people.yaml"))
            .arg(lab.description())
            .arg(&translation),
        &folder.join("people.log"),
    )?;
    let mut command = conformance(workspace);
    command.args(["live", "--only", &options.only, "--translation"]).arg(&translation);
    command.arg("--lab").arg(lab.description());
    if options.record {
        command.arg("--record");
    }
    let mut servers = Vec::new();
    for (release, venv) in &installed {
        say::step(&format!("Starting upstream {release}, its conductor in one process with its API"));
        let served = serve(&mut lab, *release, venv, &programs, &folder.join(release.number()))?;
        command.args(["--upstream", release.number(), &served.url, &served.database]);
        servers.push(served.server);
    }
    // Ours opens what the newest release has made for it.
    let (release, venv) = installed.first().context("no release of upstream")?;
    let database = lab.database("conformance-ours")?;
    let configuration = configuration(&mut lab, *release, venv, &folder.join("ours"), &database)?;
    migrate(venv, &configuration)?;
    command.args(["--ours", &database]);
    say::step("Asking (a quarter of an hour)");
    let outcome = exec::run(&mut command);
    let stopped = servers.iter_mut().try_for_each(Server::stop);
    let down = lab.down();
    say::note(&format!("all of it took {}", say::seconds(began.elapsed())));
    outcome.and(stopped).and(down)
}

/// An upstream that runs.
struct Served {
    server: Server,
    url: String,
    database: String,
}

fn serve(lab: &mut Lab, release: Release, venv: &Path, programs: &Path, folder: &Path) -> Result<Served> {
    let database = lab.database(&format!("conformance-{release}"))?;
    let configuration = configuration(lab, release, venv, folder, &database)?;
    migrate(venv, &configuration)?;
    let port = free_port()?;
    let mut server = Server::start(
        &format!("upstream {release}"),
        Command::new(venv.join("bin/python"))
            .arg(programs.join("serve.py"))
            .arg(port.to_string())
            .arg("--config-file")
            .arg(&configuration),
        folder.join("upstream.log"),
    )?;
    server.wait_until(START, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
    Ok(Served { server, url: format!("http://127.0.0.1:{port}"), database })
}

/// Writes upstream's configuration; answers where.
fn configuration(lab: &mut Lab, release: Release, venv: &Path, folder: &Path, database: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let values = lab
        .values()
        .with("venv", venv.to_string_lossy())
        .with("dir", folder.to_string_lossy())
        .with("trustee_domain", lab.domain("magnum")?)
        .with("virtual_host", lab.virtual_host(&format!("conformance-{release}"))?)
        .with("database_url", database.replacen("mysql://", "mysql+pymysql://", 1));
    let configuration = folder.join("magnum.conf");
    fs::write(&configuration, values.fill(CONFIGURATION)?)?;
    Ok(configuration)
}

/// Makes upstream's tables.
fn migrate(venv: &Path, configuration: &Path) -> Result<()> {
    let mut command = Command::new(venv.join("bin/magnum-db-manage"));
    exec::run_logged(
        command.arg("--config-file").arg(configuration).arg("upgrade"),
        &configuration.with_file_name("database.log"),
    )
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port")?.local_addr()?.port())
}
