//! Thousands of mixed requests of several users, while the server is killed again and again; then everything is counted.

mod checks;
mod journal;
mod killer;
mod kinds;
mod things;
mod worker;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::people::{Person, json_of, text};
use super::random::Random;
use super::report::Table;
use super::{Options, Tools};
use crate::databases::free_port;
use crate::demo::leftovers;
use crate::openstack::Openstack;
use crate::workspace::Workspace;
use crate::{exec, say, stop};
use journal::Journal;
use killer::Victim;
use things::{Room, Thing, Things};
use worker::{Shared, Worker};

/// Who asks: a user, and the project they belong to.
const PEOPLE: &[(&str, &str)] =
    &[("ann", "red"), ("bob", "red"), ("carl", "green"), ("dora", "green"), ("emil", "blue"), ("fay", "blue")];
/// Clusters at the same time.
const CLUSTERS: isize = 3;
/// Requests a second, on average.
const RATE: f64 = 28.0;
/// Seconds for each kill, on average: long enough for work to get somewhere.
const BETWEEN_KILLS: f64 = 12.0;
/// How long the server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(5);
/// Pause between lines of progress.
const PROGRESS: Duration = Duration::from_secs(15);
/// How much more memory than at the beginning a server may keep that has seen all this.
const GROWTH_KIB: u64 = 64 * 1024;

/// Makes the check.
pub(super) fn run(workspace: &Workspace, tools: &Tools, options: &Options) -> Result<Table> {
    say::step(&format!("Soak: {} requests, {} kills, seed {}", options.requests, options.kills, options.seed));
    let folder = tempfile::Builder::new().prefix("magnum-soak-").tempdir().context("cannot make a temporary folder")?;
    let logs = workspace.in_target("release-test/soak");
    drop(fs::remove_dir_all(&logs));
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let state_dir = folder.path().join("state");
    let address = format!("127.0.0.1:{}", free_port()?);
    let victim = Victim::new(&tools.programs.magnum, address.clone(), &state_dir, &logs);
    victim.start()?;
    victim.wait_ready()?;
    say::note(&format!("magnum serve at http://{address}; its logs are in {}", logs.display()));

    let admin = Person::admin(&victim.api(), &state_dir)?;
    let people: Vec<Person> =
        PEOPLE.iter().map(|(name, project)| admin.make_member(name, project)).collect::<Result<_>>()?;
    let span = (f64::from(options.requests) / RATE).max(f64::from(options.kills) * BETWEEN_KILLS);
    let shared = Shared {
        journal: Journal::default(),
        room: Room::new(CLUSTERS),
        admin,
        begun: AtomicU32::new(0),
        requests: options.requests,
        span: Duration::from_secs_f64(span),
        start: Instant::now(),
        csr: certificate_request()?,
    };
    let mut soak = Soak { workers: workers(&shared, &people, options.seed)?, shared: &shared, victim: &victim };
    let mut table = Table::default();
    if let Err(error) = soak.play(tools, options, folder.path(), &mut table) {
        table.fail(&error);
        soak.clean_up();
    }
    victim.stop()?;
    let clusters = shared.journal.counts().clusters.clone();
    let clusters: Vec<&str> = clusters.iter().map(String::as_str).collect();
    for (what, found) in leftovers::find(&state_dir, &clusters) {
        table.none_of(&format!("left behind: {what}"), &found);
    }
    table.none_of("panics in the server's logs", &victim.panics());
    Ok(table)
}

/// A soak under way.
struct Soak<'a> {
    workers: Vec<Worker<'a>>,
    shared: &'a Shared,
    victim: &'a Victim,
}

impl Soak<'_> {
    fn play(&mut self, tools: &Tools, options: &Options, folder: &Path, table: &mut Table) -> Result<()> {
        let people: Vec<Person> = self.workers.iter().map(|worker| worker.person.clone()).collect();
        let people: Vec<&Person> = people.iter().collect();
        let before = checks::rows(&self.shared.admin, &people)?;
        thread::sleep(REST);
        let (usage_before, database_before) = (self.victim.usage(), self.victim.database());

        let killed = self.load(options)?;
        self.victim.wait_ready()?;
        say::step("Waiting for what was begun to end");
        checks::settle(&mut self.workers)?;

        checks::answers(table, &self.shared.journal);
        table.equal("kills of the server", &killed.servers, &usize::try_from(options.kills)?);
        table.show("kills of engines and agents", killed.of_nodes.len());
        table.none_of("ends of the server by itself", &killed.ended);
        checks::nodes(table, &self.workers)?;
        let things = self.workers.iter().map(|worker| (&worker.things, worker.other_project.as_str()));
        let wanted = checks::expected(&before, things);
        checks::compare(table, "by the journal", &checks::rows(&self.shared.admin, &people)?, &wanted);
        self.ask_real_client(table, tools, folder)?;

        say::step("Deleting everything");
        checks::tidy(&mut self.workers)?;
        checks::operations(table, &self.shared.journal, &self.shared.admin)?;
        checks::compare(table, "after all was deleted", &checks::rows(&self.shared.admin, &people)?, &before);

        thread::sleep(REST);
        let usage_after = self.victim.usage().context("the server has ended")?;
        let usage_before = usage_before.context("the server had ended before it began")?;
        table.show("server before", usage_before);
        table.show("server at its peak", killed.peak);
        table.check(
            "server after",
            usage_after,
            "at most 64 MiB more than before",
            usage_after.pss < usage_before.pss + GROWTH_KIB,
        );
        table.check(
            "descriptors after",
            usage_after.descriptors,
            "at most 16 more than before",
            usage_after.descriptors <= usage_before.descriptors + 16,
        );
        table.show("database before", format!("{database_before} KiB"));
        table.show("database after", format!("{} KiB", self.victim.database()));
        Ok(())
    }

    /// All workers ask, the killer kills, somebody says how far they are.
    fn load(&mut self, options: &Options) -> Result<killer::Killed> {
        let over = AtomicBool::new(false);
        let (shared, victim, span) = (self.shared, self.victim, self.shared.span);
        say::step(&format!("{} requests within {}", options.requests, say::seconds(span)));
        let is_over = || over.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let killer = scope.spawn(|| killer::run(victim, options.kills, options.seed, span, is_over));
            let progress = scope.spawn(|| tell(shared, is_over));
            let asking: Vec<_> = self.workers.iter_mut().map(|worker| scope.spawn(|| worker.run())).collect();
            let outcomes: Vec<Result<()>> = asking
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(anyhow!("a worker failed"))))
                .collect();
            over.store(true, Ordering::Relaxed);
            let killed = killer.join().unwrap_or_else(|_| Err(anyhow!("the killer failed")));
            drop(progress.join());
            outcomes.into_iter().collect::<Result<()>>()?;
            killed
        })
    }

    /// The unmodified client must see what the journal says.
    fn ask_real_client(&self, table: &mut Table, tools: &Tools, folder: &Path) -> Result<()> {
        let Some(worker) = self.workers.first() else { return Ok(()) };
        let clouds = folder.join("clouds.yaml");
        worker.person.write_clouds(&self.victim.url(), None, &clouds)?;
        let openstack = Openstack::new(tools.openstack.clone(), clouds);
        let listed = openstack.json("coe cluster list")?;
        let mut listed: Vec<String> = listed
            .as_array()
            .map(|rows| rows.iter().filter_map(|row| row.get("uuid")?.as_str().map(str::to_owned)).collect())
            .unwrap_or_default();
        listed.sort();
        let same_project = self.workers.iter().filter(|other| other.person.project == worker.person.project);
        let mut wanted: Vec<String> =
            same_project.filter_map(|other| Some(other.things.held.as_ref()?.cluster.uuid.clone())).collect();
        wanted.sort();
        table.check("clusters by the real client", listed.len(), &wanted.len().to_string(), listed == wanted);
        Ok(())
    }

    /// After a failure: takes the clusters down, so that nothing is left of them.
    fn clean_up(&mut self) {
        stop::forget();
        say::step("Cleaning up (Ctrl-C again leaves things as they are)");
        let cleaned = self.victim.wait_ready().and_then(|()| checks::tidy(&mut self.workers));
        if let Err(error) = cleaned {
            say::error(&error.context("not everything could be taken down"));
        }
    }
}

/// Says now and then how far they are.
fn tell(shared: &Shared, is_over: impl Fn() -> bool) {
    let mut told = Instant::now();
    while !is_over() {
        thread::sleep(Duration::from_millis(200));
        if told.elapsed() < PROGRESS {
            continue;
        }
        told = Instant::now();
        let counts = shared.journal.counts();
        say::note(&format!(
            "{:>6} of {} requests, {} clusters so far, {} operations, {} unexpected answers, {} lost, {} failed",
            counts.sent(),
            shared.requests,
            counts.clusters.len(),
            counts.operations.len(),
            counts.unexpected.len() + counts.server_errors.len() + counts.silent.len(),
            counts.lost_done + counts.lost_not_done,
            counts.failed.len(),
        ));
    }
}

/// A worker for each person, each with a template to make clusters from and a project for quotas.
fn workers<'a>(shared: &'a Shared, people: &[Person], seed: u64) -> Result<Vec<Worker<'a>>> {
    let mut bases = Vec::new();
    for person in people {
        let body = json!({"name": format!("base-{}", person.name), "coe": "swarm-mode", "image_id": "local",
            "external_network_id": "public", "network_driver": "docker"});
        let made = person.expect("POST", "/v1/clustertemplates", Some(&body.to_string()), 201)?;
        let made: Value = json_of(&made)?;
        bases.push(Thing { uuid: text(&made, "/uuid")?, name: text(&made, "/name")? });
    }
    let foreign = |person: &Person| {
        let other = people.iter().zip(&bases).find(|(other, _)| other.project_id != person.project_id);
        other.map(|(_, base)| base.uuid.clone()).context("there is only one project")
    };
    let mut workers = Vec::new();
    for (number, (person, base)) in people.iter().zip(&bases).enumerate() {
        workers.push(Worker {
            shared,
            person: person.clone(),
            number,
            random: Random::new(seed, u64::try_from(number)?),
            base: base.clone(),
            foreign: foreign(person)?,
            other_project: shared.admin.project_named(&format!("quota-{}", person.name))?,
            things: Things::default(),
            names: 0,
            looked: Instant::now(),
        });
    }
    Ok(workers)
}

/// A request for a client's certificate, as it stands in JSON.
fn certificate_request() -> Result<String> {
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-newkey", "rsa:2048", "-noenc", "-keyout", "/dev/null"]);
    command.args(["-subj", "/O=system:masters/CN=admin"]);
    let text = serde_json::to_string(&exec::output(&mut command)?)?;
    Ok(text.trim_matches('"').to_owned())
}
