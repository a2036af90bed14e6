//! A server under attack: slow connections on each of its listeners, guesses at passwords; others must be able to work.
//!
//! Attackers come from loopback addresses and from the network of a cluster of our own; each attack ends by itself.

mod connections;
mod guesses;
mod helper;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::people::{Person, TOKENS, login};
use super::processes::Usage;
use super::report::Table;
use super::{Options, Tools};
use crate::databases::free_port;
use crate::demo::leftovers;
use crate::http::NoAnswer;
use crate::openstack::Openstack;
use crate::server::Magnum;
use crate::workspace::Workspace;
use crate::{say, stop};

/// The cluster that is attacked.
const CLUSTER: &str = "target";
/// Longest time for one change to a cluster.
const CHANGE: Duration = Duration::from_secs(200);
/// Pause between looks at one.
const PAUSE: Duration = Duration::from_millis(250);
/// Open files that a server may have when nobody has said otherwise: what a shell or systemd gives it.
const DESCRIPTORS: u32 = 1024;
/// Longest life of a program beside us.
const LONGEST: u64 = 300;

/// A server that is attacked.
struct Attack<'a> {
    tools: &'a Tools,
    magnum: Magnum,
    ca: PathBuf,
    admin: Person,
    /// Somebody who wants to work.
    victim: Person,
    openstack: Openstack,
}

/// Makes the check.
pub(super) fn run(workspace: &Workspace, tools: &Tools, options: &Options) -> Result<Table> {
    say::step(&format!("Attack: {} slow connections, {} guesses a second", options.connections, options.logins));
    let folder =
        tempfile::Builder::new().prefix("magnum-attack-").tempdir().context("cannot make a temporary folder")?;
    let state_dir = folder.path().join("state");
    let logs = workspace.in_target("release-test");
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let mut command = helper::with_descriptors(DESCRIPTORS, tools.programs.magnum.as_os_str());
    command.arg("serve");
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut magnum = Magnum::launch(command, address, &state_dir, logs.join("attack-serve.log"), &[])?;
    magnum.wait_ready()?;

    let admin = Person::admin(&magnum.api, &state_dir)?;
    let victim = admin.make_member("ann", "red")?;
    let (ca, clouds) = (state_dir.join("tls/ca.pem"), folder.path().join("clouds.yaml"));
    victim.write_clouds(&format!("https://{}", magnum.address), Some(&ca), &clouds)?;
    let openstack = Openstack::new(tools.openstack.clone(), clouds).quietly();
    let mut attack = Attack { tools, magnum, ca, admin, victim, openstack };
    let mut table = Table::default();
    let mut clusters = Vec::new();
    let outcome = attack.play(options, &mut table, &mut clusters);
    if outcome.is_err() {
        stop::forget();
    }
    let cleaned = attack.clean_up();
    attack.magnum.stop()?;
    for failure in [outcome, cleaned].into_iter().filter_map(Result::err) {
        table.fail(&failure);
    }
    let clusters: Vec<&str> = clusters.iter().map(String::as_str).collect();
    for (what, found) in leftovers::find(&state_dir, &clusters) {
        table.none_of(&format!("left behind: {what}"), &found);
    }
    Ok(table)
}

impl Attack<'_> {
    fn play(&mut self, options: &Options, table: &mut Table, clusters: &mut Vec<String>) -> Result<()> {
        let template = json!({"name": "swarm", "coe": "swarm-mode", "image_id": "local",
            "external_network_id": "public", "network_driver": "docker"});
        self.victim.expect("POST", "/v1/clustertemplates", Some(&template.to_string()), 201)?;
        self.openstack
            .run(&format!("coe cluster create {CLUSTER} --cluster-template swarm --master-count 1 --node-count 1"))?;
        settled(&self.victim, CLUSTER, "CREATE_COMPLETE")?;
        clusters.push(self.cluster()?);
        table.show("server before", self.usage().context("the server has ended")?);
        connections::run(self, options.connections, table)?;
        guesses::run(self, options.logins, table)?;
        table.show("server after", self.usage().context("the server has ended")?);
        Ok(())
    }

    /// Takes down whatever there is.
    fn clean_up(&self) -> Result<()> {
        self.admin.log_in().map_err(anyhow::Error::from)?;
        self.victim.log_in().map_err(anyhow::Error::from)?;
        let listed = self.victim.get("/v1/clusters")?;
        for cluster in listed.get("clusters").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = cluster.get("name").and_then(Value::as_str) {
                self.delete_cluster(name)?;
            }
        }
        Ok(())
    }

    fn delete_cluster(&self, name: &str) -> Result<()> {
        let path = format!("/v1/clusters/{name}");
        let gone = stop::poll(CHANGE, PAUSE, || match self.victim.ask("DELETE", &path, &[], None) {
            Ok(answer) => Ok((answer.status == 404).then_some(())),
            // The last of the attackers may still be in the way.
            Err(NoAnswer::NotSent(_) | NoAnswer::Broken(_) | NoAnswer::Silent) => Ok(None),
        })?;
        gone.with_context(|| format!("the cluster {name} is still there after {} s", CHANGE.as_secs()))
    }

    /// UUID of the cluster that is attacked.
    fn cluster(&self) -> Result<String> {
        let cluster = self.victim.get(&format!("/v1/clusters/{CLUSTER}"))?;
        let uuid = cluster.get("uuid").and_then(Value::as_str);
        Ok(uuid.context("a cluster without a UUID")?.to_owned())
    }

    fn usage(&self) -> Option<Usage> {
        Usage::of(self.magnum.pid()?)
    }

    fn address(&self) -> &str {
        &self.magnum.address
    }

    fn helper(&self) -> &OsStr {
        Path::as_os_str(&self.tools.helper)
    }

    /// Somebody who asks this at a fixed pace.
    fn paced(&self, path: &str, rate: f64) -> Vec<String> {
        let url = format!("https://{}{path}", self.magnum.address);
        let ca = self.ca.to_string_lossy().into_owned();
        ["paced", "--url", &url, "--ca", &ca, "--rate", &rate.to_string(), "--seconds", &LONGEST.to_string()]
            .map(str::to_owned)
            .to_vec()
    }

    fn looks_of(&self, person: &Person, rate: f64) -> Vec<String> {
        let mut arguments = self.paced("/v1/clusters", rate);
        arguments.extend(["--token".to_owned(), person.token()]);
        arguments
    }

    /// The victim, who lists clusters.
    fn looks(&self, rate: f64) -> Vec<String> {
        self.looks_of(&self.victim, rate)
    }

    /// The administrator, who lists clusters.
    fn admin_looks(&self, rate: f64) -> Vec<String> {
        self.looks_of(&self.admin, rate)
    }

    /// The administrator, who logs in again and again with the right password.
    fn admin_logins(&self, rate: f64) -> Vec<String> {
        let mut arguments = self.paced(TOKENS, rate);
        let body = login(&self.admin.name, &self.admin.password, Some(&self.admin.project)).to_string();
        arguments.extend(["--method", "POST", "--body", &body].map(str::to_owned));
        arguments
    }
}

/// Waits until a cluster has this status.
fn settled(person: &Person, name: &str, status: &str) -> Result<()> {
    let path = format!("/v1/clusters/{name}");
    let mut last = String::new();
    let done = stop::poll(CHANGE, PAUSE, || {
        let Ok(answer) = person.ask("GET", &path, &[], None) else { return Ok(None) };
        let cluster: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |field: &str| cluster.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        last = text("status");
        if last.ends_with("_FAILED") {
            bail!("the cluster {name} is {last}: {}", text("status_reason"));
        }
        Ok((last == status).then_some(()))
    })?;
    done.with_context(|| format!("the cluster {name} is {last:?}, not {status}, after {} s", CHANGE.as_secs()))
}
