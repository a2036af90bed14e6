//! The agent's loop: what is wanted, bring it about, watch over it.

use std::path::Path;
use std::time::Duration;

use magnum_coe::engine::{EngineInfo, SwarmMembership};
use magnum_domain::EventState;
use magnum_domain::agent::{DesiredNode, SwarmSpec};
use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::config::{self, Memory, MemoryFile};
use crate::conversation;
use crate::engine::{self, Engine};
use crate::error::AgentError;
use crate::report::Reporter;
use crate::{files, swarm};

/// How often a running engine is looked at.
const WATCH: Duration = Duration::from_secs(2);
/// Pauses between attempts at what does not work.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An engine that was well for so long is started again without much of a pause.
const STEADY: Duration = Duration::from_secs(60);
/// How long the last words may take when the agent is told to stop.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The note that is given once when the kernel lacks IP_VS.
const NO_IP_VS: &str = "no-ip-vs";

/// Runs until the process is told to stop.
pub(crate) fn run(config: &Path) -> Result<(), AgentError> {
    // Process 1 blocks signals for itself, and blocking is inherited.
    SigSet::all().thread_unblock().map_err(|errno| AgentError::system("receive signals")(errno.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AgentError::system("start the agent"))?;
    let outcome = runtime.block_on(look_after(config));
    // A name look-up that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn look_after(config_file: &Path) -> Result<(), AgentError> {
    let (mut terminated, mut interrupted) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let config = config::load(config_file)?;
    files::private_folder(&config.directory)?;
    let memory_file = MemoryFile::new(&config.directory);
    let memory = memory_file.load();
    let reporter = Reporter::default();
    let (wants, wanted) = watch::channel(memory.desired.clone());
    let conversation =
        tokio::spawn(conversation::hold(config_file.to_owned(), config.clone(), wants, reporter.clone()));
    let mut node = Node { engine: Engine::new(&config)?, reporter, memory, memory_file, failing: None, generation: 0 };
    let outcome = tokio::select! {
        outcome = node.attend(wanted) => outcome,
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    };
    tracing::info!("stopping");
    let stopped = node.engine.let_go().await;
    node.reporter.flush(LAST_WORDS).await;
    conversation.abort();
    outcome.and(stopped)
}

fn on(kind: SignalKind) -> Result<Signal, AgentError> {
    signal(kind).map_err(AgentError::system("receive signals"))
}

/// The node and all that is known of it.
struct Node {
    engine: Engine,
    reporter: Reporter,
    memory: Memory,
    memory_file: MemoryFile,
    /// The step that fails, and why: said once, not at every attempt.
    failing: Option<(&'static str, String)>,
    /// Of what is being brought about.
    generation: i64,
}

impl Node {
    /// Brings about what is wanted, and keeps it so. Ends only when nobody can want anything any more.
    async fn attend(&mut self, mut wanted: watch::Receiver<Option<DesiredNode>>) -> Result<(), AgentError> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let Some(desired) = wanted.borrow_and_update().clone() else {
                if wanted.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            self.remember(&desired);
            self.generation = desired.generation;
            // Something new is wanted: whatever is half done is found and finished, or undone, on its behalf.
            let outcome = tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return Ok(()) } else { continue },
                outcome = self.bring_about(&desired) => outcome,
            };
            let outcome = match outcome {
                Ok(()) => {
                    let well_since = Instant::now();
                    let trouble = tokio::select! {
                        changed = wanted.changed() => if changed.is_err() { return Ok(()) } else { continue },
                        trouble = self.watch(&desired) => trouble,
                    };
                    if well_since.elapsed() > STEADY {
                        pause = SHORTEST_PAUSE;
                    }
                    Err(trouble)
                }
                failed => failed,
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, ?pause, "trying again");
                tokio::select! {
                    changed = wanted.changed() => if changed.is_err() { return Ok(()) },
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn remember(&mut self, desired: &DesiredNode) {
        self.memory.desired = Some(desired.clone());
        if let Err(error) = self.memory_file.save(&self.memory) {
            tracing::warn!(%error, "after a restart, the conductor has to say again what it wants");
        }
    }

    async fn bring_about(&mut self, desired: &DesiredNode) -> Result<(), AgentError> {
        if desired.swarm == SwarmSpec::Leave {
            return self.leave(desired.generation).await;
        }
        let info = self.bring_up_engine(desired).await?;
        let membership = self.take_place(&desired.swarm, &info).await?;
        self.settle(desired.generation, &info.server_version, membership.as_ref());
        self.note_missing_ip_vs().await;
        Ok(())
    }

    async fn bring_up_engine(&mut self, desired: &DesiredNode) -> Result<EngineInfo, AgentError> {
        if !self.engine.is_configured(&desired.engine)? {
            self.begin("engine.configure", "writing the engine's configuration");
            let outcome = self.engine.configure(&desired.engine).await;
            self.end("engine.configure", outcome, |()| "the engine is configured".to_owned())?;
        }
        let running = self.engine.is_running().await?;
        if !running {
            self.reporter.observe(|node| node.engine_ready = false);
            self.begin("engine.start", "starting the container engine");
        }
        let outcome = self.engine.start().await;
        if let Ok(info) = &outcome {
            let version = info.server_version.clone();
            self.reporter.observe(|node| {
                node.engine_ready = true;
                node.engine_version = Some(version);
            });
        }
        if running && outcome.is_ok() {
            return outcome;
        }
        self.end("engine.start", outcome, |info| format!("the engine {} answers", info.server_version))
    }

    /// Takes the node's place in a swarm; `None` while it is not its turn.
    async fn take_place(
        &mut self,
        wanted: &SwarmSpec,
        info: &EngineInfo,
    ) -> Result<Option<SwarmMembership>, AgentError> {
        let engine = self.engine.client().clone();
        // Once in, always in: a node's data dies with it, so there is no other swarm that it could be in.
        if info.swarm.is_active() {
            return Ok(Some(info.swarm.clone()));
        }
        if info.swarm.is_member() {
            let outcome = swarm::active(&engine).await;
            return self.end("swarm.rejoin", outcome, |_| "back in the swarm".to_owned()).map(Some);
        }
        match wanted {
            SwarmSpec::Wait | SwarmSpec::Leave => Ok(None),
            SwarmSpec::Init { advertise } => {
                self.begin("swarm.init", "making the swarm");
                let outcome = swarm::init(&engine, advertise).await;
                self.end("swarm.init", outcome, |_| "the swarm is made".to_owned()).map(Some)
            }
            SwarmSpec::Join { managers, token, advertise } => {
                self.begin("swarm.join", "joining the swarm");
                let outcome = swarm::join(&engine, managers, token, advertise).await;
                self.end("swarm.join", outcome, |_| "in the swarm".to_owned()).map(Some)
            }
        }
    }

    async fn leave(&mut self, generation: i64) -> Result<(), AgentError> {
        if self.engine.is_running().await? {
            if self.engine.client().ping().await.is_ok() && swarm::is_member(self.engine.client()).await? {
                self.begin("swarm.leave", "leaving the swarm");
                let outcome = swarm::leave(self.engine.client()).await;
                if outcome.is_ok() {
                    // Said before the engine has stopped, which takes seconds: the managers need not wait for that.
                    self.reporter.observe(|node| {
                        node.swarm_node_id = None;
                        node.swarm_id = None;
                    });
                }
                self.end("swarm.leave", outcome, |()| "out of the swarm".to_owned())?;
            }
            self.begin("engine.stop", "stopping the container engine");
            let outcome = self.engine.stop().await;
            self.end("engine.stop", outcome, |()| "the engine is stopped".to_owned())?;
        }
        self.reporter.observe(|node| {
            node.generation = generation;
            node.engine_ready = false;
            node.swarm_node_id = None;
            node.swarm_id = None;
            node.problem = None;
        });
        self.reporter.step("node.settled", EventState::Done, "ready to be removed");
        Ok(())
    }

    /// All is as it was wanted.
    fn settle(&mut self, generation: i64, version: &str, membership: Option<&SwarmMembership>) {
        let before = self.reporter.observed();
        self.reporter.observe(|node| {
            node.generation = generation;
            node.engine_ready = true;
            node.engine_version = Some(version.to_owned());
            node.swarm_node_id = membership.map(|swarm| swarm.node_id.clone());
            node.swarm_id = membership.and_then(SwarmMembership::swarm_id).map(str::to_owned);
            node.problem = None;
            node.refused_generation = None;
        });
        if before != self.reporter.observed() {
            let place = match membership {
                None => "waiting for its turn to join",
                Some(swarm) if swarm.control_available => "a manager of the swarm",
                Some(_) => "a worker of the swarm",
            };
            self.reporter.step("node.settled", EventState::Done, format!("engine {version}, {place}"));
        }
    }

    /// Looks at the engine until something is wrong that has to be mended.
    async fn watch(&mut self, desired: &DesiredNode) -> AgentError {
        loop {
            sleep(WATCH).await;
            // Nothing of an engine that was to stop is of interest.
            if desired.swarm == SwarmSpec::Leave {
                continue;
            }
            match self.engine.check().await {
                Ok(info) if info.swarm.is_member() && !info.swarm.is_active() => {
                    self.trouble("swarm.watch", &swarm::problem(&info.swarm), true);
                }
                Ok(info) if self.reporter.observed().swarm_node_id.is_some() && !info.swarm.is_member() => {
                    let error = AgentError::Membership("the managers have removed it".to_owned());
                    self.trouble("swarm.watch", &error, true);
                }
                Ok(info) => self.recovered(desired.generation, &info),
                Err(error) => {
                    self.trouble("engine.watch", &error, false);
                    if !self.engine.is_running().await.unwrap_or(true) {
                        return error;
                    }
                }
            }
        }
    }

    fn recovered(&mut self, generation: i64, info: &EngineInfo) {
        if self.failing.take().is_some() {
            tracing::info!("the engine is well again");
        }
        let membership = Some(&info.swarm).filter(|swarm| swarm.is_active());
        self.settle(generation, &info.server_version, membership);
    }

    /// Something that was fine is not any more.
    fn trouble(&mut self, step: &'static str, error: &AgentError, engine_ready: bool) {
        let why = error.to_string();
        self.reporter.observe(|node| {
            node.engine_ready = engine_ready;
            node.problem = Some(why.clone());
        });
        if self.failing.as_ref() != Some(&(step, why.clone())) {
            self.reporter.step(step, EventState::Warning, why.clone());
            self.failing = Some((step, why));
        }
    }

    /// A step begins. Not said again when it is the one that failed before.
    fn begin(&self, step: &'static str, message: &str) {
        if self.failing.as_ref().is_none_or(|(failing, _)| *failing != step) {
            self.reporter.step(step, EventState::Started, message);
        }
    }

    /// A step has ended. A failure is said once for as long as it stays the same.
    fn end<T>(
        &mut self,
        step: &'static str,
        outcome: Result<T, AgentError>,
        message: impl FnOnce(&T) -> String,
    ) -> Result<T, AgentError> {
        match outcome {
            Ok(done) => {
                self.failing = None;
                self.reporter.observe(|node| {
                    node.problem = None;
                    node.refused_generation = None;
                });
                self.reporter.step(step, EventState::Done, message(&done));
                Ok(done)
            }
            Err(error) => {
                let why = error.to_string();
                let refused = error.is_refusal().then_some(self.generation);
                // Said again, too, when it is something else that was refused in the same words.
                let is_news = self.failing.as_ref() != Some(&(step, why.clone()))
                    || self.reporter.observed().refused_generation != refused;
                self.reporter.observe(|node| {
                    node.problem = Some(why.clone());
                    node.refused_generation = refused;
                });
                if is_news {
                    self.reporter.step(step, EventState::Failed, why.clone());
                    self.failing = Some((step, why));
                }
                Err(error)
            }
        }
    }

    async fn note_missing_ip_vs(&mut self) {
        if self.memory.noted.iter().any(|note| note == NO_IP_VS) || engine::has_ip_vs().await {
            return;
        }
        self.reporter.step(
            "engine.capabilities",
            EventState::Info,
            "this kernel has no IP_VS: the routing mesh and virtual service addresses do not work here; publish ports \
             with mode=host, and use --endpoint-mode dnsrr for services",
        );
        self.memory.noted.push(NO_IP_VS.to_owned());
        if let Err(error) = self.memory_file.save(&self.memory) {
            tracing::warn!(%error, "this note may be given again");
        }
    }
}
