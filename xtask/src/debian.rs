//! Debian packages: said with their reason before anything is installed, and never starting a service.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use crate::workspace::Workspace;
use crate::{exec, say};

/// How to see that a package need not be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A program of this name is there, from wherever.
    Program(&'static str),
    /// One of the folders matching `/usr/lib/postgresql/*` holds it.
    Postgres(&'static str),
    /// This file is there.
    File(&'static str),
    /// `python3` can make virtual environments.
    PythonVenv,
}

/// A package and why it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Package {
    name: &'static str,
    why: &'static str,
    shown: Shown,
}

/// A row of a table of packages.
pub(crate) const fn package(name: &'static str, why: &'static str, shown: Shown) -> Package {
    Package { name, why, shown }
}

/// What compiling needs beside the Rust toolchain.
pub(crate) const COMPILER: &[Package] = &[package(
    "build-essential",
    "C compiler and linker, for SQLite and the cryptography library",
    Shown::Program("cc"),
)];

/// What local nodes need.
pub(crate) const NODES: &[Package] = &[
    package(
        "docker.io",
        "Docker engine and client: each local node runs an engine of its own",
        Shown::Program("dockerd"),
    ),
    package(
        "iptables",
        "packet filter, which the engines set up inside the nodes' networks",
        Shown::Program("iptables"),
    ),
    package("iproute2", "`ip`, to make the nodes' networks", Shown::Program("ip")),
    package(
        "util-linux",
        "`nsenter` and `setpriv`, to run a program inside a node or as another user",
        Shown::Program("nsenter"),
    ),
    package(
        "openssl",
        "`openssl`, to follow the event stream and make certificate requests",
        Shown::Program("openssl"),
    ),
];

/// What the clients from PyPI need.
pub(crate) const PYTHON: &[Package] =
    &[package("python3-venv", "virtual environment for the OpenStack clients", Shown::PythonVenv)];

/// The databases that the store is tested on.
pub(crate) const DATABASES: &[Package] = &[
    package("postgresql", "PostgreSQL server: the store is tested on it", Shown::Postgres("bin/initdb")),
    package("mariadb-server", "MariaDB server: the store is tested on it", Shown::Program("mariadbd")),
];

/// Whether we may install packages and make network namespaces.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Fails when one of the packages is missing; installs nothing.
pub(crate) fn require(packages: &[&[Package]]) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() { Ok(()) } else { bail!("missing: {}", by_hand(&missing)) }
}

/// Makes sure that the packages are there; installs those that are not, having said which and why.
pub(crate) fn ensure(workspace: &Workspace, packages: &[&[Package]]) -> Result<()> {
    ensure_answered(workspace, packages, "")
}

/// The same, with answers to what the packages would ask: lines for `debconf-set-selections`.
pub(crate) fn ensure_answered(workspace: &Workspace, packages: &[&[Package]], answers: &str) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }

    say::step("Debian packages that are missing");
    for package in &missing {
        say::note(&format!("{:<26} {}", package.name, package.why));
    }
    if exec::find_program("apt-get").is_none() {
        bail!("there is no apt-get on this machine: install what is listed above in your distribution's way");
    }
    if !is_root() {
        bail!("run this as root or install: {}", by_hand(&missing));
    }
    say::note("Installing them now. Their services are not started.");
    let _no_services = NoServices::begin()?;
    apt(workspace, "apt-update.log", &["update"])?;
    if !answers.is_empty() {
        let file = workspace.in_target("xtask/debconf-answers");
        fs::write(&file, answers).with_context(|| format!("cannot write {}", file.display()))?;
        exec::output(Command::new("debconf-set-selections").arg(&file))?;
    }
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(missing.iter().map(|package| package.name));
    apt(workspace, "apt-install.log", &arguments)?;
    match missing.iter().find(|package| !is_there(package)) {
        Some(package) => bail!("{} was installed but what it is for is still not there: {}", package.name, package.why),
        None => Ok(()),
    }
}

/// Fetches a package and unpacks it into a folder without installing it; answers the folder.
pub(crate) fn unpacked(workspace: &Workspace, name: &str, why: &str) -> Result<PathBuf> {
    let folder = workspace.in_target("xtask/packages").join(name);
    if folder.join("usr").is_dir() {
        return Ok(folder);
    }
    say::note(&format!("fetching Debian's {name} ({why}); it is unpacked under target/, not installed"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let fetch = || {
        exec::run_logged(
            Command::new("apt-get").args(["-o", "APT::Sandbox::User=root", "download", name]).current_dir(&folder),
            &workspace.in_target("xtask/apt-download.log"),
        )
    };
    if fetch().is_err() {
        apt(workspace, "apt-update.log", &["update"])?;
        fetch()?;
    }
    let archive = fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get downloaded no {name}"))?;
    exec::output(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&folder))?;
    Ok(folder)
}

/// The newest PostgreSQL's folder; Debian keeps its servers out of `PATH`.
pub(crate) fn postgres_folder() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| version(path))
}

fn missing(packages: &[&[Package]]) -> Vec<Package> {
    packages.iter().copied().flatten().copied().filter(|package| !is_there(package)).collect()
}

fn by_hand(packages: &[Package]) -> String {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    format!("apt-get install --no-install-recommends {}", names.join(" "))
}

fn is_there(package: &Package) -> bool {
    match package.shown {
        Shown::Program(name) => exec::find_program(name).is_some(),
        Shown::File(path) => Path::new(path).is_file(),
        Shown::Postgres(file) => postgres_folder().is_some_and(|folder| folder.join(file).is_file()),
        Shown::PythonVenv => exec::output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok(),
    }
}

fn apt(workspace: &Workspace, log: &str, arguments: &[&str]) -> Result<()> {
    exec::run_logged(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            // Another apt-get at work is waited for.
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(arguments),
        &workspace.in_target("xtask").join(log),
    )
}

/// While it lives, installing a package starts no service: Debian's maintainer scripts ask `policy-rc.d` first.
struct NoServices {
    /// Where a policy that was there before is kept meanwhile.
    kept: Option<PathBuf>,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn begin() -> Result<Self> {
        let kept = if Path::new(POLICY).exists() {
            let aside = PathBuf::from(format!("{POLICY}.before-magnum"));
            fs::rename(POLICY, &aside).with_context(|| format!("cannot move {POLICY} aside"))?;
            Some(aside)
        } else {
            None
        };
        let guard = Self { kept };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(POLICY)
            .with_context(|| format!("cannot write {POLICY}"))?;
        file.write_all(
            b"#!/bin/sh\n# Written by `cargo xtask` while it installs packages: start no service.\nexit 101\n",
        )?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let restored = match &self.kept {
            Some(kept) => fs::rename(kept, POLICY),
            None => fs::remove_file(POLICY),
        };
        if let Err(error) = restored {
            say::aside(format_args!("cannot restore {POLICY}: {error}"));
        }
    }
}
