//! Upstream: a release of upstream Magnum from PyPI, installed once for this user and run against the lab.
//!
//! It makes its tables with its own `magnum-db-manage`. Its API runs under uWSGI with two processes, as its
//! documentation has it, its conductor beside it. It needs Keystone, and RabbitMQ, which is brought up for it.
//!
//! Releases since the end of the Heat driver ship none at all, and the lab has no Heat: a driver of our own
//! (`data/lab_driver.py`, called `lab_fedora_coreos`) stands in for that of an operator. It makes nothing. Another,
//! `lab_simple`, can do nothing that is optional; with a third, `lab_ubuntu`, everything is there at once.

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use crate::lab::Lab;
use crate::lab::process::{self, Process};
use crate::lab::services::{Answers, Row, Service};
use crate::lab::template::Values;
use crate::owner::Life;
use crate::python::Venv;
use crate::workspace::Workspace;
use crate::{debian, say};

/// A release of upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Release {
    /// The newest that still has its Heat driver.
    #[value(name = "21.0.1")]
    V21,
    /// The newest.
    #[value(name = "23.0.0")]
    V23,
}

impl Release {
    /// Its number.
    pub(crate) fn number(self) -> &'static str {
        match self {
            Self::V21 => "21.0.1",
            Self::V23 => "23.0.0",
        }
    }

    /// It and everything it needs, pinned.
    fn venv(self) -> Venv {
        let (name, file, requirements, what) = match self {
            Self::V21 => (
                "upstream-21.0.1",
                "xtask/src/upstream/requirements-21.0.1.txt",
                include_str!("requirements-21.0.1.txt"),
                "upstream 21.0.1 (one to two minutes, once)",
            ),
            Self::V23 => (
                "upstream-23.0.0",
                "xtask/src/upstream/requirements-23.0.0.txt",
                include_str!("requirements-23.0.0.txt"),
                "upstream 23.0.0 (one to two minutes, once)",
            ),
        };
        Venv { name, file, requirements, what, files: DRIVER }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

const CONFIGURATION: (&str, &str) = ("magnum.conf", include_str!("data/magnum.conf"));
/// The driver, and how it is found: what installing it as a package would have written.
const DRIVER: &[(&str, &str)] = &[
    ("lab_driver.py", include_str!("data/lab_driver.py")),
    ("lab_driver-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: lab-driver\nVersion: 1\n"),
    (
        "lab_driver-1.dist-info/entry_points.txt",
        "[magnum.drivers]\nlab_fedora_coreos = lab_driver:Driver\nlab_simple = lab_driver:Simple\n\
         lab_ubuntu = lab_driver:Finishing\n",
    ),
];

static API: Row = Row {
    files: &[CONFIGURATION, ("uwsgi.ini", include_str!("data/uwsgi.ini"))],
    folders: &["locks"],
    prepare: &["{{venv}}/bin/magnum-db-manage --config-file {{dir}}/magnum.conf upgrade"],
    command: "{{venv}}/bin/uwsgi --ini {{dir}}/uwsgi.ini",
    answers: Answers::Page("/"),
    ..Row::other("magnum-api")
};

static CONDUCTOR: Row = Row {
    files: &[CONFIGURATION],
    folders: &["locks"],
    command: "{{venv}}/bin/magnum-conductor --config-file {{dir}}/magnum.conf",
    answers: Answers::Row("{{conductor_seen}}"),
    ..Row::other("magnum-conductor")
};

/// What runs of an upstream, in this order.
const ROWS: [&Row; 2] = [&API, &CONDUCTOR];

/// A running upstream; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    url: String,
    processes: Vec<Process>,
}

impl Upstream {
    /// Starts a release on an existing database, which it upgrades to its own tables. `name` tells several apart.
    pub(crate) fn start(
        workspace: &Workspace,
        lab: &mut Lab,
        release: Release,
        name: &str,
        database_url: &str,
    ) -> Result<Self> {
        lab.end_others(&ROWS.map(|row| unit_name(row, name)))?;
        bring_up(workspace, lab, release, name, database_url, Life::WithUs)
    }

    /// Where its API is: `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Result<()> {
        process::end(&std::mem::take(&mut self.processes))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Err(error) = process::end(&self.processes) {
            say::aside(format_args!("cannot end upstream: {error:#}"));
        }
    }
}

/// Starts a release that belongs to a kept lab, on a database of its own there; answers where its API is.
pub(crate) fn start(workspace: &Workspace, lab: &mut Lab, release: Release) -> Result<String> {
    let name = release.number();
    let database_url = lab.database_kept(&format!("magnum-{name}"))?;
    let mut upstream = bring_up(workspace, lab, release, name, &database_url, Life::ItsOwn)?;
    // It goes on after us.
    upstream.processes.clear();
    lab.remember_upstream(name, &database_url)?;
    Ok(upstream.url.clone())
}

fn bring_up(
    workspace: &Workspace,
    lab: &mut Lab,
    release: Release,
    name: &str,
    database_url: &str,
    life: Life,
) -> Result<Upstream> {
    let venv = install(workspace, release)?;
    say::step(&format!("Starting upstream {release}"));
    lab.bring_up(&[Service::Identity, Service::Rabbitmq])?;
    let names = ROWS.map(|row| unit_name(row, name));
    let port = lab.port(&names[0])?;
    let values = lab
        .values()
        .with("venv", venv.to_string_lossy())
        .with("port", port.to_string())
        .with("trustee_domain", lab.domain("magnum")?)
        .with("virtual_host", lab.virtual_host(name)?)
        .with("conductor_seen", conductor_seen(lab, database_url)?)
        .with("database_url", for_sqlalchemy(database_url));
    let others = ROWS.into_iter().zip(names).map(|(row, name)| (row, name, values.clone())).collect();
    let processes = lab.bring_up_others(others, life)?;
    Ok(Upstream { url: format!("http://127.0.0.1:{port}"), processes })
}

/// The units of an upstream that belongs to a lab.
pub(crate) fn rows(lab: &Lab, name: &str, database_url: &str) -> Result<Vec<(&'static Row, String, Values)>> {
    let values = lab.values().with("conductor_seen", conductor_seen(lab, database_url)?);
    Ok(ROWS.map(|row| (row, unit_name(row, name), values.clone())).to_vec())
}

/// Makes sure that a release is installed; answers its virtual environment.
pub(crate) fn install(workspace: &Workspace, release: Release) -> Result<PathBuf> {
    debian::ensure(workspace, &[debian::PYTHON])?;
    release.venv().ensure(workspace, true)
}

fn unit_name(row: &Row, name: &str) -> String {
    format!("{}-{name}", row.name)
}

/// How to see in the database that the conductor is at work. Only the lab's own is looked into.
fn conductor_seen(lab: &Lab, database_url: &str) -> Result<String> {
    Ok(match database_url.strip_prefix(&lab.database_url("")?) {
        Some(name) => format!(
            "SELECT 1 FROM `{name}`.magnum_service WHERE COALESCE(last_seen_up, created_at) \
             > UTC_TIMESTAMP() - INTERVAL {{{{age}}}} SECOND"
        ),
        None => "SELECT 1".to_owned(),
    })
}

/// SQLAlchemy wants to be told the library, too.
fn for_sqlalchemy(url: &str) -> String {
    match url.split_once("://") {
        Some(("mysql", rest)) => format!("mysql+pymysql://{rest}"),
        Some(("postgres" | "postgresql", rest)) => format!("postgresql+psycopg2://{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_named() {
        for (ours, theirs) in [
            ("mysql://a:b@c/d", "mysql+pymysql://a:b@c/d"),
            ("postgres://a:b@c/d", "postgresql+psycopg2://a:b@c/d"),
            ("sqlite:///d", "sqlite:///d"),
        ] {
            assert_eq!(for_sqlalchemy(ours), theirs);
        }
    }
}
