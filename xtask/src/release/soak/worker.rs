//! One of those who ask: chooses, fills in, asks, and takes note of what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::people::{Person, json_of, text};
use super::super::random::Random;
use super::journal::{Accepted, Journal};
use super::kinds::{Effect, KINDS, Kind, Who};
use super::things::{Held, Room, State, Thing, Things};
use crate::http::{Answer, NoAnswer};
use crate::stop;

/// How long a server that was killed may take to listen again.
const RESTART_LIMIT: Duration = Duration::from_secs(180);
/// Pause between attempts to reach it.
const PAUSE: Duration = Duration::from_millis(30);
/// Pause between looks at a cluster that something is done to.
const LOOK: Duration = Duration::from_secs(1);

/// What all workers share.
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) room: Room,
    pub(super) admin: Person,
    /// Requests that were begun.
    pub(super) begun: AtomicU32,
    /// How many there shall be, and over which time.
    pub(super) requests: u32,
    pub(super) span: Duration,
    pub(super) start: Instant,
    /// A request for a certificate, as it stands in JSON.
    pub(super) csr: String,
}

/// One who asks.
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Shared,
    pub(super) person: Person,
    pub(super) number: usize,
    pub(super) random: Random,
    /// The template that clusters are made from.
    pub(super) base: Thing,
    /// A template of another project.
    pub(super) foreign: String,
    /// A project of which only the quota changes.
    pub(super) other_project: String,
    pub(super) things: Things,
    pub(super) names: usize,
    pub(super) looked: Instant,
}

/// A request with everything filled in.
struct Filled {
    path: String,
    body: Option<String>,
    /// The words that were filled in.
    words: BTreeMap<&'static str, String>,
}

impl Filled {
    fn word(&self, name: &str) -> String {
        self.words.get(name).cloned().unwrap_or_default()
    }

    fn number(&self, name: &str) -> i64 {
        self.word(name).parse().unwrap_or_default()
    }
}

impl Worker<'_> {
    /// Asks until all requests have been begun.
    pub(super) fn run(&mut self) -> Result<()> {
        loop {
            stop::check()?;
            let number = self.shared.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.shared.requests {
                return Ok(());
            }
            let due = self.shared.span.mul_f64(f64::from(number) / f64::from(self.shared.requests));
            thread::sleep(due.saturating_sub(self.shared.start.elapsed()));
            if self.looked.elapsed() > LOOK && self.is_waiting() {
                self.look()?;
                continue;
            }
            let room = &self.shared.room;
            let fitting: Vec<&Kind> = KINDS.iter().filter(|kind| self.things.have(kind.needs, room)).collect();
            let kind = self.random.weighted(&fitting, |kind| kind.weight).context("nothing to ask")?;
            self.ask(kind)?;
        }
    }

    /// Whether something is done to the cluster.
    pub(super) fn is_waiting(&self) -> bool {
        self.things.held.as_ref().is_some_and(|held| matches!(held.state, State::Busy | State::Deleting))
    }

    fn ask(&mut self, kind: &'static Kind) -> Result<()> {
        let full = match kind.effect {
            Effect::TemplateMade => self.things.is_full(true),
            Effect::UserMade => self.things.is_full(false),
            _ => false,
        };
        if full {
            return self.ask(named("list templates")?);
        }
        if kind.effect == Effect::LoggedIn {
            return self.log_in(kind);
        }
        let filled = self.fill(kind)?;
        loop {
            let began = Instant::now();
            match self.send(kind, &filled) {
                Ok(answer) => return self.answered(kind, &filled, &answer, began.elapsed()),
                Err(NoAnswer::NotSent(error)) => self.wait(began, &error)?,
                Err(NoAnswer::Silent) => {
                    self.shared.journal.counts().silent.push(format!("{} {}", kind.name, filled.path));
                    return Ok(());
                }
                // What changes nothing is asked again.
                Err(NoAnswer::Broken(_)) if kind.is_safe() => self.shared.journal.counts().lost(kind.name),
                Err(NoAnswer::Broken(_)) => return self.lost(kind, &filled),
            }
        }
    }

    fn send(&self, kind: &Kind, filled: &Filled) -> Result<Answer, NoAnswer> {
        let token = self.person.token();
        let mut headers: Vec<(&str, &str)> = Vec::new();
        match kind.who {
            Who::Nobody => headers.push(("X-Auth-Token", "")),
            Who::Forger => headers.push(("X-Auth-Token", "gAAAAAforged")),
            Who::Member | Who::Admin => {}
        }
        if let Some((name, value)) = kind.header {
            headers.push((name, if value == "{token}" { &token } else { value }));
        }
        if kind.effect == Effect::LoggedOut {
            headers.push(("X-Subject-Token", &token));
        }
        let person = if kind.who == Who::Admin { &self.shared.admin } else { &self.person };
        person.ask(kind.method, &filled.path, &headers, filled.body.as_deref())
    }

    /// Waits a moment for a server that does not listen.
    fn wait(&self, began: Instant, error: &anyhow::Error) -> Result<()> {
        self.shared.journal.counts().refused += 1;
        stop::check()?;
        if began.elapsed() > RESTART_LIMIT {
            bail!("the server was not back after {} s: {error:#}", RESTART_LIMIT.as_secs());
        }
        thread::sleep(PAUSE);
        Ok(())
    }

    /// Asks for what the worker wants to know itself, until there is an answer.
    pub(super) fn find_out(&self, person: &Person, path: &str) -> Result<Answer> {
        let began = Instant::now();
        loop {
            match person.ask("GET", path, &[], None) {
                Ok(answer) => return Ok(answer),
                Err(NoAnswer::Silent) => bail!("GET {path} is not answered"),
                Err(NoAnswer::NotSent(error) | NoAnswer::Broken(error)) => self.wait(began, &error)?,
            }
        }
    }

    fn log_in(&mut self, kind: &'static Kind) -> Result<()> {
        let began = Instant::now();
        loop {
            let sent = Instant::now();
            match self.person.log_in() {
                Ok(answer) => {
                    let expected = kind.expect.contains(&answer.status);
                    let time = sent.elapsed().as_secs_f64() * 1e3;
                    self.shared.journal.counts().answered(kind.name, answer.status, expected, time, &answer.body);
                    if answer.status == 201 {
                        return Ok(());
                    }
                    // Without a token nothing else makes sense.
                    self.wait(began, &anyhow::anyhow!("{} can't log in: {}", self.person.name, answer.body))?;
                }
                Err(NoAnswer::Silent) => self.shared.journal.counts().silent.push(kind.name.to_owned()),
                Err(NoAnswer::NotSent(error)) => self.wait(began, &error)?,
                Err(NoAnswer::Broken(_)) => self.shared.journal.counts().lost(kind.name),
            }
        }
    }

    /// Fills a request in.
    fn fill(&mut self, kind: &Kind) -> Result<Filled> {
        self.names += 1;
        let mut words = BTreeMap::new();
        let mut set = |name: &'static str, value: String| drop(words.insert(name, value));
        set("name", format!("w{}-{}", self.number, self.names));
        set("base", self.base.uuid.clone());
        set("foreign", self.foreign.clone());
        set("missing", format!("00000000-0000-4000-8000-{:012}", self.random.below(1_000_000)));
        set("project", self.person.project_id.clone());
        set("other_project", self.other_project.clone());
        set("csr", self.shared.csr.clone());
        // Never the default, so that a change always shows.
        set("limit", (100 + self.names).to_string());
        if let Some(template) = self.random.pick(&self.things.templates) {
            set("template", template.uuid.clone());
            set("template_name", template.name.clone());
        }
        if let Some(user) = self.random.pick(&self.things.users) {
            set("user", user.uuid.clone());
        }
        let mut now = None;
        if let Some(held) = &self.things.held {
            set("cluster", held.cluster.uuid.clone());
            set("cluster_name", held.cluster.name.clone());
            now = if kind.effect == Effect::GroupResized { held.extra } else { Some(held.workers) };
        }
        let sizes: Vec<i64> = (0..=2).filter(|size| Some(*size) != now).collect();
        set("count", self.random.pick(&sizes).copied().unwrap_or(1).to_string());
        if kind.path.contains("{operation}")
            && let Some(held) = &self.things.held
        {
            let newest = self.operations(&held.cluster.uuid, "?limit=1&sort_dir=desc&sort_key=id")?;
            set("operation", newest.first().map_or(Ok(String::new()), |newest| text(newest, "/uuid"))?);
        }
        let fill = |text: &str| {
            words.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
        };
        let (path, body) = (fill(kind.path), fill(kind.body));
        Ok(Filled { path, body: Some(body).filter(|body| !body.is_empty()), words })
    }

    /// The operations of a cluster, also of one that is gone.
    pub(super) fn operations(&self, cluster: &str, query: &str) -> Result<Vec<Value>> {
        let answer = self.find_out(&self.person, &format!("/v1/clusters/{cluster}/operations{query}"))?;
        if answer.status != 200 {
            bail!("the operations of {cluster} are answered with {}: {}", answer.status, answer.body);
        }
        Ok(json_of(&answer)?.get("operations").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    fn answered(&mut self, kind: &'static Kind, filled: &Filled, answer: &Answer, time: Duration) -> Result<()> {
        let deleting = self.things.held.as_ref().is_some_and(|held| held.state == State::Deleting);
        let of_cluster = kind.path.contains("{cluster}") || kind.path.contains("{cluster_name}");
        let vanished = answer.status == 404 && deleting && of_cluster;
        let expected = kind.expect.contains(&answer.status) || vanished;
        let time = time.as_secs_f64() * 1e3;
        let fine = self.shared.journal.counts().answered(kind.name, answer.status, expected, time, &answer.body);
        let accepted = fine && kind.expect.first() == Some(&answer.status);
        if accepted {
            self.accepted(kind, filled, Some(answer))?;
        }
        Ok(())
    }

    /// The answer to a change was lost: whether it was done is seen by what is there now.
    fn lost(&mut self, kind: &'static Kind, filled: &Filled) -> Result<()> {
        self.shared.journal.counts().lost(kind.name);
        let done = self.was_done(kind, filled)?;
        {
            let mut counts = self.shared.journal.counts();
            let count = if done { &mut counts.lost_done } else { &mut counts.lost_not_done };
            *count += 1;
        }
        if done { self.accepted(kind, filled, None) } else { Ok(()) }
    }

    fn was_done(&self, kind: &Kind, filled: &Filled) -> Result<bool> {
        let there = |person: &Person, path: String| -> Result<bool> { Ok(self.find_out(person, &path)?.status == 200) };
        let admin = &self.shared.admin;
        let more_operations = || -> Result<bool> {
            let Some(held) = &self.things.held else { return Ok(false) };
            Ok(self.operations(&held.cluster.uuid, "?limit=1000")?.len() > held.operations)
        };
        let quota = || -> Result<Option<i64>> {
            let answer = self.find_out(admin, &format!("/v1/quotas/{}/Cluster", self.other_project))?;
            Ok(json_of(&answer)?.get("hard_limit").and_then(Value::as_i64))
        };
        match kind.effect {
            Effect::Nothing | Effect::LoggedIn => Ok(false),
            Effect::LoggedOut => Ok(true),
            Effect::TemplateMade => there(&self.person, format!("/v1/clustertemplates/{}", filled.word("name"))),
            Effect::TemplateRenamed => there(&self.person, format!("/v1/clustertemplates/{}", filled.word("name"))),
            Effect::TemplateGone => {
                Ok(!there(&self.person, format!("/v1/clustertemplates/{}", filled.word("template")))?)
            }
            Effect::ClusterMade => there(&self.person, format!("/v1/clusters/{}", filled.word("name"))),
            Effect::ClusterGone
            | Effect::Resized
            | Effect::GroupMade
            | Effect::GroupResized
            | Effect::GroupGone
            | Effect::Operation => more_operations(),
            // The next look tells; neither makes an operation.
            Effect::Cancelled | Effect::Retried => Ok(true),
            Effect::QuotaMade | Effect::QuotaChanged => Ok(quota()? == Some(filled.number("limit"))),
            Effect::QuotaGone => Ok(quota()? != self.things.quota),
            Effect::UserMade => Ok(self.user_named(&filled.word("name"))?.is_some()),
            Effect::UserGone => Ok(!there(admin, format!("/identity/v3/users/{}", filled.word("user")))?),
        }
    }

    fn user_named(&self, name: &str) -> Result<Option<String>> {
        let answer = self.find_out(&self.shared.admin, &format!("/identity/v3/users?name={name}"))?;
        Ok(text(&json_of(&answer)?, "/users/0/id").ok())
    }

    /// Takes note of a change that was accepted; `answer` is missing when it was lost.
    fn accepted(&mut self, kind: &'static Kind, filled: &Filled, answer: Option<&Answer>) -> Result<()> {
        let name = filled.word("name");
        match kind.effect {
            Effect::Nothing | Effect::LoggedIn => {}
            Effect::LoggedOut => self.log_in(named("log in")?)?,
            Effect::TemplateMade => {
                let uuid = self.made(answer, "/uuid", &format!("/v1/clustertemplates/{name}"))?;
                self.things.templates.push(Thing { uuid, name });
            }
            Effect::TemplateRenamed => {
                let uuid = filled.word("template");
                self.things
                    .templates
                    .iter_mut()
                    .filter(|it| it.uuid == uuid)
                    .for_each(|it| name.clone_into(&mut it.name));
            }
            Effect::TemplateGone => self.things.templates.retain(|template| template.uuid != filled.word("template")),
            Effect::ClusterMade => {
                let uuid = self.made(answer, "/uuid", &format!("/v1/clusters/{name}"))?;
                self.shared.journal.counts().clusters.push(uuid.clone());
                let room = self.shared.room.take();
                let cluster = Thing { uuid: uuid.clone(), name };
                self.things.held = Some(Held::new(cluster, filled.number("count"), room));
                self.note_operation(uuid, kind.name, answer);
            }
            Effect::QuotaMade | Effect::QuotaChanged => self.things.quota = Some(filled.number("limit")),
            Effect::QuotaGone => self.things.quota = None,
            Effect::UserMade => {
                let uuid = match answer {
                    Some(answer) => text(&json_of(answer)?, "/user/id")?,
                    None => self.user_named(&name)?.context("a user is gone")?,
                };
                self.things.users.push(Thing { uuid, name });
            }
            Effect::UserGone => self.things.users.retain(|user| user.uuid != filled.word("user")),
            _ => self.changed(kind, filled, answer),
        }
        Ok(())
    }

    /// Takes note of a change to the cluster.
    fn changed(&mut self, kind: &'static Kind, filled: &Filled, answer: Option<&Answer>) {
        let Some(held) = self.things.held.as_mut() else { return };
        let count = filled.number("count");
        let mut is_operation = true;
        held.state = State::Busy;
        match kind.effect {
            Effect::ClusterGone => held.state = State::Deleting,
            Effect::Resized => held.workers = count,
            Effect::GroupMade => held.extra = Some(1),
            Effect::GroupResized => held.extra = Some(count),
            Effect::GroupGone => held.extra_goes = true,
            Effect::Cancelled => (held.stopped, is_operation) = (true, false),
            Effect::Retried => (held.stopped, is_operation) = (false, false),
            _ => {}
        }
        self.looked = Instant::now();
        if is_operation {
            held.stopped = false;
            held.operations += 1;
            let cluster = held.cluster.uuid.clone();
            self.note_operation(cluster, kind.name, answer);
        }
    }

    pub(super) fn note_operation(&self, cluster: String, what: &'static str, answer: Option<&Answer>) {
        let request_id = answer.and_then(|answer| answer.header("x-openstack-request-id")).map(str::to_owned);
        self.shared.journal.counts().operations.push(Accepted { cluster, what, request_id });
    }

    /// The identifier of something new: of the answer, or of what is found under its name.
    fn made(&self, answer: Option<&Answer>, pointer: &str, path: &str) -> Result<String> {
        match answer {
            Some(answer) => text(&json_of(answer)?, pointer),
            None => text(&json_of(&self.find_out(&self.person, path)?)?, pointer),
        }
    }

    /// Looks how the cluster stands.
    pub(super) fn look(&mut self) -> Result<()> {
        self.looked = Instant::now();
        let Some(held) = &self.things.held else { return Ok(()) };
        let path = format!("/v1/clusters/{}", held.cluster.uuid);
        let answer = self.find_out(&self.person, &path)?;
        let time = self.looked.elapsed().as_secs_f64() * 1e3;
        let expected = answer.status == 200 || (answer.status == 404 && held.state == State::Deleting);
        self.shared.journal.counts().answered("follow cluster", answer.status, expected, time, &answer.body);
        if answer.status == 404 {
            self.things.held = None;
            return Ok(());
        }
        if answer.status != 200 {
            return Ok(());
        }
        let document = json_of(&answer)?;
        let status = text(&document, "/status")?;
        let Some(held) = self.things.held.as_mut() else { return Ok(()) };
        if status.ends_with("_COMPLETE") && held.state == State::Busy {
            held.state = State::Settled;
            if std::mem::take(&mut held.extra_goes) {
                held.extra = None;
            }
            let wanted = held.workers + held.extra.unwrap_or_default();
            let found = document.get("node_count").and_then(Value::as_i64);
            if found != Some(wanted) {
                let wrong = format!("{path} has {found:?} workers, not {wanted}, and is {status}");
                self.shared.journal.counts().wrong.push(wrong);
            }
        } else if status.ends_with("_FAILED") {
            if !held.stopped {
                let reason = text(&document, "/status_reason").unwrap_or_default();
                self.shared.journal.counts().failed.push(format!("{path}: {status}: {reason}"));
            }
            held.state = State::Failed;
        }
        Ok(())
    }
}

/// The row of this name.
pub(super) fn named(name: &str) -> Result<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).with_context(|| format!("there is no kind of request {name:?}"))
}
