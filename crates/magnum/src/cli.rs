//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Container clusters as a service: OpenStack Magnum's API, on one machine or in a cloud.
#[derive(Debug, Parser)]
#[command(name = "magnum", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) config: ConfigFiles,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where options come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigFiles {
    /// Read options from this file (oslo.config INI); may be given several times, later files win
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config_file: Vec<PathBuf>,
    /// Read options from the *.conf files of this folder, in the order of their names
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) config_dir: Vec<PathBuf>,
    /// Log more
    #[arg(long, global = true)]
    pub(crate) debug: bool,
    /// Other options of `[DEFAULT]` from the command line: name, value.
    #[arg(skip)]
    pub(crate) overrides: Vec<(&'static str, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// API and conductor in one process, with everything they need: the way to begin
    Serve(Serve),
    /// The API alone
    Api(Serve),
    /// A conductor alone
    Conductor(StateDir),
    /// Look after the database
    #[command(subcommand)]
    Db(Db),
    /// Look at configuration files
    #[command(subcommand)]
    Config(Config),
    /// Look at policy
    #[command(subcommand)]
    Policy(Policy),
    /// Make links to this program under upstream's names (magnum-api, magnum-conductor, magnum-db-manage,
    /// magnum-driver-manage, magnum-status): called by one of them it is that program
    Links {
        /// Folder for the links, such as /usr/local/bin
        folder: PathBuf,
    },
}

/// Folder for everything that is kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct StateDir {
    /// Folder for everything that is kept: database, keys, clusters. Made with mode 0700 when missing
    #[arg(long, value_name = "DIR", env = "MAGNUM_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) state: StateDir,
    /// Address and port to listen on; without it, host and port of the group `api`: 127.0.0.1:9511
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) bind: Option<SocketAddr>,
    /// Listen without TLS; only for loopback addresses and behind a proxy that has it
    #[arg(long)]
    pub(crate) no_tls: bool,
}

impl Serve {
    /// A conductor listens to nobody.
    pub(crate) fn conductor(state: StateDir) -> Self {
        Self { state, bind: None, no_tls: true }
    }
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Db {
    /// Bring the schema to the newest state
    Upgrade(StateDir),
    /// Say which schema the database has
    Version(StateDir),
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Config {
    /// Say what existing files will do: options that are unknown, ignored or deprecated, wrong values, missing files,
    /// contradictions. Exit codes: 0 nothing keeps the service from starting, 1 something does, 3 only --connect found
    /// something that does not answer
    Check {
        /// Files to check; without any, those that would be read, folders of --config-dir included
        files: Vec<PathBuf>,
        /// Also try the database, Keystone and the services, and say of each what happened; changes nothing
        #[arg(long)]
        connect: bool,
        /// With --connect: seconds that each may take
        #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
        timeout: u64,
        /// Count warnings as errors
        #[arg(long)]
        strict: bool,
    },
    /// Write a commented magnum.conf with every option to standard output
    Sample,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Policy {
    /// List every rule with its check, as a policy file has it, and where it comes from
    List,
    /// Say whether a rule lets somebody in, and why
    Check {
        /// Name of the rule, such as cluster:create
        rule: String,
        /// Roles of the asker
        #[arg(long, value_delimiter = ',')]
        role: Vec<String>,
        /// User of the asker
        #[arg(long, default_value = "user")]
        user: String,
        /// Project of the asker
        #[arg(long, default_value = "project")]
        project: String,
        /// Project that owns the object (default: the asker's)
        #[arg(long)]
        target_project: Option<String>,
        /// User that owns the object (default: the asker)
        #[arg(long)]
        target_user: Option<String>,
    },
}
