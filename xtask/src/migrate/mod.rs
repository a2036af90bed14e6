//! `cargo xtask migrate`: the walk-through of `docs/migrate.md`, with a real upstream before and after.
//!
//! Upstream makes clusters in its database, is stopped, ours takes over with the same `magnum.conf`, and gives back.
//! The commands are those of the document, and what it says they print must be printed. Only three things differ from an
//! operator's machine: files are in a temporary folder, the database has another name, and there is no systemd, so
//! `systemctl stop` and `systemctl start` are done by this program.

mod client;
mod commands;
mod walk;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::json;
use tempfile::TempDir;

use crate::exec::Server;
use crate::lab::Lab;
use crate::lab::services::LOOKUPS;
use crate::upstream::{Release, Upstream};
use crate::workspace::Workspace;
use crate::{exec, http, python, say, server, stop};
use client::Client;
use commands::{Also, Expected};
use walk::Step;

const HEADING: &str = "From upstream to this, and back";
/// The releases that are tried unless one is named.
pub(crate) const RELEASES: &[Release] = &[Release::V23, Release::V21];
/// How long a cluster may take for a change, and a server to its first answer.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);
/// Tables in which upstream keeps what tenants have made; the rest is about its processes.
const TABLES: &str = "cluster cluster_template federation nodegroup quotas x509keypair";

/// How `cargo xtask migrate` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this release of upstream.
    #[arg(long, value_enum)]
    upstream: Vec<Release>,
    /// In the lab of this folder, which somebody else has brought up.
    #[arg(long, hide = true)]
    lab: Option<PathBuf>,
    /// With this program, which somebody else has built.
    #[arg(long, hide = true)]
    magnum: Option<PathBuf>,
}

/// Follows the document with each release, in a lab that is there or is made for it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let magnum = match &options.magnum {
        Some(program) => program.clone(),
        None => server::build(workspace)?.magnum,
    };
    let openstack = python::openstack_client(workspace, true)?;
    let mut lab = match &options.lab {
        Some(folder) => Lab::of_others(workspace, folder)?,
        None => Lab::any(workspace, LOOKUPS)?,
    };
    let releases = if options.upstream.is_empty() { RELEASES } else { &options.upstream };
    for &release in releases {
        follow(workspace, &mut lab, release, &magnum, &openstack)?;
    }
    lab.down()
}

/// Follows the document with one release.
fn follow(workspace: &Workspace, lab: &mut Lab, release: Release, magnum: &Path, openstack: &Path) -> Result<()> {
    let began = Instant::now();
    let document =
        fs::read_to_string(workspace.root().join("docs/migrate.md")).context("cannot read docs/migrate.md")?;
    let steps = walk::read(&document, HEADING)?;
    let mut walk = Walk::begin(workspace, lab, release, magnum, openstack)?;
    let mut count = 0;
    for step in &steps {
        match step {
            Step::Heading(title) => say::step(title),
            Step::Command { line, prints } => walk.command(line, prints)?,
            Step::Also(name) => {
                let commands = commands::named(name).with_context(|| format!("there are no commands named {name}"))?;
                count += commands.len();
                commands.iter().try_for_each(|command| walk.also(command))?;
                walk.checkpoint(name)?;
            }
        }
    }
    drop(walk);
    let took = say::seconds(began.elapsed());
    say::note(&format!("{count} commands besides those of the document, with upstream {release}: {took}"));
    Ok(())
}

/// Who serves.
#[derive(Debug)]
enum Serving {
    Nobody,
    Upstream(Upstream),
    Ours { _api: Server, _conductor: Server },
}

/// Where we are.
struct Walk<'a> {
    workspace: &'a Workspace,
    lab: &'a mut Lab,
    release: Release,
    name: String,
    database: String,
    url: String,
    /// Where the commands run; the client's files are in it, too.
    folder: TempDir,
    serving: Serving,
    /// Whose turn it is at the next start.
    is_ours_next: bool,
    /// What stands for what in the document.
    words: Vec<(&'static str, String)>,
    place: Place,
    client: Client,
    /// Tables and rows as upstream left them.
    left: Option<[String; 2]>,
}

/// Where commands run.
struct Place {
    folder: PathBuf,
    path: String,
    /// The folder of the client's Python.
    client_bin: PathBuf,
}

impl Place {
    /// A program there, as the user of this cloud.
    fn as_user(&self, mut program: Command, cloud: &str) -> Command {
        program
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.folder)
            .env("SHELL", "/bin/bash")
            .env("OS_CLIENT_CONFIG_FILE", self.folder.join("clouds.yaml"))
            .env("OS_CLOUD", cloud);
        program
    }
}

impl<'a> Walk<'a> {
    fn begin(
        workspace: &'a Workspace,
        lab: &'a mut Lab,
        release: Release,
        magnum: &Path,
        openstack: &Path,
    ) -> Result<Self> {
        let name = format!("migrate-{release}");
        let database = lab.database(&name)?;
        let upstream = Upstream::start(workspace, lab, release, &name, &database)?;
        let folder = tempfile::Builder::new().prefix("magnum-migrate-").tempdir().context("cannot make a folder")?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
        let programs = [Some(magnum), openstack.parent()].map(|path| path.unwrap_or(Path::new("/")).to_path_buf());
        let beside = programs[0].parent().unwrap_or(Path::new("/")).to_path_buf();
        let path = env::join_paths([&bin, &beside, &programs[1]].into_iter().cloned().chain(our_path()))?;
        let words = vec![
            ("/etc/magnum", lab.unit_folder(&format!("magnum-api-{name}")).to_string_lossy().into_owned()),
            ("/usr/local/bin", bin.to_string_lossy().into_owned()),
            ("mariadb-dump magnum", format!("mariadb-dump {name}")),
        ];
        let url = upstream.url().to_owned();
        let place = Place {
            folder: folder.path().to_owned(),
            path: path.to_string_lossy().into_owned(),
            client_bin: programs[1].clone(),
        };
        let mut walk = Self {
            workspace,
            lab,
            release,
            name,
            database,
            url,
            folder,
            serving: Serving::Upstream(upstream),
            is_ours_next: true,
            words,
            place,
            client: Client::default(),
            left: None,
        };
        walk.prepare()?;
        Ok(walk)
    }

    /// The client's files, and a place in the catalog: a region of its own.
    fn prepare(&mut self) -> Result<()> {
        let values = self.lab.values();
        let cloud = |user: &str, region: &str| -> Result<_> {
            let auth = json!({"auth_url": values.fill("{{keystone}}")?, "username": user, "project_name": user,
                "password": values.fill("{{password}}")?, "user_domain_id": "default", "project_domain_id": "default"});
            Ok(json!({"region_name": region, "identity_api_version": 3, "auth": auth}))
        };
        let clouds = json!({"clouds": {"demo": cloud("demo", &self.name)?, "admin": cloud("admin", &self.name)?,
            "cloud": cloud("admin", "RegionOne")?}});
        let folder = self.folder.path();
        fs::write(folder.join("clouds.yaml"), clouds.to_string()).context("cannot write clouds.yaml")?;
        let access = "[client]\nhost = 127.0.0.1\nuser = lab\npassword = {{password}}\nport = {{port.mariadb}}\n";
        fs::write(folder.join(".my.cnf"), values.fill(access)?).context("cannot write .my.cnf")?;
        let request = "openssl req -new -newkey rsa:2048 -nodes -subj /CN=tester -keyout client.key -out client.csr";
        let (name, url) = (&self.name, &self.url);
        let endpoint = format!("openstack endpoint create --region {name} container-infra public {url}/v1");
        for line in [request, &format!("openstack region create {name}"), &endpoint] {
            let (is_good, output) = self.shell(line, "cloud")?;
            ensure!(is_good, "`{line}` failed:\n{output}");
        }
        Ok(())
    }

    /// After a failure: deletes what ours has made, whose nodes would outlive it. What is upstream's is refused.
    fn take_down(&self) -> Result<()> {
        if !matches!(self.serving, Serving::Ours { .. }) {
            return Ok(());
        }
        let list = || Ok::<_, anyhow::Error>(self.shell("openstack coe cluster list -f value -c uuid", "demo")?.1);
        let mut going = Vec::new();
        for uuid in list()?.lines() {
            let (_, output) = self.shell(&format!("openstack coe cluster delete {uuid}"), "demo")?;
            if output.contains("accepted") {
                going.push(uuid.to_owned());
            }
        }
        let began = Instant::now();
        while !going.is_empty() {
            let left = list()?;
            going.retain(|uuid| left.contains(uuid.as_str()));
            ensure!(began.elapsed() < PATIENCE, "still there: {}", going.join(", "));
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Takes that place away; the lab may be one that goes on.
    fn withdraw(&self) -> Result<()> {
        let name = &self.name;
        let line = format!(
            "openstack endpoint delete $(openstack endpoint list --region {name} -f value -c ID) && openstack region delete {name}"
        );
        let (is_good, output) = self.shell(&line, "cloud")?;
        ensure!(is_good, "`{line}` failed:\n{output}");
        Ok(())
    }

    /// A command of the document.
    fn command(&mut self, line: &str, prints: &[String]) -> Result<()> {
        say::command(line);
        let output = if let Some(units) = line.strip_prefix("systemctl stop ") {
            self.stop(units)?
        } else if let Some(units) = line.strip_prefix("systemctl start ") {
            self.start(units)?
        } else {
            let line =
                self.words.iter().fold(line.to_owned(), |line, (word, stands_for)| line.replace(word, stands_for));
            let (is_good, output) = self.shell(&line, "demo")?;
            ensure!(is_good, "`{line}` failed:\n{output}");
            output
        };
        let output = self.words.iter().fold(output, |text, (word, stands_for)| text.replace(stands_for, word));
        say::output(&output);
        if let Some(line) = walk::missing(prints, &output) {
            bail!("docs/migrate.md says that it prints `{line}`");
        }
        Ok(())
    }

    /// A command besides those of the document.
    fn also(&mut self, also: &Also) -> Result<()> {
        let project = self.project()?;
        let arguments = also.run.replace("{project}", &project);
        let line = format!("openstack {arguments}");
        say::command(&line);
        let began = Instant::now();
        loop {
            stop::check()?;
            let place = &self.place;
            let start = || place.as_user(client::python(&place.client_bin), also.cloud);
            let (is_good, output) = self.client.run(also.cloud, &arguments, start)?;
            let has = |words: &str| output.contains(&words.replace("{project}", &project));
            match also.expected {
                Expected::Says(words) if is_good && has(words) => return Ok(()),
                Expected::Refused(words) if !is_good && has(words) => return Ok(()),
                Expected::Until(words) if has(words) => return Ok(()),
                Expected::Until(_) if began.elapsed() < PATIENCE => thread::sleep(PAUSE),
                expected => bail!("`{line}` should be {expected:?}:\n{output}"),
            }
        }
    }

    fn project(&self) -> Result<String> {
        let facts: serde_json::Value = serde_json::from_str(&fs::read_to_string(self.lab.description())?)?;
        let id = facts.pointer("/projects/demo").and_then(serde_json::Value::as_str);
        Ok(id.context("the lab has no project demo")?.to_owned())
    }

    /// Runs a line as a shell would; both outputs.
    fn shell(&self, line: &str, cloud: &str) -> Result<(bool, String)> {
        let mut bash = Command::new("bash");
        bash.args(["-c", line]);
        let (status, out, err) = exec::capture(&mut self.place.as_user(bash, cloud))?;
        Ok((status.success(), out + &err))
    }

    fn stop(&mut self, units: &str) -> Result<String> {
        ensure!(units == "magnum-api magnum-conductor", "systemctl knows no {units} here");
        match std::mem::replace(&mut self.serving, Serving::Nobody) {
            Serving::Upstream(upstream) => {
                upstream.stop()?;
                self.left = Some([self.dump("--no-data")?, self.dump("--no-create-info")?]);
            }
            ours => drop(ours),
        }
        Ok(String::new())
    }

    fn start(&mut self, units: &str) -> Result<String> {
        ensure!(units == "magnum-api magnum-conductor", "systemctl knows no {units} here");
        self.serving = if self.is_ours_next {
            let server = |name: &str| -> Result<Server> {
                let mut command = Command::new(self.folder.path().join("bin").join(name));
                let configuration = format!("{}/magnum.conf", self.words[0].1);
                command.args(["--config-file", &configuration]).current_dir(self.folder.path());
                Server::start(name, &mut command, self.folder.path().join(format!("{name}.log")))
            };
            let (mut api, conductor) = (server("magnum-api")?, server("magnum-conductor")?);
            let http = http::Api::plain(self.url.trim_start_matches("http://").to_owned());
            api.wait_until(PATIENCE, || http.get("/healthcheck").is_ok_and(|answer| answer.status == 200))?;
            let is_as_left = |left: &[String; 2]| Ok::<_, anyhow::Error>(left[1] == self.dump("--no-create-info")?);
            if self.left.as_ref().map(is_as_left).transpose()? == Some(false) {
                bail!("taking over has changed rows of upstream");
            }
            Serving::Ours { _api: api, _conductor: conductor }
        } else {
            Serving::Upstream(Upstream::start(self.workspace, self.lab, self.release, &self.name, &self.database)?)
        };
        self.is_ours_next = !self.is_ours_next;
        Ok(String::new())
    }

    /// What must be true at a place of the document.
    fn checkpoint(&self, name: &str) -> Result<()> {
        if let Some([tables, _]) = &self.left
            && *tables != self.dump("--no-data")?
        {
            bail!("upstream's tables have been altered {name}");
        }
        Ok(())
    }

    fn dump(&self, what: &str) -> Result<String> {
        let line = format!(
            "mariadb-dump {what} --skip-comments --skip-extended-insert --order-by-primary {} {TABLES}",
            self.name
        );
        let (is_good, text) = self.shell(&line, "demo")?;
        ensure!(is_good, "{text}");
        // The next number of a row is told beside the columns.
        Ok(text
            .lines()
            .map(|line| line.split(" AUTO_INCREMENT=").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        let taken_down = self.take_down();
        self.serving = Serving::Nobody;
        for outcome in [taken_down, self.withdraw()] {
            if let Err(error) = outcome {
                say::error(&error);
            }
        }
    }
}

fn our_path() -> Vec<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
}
