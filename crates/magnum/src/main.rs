//! The program `magnum`: container clusters as a service.
//!
//! - `cli.rs`: the command line
//! - `serve.rs`: API and conductor, together or alone; `connections.rs`: how many connections there may be
//! - `wiring.rs`: puts the crates together; the one place that names implementations
//! - `check/`: what is to be said of a configuration, and of what it leads to
//! - `state_dir.rs`: what is kept between starts, and what the first start makes
//! - `tools.rs`: the commands that look at things and end
//! - `named/`: the same program under upstream's names
//! - `print.rs`: standard output and standard error; `logging.rs`: logs

mod check;
mod cli;
mod cloud;
mod connections;
mod logging;
mod named;
mod print;
mod serve;
mod state_dir;
mod tools;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// A request is hundreds of small pieces of memory. This one gives back what a long list took, as .cargo/config.toml
/// tells it to.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A request's small pieces on pages of 2 MiB keep three times the memory that they take. Without it nothing is lost
    // but that.
    let _ = nix::sys::prctl::set_thp_disable(true);
    // One provider for the whole process; a second call can only mean that it is set.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let name = named::name();
    let ended = match name {
        Some(name) => named::run(name),
        None => run(Cli::parse()),
    };
    match ended {
        Ok(code) => code,
        Err(error) if error.is::<print::ReaderGone>() => ExitCode::from(print::READER_GONE),
        Err(error) => {
            // Before logging is set up there is nowhere else to say it.
            print::aside(format_args!("{}: {}", name.unwrap_or("magnum"), in_words(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(options) => serve::run(&cli.config, &options, serve::Parts::BOTH),
        Command::Api(options) => serve::run(&cli.config, &options, serve::Parts::API),
        Command::Conductor(state) => serve::run(&cli.config, &cli::Serve::conductor(state), serve::Parts::CONDUCTOR),
        Command::Db(command) => tools::database(&cli.config, &command),
        Command::Config(command) => tools::config(&cli.config, &command),
        Command::Links { folder } => named::links::make(&folder),
        Command::Policy(command) => tools::policy(&cli.config, &command),
    }
}

/// An error with its causes, each said once: many messages hold those of their causes.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}
