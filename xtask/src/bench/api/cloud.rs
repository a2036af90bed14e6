//! What all three servers stand on: MariaDB with the original's own schema, memcached, and an identity service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::side::{Original, Ours};
use crate::databases::{self, Database, free_port};
use crate::exec::{self, Server};
use crate::openstack::Openstack;
use crate::server::Programs;
use crate::workspace::Workspace;

/// The database of a thousand clusters, and that of twenty thousand.
const NAMES: [&str; 2] = ["magnum", "magnum_large"];

/// Somebody who may ask.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) token: String,
    pub(super) project: String,
}

/// The ground of the comparison. Identity is ours, built in: it speaks Keystone's protocol to the original, which
/// keeps what it was told of a token in memcached as ours keeps it in memory.
pub(super) struct Cloud {
    // Dropped in this order: the processes end before their folder goes.
    memcached: Server,
    mariadb: Database,
    folder: TempDir,
    magnum: PathBuf,
    openstack: PathBuf,
    /// Where ours listens, which is where the original finds its Keystone.
    pub(super) address: String,
    memcached_port: u16,
}

impl Cloud {
    /// Starts everything and makes the original's schema in both databases.
    pub(super) fn start(workspace: &Workspace, programs: &Programs, openstack: &Path, original: &Path) -> Result<Self> {
        let mariadb = databases::mariadb()?;
        let folder =
            tempfile::Builder::new().prefix("magnum-bench-").tempdir().context("cannot make a temporary folder")?;
        let memcached_port = free_port()?;
        let program = exec::find_program("memcached").context("there is no memcached on this machine")?;
        let memcached = Server::start(
            "memcached",
            Command::new(program).args([
                "-u",
                "nobody",
                "-l",
                "127.0.0.1",
                "-U",
                "0",
                "-p",
                &memcached_port.to_string(),
            ]),
            workspace.in_target("xtask/bench-memcached.log"),
        )?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let (magnum, openstack) = (programs.magnum.clone(), openstack.to_path_buf());
        let cloud = Self { memcached, mariadb, folder, magnum, openstack, address, memcached_port };
        for name in NAMES {
            cloud.sql(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"))?;
            cloud.write(name, original)?;
            let mut migrate = Command::new(original.join("bin/magnum-db-manage"));
            migrate.arg("--config-file").arg(cloud.file(name, "original.conf")).arg("upgrade");
            exec::run_logged(&mut migrate, &workspace.in_target("xtask/bench-migrate.log"))?;
        }
        Ok(cloud)
    }

    /// URL of the database of a thousand clusters, or of the other one.
    pub(super) fn database(&self, large: bool) -> String {
        self.mariadb.url().replace("/mysql", &format!("/{}", name(large)))
    }

    /// `magnum api` on either database.
    pub(super) fn ours(&self, large: bool) -> Ours {
        Ours {
            program: self.magnum.clone(),
            configuration: self.file(name(large), "ours.conf"),
            state: self.file(name(large), "state"),
        }
    }

    /// The original on the smaller database.
    pub(super) fn original(&self, venv: &Path, driver: Option<&PathBuf>) -> Result<Original> {
        // Its own account at the identity service, which has its password since ours was started.
        let configuration = self.file(name(false), "original.conf");
        let clouds = fs::read_to_string(self.file(name(false), "state").join("clouds.yaml"))?;
        let admin = clouds.split("\n  admin:").nth(1).context("clouds.yaml has no administrator")?;
        let password = admin.lines().find_map(|line| line.trim().strip_prefix("password: ")).context("no password")?;
        let text = fs::read_to_string(&configuration)?.replace("{password}", password);
        fs::write(&configuration, text)?;
        Ok(Original { venv: venv.to_path_buf(), configuration, driver: driver.cloned() })
    }

    /// A tenant's token and project, from ours that runs on either database.
    pub(super) fn log_in(&self, large: bool) -> Result<Account> {
        let clouds = self.file(name(large), "state").join("clouds.yaml");
        let token = Openstack::new(self.openstack.clone(), clouds).json("token issue")?;
        let of = |name: &str| token.get(name).and_then(Value::as_str).map(str::to_owned).context("odd token");
        Ok(Account { token: of("id")?, project: of("project_id")? })
    }

    /// Ends it all.
    pub(super) fn stop(mut self) -> Result<()> {
        self.memcached.stop()?;
        self.mariadb.stop()
    }

    fn file(&self, database: &str, file: &str) -> PathBuf {
        self.folder.path().join(database).join(file)
    }

    fn sql(&self, statement: &str) -> Result<()> {
        let url = self.mariadb.url().trim_start_matches("mysql://");
        let (account, place) = url.split_once('@').context("odd URL")?;
        let (user, password) = account.split_once(':').context("odd URL")?;
        let port = place.split([':', '/']).nth(1).context("odd URL")?;
        let program = exec::find_program("mariadb").context("there is no mariadb client on this machine")?;
        let mut client = Command::new(program);
        client.args(["--no-defaults", "-h", "127.0.0.1", "-P", port, "-u", user, "-e", statement]);
        exec::output(client.env("MYSQL_PWD", password))?;
        Ok(())
    }

    /// Both programs' configuration for a database.
    fn write(&self, database: &str, original: &Path) -> Result<()> {
        fs::create_dir(self.folder.path().join(database))?;
        let url = self.mariadb.url().replace("mysql://", "mysql+pymysql://").replace("/mysql", &format!("/{database}"));
        let common = format!("[database]\nconnection = {url}\n\n[api]\nmax_limit = 1000\n");
        fs::write(self.file(database, "ours.conf"), &common)?;
        let account = format!(
            "auth_url = http://{0}/identity/v3\nwww_authenticate_uri = http://{0}/identity/v3\nauth_type = password\n\
             username = admin\npassword = {{password}}\nproject_name = admin\nuser_domain_id = default\n\
             project_domain_id = default\n",
            self.address
        );
        let text = format!(
            "[DEFAULT]\ntransport_url = rabbit://nobody@127.0.0.1:1/\n\n{common}api_paste_config = {}/etc/magnum/api-paste.ini\n\n\
             [keystone_authtoken]\n{account}memcached_servers = 127.0.0.1:{}\n\n[keystone_auth]\n{account}\n\
             [certificates]\ncert_manager_type = x509keypair\n\n[oslo_messaging_notifications]\ndriver = noop\n\n\
             [oslo_concurrency]\nlock_path = {}\n",
            original.display(),
            self.memcached_port,
            self.folder.path().display()
        );
        Ok(fs::write(self.file(database, "original.conf"), text)?)
    }
}

fn name(large: bool) -> &'static str {
    NAMES[usize::from(large)]
}
