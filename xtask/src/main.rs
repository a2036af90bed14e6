//! The project's own tasks. They do their own set-up on a fresh Debian 12 and say what they install.

mod bench;
mod cache;
mod conformance;
mod databases;
mod debian;
mod demo;
mod exec;
mod http;
mod lab;
mod migrate;
mod openstack;
mod owner;
mod python;
mod release;
mod say;
mod server;
mod stamp;
mod stop;
mod test;
mod upstream;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Tests, shows and measures the project; installs what it needs and says so first.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks everything: formatting, lints, dependencies, and every test on real databases and real engines.
    Test(test::Options),
    /// Makes a real cluster on this machine with the real OpenStack client, uses it, resizes it, deletes it.
    Demo(demo::Options),
    /// Measures start, memory, a cluster and a long list, beside the machine's noise.
    Bench(bench::Options),
    /// Asks thousands of requests and compares our answers with upstream's.
    Conformance(conformance::Options),
    /// Follows docs/migrate.md: upstream's database with clusters, ours on it, upstream again.
    Migrate(migrate::Options),
    /// Longer checks than CI has time for: thousands of requests under kills, attackers; resumable.
    ReleaseTest(release::Options),
    /// Brings up a real OpenStack on this machine's loopback interface, shows it, takes it down.
    Lab(lab::Options),
    /// Shows what is kept for later runs, here and in other checkouts; `--empty` removes it.
    Cache(cache::Options),
}

fn main() -> ExitCode {
    if test::stands_in() {
        return test::stand_in();
    }
    stop::listen();
    let arguments = Arguments::parse();
    let workspace = Workspace::find();
    let outcome = match arguments.task {
        Task::Test(options) => test::run(&workspace, &options),
        Task::Demo(options) => demo::run(&workspace, &options),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Conformance(options) => conformance::run(&workspace, &options),
        Task::Migrate(options) => migrate::run(&workspace, &options),
        Task::ReleaseTest(options) => release::run(&workspace, &options),
        Task::Lab(options) => lab::run(&workspace, &options),
        Task::Cache(options) => cache::run(&workspace, &options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}
