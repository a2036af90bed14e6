//! `cargo xtask lab`: a real OpenStack on this machine's loopback interface, from Debian's packages.
//!
//! MariaDB, RabbitMQ, memcached, Keystone, Glance, Placement, Nova with its fake hypervisor, Neutron; each with its own
//! folder and port, as its package's unprivileged user; nothing is written outside the lab's folder.
//!
//! From other tasks:
//!
//! ```text
//! // A lab of one's own, in a temporary folder, ended and removed when the value is dropped, or when we are killed:
//! let mut lab = Lab::private(workspace, &[Service::Identity])?;   // Keystone alone, with users and catalog
//! let mut lab = Lab::private(workspace, services::LOOKUPS)?;      // and Glance, Nova's API and Neutron with what is in them
//! // The one of `cargo xtask lab up`, which goes on after us; completed with these services if they are missing:
//! let mut lab = Lab::kept(workspace, &[Service::Identity], DEFAULT_FIRST_PORT)?;
//! // The same, if it is there:
//! let lab = Lab::attach(workspace)?;
//!
//! lab.description()          // path of lab.json: what tests read through MAGNUM_TEST_LAB
//! lab.url("keystone")        // http://127.0.0.1:PORT
//! lab.database("magnum")?    // makes an empty database (dropping an old one), answers mysql://…
//! lab.values()               // all words for templates, such as {{password}} and {{messages}}
//! ```
//!
//! `lab.json` says where everything is, who there is (everybody's password is in it) and the identifiers of all that
//! `data/cloud.yaml` describes.

#![allow(dead_code, reason = "other tasks that are being written use the rest")]

mod launch;
mod probe;
pub(crate) mod process;
pub(crate) mod services;
mod state;
pub(crate) mod template;

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::debian::Package;
use crate::original::{Original, Release};
use crate::owner::{Life, Owner};
use crate::workspace::Workspace;
use crate::{debian, exec, python, say, stop};
use launch::Unit;
use process::Process;
use services::{Answers, Row, Service};
use state::State;
use template::Values;

/// What the lab's cloud holds.
pub(crate) const CLOUD: &str = include_str!("data/cloud.yaml");
/// What makes it.
const SEED: &str = include_str!("data/seed.py");
/// In the environment of everything that belongs to a lab: its folder.
const MARK: &str = "MAGNUM_LAB";
/// Where a kept lab looks for free ports.
pub(crate) const DEFAULT_FIRST_PORT: u16 = 21_000;
/// How long another command may be at work on the kept lab.
const LOCK_LIMIT: Duration = Duration::from_secs(300);
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
        /// Also this release of the original, against the lab; may be given several times.
        #[arg(long, value_enum)]
        original: Vec<Release>,
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
        Action::Up { only, original, first_port } => {
            let began = Instant::now();
            let services = if only.is_empty() { services::all() } else { only.clone() };
            let mut lab = Lab::kept(workspace, &services, *first_port)?;
            for &release in original {
                let url = Original::start_kept(workspace, &mut lab, release)?.leave_running();
                say::note(&format!("the original {release} answers at {url}"));
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

/// A lab, with some or all of its services up.
#[derive(Debug)]
pub(crate) struct Lab {
    folder: PathBuf,
    state: State,
    life: Life,
    python: PathBuf,
    /// Removed after everything has ended.
    temporary: Option<TempDir>,
    /// What is locked by whoever changes a kept lab.
    lock: Option<PathBuf>,
}

impl Lab {
    /// A lab of our own in a temporary folder, which ends with the value.
    pub(crate) fn private(workspace: &Workspace, services: &[Service]) -> Result<Self> {
        let openstack = prepare_machine(workspace, services)?;
        let temporary = tempfile::Builder::new().prefix("magnum-lab-").tempdir().context("cannot make a folder")?;
        open_to_all(temporary.path())?;
        // Others may bring up labs at the same moment: each begins elsewhere.
        let first_port = 22_000 + u16::try_from(std::process::id() % 190)? * 50;
        let mut lab = Self {
            folder: temporary.path().to_path_buf(),
            state: State::new(first_port)?,
            life: Life::WithUs,
            python: openstack.with_file_name("python"),
            temporary: Some(temporary),
            lock: None,
        };
        say::step("Bringing up a lab for this run");
        lab.bring_up(services)?;
        Ok(lab)
    }

    /// The lab that goes on after us, with at least these services up.
    pub(crate) fn kept(workspace: &Workspace, services: &[Service], first_port: u16) -> Result<Self> {
        let openstack = prepare_machine(workspace, services)?;
        let lock_file = lock_file(workspace);
        let lock = lock(&lock_file)?;
        let folder = kept_folder(workspace);
        let state = match State::read(&folder)? {
            Some(state) if state.is_current() => state,
            earlier => {
                if earlier.is_some() {
                    say::step("An earlier lab is of no use any more: ending it first");
                }
                remove(&folder, earlier)?;
                State::new(first_port)?
            }
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        open_to_all(&folder)?;
        say::step(&format!("Bringing up the lab in {}", folder.display()));
        let mut lab = Self {
            folder,
            state,
            life: Life::ItsOwn,
            python: openstack.with_file_name("python"),
            temporary: None,
            lock: Some(lock_file),
        };
        lab.bring_up_locked(services)?;
        drop(lock);
        Ok(lab)
    }

    /// The kept lab, if there is one that is whole and of this version.
    pub(crate) fn attach(workspace: &Workspace) -> Result<Option<Self>> {
        let lock_file = lock_file(workspace);
        let _lock = lock(&lock_file)?;
        let folder = kept_folder(workspace);
        let Some(state) = State::read(&folder)?.filter(State::is_current) else { return Ok(None) };
        let runs = |name: &str| state.processes.get(name).is_none_or(|process| process.is_running());
        if state.processes.is_empty() || !services::TABLE.iter().all(|row| runs(row.name)) {
            return Ok(None);
        }
        let python = python::openstack_client(workspace, true)?.with_file_name("python");
        Ok(Some(Self { folder, state, life: Life::ItsOwn, python, temporary: None, lock: Some(lock_file) }))
    }

    /// Where a service is reached, such as `http://127.0.0.1:21000`.
    pub(crate) fn url(&self, name: &str) -> Result<String> {
        let port = self.state.ports.get(name).with_context(|| format!("the lab has no port named {name}"))?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    /// The file that says where and what everything is.
    pub(crate) fn description(&self) -> PathBuf {
        self.folder.join("lab.json")
    }

    /// What the words of a template stand for in this lab.
    pub(crate) fn values(&self) -> Values {
        let port = |name: &str| self.state.ports.get(name).copied().unwrap_or_default();
        let mut values = Values::default()
            .with("lab", self.folder.to_string_lossy())
            .with("python", self.python.to_string_lossy())
            .with("password", &*self.state.password)
            .with("keystone", format!("http://127.0.0.1:{}/v3", port("keystone")))
            .with("database", format!("mysql+pymysql://lab:{{{{password}}}}@127.0.0.1:{}", port("mariadb")))
            .with("messages", format!("rabbit://lab:{{{{password}}}}@127.0.0.1:{}/", port("rabbitmq")))
            .with("external", format!("lab{}", port("keystone")))
            .with("account", include_str!("data/account.conf"));
        for (name, port) in &self.state.ports {
            values = values.with(&format!("port.{name}"), port.to_string());
        }
        values
    }

    /// Makes an empty database of this name on the lab's MariaDB; one that is there is dropped.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        probe::ask(&format!("DROP DATABASE IF EXISTS `{name}`"), &self.values());
        self.database_kept(name)
    }

    /// Makes a database of this name unless it is there.
    pub(crate) fn database_kept(&self, name: &str) -> Result<String> {
        let question = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb3");
        probe::ask(&question, &self.values()).with_context(|| format!("cannot make the database {name}"))?;
        self.database_url(name)
    }

    /// Address of a database of the lab's MariaDB, for us; SQLAlchemy wants `mysql+pymysql` in place of `mysql`.
    pub(crate) fn database_url(&self, name: &str) -> Result<String> {
        let values = self.values();
        values.fill(&format!("mysql://lab:{{{{password}}}}@127.0.0.1:{{{{port.mariadb}}}}/{name}"))
    }

    /// Identifier of a domain of `cloud.yaml`.
    pub(crate) fn domain(&self, name: &str) -> Result<String> {
        let facts: Value = serde_json::from_str(&fs::read_to_string(self.description())?)?;
        let id = facts.pointer(&format!("/domains/{name}")).and_then(Value::as_str);
        Ok(id.with_context(|| format!("the lab has no domain {name}"))?.to_owned())
    }

    /// Brings up these services and what they need; those that are up stay as they are.
    pub(crate) fn bring_up(&mut self, services: &[Service]) -> Result<()> {
        let _lock = self.locked()?;
        self.bring_up_locked(services)
    }

    /// Keeps others from changing a kept lab, and takes in what they have changed.
    fn locked(&mut self) -> Result<Option<Flock<File>>> {
        let Some(file) = &self.lock else { return Ok(None) };
        let lock = lock(file)?;
        self.state = State::read(&self.folder)?.context("the lab is gone")?;
        Ok(Some(lock))
    }

    fn bring_up_locked(&mut self, services: &[Service]) -> Result<()> {
        fs::create_dir_all(self.folder.join("logs"))?;
        let values = self.values();
        let units = services::with_needs(services)
            .into_iter()
            .map(|row| self.unit(row, row.name.to_owned(), values.clone()))
            .collect::<Result<Vec<_>>>()?;
        self.state.write(&self.folder)?;
        let ours = Owner::ourselves();
        ours.write(&self.folder.join("cloud.yaml"), CLOUD)?;
        ours.write(&self.folder.join("seed.py"), SEED)?;
        let context = json!({
            "keystone": self.url("keystone")? + "/v3",
            "password": self.state.password,
            "ports": self.state.ports,
            "clouds": self.folder.join("clouds.yaml"),
        });
        ours.write(&self.folder.join("context.json"), &format!("{context:#}\n"))?;
        launch::bring_up(self, &units)?;
        self.describe()
    }

    /// Brings up what is in no table: rows with a name and more words each.
    pub(crate) fn bring_up_others(
        &mut self,
        others: Vec<(&'static Row, String, Values)>,
        life: Life,
    ) -> Result<Vec<Process>> {
        let _lock = self.locked()?;
        let mut units = Vec::new();
        for (row, name, values) in others {
            // Each needs those before it.
            let before = units.iter().map(|unit: &Unit| unit.name.clone()).collect();
            units.push(Unit { life, needs: before, ..self.unit(row, name, values)? });
        }
        launch::bring_up(self, &units)?;
        Ok(units.iter().filter_map(|unit| self.state.processes.get(&unit.name).copied()).collect())
    }

    /// Remembers that an original belongs to the lab.
    pub(crate) fn remember_original(&mut self, name: &str, url: &str) -> Result<()> {
        let _lock = self.locked()?;
        self.state.originals.insert(name.to_owned(), url.to_owned());
        self.state.write(&self.folder)
    }

    /// The port of this name; a free one is chosen when it has none.
    pub(crate) fn port(&mut self, name: &str) -> Result<u16> {
        let _lock = self.locked()?;
        let port = self.state.port(name)?;
        self.state.write(&self.folder)?;
        Ok(port)
    }

    /// The virtual host on RabbitMQ of the original of this name.
    pub(crate) fn virtual_host(&mut self, name: &str) -> Result<String> {
        let _lock = self.locked()?;
        let host = self.state.virtual_host(name)?;
        self.state.write(&self.folder)?;
        Ok(host)
    }

    /// Ends what an earlier run may have left under these names.
    pub(crate) fn end_others(&mut self, names: &[String]) -> Result<()> {
        let _lock = self.locked()?;
        let processes: Vec<Process> = names.iter().filter_map(|name| self.state.processes.remove(name)).collect();
        process::end(&processes)?;
        for name in names {
            self.state.prepared.remove(name);
        }
        self.state.write(&self.folder)
    }

    /// A row as a unit of this lab.
    fn unit(&mut self, row: &'static Row, name: String, values: Values) -> Result<Unit> {
        let mut values = values.with("dir", self.unit_folder(&name).to_string_lossy());
        if matches!(row.answers, Answers::Connection | Answers::Page(_)) || self.state.ports.contains_key(&name) {
            values = values.with("port", self.state.port(&name)?.to_string());
        }
        let named = |need: &Service| services::TABLE.iter().find(|row| row.service == Some(*need));
        let needs = row.needs.iter().filter_map(named).map(|row| row.name.to_owned()).collect();
        Ok(Unit { name, row, values, needs, life: self.life })
    }

    /// The folder of a unit.
    pub(crate) fn unit_folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes `lab.json`.
    fn describe(&self) -> Result<()> {
        let mut facts = Map::new();
        facts.insert("region".into(), "RegionOne".into());
        facts.insert("keystone".into(), format!("{}/v3", self.url("keystone")?).into());
        facts.insert("password".into(), self.state.password.clone().into());
        facts.insert("clouds".into(), self.folder.join("clouds.yaml").to_string_lossy().into());
        facts.insert("ports".into(), json!(self.state.ports));
        facts.insert("services".into(), json!(self.state.processes.keys().collect::<Vec<_>>()));
        facts.insert("mariadb".into(), self.database_url("")?.into());
        facts.insert("rabbitmq".into(), self.values().fill("{{messages}}")?.into());
        for section in ["identity", "images", "flavors", "networks"] {
            let Ok(text) = fs::read_to_string(self.folder.join(format!("{section}.json"))) else { continue };
            let part: Map<String, Value> = serde_json::from_str(&text).context("seed.py wrote no JSON")?;
            facts.extend(part);
        }
        Owner::ourselves().write(&self.description(), &format!("{:#}\n", Value::Object(facts)))
    }

    /// Ends everything and removes the folder.
    pub(crate) fn down(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        end_everything(&self.state)?;
        match self.temporary.take() {
            Some(folder) => folder.close().context("cannot remove the lab's folder"),
            None => Ok(()),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.temporary.is_some()
            && let Err(error) = self.end()
        {
            eprintln!("{error:#}");
        }
    }
}

/// Installs what these services need; answers the OpenStack client, whose Python makes the lab's users.
fn prepare_machine(workspace: &Workspace, services: &[Service]) -> Result<PathBuf> {
    let mut packages: Vec<Package> = Vec::new();
    for package in services::with_needs(services).iter().flat_map(|row| row.packages) {
        if !packages.contains(package) {
            packages.push(*package);
        }
    }
    debian::ensure_answered(workspace, &[&packages, debian::PYTHON], services::PRESEED)?;
    python::openstack_client(workspace, true)
}

/// The folder of the kept lab. Users of packages must be able to enter it: where they can't enter the target folder,
/// it is elsewhere.
fn kept_folder(workspace: &Workspace) -> PathBuf {
    let inside = workspace.in_target("lab");
    if launch::can_be_entered(&workspace.in_target("")) || !debian::is_root() {
        return inside;
    }
    let name: String = inside.to_string_lossy().chars().map(|c| if c == '/' { '-' } else { c }).collect();
    Path::new("/var/tmp").join(format!("magnum-lab{name}"))
}

fn lock_file(workspace: &Workspace) -> PathBuf {
    workspace.in_target("lab.lock")
}

/// Waits until nobody else is at work on the kept lab.
fn lock(path: &Path) -> Result<Flock<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let lock = stop::poll(LOCK_LIMIT, Duration::from_millis(100), || {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
    })?;
    lock.with_context(|| format!("another command is at work on the lab; it holds {}", path.display()))
}

fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).context("cannot open the lab's folder to its users")
}

fn end_everything(state: &State) -> Result<()> {
    let processes: Vec<Process> = state.processes.values().copied().collect();
    process::end(&processes)?;
    // Whatever the network agent has made: bridges, tunnels, and the pair that stands for the external network.
    let made = |name: &str| ["brq", "vxlan-", "tap", "lab"].iter().any(|start| name.starts_with(start));
    if state.processes.contains_key("neutron-agent") {
        for name in state::interfaces() {
            if made(&name) && !state.interfaces.contains(&name) && Path::new("/sys/class/net").join(&name).exists() {
                exec::output(Command::new("ip").args(["link", "delete", &name]))?;
            }
        }
    }
    Ok(())
}

/// Ends what an earlier state tells of and removes its folder.
fn remove(folder: &Path, state: Option<State>) -> Result<()> {
    if let Some(state) = state.filter(State::is_of_this_boot) {
        end_everything(&state)?;
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

fn down(workspace: &Workspace) -> Result<()> {
    let folder = kept_folder(workspace);
    let _lock = lock(&lock_file(workspace))?;
    if !folder.exists() {
        say::note("there is no lab");
        return Ok(());
    }
    let began = Instant::now();
    remove(&folder, State::read(&folder)?)?;
    let left = belonging_to(&folder);
    if !left.is_empty() {
        bail!("these processes of the lab are left: {left:?}");
    }
    say::note(&format!("the lab is gone after {}", say::seconds(began.elapsed())));
    Ok(())
}

/// Processes that carry the lab's mark.
fn belonging_to(folder: &Path) -> Vec<String> {
    let mark = format!("{MARK}={}", folder.display());
    let carries = |pid: &String| {
        fs::read(Path::new("/proc").join(pid).join("environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|word| word == mark.as_bytes()))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(carries).collect()
}

fn status(workspace: &Workspace) -> Result<()> {
    let folder = kept_folder(workspace);
    let Some(state) = State::read(&folder)? else {
        say::note("there is no lab: cargo xtask lab up");
        return Ok(());
    };
    let mut lab = Lab { folder, state, life: Life::ItsOwn, python: PathBuf::new(), temporary: None, lock: None };
    let mut table = say::table(&["service", "port", "pid", "MiB", "answers"]);
    let mut all = 0;
    let rows = services::TABLE.iter().filter(|row| !row.command.is_empty()).map(|row| (row, row.name.to_owned()));
    for (row, name) in rows.chain(Original::rows(lab.state.originals.keys())).collect::<Vec<_>>() {
        let Some(process) = lab.state.processes.get(&name).copied() else { continue };
        let values = lab.values();
        let unit = lab.unit(row, name, values)?;
        let answer = if !process.is_running() {
            "no: it has ended"
        } else if probe::answers(row.answers, &unit.values, &launch::log(&lab, &unit), PATIENCE) {
            "yes"
        } else {
            "NO"
        };
        let memory = process.memory();
        all += memory;
        let port = unit.values.fill("{{port}}").unwrap_or_default();
        table.add_row([unit.name, port, process.pid.to_string(), memory.to_string(), answer.to_owned()]);
    }
    println!("{table}");
    say::note(&format!("{all} MiB in all; folder: {}", lab.folder.display()));
    Ok(())
}
