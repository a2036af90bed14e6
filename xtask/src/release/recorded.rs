//! What is known of a commit: kept in the target folder between runs, and on request in `docs/release-test.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::report::Table;
use crate::workspace::Workspace;
use crate::{exec, say};

/// A check that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    check: String,
    scale: String,
    seconds: u64,
    machine: String,
    table: Table,
}

impl Run {
    pub(super) fn new(check: &str, scale: String, took: Duration, table: Table) -> Self {
        Self { check: check.to_owned(), scale, seconds: took.as_secs(), machine: machine(), table }
    }
}

/// The runs of one commit, the last of each check.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recorded {
    commit: String,
    runs: Vec<Run>,
    #[serde(skip)]
    file: PathBuf,
}

impl Recorded {
    /// What is known of the commit that is checked out; nothing of another's counts.
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let file = workspace.in_target("release-test/state.json");
        let commit = commit(workspace)?;
        let known: Option<Self> = fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok());
        let runs = known.filter(|known| known.commit == commit).map(|known| known.runs).unwrap_or_default();
        Ok(Self { commit, runs, file })
    }

    /// Whether the check need not be made again. Files that differ from the commit could be anything, so that a run on
    /// them counts for nothing.
    pub(super) fn has_passed(&self, check: &str, scale: &str) -> bool {
        let same = |run: &&Run| run.check == check && run.scale == scale;
        !self.is_changed() && self.runs.iter().find(same).is_some_and(|run| run.table.is_fine())
    }

    fn is_changed(&self) -> bool {
        self.commit.ends_with(CHANGED)
    }

    /// Remembers a run in place of an earlier one of the same check.
    pub(super) fn keep(&mut self, run: Run) -> Result<()> {
        self.runs.retain(|known| known.check != run.check);
        self.runs.push(run);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self)?;
        fs::write(&self.file, text).with_context(|| format!("cannot write {}", self.file.display()))
    }

    pub(super) fn print_summary(&self) {
        let mut rows = say::table(&["check", "scale", "time", "result"]);
        for run in &self.runs {
            let result = if run.table.is_fine() { "ok" } else { "FAILED" };
            rows.add_row([&run.check, &run.scale, &say::seconds(Duration::from_secs(run.seconds)), result]);
        }
        say::line(format_args!("\ncommit {}\n{rows}", self.commit));
    }

    /// Writes `docs/release-test.md`.
    pub(super) fn write_page(&self, workspace: &Workspace) -> Result<()> {
        let file = workspace.root().join("docs/release-test.md");
        fs::write(&file, self.page()?).with_context(|| format!("cannot write {}", file.display()))?;
        say::note(&format!("written: {}", file.display()));
        Ok(())
    }

    fn page(&self) -> Result<String> {
        let mut page = String::from(INTRODUCTION);
        writeln!(page, "Commit `{}`.", self.commit)?;
        for run in &self.runs {
            let time = say::seconds(Duration::from_secs(run.seconds));
            writeln!(page, "\n## {}\n", run.check)?;
            writeln!(
                page,
                "`cargo xtask release-test --only {} {}`, {time}, {}.\n",
                run.check, run.scale, run.machine
            )?;
            writeln!(page, "{}", run.table.text("what"))?;
        }
        Ok(page)
    }
}

const CHANGED: &str = " with changes";

const INTRODUCTION: &str = "\
# The last release test

Written by `cargo xtask release-test --record`; what the checks do is in [developer.md](developer.md#the-release-test).

";

/// The commit that is checked out, and whether files differ from it.
fn commit(workspace: &Workspace) -> Result<String> {
    let git = |arguments: &[&str]| exec::output(Command::new("git").current_dir(workspace.root()).args(arguments));
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/release-test.md"])?;
    Ok(format!("{}{}", commit.trim(), if changes.is_empty() { "" } else { CHANGED }))
}

/// What the figures were found on.
fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kib: u64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    format!("{cores} x {}, {} GiB, debug build", field("/proc/cpuinfo", "model name"), kib >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(commit: &str, fine: bool) -> Recorded {
        let mut table = Table::default();
        table.check("5xx", 0, "0", fine);
        let run = Run::new("soak", "--requests 1".to_owned(), Duration::from_secs(61), table);
        Recorded { commit: commit.to_owned(), runs: vec![run], file: PathBuf::new() }
    }

    #[test]
    fn only_what_has_passed_at_this_scale_on_a_commit_is_left_out() {
        for (commit, fine, check, scale, passed) in [
            ("abc", true, "soak", "--requests 1", true),
            ("abc", true, "soak", "--requests 2", false),
            ("abc", true, "attack", "--requests 1", false),
            ("abc", false, "soak", "--requests 1", false),
            ("abc with changes", true, "soak", "--requests 1", false),
        ] {
            assert_eq!(recorded(commit, fine).has_passed(check, scale), passed, "{commit} {fine} {check} {scale}");
        }
    }

    #[test]
    fn the_page_says_how_to_repeat_it() -> Result<()> {
        let page = recorded("abc", true).page()?;
        for part in ["Commit `abc`.", "release-test --only soak --requests 1`, 1 min 01 s", "| 5xx"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        Ok(())
    }
}
