//! What all three servers stand on: the lab's MariaDB with upstream's own schema, its memcached, Keystone, Glance and Nova,
//! and one magnum.conf, which upstream and ours both read.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::side::{Ours, Upstream};
use crate::lab::Lab;
use crate::lab::services::Service;
use crate::lab::template::Values;
use crate::openstack::Openstack;
use crate::server::Programs;
use crate::upstream::{self, Release};
use crate::workspace::Workspace;
use crate::{exec, python};

/// The release that ours is compared with: the newest.
const RELEASE: Release = Release::V23;
/// The database of a thousand clusters, and that of twenty thousand.
const NAMES: [&str; 2] = ["bench", "bench_large"];
/// What both read, and how upstream is deployed; the lab's own.
const CONFIGURATION: &str = include_str!("../../upstream/data/magnum.conf");
/// What ours alone knows: the load is one project's, and is to be bounded by nothing but what an answer takes.
const NO_LIMIT: &str = "\n[limits]\nrequests_per_second = 0\n";
const UWSGI: &str = include_str!("../../upstream/data/uwsgi.ini");

/// Somebody who may ask.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) token: String,
    pub(super) project: String,
}

/// The ground of the comparison.
pub(super) struct Cloud {
    // Dropped in this order: the processes end before our folder goes.
    lab: Lab,
    folder: TempDir,
    venv: PathBuf,
    magnum: PathBuf,
    openstack: PathBuf,
    databases: [String; 2],
}

impl Cloud {
    /// Brings the lab up and makes upstream's schema in both databases.
    pub(super) fn start(workspace: &Workspace, programs: &Programs) -> Result<Self> {
        let lab = Lab::private(workspace, &[Service::Identity, Service::Images, Service::Flavors])?;
        let venv = upstream::install(workspace, RELEASE)?;
        let openstack = python::openstack_client(workspace, true)?;
        let folder = tempfile::Builder::new().prefix("magnum-bench-").tempdir().context("cannot make a folder")?;
        let [small, large] = NAMES;
        let databases = [lab.database(small)?, lab.database(large)?];
        let cloud = Self { lab, folder, venv, magnum: programs.magnum.clone(), openstack, databases };
        for is_large in [false, true] {
            let configuration = cloud.file(is_large, "magnum.conf");
            fs::create_dir(cloud.file(is_large, ""))?;
            fs::write(&configuration, cloud.values(is_large)?.fill(CONFIGURATION)? + NO_LIMIT)?;
            let mut migrate = Command::new(cloud.venv.join("bin/magnum-db-manage"));
            migrate.arg("--config-file").arg(&configuration).arg("upgrade");
            exec::run_logged(&mut migrate, &workspace.in_target("xtask/bench-migrate.log"))?;
        }
        Ok(cloud)
    }

    /// URL of the database of a thousand clusters, or of the other one.
    pub(super) fn database(&self, is_large: bool) -> &str {
        &self.databases[usize::from(is_large)]
    }

    /// `magnum api` on either database.
    pub(super) fn ours(&self, is_large: bool) -> Ours {
        Ours {
            program: self.magnum.clone(),
            configuration: self.file(is_large, "magnum.conf"),
            state: self.file(is_large, "state"),
        }
    }

    /// Upstream on the smaller database.
    pub(super) fn upstream(&self) -> Result<Upstream> {
        Ok(Upstream {
            program: self.venv.join("bin/uwsgi"),
            settings: self.values(false)?,
            template: UWSGI,
            file: self.file(false, "uwsgi.ini"),
        })
    }

    /// A tenant's token and project.
    pub(super) fn log_in(&self) -> Result<Account> {
        let clouds = self.lab.description().with_file_name("clouds.yaml");
        let token = Openstack::new(self.openstack.clone(), clouds).json("token issue")?;
        let of = |name: &str| token.get(name).and_then(Value::as_str).map(str::to_owned).context("odd token");
        Ok(Account { token: of("id")?, project: of("project_id")? })
    }

    fn file(&self, is_large: bool, file: &str) -> PathBuf {
        self.folder.path().join(NAMES[usize::from(is_large)]).join(file)
    }

    /// The words of the configuration. Nothing that is asked for here goes over RabbitMQ, which therefore is not there.
    fn values(&self, is_large: bool) -> Result<Values> {
        let database = self.database(is_large).replacen("mysql://", "mysql+pymysql://", 1);
        Ok(self
            .lab
            .values()
            .with("venv", self.venv.to_string_lossy())
            .with("dir", self.file(is_large, "").to_string_lossy())
            .with("port", "9511")
            .with("virtual_host", "")
            .with("trustee_domain", self.lab.domain("magnum")?)
            .with("database_url", database))
    }
}
