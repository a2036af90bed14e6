//! `cargo xtask bench api`: the same requests to upstream, to ours and to bare handlers, on one MariaDB, in turns.

mod case;
mod cloud;
mod report;
mod side;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use self::case::{CASES, Case, Of, Side};
use self::cloud::{Account, Cloud};
use self::report::{Report, Row};
use self::side::{Bare, Memory, Running, Start, Upstream};
use super::figures::Figures;
use super::machine;
use crate::workspace::Workspace;
use crate::{debian, exec, say, server};

/// Clusters and templates of the seeded database.
const CLUSTERS: u32 = 1000;
const TEMPLATES: u32 = 100;
/// Clusters of the large one.
const MANY: u32 = 20_000;
/// The image of the templates: fedora-coreos of the lab's cloud.
const IMAGE: &str = "9735f94d-cf6e-4197-85af-1c3d9e8965ce";
/// How many different ones are asked for in turn.
const DIFFERENT: usize = 32;
/// The parts of upstream's greatest rate at which the slowest answers are compared: at half of it hardly anything
/// waits, near all of it what a busy server is like shows.
const EQUAL_LOADS: [f64; 2] = [0.5, 0.9];
/// How many times as slow upstream's slowest answers are to be.
const TAIL_GOAL: f64 = 20.0;
/// How many times as much memory it is to take.
const MEMORY_GOAL: f64 = 12.0;
/// How many times as long it is to take to start.
const START_GOAL: f64 = 40.0;
/// What page 1 of the large database may cost at most, with that of the small one as 1.
const PAGE_GOAL: f64 = 1.3;

/// How `cargo xtask bench api` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the cases whose name holds this; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// How often each thing is measured, in turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
    /// Seconds of load each time.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Measure the programs as they were built last.
    #[arg(long)]
    no_build: bool,
    /// Write the table into docs/performance.md in place of the one that is there.
    #[arg(long)]
    record: bool,
}

/// Measures and prints.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    debian::ensure(workspace, &[debian::COMPILER])?;
    say::step(if options.no_build { "Taking the programs as they are" } else { "Building with optimisation" });
    let (programs, helper) = server::for_bench(workspace, !options.no_build)?;
    fs::create_dir_all(workspace.in_target("xtask"))?;
    say::step("The machine");
    let noise = machine::describe();
    let cloud = Cloud::start(workspace, &programs)?;
    let bench = Bench { workspace, options, helper, cloud };
    let (rows, page) = bench.measure()?;
    drop(bench);
    let report = Report::new(&rows, &page, PAGE_GOAL);
    report.print();
    let note = format!(
        "Medians of {} rounds of {} s (smallest .. greatest), on {} processors that all servers and the load shared. \
         A fixed piece of work took {:.0} to {:.0} ms there.",
        options.rounds,
        options.seconds,
        thread::available_parallelism()?,
        noise.min(),
        noise.max()
    );
    say::note(&note);
    if options.record {
        report.record(&workspace.root().join("docs/performance.md"), &note)?;
    }
    if !report.all_met() {
        say::note("Not every goal was met.");
    }
    Ok(())
}

struct Bench<'a> {
    workspace: &'a Workspace,
    options: &'a Options,
    helper: PathBuf,
    cloud: Cloud,
}

/// Whose answers were not what they had to be.
#[derive(Debug, PartialEq, Eq)]
struct Failed(Side);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} has failed", self.0)
    }
}

fn fails(error: &anyhow::Error, side: Side) -> bool {
    error.downcast_ref() == Some(&Failed(side))
}

/// What the load program has seen.
struct Load {
    rate: f64,
    /// In milliseconds.
    tail: f64,
}

impl Bench<'_> {
    fn log(&self, name: &str) -> PathBuf {
        self.workspace.in_target(&format!("xtask/bench-{name}.log"))
    }

    fn measure(&self) -> Result<(Vec<Row>, Figures)> {
        say::step("The three servers");
        let ours = self.cloud.ours(false);
        let upstream = self.cloud.upstream()?;
        let account = self.cloud.log_in()?;
        self.seed(false, &account, CLUSTERS)?;
        let ours_runs = Running::start(Side::Ours, &ours, &self.helper, self.log("ours"))?;
        let bare = Bare {
            helper: self.helper.clone(),
            database: self.cloud.database(false).to_owned(),
            project: account.project.clone(),
        };
        let upstream_runs = self.start_upstream(&upstream)?;
        let bare_runs = Running::start(Side::Bare, &bare, &self.helper, self.log("bare"))?;
        let mut servers = [upstream_runs, ours_runs, bare_runs];
        let cases: Vec<&Case> = CASES
            .iter()
            .filter(|case| {
                self.options.only.is_empty() || self.options.only.iter().any(|only| case.name.contains(only))
            })
            .collect();
        let mut rows = Vec::new();
        let mut tails = Vec::new();
        for case in cases {
            let row = self.unless_it_fails(&upstream, &mut servers, |servers| self.case(&account, case, servers))?;
            for part in EQUAL_LOADS.iter().filter(|_| case.tail) {
                let rate = row.upstream.median() * part;
                let tail = |servers: &_| self.tail(&account, case, servers, *part, rate);
                match self.unless_it_fails(&upstream, &mut servers, tail) {
                    Ok(row) => tails.push(row),
                    Err(error) if fails(&error, Side::Upstream) => {
                        say::note("It has failed again: there is nothing to compare, and no line in the table.");
                        servers[0].stop()?;
                        servers[0] = self.start_upstream(&upstream)?;
                    }
                    Err(error) => return Err(error),
                }
            }
            rows.push(row);
        }
        rows.append(&mut tails);
        say::step("Memory, after all this");
        let [mut upstream_runs, mut ours_runs, mut bare_runs] = servers;
        for kind in Memory::BOTH {
            let (theirs, mine) = (upstream_runs.memory(kind)?, ours_runs.memory(kind)?);
            rows.push(compared(kind.title(), "MiB", &[theirs], &[mine], MEMORY_GOAL));
        }
        let page = self.page(&account, &ours_runs)?;
        bare_runs.stop()?;
        upstream_runs.stop()?;
        ours_runs.stop()?;
        rows.push(self.start(&upstream, &ours)?);
        Ok((rows, page))
    }

    fn start_upstream(&self, how: &Upstream) -> Result<Running> {
        Running::start(Side::Upstream, how, &self.helper, self.log("upstream"))
    }

    /// Measures something, once more with a new upstream when that one fails: asked for 100 templates at a fixed rate it
    /// may find no database connection left in its pool and answer with 500. What it failed at is in no figure then.
    fn unless_it_fails(
        &self,
        upstream: &Upstream,
        servers: &mut [Running; 3],
        measure: impl Fn(&[Running; 3]) -> Result<Row>,
    ) -> Result<Row> {
        match measure(servers) {
            Err(error) if fails(&error, Side::Upstream) => {
                say::note(&format!("{error:#}"));
                say::note("It is started anew, and all are asked again.");
                servers[0].stop()?;
                servers[0] = self.start_upstream(upstream)?;
                measure(servers)
            }
            measured => measured,
        }
    }

    fn seed(&self, large: bool, account: &Account, clusters: u32) -> Result<()> {
        let mut command = Command::new(&self.helper);
        command.args(["seed", "--database", self.cloud.database(large), "--project", &account.project]);
        command.args(["--image", IMAGE]);
        command.args(["--templates", &TEMPLATES.to_string(), "--clusters", &clusters.to_string()]);
        exec::output(&mut command)?;
        Ok(())
    }

    /// Rates, one server after the other, in changing order.
    fn case(&self, account: &Account, case: &Case, servers: &[Running; 3]) -> Result<Row> {
        say::step(case.name);
        let mut rates: [Vec<f64>; 3] = Default::default();
        for round in 0..self.options.rounds {
            let mut order = [0, 1, 2];
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let (Some(server), Some(rates)) = (servers.get(index), rates.get_mut(index)) else { continue };
                rates.push(self.load(account, case, server, None)?.rate);
            }
            let last = rates.each_ref().map(|rates| rates.last().copied().unwrap_or(f64::NAN));
            let [upstream, ours, bare] = last;
            say::note(&format!(
                "upstream {upstream:.1}, ours {ours:.0}, bare handler {bare:.0} a second: {:.1} times, {:.0} %",
                ours / upstream,
                ours / bare * 100.0
            ));
        }
        let [upstream, ours, bare] = rates;
        let each = |above: &[f64], below: &[f64]| above.iter().zip(below).map(|(a, b)| a / b).collect::<Figures>();
        Ok(Row {
            what: case.name.to_owned(),
            unit: "req/s",
            ratio: each(&ours, &upstream),
            goal: case.goal,
            bare: Some(report::Bare {
                figure: bare.iter().copied().collect(),
                share: each(&ours, &bare),
                is_goal: case.method == "GET",
            }),
            upstream: upstream.into_iter().collect(),
            ours: ours.into_iter().collect(),
        })
    }

    /// The slowest answers, with all asked as often: so many times a second, which is that part of what upstream does.
    fn tail(&self, account: &Account, case: &Case, servers: &[Running; 3], part: f64, rate: f64) -> Result<Row> {
        let mut tails: [Vec<f64>; 3] = Default::default();
        for _ in 0..self.options.rounds {
            for (server, tails) in servers.iter().zip(&mut tails) {
                tails.push(self.load(account, case, server, Some(rate))?.tail);
            }
        }
        let [theirs, mine, bare] = tails;
        let what = format!("{}: p99 at {:.0} % of upstream's rate", case.name, part * 100.0);
        let row = compared(&what, "ms", &theirs, &mine, TAIL_GOAL);
        let share = bare.iter().zip(&mine).map(|(bare, mine)| bare / mine).collect();
        let bare = report::Bare { figure: bare.into_iter().collect(), share, is_goal: false };
        say::note(&format!(
            "p99 at {rate:.1} a second: {:.1}, {:.2}, bare handler {:.2} ms",
            row.upstream.median(),
            row.ours.median(),
            bare.figure.median()
        ));
        Ok(Row { bare: Some(bare), ..row })
    }

    fn load(&self, account: &Account, case: &Case, server: &Running, rate: Option<f64>) -> Result<Load> {
        let mut command = Command::new(&self.helper);
        command.args(["load", "--method", case.method, "--expect", &case.status.to_string()]);
        command.args(["--token", &account.token]);
        let names = match case.of {
            Of::Nothing => vec![String::new()],
            Of::Clusters => self.uuids(account, server, "/v1/clusters?sort_dir=asc", "clusters")?,
            Of::Templates => self.uuids(account, server, "/v1/clustertemplates?sort_dir=asc", "clustertemplates")?,
            // Clusters are made from the older half.
            Of::UnusedTemplates => {
                self.uuids(account, server, "/v1/clustertemplates?sort_dir=desc", "clustertemplates")?
            }
        };
        for name in names {
            command.args(["--url", &format!("{}{}", server.url, case.path.replace("{}", &name))]);
        }
        for body in case.bodies {
            command.args(["--body", &body.replace("{image}", IMAGE).replace("{kind}", kind(server.side))]);
        }
        // The slowest of a hundred takes some hundreds of requests.
        let seconds = self.options.seconds * if rate.is_some() { 2 } else { 1 };
        command.args(["--seconds", &seconds.to_string()]);
        // At a fixed rate there have to be enough connections for those that wait.
        let connections = if rate.is_some() { 32 } else { case.connections };
        command.args(["--connections", &connections.to_string()]);
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let text = exec::output(&mut command).context(Failed(server.side))?;
        if case.status == 201 {
            exec::output(Command::new(&self.helper).args(["tidy", "--database", self.cloud.database(false)]))?;
        }
        let value: Value = serde_json::from_str(&text)?;
        let number =
            |path: &str| value.pointer(path).and_then(Value::as_f64).context("the load program printed no figures");
        Ok(Load { rate: number("/requests_per_second")?, tail: number("/latency_ms/p99")? })
    }

    /// Some of what is there; read from ours or upstream, which have it in the same place.
    fn uuids(&self, account: &Account, server: &Running, path: &str, list: &str) -> Result<Vec<String>> {
        let api = server.api.clone().with_token(account.token.clone());
        let answer = api.get(&format!("{path}&limit={DIFFERENT}"))?;
        ensure!(answer.status == 200, "{:?} answered {path} with {}: {}", server.side, answer.status, answer.body);
        let document: Value = serde_json::from_str(&answer.body)?;
        let items = document.get(list).unwrap_or(&document).as_array().context("no list")?;
        let uuids: Vec<String> =
            items.iter().filter_map(|item| item.get("uuid")?.as_str().map(str::to_owned)).collect();
        if uuids.len() != DIFFERENT {
            bail!("{:?} lists {} of {DIFFERENT} {list}", server.side, uuids.len());
        }
        Ok(uuids)
    }

    /// The first page of a long list, as a part of the first page of a short one.
    fn page(&self, account: &Account, small: &Running) -> Result<Figures> {
        say::step("Page 1 of 20,000 clusters and page 1 of 1,000, of ours");
        let case = Case { path: case::THOUSAND, connections: 1, ..CASES.get(4).copied().context("no such case")? };
        let mut large = Running::start(Side::Ours, &self.cloud.ours(true), &self.helper, self.log("ours-large"))?;
        self.seed(true, account, MANY)?;
        let mut ratios = Vec::new();
        for _ in 0..self.options.rounds {
            let few = self.load(account, &case, small, None)?.rate;
            let many = self.load(account, &case, &large, None)?.rate;
            say::note(&format!("{few:.1} and {many:.1} a second"));
            ratios.push(few / many);
        }
        large.stop()?;
        Ok(ratios.into_iter().collect())
    }

    /// From the start of the process to its first answer.
    fn start(&self, upstream: &dyn Start, ours: &dyn Start) -> Result<Row> {
        say::step("Start to first answer");
        let mut seconds: [Vec<f64>; 2] = Default::default();
        for _ in 0..self.options.rounds {
            for ((side, how), seconds) in [(Side::Upstream, upstream), (Side::Ours, ours)].into_iter().zip(&mut seconds)
            {
                let mut running = Running::start(side, how, &self.helper, self.log("start"))?;
                seconds.push(running.start.as_secs_f64() * 1e3);
                running.stop()?;
            }
        }
        let [theirs, mine] = seconds;
        Ok(compared("start to first answer", "ms", &theirs, &mine, START_GOAL))
    }
}

/// What a new template is for: each server has a driver of its own here, and looks for no other.
fn kind(side: Side) -> &'static str {
    match side {
        Side::Ours => r#""coe": "swarm-mode", "driver": "local""#,
        Side::Upstream | Side::Bare => r#""coe": "kubernetes""#,
    }
}

/// Something of which less is better.
fn compared(what: &str, unit: &'static str, upstream: &[f64], ours: &[f64], goal: f64) -> Row {
    Row {
        what: what.to_owned(),
        unit,
        ratio: upstream.iter().zip(ours).map(|(upstream, ours)| upstream / ours).collect(),
        upstream: upstream.iter().copied().collect(),
        ours: ours.iter().copied().collect(),
        goal,
        bare: None,
    }
}
