//! Programs from PyPI: the OpenStack command-line client, unmodified, and what holds the API to its document. Each in a
//! virtual environment of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{exec, say};

/// A virtual environment.
struct Venv {
    /// Its folder below the target folder.
    folder: &'static str,
    /// File with the exact versions of all that is in it.
    file: &'static str,
    /// Its contents.
    requirements: &'static str,
    /// Program that is wanted of it.
    program: &'static str,
    /// What it is, for those who wait for it.
    what: &'static str,
}

const OPENSTACK: Venv = Venv {
    folder: "venv",
    file: "xtask/requirements.txt",
    requirements: include_str!("../requirements.txt"),
    program: "openstack",
    what: "the OpenStack clients (python-openstackclient, python-magnumclient)",
};

const SCHEMATHESIS: Venv = Venv {
    folder: "venv-schemathesis",
    file: "xtask/schemathesis.txt",
    requirements: include_str!("../schemathesis.txt"),
    program: "schemathesis",
    what: "schemathesis, which asks an API all that its document allows, and much that it does not",
};

/// Makes sure that the clients are there, and answers the path of `openstack`. Fails when they would have to be
/// installed and `install` is false.
pub(crate) fn openstack_client(workspace: &Workspace, install: bool) -> Result<PathBuf> {
    OPENSTACK.program(workspace, install)
}

/// The same for `schemathesis`, beside which there is `openapi-spec-validator`.
pub(crate) fn schemathesis(workspace: &Workspace, install: bool) -> Result<PathBuf> {
    SCHEMATHESIS.program(workspace, install)
}

impl Venv {
    fn program(&self, workspace: &Workspace, install: bool) -> Result<PathBuf> {
        let venv = workspace.in_target(self.folder);
        let program = venv.join("bin").join(self.program);
        let marker = venv.join("installed-requirements.txt");
        if program.is_file() && fs::read_to_string(&marker).is_ok_and(|installed| installed == self.requirements) {
            return Ok(program);
        }
        if !install {
            bail!("what {} wants is not in {}", self.file, venv.display());
        }

        say::step(&format!("Installing {} from PyPI", self.what));
        say::note(&format!("into {}", venv.display()));
        let log = workspace.in_target("xtask/pip.log");
        let python = exec::find_program("python3").context("there is no python3 on this machine")?;
        exec::run_logged(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv), &log)?;
        let requirements = workspace.root().join(self.file);
        exec::run_logged(
            Command::new(venv.join("bin/pip")).args(["install", "--quiet", "--no-input", "-r"]).arg(requirements),
            &log,
        )?;
        fs::write(&marker, self.requirements).with_context(|| format!("cannot write {}", marker.display()))?;
        Ok(program)
    }
}
