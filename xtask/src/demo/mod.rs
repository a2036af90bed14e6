//! `cargo xtask demo`: the main thing, end to end, with the real clients.

mod kept;
pub(crate) mod leftovers;
mod progress;
mod tenant;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tempfile::TempDir;

use crate::openstack::Openstack;
use crate::server::{self, Magnum};
use crate::workspace::Workspace;
use crate::{debian, python, say, stop};
use kept::Kept;
use progress::{Settled, Watch};
use tenant::Tenant;

/// Name of the demo's cluster.
const CLUSTER: &str = "demo";
/// Name of the demo's cluster template.
const TEMPLATE: &str = "swarm";
/// Longest time for one change to the cluster.
const CHANGE_LIMIT: Duration = Duration::from_secs(180);

/// How `cargo xtask demo` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave server and cluster running, and say what to type next.
    #[arg(long, conflicts_with = "stop")]
    keep: bool,
    /// Take down what an earlier `--keep` left running.
    #[arg(long)]
    stop: bool,
    /// Workers of the cluster before it is resized to one more.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    workers: u8,
}

/// Runs the demo.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.stop {
        return kept::stop(workspace);
    }
    if !debian::is_root() {
        bail!("the demo makes network namespaces and runs container engines on this machine: run it as root");
    }
    if let Some(kept) = Kept::read(workspace).filter(Kept::is_running) {
        bail!("an earlier demo is still running (state in {}): cargo xtask demo --stop", kept.state_dir.display());
    }
    let began = Instant::now();
    let mut times = Times::default();
    times.take("set-up", || debian::ensure(workspace, &[debian::COMPILER, debian::NODES, debian::PYTHON]))?;
    let executable = times.take("OpenStack clients", || python::openstack_client(workspace, true))?;
    say::step("Building magnum and its node agent");
    let programs = times.take("build", || server::build(workspace))?;

    let folder = tempfile::Builder::new().prefix("magnum-demo-").tempdir().context("cannot make a temporary folder")?;
    let state_dir = folder.path().join("state");
    let log = workspace.in_target("xtask/demo-serve.log");
    fs::create_dir_all(workspace.in_target("xtask"))?;
    say::step("Starting the server");
    say::command(&format!("magnum serve --state-dir {}", state_dir.display()));
    let magnum = Magnum::start(&programs, "serve", &state_dir, log.clone(), &[])?;
    say::note(&format!("it answers at https://{}; its log is {}", magnum.address, log.display()));
    times.add("server start to first answer", magnum.start_time);

    let openstack = Openstack::new(executable, state_dir.join("clouds.yaml"));
    let mut demo = Demo { folder, state_dir, magnum, openstack, times, cluster: None };
    let outcome = demo.play(workspace, options);
    if options.keep && outcome.is_ok() {
        return demo.keep(workspace, began);
    }
    if outcome.is_err() {
        demo.clean_up();
    }
    demo.magnum.stop()?;
    outcome?;
    demo.check_nothing_left()?;
    demo.times.print(began.elapsed());
    Ok(())
}

/// A demo under way.
struct Demo {
    folder: TempDir,
    state_dir: PathBuf,
    magnum: Magnum,
    openstack: Openstack,
    times: Times,
    /// UUID of the cluster, once it was asked for.
    cluster: Option<String>,
}

impl Demo {
    fn play(&mut self, workspace: &Workspace, options: &Options) -> Result<()> {
        let workers = usize::from(options.workers);
        let watch = self.create_cluster(workers)?;
        let (cluster, took) = there(watch.until_settled("create", CHANGE_LIMIT)?)?;
        self.times.add("cluster create, request to CREATE_COMPLETE", took);

        say::step("The tenant's credentials, signed by the cluster's own authority");
        let tenant = self.tenant(&cluster)?;
        self.times.take("nodes Ready", || tenant.expect_nodes(1 + workers))?;

        say::step("A web service with one replica on each node");
        let archive = tenant::image_archive(workspace, self.folder.path())?;
        let nodes = tenant::addresses(&cluster);
        self.times.take("image on every node", || tenant.import_image(&archive, &nodes))?;
        self.times.take("service answers on every node", || {
            tenant.create_service(nodes.len())?;
            tenant.read_pages(&nodes)
        })?;

        say::step(&format!("One worker more: {} to {}", workers, workers + 1));
        self.openstack.run(&format!("coe cluster resize {CLUSTER} {}", workers + 1))?;
        let (cluster, took) = there(watch.until_settled("resize", CHANGE_LIMIT)?)?;
        self.times.add("cluster resize, request to UPDATE_COMPLETE", took);
        tenant.expect_nodes(2 + workers)?;
        let grown = tenant::addresses(&cluster);
        let new: Vec<String> = grown.iter().filter(|address| !nodes.contains(address)).cloned().collect();
        self.times.take("service answers on the new node, too", || {
            tenant.import_image(&archive, &new)?;
            tenant.scale_service(grown.len())?;
            tenant.read_pages(&grown)
        })?;
        if options.keep {
            return Ok(());
        }

        say::step("Deleting everything");
        self.openstack.run(&format!("coe cluster delete {CLUSTER}"))?;
        match watch.until_settled("delete", CHANGE_LIMIT)? {
            (Settled::Gone, took) => self.times.add("cluster delete, request to nothing left", took),
            (Settled::There(cluster), _) => bail!("the cluster is still there after its deletion: {cluster}"),
        }
        self.openstack.run(&format!("coe cluster template delete {TEMPLATE}"))?;
        Ok(())
    }

    /// Asks for the cluster; answers how it is followed.
    fn create_cluster(&mut self, workers: usize) -> Result<Watch> {
        say::step(&format!("A cluster of one manager and {workers} workers, by the OpenStack client"));
        self.openstack.briefly().run(&format!(
            "coe cluster template create {TEMPLATE} --coe swarm-mode --image local --external-network public \
             --network-driver docker"
        ))?;
        let token = self.openstack.quietly().run("token issue -f value -c id")?;
        let api = self.magnum.api.clone().with_token(token.trim().to_owned());
        let began = Instant::now();
        let accepted = self.openstack.run(&format!(
            "coe cluster create {CLUSTER} --cluster-template {TEMPLATE} --master-count 1 --node-count {workers}"
        ))?;
        self.times.add("the client's own time for one command, about", began.elapsed());
        // "Request to create cluster <uuid> accepted"
        let uuid = accepted.split_whitespace().find(|word| word.len() == 36 && word.matches('-').count() == 4);
        let uuid = uuid.context("the client did not say the cluster's UUID")?;
        self.cluster = Some(uuid.to_owned());
        Ok(Watch::start(&api, uuid))
    }

    fn tenant(&self, cluster: &Value) -> Result<Tenant> {
        let uuid = self.cluster.as_deref().context("there is no cluster")?;
        let credentials = self.folder.path().join("credentials");
        fs::create_dir_all(&credentials)?;
        let docker_host = self.openstack.cluster_config(CLUSTER, &credentials)?;
        let api_address = cluster.get("api_address").and_then(Value::as_str).unwrap_or_default();
        if docker_host != api_address {
            bail!("the client was told {docker_host}, the cluster says {api_address}");
        }
        Ok(Tenant::new(uuid, docker_host, credentials))
    }

    /// After a failure: takes the cluster down through the API, so that nothing of it is left.
    fn clean_up(&self) {
        stop::forget();
        say::step("Cleaning up (Ctrl-C again leaves things as they are)");
        let cleaned = kept::delete_all_clusters(&self.openstack).and_then(|()| self.check_nothing_left());
        if let Err(error) = cleaned {
            say::error(&error.context("the cluster could not be taken down"));
        }
    }

    fn check_nothing_left(&self) -> Result<()> {
        say::step("What is left of it on this machine");
        leftovers::expect_none(&self.state_dir, self.cluster.as_deref().unwrap_or("no cluster"))
    }

    /// Lets everything run on and says how to use it.
    fn keep(mut self, workspace: &Workspace, began: Instant) -> Result<()> {
        let folder = self.folder.keep();
        let kept = Kept {
            pid: self.magnum.pid().context("the server does not run")?,
            folder: folder.clone(),
            state_dir: self.state_dir.clone(),
            cluster: self.cluster.clone().unwrap_or_default(),
        };
        kept.write(workspace)?;
        self.magnum.leave_running();
        self.times.print(began.elapsed());
        say::step("Server and cluster go on running. What to type:");
        let credentials = folder.join("credentials");
        say::line(format_args!("export OS_CLIENT_CONFIG_FILE={}", self.state_dir.join("clouds.yaml").display()));
        let openstack = python::openstack_client(workspace, false)?;
        say::line(format_args!("export OS_CLOUD=demo PATH={}:$PATH", openstack.with_file_name("").display()));
        say::line("openstack coe cluster list");
        say::line(format_args!(
            "eval $(openstack coe cluster config {CLUSTER} --use-certificate --dir {})",
            credentials.display()
        ));
        say::line("docker node ls");
        say::line("\ncargo xtask demo --stop    # takes everything down");
        Ok(())
    }
}

/// The cluster's document and the time, unless it is gone.
fn there((settled, took): (Settled, Duration)) -> Result<(Value, Duration)> {
    match settled {
        Settled::There(cluster) => Ok((cluster, took)),
        Settled::Gone => bail!("the cluster is gone"),
    }
}

/// How long each part took.
#[derive(Debug, Default)]
struct Times(Vec<(&'static str, Duration)>);

impl Times {
    fn add(&mut self, what: &'static str, time: Duration) {
        self.0.push((what, time));
    }

    /// Does a part and takes its time.
    fn take<T>(&mut self, what: &'static str, part: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let outcome = part()?;
        self.add(what, began.elapsed());
        Ok(outcome)
    }

    fn print(&self, all: Duration) {
        let mut rows = say::table(&["what", "time"]);
        for (what, time) in &self.0 {
            rows.add_row([(*what).to_owned(), say::seconds(*time)]);
        }
        rows.add_row(["everything".to_owned(), say::seconds(all)]);
        say::line(format_args!("\n{rows}"));
    }
}
