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
//! // The same if these run in it, otherwise one of our own:
//! let lab = Lab::any(workspace, services::LOOKUPS)?;
//!
//! lab.description()          // path of lab.json: what tests read through MAGNUM_TEST_LAB
//! lab.url("keystone")        // http://127.0.0.1:PORT
//! lab.database("magnum")?    // makes an empty database (dropping an old one), answers mysql://…
//! lab.values()               // all words for templates, such as {{password}} and {{messages}}
//! ```
//!
//! `lab.json` says where everything is, who there is (everybody's password is in it) and the identifiers of all that
//! `data/cloud.yaml` describes.

mod command;
mod folder;
mod launch;
mod probe;
pub(crate) mod process;
pub(crate) mod services;
mod state;
pub(crate) mod template;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::fcntl::Flock;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub(crate) use command::{Options, run};

use crate::debian::Package;
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
/// In the folder of a lab of one's own: what is locked by whoever changes it.
const LOCK: &str = "lab.lock";
/// Where a kept lab looks for free ports.
pub(crate) const DEFAULT_FIRST_PORT: u16 = 21_000;

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
        folder::open_to_all(temporary.path())?;
        // Others may bring up labs at the same moment: each begins elsewhere.
        let first_port = 22_000 + u16::try_from(std::process::id() % 190)? * 50;
        let mut lab = Self {
            folder: temporary.path().to_path_buf(),
            state: State::new(first_port)?,
            life: Life::WithUs,
            python: openstack.with_file_name("python"),
            lock: Some(temporary.path().join(LOCK)),
            temporary: Some(temporary),
        };
        lab.state.write(&lab.folder)?;
        say::step("Bringing up a lab for this run");
        lab.bring_up(services)?;
        Ok(lab)
    }

    /// The lab that goes on after us, with at least these services up.
    pub(crate) fn kept(workspace: &Workspace, services: &[Service], first_port: u16) -> Result<Self> {
        let openstack = prepare_machine(workspace, services)?;
        let lock_file = folder::lock_file(workspace);
        let lock = folder::lock(&lock_file)?;
        let folder = folder::kept(workspace);
        let earlier = State::read(&folder)?;
        let continued = earlier.as_ref().is_some_and(State::is_current);
        let begin = |state: State| -> Result<Self> {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            folder::open_to_all(&folder)?;
            say::step(&format!("Bringing up the lab in {}", folder.display()));
            let python = openstack.with_file_name("python");
            let life = Life::ItsOwn;
            let lock = Some(lock_file.clone());
            let mut lab = Self { folder: folder.clone(), state, life, python, temporary: None, lock };
            lab.bring_up_locked(services)?;
            Ok(lab)
        };
        if let Some(state) = earlier {
            if continued {
                match begin(state) {
                    // A preparation that was broken off may stand in the way of its being made again.
                    Err(error) if !stop::asked() => say::note(&format!("{error:#}")),
                    outcome => return outcome,
                }
            }
            say::step("The lab that is there can't be gone on with: ending it first");
        }
        remove(&folder, State::read(&folder)?)?;
        let lab = begin(State::new(first_port)?);
        drop(lock);
        lab
    }

    /// The kept lab, if there is one of this version in which these services run.
    fn attach(workspace: &Workspace, services: &[Service]) -> Result<Option<Self>> {
        let lock_file = folder::lock_file(workspace);
        let _lock = folder::lock(&lock_file)?;
        let folder = folder::kept(workspace);
        let Some(state) = State::read(&folder)?.filter(State::is_current) else { return Ok(None) };
        let is_up = |row: &Row| match state.processes.get(row.name) {
            Some(process) => process.is_running(),
            None => row.command.is_empty() && state.prepared.get(row.name) == Some(&row.prepare.len()),
        };
        if !services::with_needs(services).into_iter().all(is_up) {
            return Ok(None);
        }
        let python = python::openstack_client(workspace, true)?.with_file_name("python");
        Ok(Some(Self { folder, state, life: Life::ItsOwn, python, temporary: None, lock: Some(lock_file) }))
    }

    /// The lab of `cargo xtask lab up` if these services run in it, otherwise one of our own.
    pub(crate) fn any(workspace: &Workspace, services: &[Service]) -> Result<Self> {
        match Self::attach(workspace, services)? {
            Some(kept) => {
                say::note("the lab of `cargo xtask lab up` is used");
                Ok(kept)
            }
            None => Self::private(workspace, services),
        }
    }

    /// A lab that somebody else has brought up and will end, by its folder. What is brought up in it here ends with us.
    pub(crate) fn of_others(workspace: &Workspace, folder: &Path) -> Result<Self> {
        let state = State::read(folder)?.with_context(|| format!("there is no lab in {}", folder.display()))?;
        let python = python::openstack_client(workspace, true)?.with_file_name("python");
        let own = folder.join(LOCK);
        let lock = if own.exists() { own } else { folder::lock_file(workspace) };
        Ok(Self { folder: folder.to_owned(), state, life: Life::WithUs, python, temporary: None, lock: Some(lock) })
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
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
        values(&self.folder, &self.state).with("python", self.python.to_string_lossy())
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
        let lock = folder::lock(file)?;
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

    /// Remembers that an upstream belongs to the lab.
    pub(crate) fn remember_upstream(&mut self, name: &str, database_url: &str) -> Result<()> {
        let _lock = self.locked()?;
        self.state.upstreams.insert(name.to_owned(), database_url.to_owned());
        self.state.write(&self.folder)
    }

    /// The port of this name; a free one is chosen when it has none.
    pub(crate) fn port(&mut self, name: &str) -> Result<u16> {
        let _lock = self.locked()?;
        let port = self.state.port(name)?;
        self.state.write(&self.folder)?;
        Ok(port)
    }

    /// The virtual host on RabbitMQ of upstream of this name.
    pub(crate) fn virtual_host(&mut self, name: &str) -> Result<String> {
        let _lock = self.locked()?;
        let host = self.state.virtual_host(name)?;
        self.state.write(&self.folder)?;
        Ok(host)
    }

    /// Ends what runs under these names, or an earlier run has left.
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

    /// Ends everything and removes the folder, unless it is the kept lab, which goes on.
    pub(crate) fn down(mut self) -> Result<()> {
        if self.temporary.is_some() { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<()> {
        // Others may have added to it.
        if let Some(state) = State::read(&self.folder)? {
            self.state = state;
        }
        end_everything(&self.folder, &self.state)?;
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
            say::aside(format_args!("{error:#}"));
        }
    }
}

fn values(folder: &Path, state: &State) -> Values {
    let port = |name: &str| state.ports.get(name).copied().unwrap_or_default();
    let mut values = Values::default()
        .with("lab", folder.to_string_lossy())
        .with("password", &*state.password)
        .with("keystone", format!("http://127.0.0.1:{}/v3", port("keystone")))
        .with("database", format!("mysql+pymysql://lab:{{{{password}}}}@127.0.0.1:{}", port("mariadb")))
        .with("messages", format!("rabbit://lab:{{{{password}}}}@127.0.0.1:{}/", port("rabbitmq")))
        .with("external", format!("lab{}", port("keystone")))
        .with("account", include_str!("data/account.conf"));
    for (name, port) in &state.ports {
        values = values.with(&format!("port.{name}"), port.to_string());
    }
    values
}

/// What these services and those that they need are installed from.
pub(crate) fn packages(services: &[Service]) -> Vec<Package> {
    let mut packages: Vec<Package> = debian::PYTHON.to_vec();
    for package in services::with_needs(services).iter().flat_map(|row| row.packages) {
        if !packages.contains(package) {
            packages.push(*package);
        }
    }
    packages
}

/// Installs what these services need; answers the OpenStack client, whose Python makes the lab's users.
fn prepare_machine(workspace: &Workspace, services: &[Service]) -> Result<PathBuf> {
    debian::ensure_answered(workspace, &[&packages(services)], services::PRESEED)?;
    python::openstack_client(workspace, true)
}

/// Ends all processes of a lab and takes its interfaces away; fails when anything is left.
fn end_everything(folder: &Path, state: &State) -> Result<()> {
    let interfaces =
        if state.processes.contains_key("neutron-agent") { made_by_agent(folder, state)? } else { Vec::new() };
    let processes: Vec<Process> = state.processes.values().copied().collect();
    process::end(&processes)?;
    for name in interfaces {
        // One end of a pair takes the other with it.
        if Path::new("/sys/class/net").join(&name).exists() {
            exec::output(Command::new("ip").args(["link", "delete", &name]))?;
        }
    }
    let left = process::with_environment(&format!("{MARK}={}", folder.display()));
    if !left.is_empty() {
        bail!("these processes of the lab are left: {left:?}");
    }
    Ok(())
}

/// What the network agent has made: the pair that stands for the external network, and what it calls bridges, ports and
/// tunnels. Another lab may have its own.
fn made_by_agent(folder: &Path, state: &State) -> Result<Vec<String>> {
    let values = values(folder, state);
    let question = "SELECT CONCAT('brq', LEFT(id, 11)) FROM neutron.networks \
                    UNION SELECT CONCAT('tap', LEFT(id, 11)) FROM neutron.ports \
                    UNION SELECT CONCAT('vxlan-', vxlan_vni) FROM neutron.ml2_vxlan_allocations WHERE allocated";
    let names = probe::ask(question, &values).unwrap_or_default();
    let ours = names.lines().map(str::to_owned).chain([values.fill("{{external}}")?]);
    Ok(ours.filter(|name| !state.interfaces.contains(name)).collect())
}

/// Ends what an earlier state tells of and removes its folder.
fn remove(folder: &Path, state: Option<State>) -> Result<()> {
    if let Some(state) = state.filter(State::is_of_this_boot) {
        end_everything(folder, &state)?;
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
