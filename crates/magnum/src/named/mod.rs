//! The program under upstream's names: called as `magnum-db-manage` and so on, by a link, it is that program, with its
//! options, its output and its exit codes.
//!
//! - `db_manage.rs`, `status.rs`, `driver_manage.rs`: one each; `magnum-api` and `magnum-conductor` need no more than
//!   their options
//! - `output.rs`: tables and the other formats that upstream's tools print
//! - `links.rs`: `magnum links DIR`, which makes the links

mod db_manage;
mod driver_manage;
pub(crate) mod links;
mod output;
mod status;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser};

use crate::cli::{ConfigFiles, Serve, StateDir};
use crate::serve;

/// The names.
pub(crate) const NAMES: [&str; 5] =
    ["magnum-api", "magnum-conductor", "magnum-db-manage", "magnum-driver-manage", "magnum-status"];

/// The name that this process was called by, if it is one of upstream's.
pub(crate) fn name() -> Option<&'static str> {
    let called = std::env::args_os().next()?;
    let called = Path::new(&called).file_name()?.to_str()?;
    NAMES.into_iter().find(|name| *name == called)
}

/// Is that program. Wrong options end the process with code 2, as upstream's do.
pub(crate) fn run(name: &str) -> anyhow::Result<ExitCode> {
    match name {
        "magnum-api" => {
            let files = Service::parse_as("magnum-api");
            serve::run(
                &files,
                &Serve { state: StateDir { state_dir: None }, bind: None, no_tls: false },
                serve::Parts::API,
            )
        }
        "magnum-conductor" => {
            let files = Service::parse_as("magnum-conductor");
            serve::run(&files, &Serve::conductor(StateDir { state_dir: None }), serve::Parts::CONDUCTOR)
        }
        "magnum-db-manage" => db_manage::run(),
        "magnum-driver-manage" => driver_manage::run(),
        _ => status::run(),
    }
}

/// A service: nothing but options that every OpenStack service has.
#[derive(Debug, Parser)]
#[command(version, about = "A service of container clusters", long_about = None)]
struct Service {
    #[command(flatten)]
    options: Options,
}

impl Service {
    fn parse_as(name: &'static str) -> ConfigFiles {
        let matches = <Self as clap::CommandFactory>::command().name(name).get_matches();
        match <Self as clap::FromArgMatches>::from_arg_matches(&matches) {
            Ok(service) => service.options.into_files(),
            Err(error) => error.exit(),
        }
    }
}

/// The options that oslo.config and oslo.log give every program. Each is the option of `[DEFAULT]` of its name.
#[derive(Debug, Clone, Default, Args)]
struct Options {
    /// Read options from this file; may be given several times, later files win
    #[arg(long, global = true, value_name = "PATH")]
    config_file: Vec<PathBuf>,
    /// Read options from the *.conf files of this folder, in the order of their names
    #[arg(long, global = true, value_name = "DIR")]
    config_dir: Vec<PathBuf>,
    /// Log more
    #[arg(long, short, global = true, overrides_with = "nodebug")]
    debug: bool,
    /// The inverse of --debug
    #[arg(long, global = true)]
    nodebug: bool,
    /// Logging configuration of Python's
    #[arg(long, global = true, value_name = "PATH", alias = "log-config", alias = "log_config")]
    log_config_append: Option<String>,
    /// Format of times in logs
    #[arg(long, global = true)]
    log_date_format: Option<String>,
    /// Folder for logs
    #[arg(long, global = true, alias = "logdir")]
    log_dir: Option<String>,
    /// File for logs
    #[arg(long, global = true, value_name = "PATH", alias = "logfile")]
    log_file: Option<String>,
    /// The inverse of --use-journal
    #[arg(long, global = true)]
    nouse_journal: bool,
    /// The inverse of --use-json
    #[arg(long, global = true)]
    nouse_json: bool,
    /// The inverse of --use-syslog
    #[arg(long, global = true)]
    nouse_syslog: bool,
    /// Facility of the system's log
    #[arg(long, global = true)]
    syslog_log_facility: Option<String>,
    /// Log to the journal
    #[arg(long, global = true)]
    use_journal: bool,
    /// Log in JSON
    #[arg(long, global = true)]
    use_json: bool,
    /// Log to the system's log
    #[arg(long, global = true)]
    use_syslog: bool,
}

impl Options {
    fn into_files(self) -> ConfigFiles {
        let mut overrides = Vec::new();
        for (name, yes, no) in [
            ("debug", self.debug, self.nodebug),
            ("use_journal", self.use_journal, self.nouse_journal),
            ("use_json", self.use_json, self.nouse_json),
            ("use_syslog", self.use_syslog, self.nouse_syslog),
        ] {
            if yes || no {
                overrides.push((name, yes.to_string()));
            }
        }
        for (name, value) in [
            ("log_config_append", self.log_config_append),
            ("log_date_format", self.log_date_format),
            ("log_dir", self.log_dir),
            ("log_file", self.log_file),
            ("syslog_log_facility", self.syslog_log_facility),
        ] {
            overrides.extend(value.map(|value| (name, value)));
        }
        ConfigFiles { config_file: self.config_file, config_dir: self.config_dir, debug: false, overrides }
    }
}
