//! The node agent: brings about on one node what the conductor wants of it, and says how that goes.
//!
//! - `launch.rs`: makes the first process of a node of this machine; `init.rs`: what that first process does
//! - `agent.rs`: the loop; `conductor.rs`, `report.rs`: what is heard and said; `identity.rs`: key and certificate
//! - `engine/`, `swarm.rs`: the container engine and its place in a swarm
//!
//! Everything the agent does can be done again: it may be ended at any point and goes on from what it finds.

mod agent;
mod conductor;
mod config;
mod conversation;
mod engine;
mod error;
mod files;
mod identity;
mod init;
mod launch;
mod report;
mod swarm;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Brings about on one node what its cluster wants of it.
#[derive(Parser)]
#[command(name = "magnum-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Looks after this node until it is told to stop.
    Run {
        /// The node's configuration (JSON).
        #[arg(long)]
        config: PathBuf,
    },
    /// Starts a node out of this machine's namespaces.
    Launch {
        /// What to start (JSON).
        spec: PathBuf,
    },
}

fn main() -> ExitCode {
    // The server does without huge pages, which is handed down; what runs in nodes has them as on any machine.
    let _ = nix::sys::prctl::set_thp_disable(false);
    let cli = Cli::parse();
    let levels = std::env::var("MAGNUM_AGENT_LOG").ok().and_then(|levels| levels.parse().ok());
    let levels: Targets = levels.unwrap_or_else(|| Targets::new().with_default(Level::INFO));
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr).log_internal_errors(false);
    tracing_subscriber::registry().with(levels).with(lines).init();
    let outcome = match cli.command {
        Command::Launch { spec } => launch::launch(&spec).map_err(|error| error.to_string()),
        Command::Run { config } if init::is_first_process() => init::run(&config).map_err(|error| error.to_string()),
        Command::Run { config } => agent::run(&config).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
