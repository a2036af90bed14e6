//! Which test programs are run, with what, and what comes of it.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::build::{self, Kind, Program};
use super::lints;
use super::report::Report;
use super::schedule::{self, Done, Job};
use super::times::{Row, Times};
use crate::workspace::Workspace;
use crate::{migrate, say};

/// Packages whose programs in `tests` bring up container engines or whole servers.
const HEAVY: &[&str] = &["magnum", "magnum-drivers", "magnum-agent"];
/// What they take of the capacity; others take 1.
const WEIGHT: usize = 2;
/// What takes longest; it is begun first, so that nothing long is left for the end. Others follow, the heavy ones first.
const LONGEST: &[&str] = &[
    "magnum kill_matrix",
    "magnum openstack_client",
    "magnum schemathesis",
    "magnum upgrade",
    "magnum rotation",
    "magnum masters",
    "magnum-drivers local_cluster",
    "magnum restart",
    "magnum secrets",
    "magnum keystone",
    "magnum other_clients",
];

/// Which test programs are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    packages: Vec<String>,
    targets: Vec<String>,
    /// For the test programs themselves.
    words: Vec<String>,
    units_only: bool,
    /// Folder of the lab in which the walk-throughs are followed.
    lab: Option<PathBuf>,
}

impl Selection {
    /// What stands behind `--`.
    pub(super) fn of(arguments: &[String]) -> Result<Self> {
        let mut selection = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let list = match word.as_str() {
                "-p" | "--package" => &mut selection.packages,
                "--test" => &mut selection.targets,
                _ => {
                    selection.words.push(word.clone());
                    continue;
                }
            };
            list.push(words.next().with_context(|| format!("{word} of what?"))?.clone());
        }
        Ok(selection)
    }

    /// Only the tests beneath the code.
    pub(super) fn units_only(self) -> Self {
        Self { units_only: true, ..self }
    }

    /// Also the walk-throughs of the migration, if there is a lab.
    pub(super) fn with_walks(self, lab: Option<PathBuf>) -> Self {
        Self { lab, ..self }
    }

    fn has(&self, program: &Program) -> bool {
        (self.packages.is_empty() || self.packages.contains(&program.package))
            && (self.targets.is_empty()
                || (program.kind == Kind::Integration && self.targets.contains(&program.target)))
            && (!self.units_only || program.kind == Kind::Unit)
    }

    /// Whether tests in the documentation are wanted, too.
    fn has_documentation(&self) -> bool {
        !self.units_only && self.packages.is_empty() && self.targets.is_empty()
    }
}

/// What is to be run, the longest first.
pub(super) fn jobs(
    workspace: &Workspace,
    programs: &[Program],
    selection: &Selection,
    environment: &[(&'static str, OsString)],
    minutes: u64,
) -> Result<Vec<Job>> {
    let logs = workspace.in_target("xtask/tests");
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let limit = Duration::from_secs(minutes.saturating_mul(60));
    let job = |name: String, mut command: Command, weight: usize| {
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        // The static agent of this build, for tests of other packages than its own.
        command.env("MAGNUM_TEST_AGENT", workspace.in_target("debug/magnum-agent"));
        let file: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        Job { command, weight, log: logs.join(format!("{file}.log")), limit, name }
    };
    let mut jobs = Vec::new();
    for program in programs.iter().filter(|program| selection.has(program)) {
        let is_heavy = program.kind == Kind::Integration && HEAVY.contains(&program.package.as_str());
        let mut command = workspace.command(&program.executable);
        command.args(&selection.words).current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
        jobs.push(job(program.name(), command, if is_heavy { WEIGHT } else { 1 }));
    }
    jobs.sort_by_key(|job| {
        let rank = LONGEST.iter().position(|name| *name == job.name).unwrap_or(LONGEST.len());
        (rank, std::cmp::Reverse(job.weight))
    });
    if selection.has_documentation() {
        let mut command = build::cargo(workspace)?;
        command.args(["test", "--locked", "--workspace", "--all-features", "--doc", "--no-fail-fast"]);
        if !selection.words.is_empty() {
            command.arg("--").args(&selection.words);
        }
        jobs.push(job("tests in documentation".to_owned(), command, 1));
    }
    if let Some(lab) = &selection.lab {
        let ours = lints::copy_of_us(workspace, "xtask")?;
        for (place, release) in migrate::RELEASES.iter().enumerate() {
            let mut command = Command::new(&ours);
            command.args(["migrate", "--upstream", release.number(), "--lab"]).arg(lab).arg("--magnum");
            command.arg(workspace.in_target("debug/magnum")).current_dir(workspace.root());
            // The first begins at once, the other when that may have ended: both talk to the same services.
            jobs.insert(place * 3, job(format!("migrate with upstream {release}"), command, WEIGHT));
        }
    }
    Ok(jobs)
}

/// Runs them side by side, shows what each has printed, and counts.
pub(super) fn run(jobs: Vec<Job>, times: &Times, report: &mut Report) -> Result<()> {
    let mut failed = Vec::new();
    let capacity = 2 * thread::available_parallelism().map_or(2, usize::from) + 1;
    schedule::run(jobs, capacity, |done| {
        if let Err(why) = take_up(&done, times, report) {
            say::line(format_args!("FAILED: {}: {why}", done.name));
            failed.push(done.name);
        }
    })?;
    if !failed.is_empty() {
        bail!("{} test programs failed: {}", failed.len(), failed.join(", "));
    }
    report.check()
}

fn take_up(done: &Done, times: &Times, report: &mut Report) -> Result<()> {
    say::step(&format!("{} ({})", done.name, say::seconds(done.took)));
    let bytes = fs::read(&done.log).with_context(|| format!("cannot read {}", done.log.display()))?;
    for line in String::from_utf8_lossy(&bytes).lines() {
        say::line(line);
        report.read(line);
    }
    let processor = done.outcome.as_ref().ok().map(|ended| ended.processor);
    times.program(Row { what: done.name.clone(), took: done.took, processor, queued: done.queued });
    match &done.outcome {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => bail!("it ended with {}", ended.status),
        Err(error) => bail!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn program(package: &str, target: &str, kind: Kind) -> Program {
        Program {
            package: package.to_owned(),
            target: target.to_owned(),
            kind,
            executable: PathBuf::from("/target/x"),
            folder: PathBuf::from("/checkout"),
        }
    }

    #[test]
    fn words_choose_programs() {
        let programs = [
            program("magnum-store", "magnum_store", Kind::Unit),
            program("magnum-store", "lifecycle", Kind::Integration),
            program("magnum-api", "api", Kind::Integration),
            program("magnum-api", "lifecycle", Kind::Unit),
        ];
        for (words, units_only, wanted, handed_on) in [
            ("", false, vec![0, 1, 2, 3], ""),
            ("", true, vec![0, 3], ""),
            ("-p magnum-store", false, vec![0, 1], ""),
            ("-p magnum-store sqlite --nocapture", true, vec![0], "sqlite --nocapture"),
            ("--test lifecycle --test api create", false, vec![1, 2], "create"),
        ] {
            let arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let selection = Selection::of(&arguments).unwrap();
            let selection = if units_only { selection.units_only() } else { selection };
            let chosen: Vec<usize> =
                programs.iter().enumerate().filter(|(_, program)| selection.has(program)).map(|(n, _)| n).collect();
            assert_eq!((chosen, selection.words.join(" ").as_str()), (wanted, handed_on), "{words}");
        }
        assert!(Selection::of(&["-p".to_owned()]).is_err());
    }
}
