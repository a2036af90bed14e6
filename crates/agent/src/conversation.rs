//! The talk with the conductor: joining, hearing what is wanted, saying how it goes. Ends for no error: a conductor
//! that is away comes back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use magnum_domain::agent::{AgentConfig, DesiredNode};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::conductor::Conductor;
use crate::config;
use crate::error::AgentError;
use crate::identity::IdentityFiles;
use crate::report::Reporter;

const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Growing pauses, and a log line only when the reason changes.
struct Patience {
    pause: Duration,
    said: String,
}

impl Patience {
    fn new() -> Self {
        Self { pause: SHORTEST_PAUSE, said: String::new() }
    }

    async fn wait(&mut self, what: &str, error: &AgentError) {
        let why = error.to_string();
        if self.said != why {
            tracing::warn!("{what}: {why}; trying again");
            self.said = why;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

/// Joins if need be, then passes on what the conductor wants and what the node reports, for ever.
pub(crate) async fn hold(
    config_file: PathBuf,
    mut config: AgentConfig,
    wants: watch::Sender<Option<DesiredNode>>,
    reporter: Reporter,
) {
    let files = IdentityFiles::new(&config.directory);
    let mut patience = Patience::new();
    let conductor = loop {
        match enroll(&config_file, &mut config, &files).await {
            Ok(conductor) => break conductor,
            Err(error) => patience.wait("could not join", &error).await,
        }
    };
    tokio::join!(follow(&conductor, &wants), reporter.deliver(conductor.clone()));
}

/// Gets the node its certificate: trades the token where there is one, or takes the certificate it has.
async fn enroll(config_file: &Path, config: &mut AgentConfig, files: &IdentityFiles) -> Result<Conductor, AgentError> {
    if !config.join_token.is_empty() {
        let joined = Conductor::new(config, None)?.join(config, files.request(config)?).await;
        match joined {
            Ok(joined) => {
                files.keep(&joined)?;
                tracing::info!("joined");
            }
            // The token was spent by this node, which was then ended before it could forget it.
            Err(error) if error.is_final() && has_certificate(files)? => {
                tracing::info!(%error, "keeping the certificate of an earlier join");
            }
            Err(error) => return Err(error),
        }
        config::erase_token(config_file, config)?;
    }
    let identity: Option<SecretString> = files.load()?;
    let identity = identity.ok_or_else(|| AgentError::invalid(config_file, "it has no join token"))?;
    Conductor::new(config, Some(&identity))
}

fn has_certificate(files: &IdentityFiles) -> Result<bool, AgentError> {
    Ok(files.load()?.is_some())
}

/// Passes on what the conductor wants.
async fn follow(conductor: &Conductor, wants: &watch::Sender<Option<DesiredNode>>) {
    let mut patience = Patience::new();
    let mut after = None;
    loop {
        match conductor.poll(after).await {
            Ok(None) => patience.reset(),
            Ok(Some(desired)) => {
                patience.reset();
                after = Some(desired.generation);
                wants.send_if_modified(|known| {
                    let is_new = known.as_ref() != Some(&desired);
                    *known = Some(desired);
                    is_new
                });
            }
            Err(error) => {
                // The conductor that comes back may want something else, whatever it calls it.
                after = None;
                patience.wait("could not ask what is wanted", &error).await;
            }
        }
    }
}
