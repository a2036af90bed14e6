//! Reads what the test programs print, and counts.

use anyhow::{Result, bail};

use crate::say;

/// What a test runs on, told by a part of its name; the first that fits counts.
const BACKENDS: &[(&str, &str)] = &[("sqlite", "SQLite"), ("postgres", "PostgreSQL"), ("mariadb", "MariaDB")];

/// Counts of one kind of tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// What all test programs together have said.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// By place in [`BACKENDS`]; the last is for all other tests.
    by_backend: [Counts; BACKENDS.len() + 1],
    /// From the closing lines of the test programs: what counts in the end.
    total: Counts,
    skipped: Vec<String>,
    failed: Vec<String>,
    programs: u64,
}

impl Report {
    /// Takes up one line of output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.programs += 1;
            self.total.passed += number_before(result, " passed");
            self.total.failed += number_before(result, " failed");
            self.total.skipped += number_before(result, " ignored");
        } else if let Some((name, result)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            self.read_test(name, result);
        }
    }

    fn read_test(&mut self, name: &str, result: &str) {
        let backend = BACKENDS.iter().position(|(part, _)| name.contains(part)).unwrap_or(BACKENDS.len());
        let Some(counts) = self.by_backend.get_mut(backend) else { return };
        if result == "ok" {
            counts.passed += 1;
        } else if result.starts_with("FAILED") {
            counts.failed += 1;
            self.failed.push(name.to_owned());
        } else if let Some(reason) = result.strip_prefix("ignored") {
            counts.skipped += 1;
            self.skipped.push(format!("{name}{reason}"));
        }
    }

    /// Fails when the tests did nothing at all, which no exit code tells.
    pub(crate) fn check(&self) -> Result<()> {
        if self.total.passed + self.total.failed == 0 {
            bail!("no test has run");
        }
        Ok(())
    }

    /// Prints the counts; the last line is `N passed, N failed, N skipped`. Prints nothing when no test program ran.
    pub(crate) fn print(&self) {
        if self.programs == 0 {
            return;
        }
        let names = BACKENDS.iter().map(|(_, name)| *name).chain(["other"]);
        let mut rows = say::table(&["tests on", "passed", "failed", "skipped"]);
        for (name, counts) in names.zip(self.by_backend) {
            rows.add_row([
                name.to_owned(),
                counts.passed.to_string(),
                counts.failed.to_string(),
                counts.skipped.to_string(),
            ]);
        }
        say::line(format_args!("\n{rows}"));
        for name in &self.skipped {
            say::line(format_args!("skipped: {name}"));
        }
        for name in &self.failed {
            say::line(format_args!("failed: {name}"));
        }
        say::line("");
        say::line(format_args!(
            "{} passed, {} failed, {} skipped",
            self.total.passed, self.total.failed, self.total.skipped
        ));
    }
}

/// The number right before `word` in a closing line.
fn number_before(text: &str, word: &str) -> u64 {
    let digits = text.split(';').find_map(|part| part.trim_end().strip_suffix(word));
    digits.and_then(|part| part.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 5 tests
test cluster::sqlite::create ... ok
test cluster::postgres::create ... ok
test cluster::mariadb::create ... FAILED
test rules::labels ... ok
test rules::huge ... ignored, takes an hour
test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test crates/domain/src/lib.rs - Plan (line 12) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn counts_by_backend_and_in_total() {
        let mut report = Report::default();
        OUTPUT.lines().for_each(|line| report.read(line));
        let counts = |passed, failed, skipped| Counts { passed, failed, skipped };
        assert_eq!(report.by_backend, [counts(1, 0, 0), counts(1, 0, 0), counts(0, 1, 0), counts(2, 0, 1)]);
        assert_eq!(report.total, counts(4, 1, 1));
        assert_eq!(report.failed, ["cluster::mariadb::create"]);
        assert_eq!(report.skipped, ["rules::huge, takes an hour"]);
        assert_eq!(report.programs, 2);
    }

    #[test]
    fn a_run_without_tests_is_no_success() {
        let mut report = Report::default();
        report.read("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s");
        assert!(report.check().is_err());
    }
}
