//! The unmodified OpenStack command-line client, from PyPI, in a virtual environment of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{exec, say};

/// Exact versions of the clients and all they need.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Makes sure that the clients are there, and answers the path of `openstack`. Fails when they would have to be
/// installed and `install` is false.
pub(crate) fn openstack_client(workspace: &Workspace, install: bool) -> Result<PathBuf> {
    let venv = workspace.in_target("venv");
    let openstack = venv.join("bin/openstack");
    let marker = venv.join("installed-requirements.txt");
    if openstack.is_file() && fs::read_to_string(&marker).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(openstack);
    }
    if !install {
        bail!("the OpenStack clients of xtask/requirements.txt are not in {}", venv.display());
    }

    say::step("Installing the OpenStack clients from PyPI (python-openstackclient, python-magnumclient)");
    say::note(&format!("into {}", venv.display()));
    let log = workspace.in_target("xtask/pip.log");
    let python = exec::find_program("python3").context("there is no python3 on this machine")?;
    exec::run_logged(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv), &log)?;
    let requirements = workspace.root().join("xtask/requirements.txt");
    exec::run_logged(
        Command::new(venv.join("bin/pip")).args(["install", "--quiet", "--no-input", "-r"]).arg(requirements),
        &log,
    )?;
    fs::write(&marker, REQUIREMENTS).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(openstack)
}
