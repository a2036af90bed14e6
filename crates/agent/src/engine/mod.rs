//! The container engine of this node: its configuration, its process, whether it answers.

mod configuration;
mod dockerd;
mod log;
mod systemd;

use std::path::{Path, PathBuf};
use std::time::Duration;

use magnum_coe::engine::{EngineClient, EngineInfo};
use magnum_domain::agent::{AgentConfig, EngineSpec, Supervisor};
use tokio::time::{Instant, sleep, timeout};

use crate::error::AgentError;
use crate::{files, identity};
use configuration::Configuration;
use dockerd::DockerdProcess;
use systemd::Unit;

/// How long an engine may take to answer after its start; with many containers to take up again it takes a while.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether it answers yet.
const LOOK: Duration = Duration::from_millis(50);
/// How long an answer may take before the engine counts as one that does not answer.
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// Who looks after the engine's process.
enum Keeper {
    Own(DockerdProcess),
    Systemd(Unit),
}

/// Where the engine's files are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    configuration: PathBuf,
    environment: PathBuf,
    log: PathBuf,
    data: PathBuf,
    run: PathBuf,
    socket: PathBuf,
    pid_file: PathBuf,
}

impl Layout {
    fn new(config: &AgentConfig) -> Self {
        let (own, run) = (&config.directory, &config.run_directory);
        Self {
            configuration: own.join("engine.json"),
            environment: own.join("engine.env"),
            log: own.join("engine.log"),
            data: config.data_directory.clone(),
            run: run.clone(),
            socket: run.join("docker.sock"),
            pid_file: run.join("docker.pid"),
        }
    }
}

/// The container engine.
pub(crate) struct Engine {
    config: AgentConfig,
    layout: Layout,
    keeper: Keeper,
    client: EngineClient,
}

impl Engine {
    /// Takes charge of the node's engine, be it running already or not.
    pub(crate) fn new(config: &AgentConfig) -> Result<Self, AgentError> {
        let layout = Layout::new(config);
        [&layout.data, &layout.run].into_iter().try_for_each(|folder| files::private_folder(folder))?;
        let keeper = match config.supervisor {
            Supervisor::Agent => Keeper::Own(DockerdProcess::find(&layout)?),
            Supervisor::Systemd => Keeper::Systemd(Unit::of_machine()),
        };
        let client = EngineClient::unix(&layout.socket)?;
        Ok(Self { config: config.clone(), layout, keeper, client })
    }

    /// The engine's API, over its socket.
    pub(crate) fn client(&self) -> &EngineClient {
        &self.client
    }

    /// Whether the engine's configuration on disk is the one that `spec` asks for.
    pub(crate) fn is_configured(&self, spec: &EngineSpec) -> Result<bool, AgentError> {
        let wanted = self.configuration(spec)?;
        Ok(files::read(&self.layout.configuration)?.as_deref() == Some(wanted.daemon.as_str())
            && files::read(&self.layout.environment)?.as_deref() == Some(wanted.environment.as_str()))
    }

    /// Writes the configuration. A running engine is stopped *before*, so that one that runs always runs with the
    /// configuration on disk.
    pub(crate) async fn configure(&mut self, spec: &EngineSpec) -> Result<(), AgentError> {
        let wanted = self.configuration(spec)?;
        self.stop().await?;
        files::write_private(&self.layout.configuration, wanted.daemon.as_bytes())?;
        files::write_private(&self.layout.environment, wanted.environment.as_bytes())
    }

    fn configuration(&self, spec: &EngineSpec) -> Result<Configuration, AgentError> {
        let identity = identity::IdentityFiles::new(&self.config.directory);
        Configuration::new(spec, &self.config, &self.layout, &identity)
    }

    /// Whether the engine's process lives.
    pub(crate) async fn is_running(&mut self) -> Result<bool, AgentError> {
        match &mut self.keeper {
            Keeper::Own(process) => Ok(process.ended()?.is_none()),
            Keeper::Systemd(unit) => unit.is_active().await,
        }
    }

    /// Starts the engine, unless it runs, and waits until it answers. Returns its version.
    pub(crate) async fn start(&mut self) -> Result<EngineInfo, AgentError> {
        if !self.is_running().await? {
            let started = match &mut self.keeper {
                Keeper::Own(process) => process.start(&self.layout),
                Keeper::Systemd(unit) => unit.start(&self.layout).await,
            };
            // systemd only says that it failed; the engine's own words are in the journal.
            if let (Keeper::Systemd(_), Err(error)) = (&self.keeper, &started) {
                return Err(self.down(&format!("does not start: {error}")).await);
            }
            started?;
        }
        let end = Instant::now() + START_PATIENCE;
        while self.client.ping().await.is_err() {
            if let Some(how) = self.ended().await? {
                return Err(self.down(&how).await);
            }
            if Instant::now() >= end {
                return Err(self.down(&format!("does not answer after {} s", START_PATIENCE.as_secs())).await);
            }
            sleep(LOOK).await;
        }
        Ok(self.client.info().await?)
    }

    /// How the engine's process ended, if it has.
    async fn ended(&mut self) -> Result<Option<String>, AgentError> {
        match &mut self.keeper {
            Keeper::Own(process) => process.ended(),
            Keeper::Systemd(unit) => unit.failed().await,
        }
    }

    async fn down(&self, how: &str) -> AgentError {
        let lines = match &self.keeper {
            Keeper::Own(process) => process.last_lines(&self.layout),
            Keeper::Systemd(unit) => unit.last_lines().await,
        };
        let why = if lines.is_empty() { how.to_owned() } else { format!("{how}: {lines}") };
        AgentError::EngineDown { why }
    }

    /// Looks at a running engine: what is wrong with it, if anything.
    pub(crate) async fn check(&mut self) -> Result<EngineInfo, AgentError> {
        if let Keeper::Own(_) = self.keeper {
            log::cap(&self.layout.log)?;
        }
        if let Some(how) = self.ended().await? {
            return Err(self.down(&how).await);
        }
        match timeout(PING_PATIENCE, self.client.info()).await {
            Ok(info) => Ok(info?),
            Err(_elapsed) => {
                Err(AgentError::EngineDown { why: format!("does not answer within {} s", PING_PATIENCE.as_secs()) })
            }
        }
    }

    /// Stops the engine and its containers, gently first. Nothing to stop is no error.
    pub(crate) async fn stop(&mut self) -> Result<(), AgentError> {
        match &mut self.keeper {
            Keeper::Own(process) => process.stop().await,
            Keeper::Systemd(unit) => unit.stop().await,
        }
    }

    /// What becomes of the engine when the agent is told to stop: its own child goes with it, systemd's stays.
    pub(crate) async fn let_go(&mut self) -> Result<(), AgentError> {
        match &mut self.keeper {
            Keeper::Own(process) => process.stop().await,
            Keeper::Systemd(_) => Ok(()),
        }
    }
}

/// Whether the kernel can balance over virtual addresses, which the swarm's routing mesh and service VIPs need.
pub(crate) async fn has_ip_vs() -> bool {
    if Path::new("/proc/net/ip_vs").exists() {
        return true;
    }
    // Not loaded yet: the engine loads it when it needs it, if there is anything to load.
    let probe = tokio::process::Command::new("modprobe").args(["--dry-run", "--quiet", "ip_vs"]).output().await;
    probe.is_ok_and(|output| output.status.success())
}
