//! `cargo xtask bench`: start, memory, a cluster, a long list; each measured several times, beside the machine's noise.

mod api;
mod figures;
mod machine;
mod share;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use tempfile::TempDir;

use crate::databases::free_port;
use crate::exec::{self, Server};
use crate::http::Api;
use crate::openstack::Openstack;
use crate::server::{self, Magnum, Programs};
use crate::workspace::Workspace;
use crate::{debian, python, say, stop};
use figures::{Figures, Results, Wanted};

/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(5);
/// Longest time for one change to a cluster.
const CHANGE_LIMIT: Duration = Duration::from_secs(120);
/// How many clusters are listed.
const LISTED: usize = 1000;

/// The same list from the bare handler, which has no default for its length.
const BARE_LIST: &str = "/v1/clusters?limit=1000";

/// How `cargo xtask bench` is called.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    against: Option<Against>,
    /// Only this measurement; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// How often each thing is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=100))]
    runs: u8,
    /// Measure the programs as they were built last.
    #[arg(long)]
    no_build: bool,
}

#[derive(Debug, Subcommand)]
enum Against {
    /// The API beside upstream and beside bare handlers, on the same database
    Api(api::Options),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Start to first answer.
    Start,
    /// Resident memory of an idle server.
    Memory,
    /// A cluster of one manager and two workers.
    Cluster,
    /// `GET /v1/clusters` of 1,000 clusters.
    List,
}

/// Programs and folders of one run.
struct Bench<'a> {
    workspace: &'a Workspace,
    programs: Programs,
    /// The helper program.
    helper: PathBuf,
    openstack: PathBuf,
    runs: u8,
    results: Results,
}

/// Measures and prints.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if let Some(Against::Api(options)) = &options.against {
        return api::run(workspace, options);
    }
    let wants = |part: Part| options.only.is_empty() || options.only.contains(&part);
    if wants(Part::Cluster) && !debian::is_root() {
        bail!(
            "a cluster on this machine takes root; without it: cargo xtask bench --only start --only memory --only list"
        );
    }
    debian::ensure(workspace, &[debian::COMPILER, debian::NODES, debian::PYTHON])?;
    let openstack = python::openstack_client(workspace, true)?;
    say::step(if options.no_build { "Taking the programs as they are" } else { "Building with optimisation" });
    let (programs, helper) = server::for_bench(workspace, !options.no_build)?;
    fs::create_dir_all(workspace.in_target("xtask"))?;

    say::step("The machine");
    let noise = machine::describe();
    let mut bench = Bench { workspace, programs, helper, openstack, runs: options.runs, results: Results::default() };
    bench.results.add("noise: a fixed piece of work", "ms", &noise, Wanted::Nothing);
    if wants(Part::Start) {
        bench.start()?;
    }
    if wants(Part::Memory) {
        bench.memory()?;
    }
    if wants(Part::Cluster) {
        bench.cluster()?;
    }
    if wants(Part::List) {
        bench.list()?;
    }
    bench.results.print();
    Ok(())
}

impl Bench<'_> {
    fn log(&self) -> PathBuf {
        self.workspace.in_target("xtask/bench-serve.log")
    }

    fn serve(&self, state_dir: &Path, arguments: &[&str]) -> Result<Magnum> {
        Magnum::start(&self.programs, "serve", state_dir, self.log(), arguments)
    }

    /// Process start to the first 200, over TLS, on an empty and on an existing state folder.
    fn start(&mut self) -> Result<()> {
        say::step("Start to first answer");
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let folder = folder()?;
            let state_dir = folder.path().join("state");
            first.push(self.start_once(&state_dir)?);
            again.push(self.start_once(&state_dir)?);
        }
        let (first, again) = (first.into_iter().collect(), again.into_iter().collect());
        self.results.add("first start ever (keys, database) to first answer", "ms", &first, Wanted::Nothing);
        self.results.add("start to first answer", "ms", &again, Wanted::AtMost(100.0));
        Ok(())
    }

    fn start_once(&self, state_dir: &Path) -> Result<f64> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut waiting = Command::new(&self.helper);
        waiting.args(["first-answer", "--url", &format!("https://{address}/healthcheck"), "--ca"]);
        waiting.arg(state_dir.join("tls/ca.pem"));
        let waiting = thread::spawn(move || exec::output(&mut waiting));
        // The waiting program must be up before the clock starts.
        thread::sleep(Duration::from_millis(300));

        let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut command = Command::new(&self.programs.magnum);
        command.arg("serve").arg("--state-dir").arg(state_dir).args(["--bind", &address]);
        let mut server = Server::start("magnum serve", &mut command, self.log())?;
        let answered = waiting.join().ok().context("the waiting thread ended early")??;
        server.stop()?;
        let answered: u64 = answered.trim().parse().context("the waiting program printed no time")?;
        Ok((Duration::from_micros(answered).saturating_sub(began)).as_secs_f64() * 1e3)
    }

    /// Resident memory after a rest, with nothing to do.
    fn memory(&mut self) -> Result<()> {
        say::step("Memory of an idle server");
        let mut figures = Vec::new();
        for _ in 0..self.runs.min(3) {
            let folder = folder()?;
            let mut magnum = self.serve(&folder.path().join("state"), &[])?;
            thread::sleep(REST);
            figures.push(resident_mib(&magnum)?);
            magnum.stop()?;
        }
        let figures = figures.into_iter().collect();
        self.results.add("resident memory of an idle `magnum serve`", "MiB", &figures, Wanted::AtMost(40.0));
        Ok(())
    }

    /// One manager and two workers, created and deleted again and again.
    fn cluster(&mut self) -> Result<()> {
        say::step("A cluster of one manager and two workers");
        let folder = folder()?;
        let state_dir = folder.path().join("state");
        let mut magnum = self.serve(&state_dir, &[])?;
        let openstack = Openstack::new(self.openstack.clone(), state_dir.join("clouds.yaml")).quietly();
        openstack.run(TEMPLATE)?;
        let token = openstack.run("token issue -f value -c id")?;
        let api = magnum.api.clone().with_token(token.trim().to_owned());
        let mut creations = Vec::new();
        let mut deletions = Vec::new();
        for run in 0..self.runs {
            openstack.run("coe cluster create bench --cluster-template bench --master-count 1 --node-count 2")?;
            let path = settled(&api, "/v1/clusters/bench", Some("CREATE_COMPLETE"))?;
            let events: Value = serde_json::from_str(&api.get(&format!("{path}/events?limit=1000"))?.body)?;
            let creation = share::of_events(&events)?;
            say::note(&format!("run {}: {:.2} s, our own share {:.2} s", run + 1, creation.total, creation.own));
            creations.push(creation);
            let began = Instant::now();
            openstack.run("coe cluster delete bench")?;
            settled(&api, &path, None)?;
            deletions.push(began.elapsed().as_secs_f64());
        }
        self.results.add(
            "memory of the server after these clusters",
            "MiB",
            &std::iter::once(resident_mib(&magnum)?).collect(),
            Wanted::Nothing,
        );
        magnum.stop()?;
        let of = |value: fn(&share::Creation) -> f64| creations.iter().map(value).collect::<Figures>();
        self.results.add("cluster create to a usable 1+2 swarm", "s", &of(|run| run.total), Wanted::AtMost(15.0));
        self.results.add("  of it our own share", "s", &of(|run| run.own), Wanted::AtMost(1.0));
        self.results.add(
            "cluster delete, with the client's own second",
            "s",
            &deletions.into_iter().collect(),
            Wanted::Nothing,
        );
        Ok(())
    }

    /// The list of 1,000 clusters, and a bare handler over the same rows, in turns.
    fn list(&mut self) -> Result<()> {
        say::step("GET /v1/clusters of 1,000 clusters, and a bare handler over the same rows, in turns");
        let folder = folder()?;
        let state_dir = folder.path().join("state");
        // The API alone: a conductor would look after the clusters, which are rows only.
        let mut magnum = Magnum::start(&self.programs, "api", &state_dir, self.log(), &["--no-tls"])?;
        let openstack = Openstack::new(self.openstack.clone(), state_dir.join("clouds.yaml")).quietly();
        openstack.run(TEMPLATE)?;
        let token = openstack.json("token issue")?;
        let of_token = |name: &str| token.get(name).and_then(Value::as_str).map(str::to_owned).context("odd token");
        let (token, project) = (of_token("id")?, of_token("project_id")?);

        let database = format!("sqlite://{}?mode=rw", state_dir.join("magnum.sqlite").display());
        exec::output(Command::new(&self.helper).args([
            "seed",
            "--project",
            &project,
            "--clusters",
            &LISTED.to_string(),
            "--database",
            &database,
        ]))?;
        let bare_address = format!("127.0.0.1:{}", free_port()?);
        let mut bare = Server::start(
            "bare handler",
            Command::new(&self.helper).args([
                "bare",
                "--project",
                &project,
                "--bind",
                &bare_address,
                "--database",
                &database,
            ]),
            self.workspace.in_target("xtask/bench-bare.log"),
        )?;
        let bare_api = Api::plain(bare_address.clone());
        bare.wait_until(Duration::from_secs(30), || bare_api.get(BARE_LIST).is_ok_and(|answer| answer.status == 200))?;
        expect_all_listed(&magnum.api.clone().with_token(token.clone()), &bare_api)?;

        let ours = format!("http://{}/v1/clusters", magnum.address);
        let theirs = format!("http://{bare_address}{BARE_LIST}");
        self.load(&ours, &token)?;
        self.load(&theirs, &token)?;
        let (mut rates, mut bare_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..self.runs {
            let (rate, bare_rate) = if run % 2 == 0 {
                let rate = self.load(&ours, &token)?;
                (rate, self.load(&theirs, &token)?)
            } else {
                let bare_rate = self.load(&theirs, &token)?;
                (self.load(&ours, &token)?, bare_rate)
            };
            say::note(&format!("run {}: {rate:.0} against {bare_rate:.0} a second", run + 1));
            rates.push(rate);
            bare_rates.push(bare_rate);
            ratios.push(rate / bare_rate);
        }
        bare.stop()?;
        magnum.stop()?;
        self.results.add("GET /v1/clusters of 1,000", "per s", &rates.into_iter().collect(), Wanted::Nothing);
        self.results.add("  bare handler", "per s", &bare_rates.into_iter().collect(), Wanted::Nothing);
        self.results.add("  ratio", "", &ratios.into_iter().collect(), Wanted::AtLeast(0.7));
        Ok(())
    }

    /// Requests a second.
    fn load(&self, url: &str, token: &str) -> Result<f64> {
        let text = exec::output(Command::new(&self.helper).args(["load", "--url", url, "--token", token]))?;
        let value: Value = serde_json::from_str(&text)?;
        value.get("requests_per_second").and_then(Value::as_f64).context("the load program printed no rate")
    }
}

/// The template of the clusters here.
const TEMPLATE: &str = "coe cluster template create bench --coe swarm-mode --image local --external-network public \
                        --network-driver docker";

fn folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("magnum-bench-").tempdir().context("cannot make a temporary folder")
}

fn resident_mib(magnum: &Magnum) -> Result<f64> {
    let pid = magnum.pid().context("the server does not run")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("odd VmRSS")?;
    Ok(kib / 1024.0)
}

/// Waits until the cluster has this status, or with `None` is gone; answers its path by UUID.
fn settled(api: &Api, path: &str, status: Option<&str>) -> Result<String> {
    let done = stop::poll(CHANGE_LIMIT, Duration::from_millis(100), || {
        let answer = api.get(path)?;
        if answer.status == 404 && status.is_none() {
            return Ok(Some(String::new()));
        }
        let cluster: Value = serde_json::from_str(&answer.body)?;
        let text = |name: &str| cluster.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("status").ends_with("_FAILED") {
            bail!("the cluster is {}: {}", text("status"), text("status_reason"));
        }
        Ok((status == Some(text("status"))).then(|| format!("/v1/clusters/{}", text("uuid"))))
    })?;
    done.with_context(|| format!("{path}: not {} in time", status.unwrap_or("gone")))
}

/// Both sides must do the whole work, else the comparison says nothing.
fn expect_all_listed(api: &Api, bare: &Api) -> Result<()> {
    let ours: Value = serde_json::from_str(&api.get("/v1/clusters")?.body)?;
    let theirs: Value = serde_json::from_str(&bare.get(BARE_LIST)?.body)?;
    let count = |list: Option<&Value>| list.and_then(Value::as_array).map_or(0, Vec::len);
    let counts = (count(ours.get("clusters")), count(Some(&theirs)));
    if counts != (LISTED, LISTED) {
        bail!("{} clusters and {} rows were listed instead of {LISTED}", counts.0, counts.1);
    }
    Ok(())
}
