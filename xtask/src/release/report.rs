//! What a check has found: rows of a table, each with what it should be.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::say;

/// One figure or finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    what: String,
    value: String,
    wanted: String,
    fine: bool,
}

/// The rows of a check, and what it wants to say beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// Examples of what went wrong.
    notes: Vec<String>,
}

/// Most notes that are kept.
const NOTES: usize = 40;
/// Longest note.
const NOTE: usize = 600;

impl Table {
    /// Of a check that could not be begun.
    pub(super) fn broken(error: &anyhow::Error) -> Self {
        let mut table = Self::default();
        table.fail(error);
        table
    }

    /// It could not be made to its end, for this reason.
    pub(super) fn fail(&mut self, error: &anyhow::Error) {
        self.check("made to its end", "no", "yes", false);
        self.note(format!("not made to its end: {error:#}"));
    }

    /// A figure that is only shown.
    pub(super) fn show(&mut self, what: impl Into<String>, value: impl Display) {
        self.push(what.into(), value.to_string(), String::new(), true);
    }

    /// A finding that should be something.
    pub(super) fn check(&mut self, what: impl Into<String>, value: impl Display, wanted: &str, fine: bool) {
        self.push(what.into(), value.to_string(), wanted.to_owned(), fine);
    }

    /// A list of faults, which should be empty; some of them become notes.
    pub(super) fn none_of(&mut self, what: &str, faults: &[String]) {
        self.check(what, faults.len(), "0", faults.is_empty());
        for fault in faults.iter().take(8) {
            self.note(format!("{what}: {fault}"));
        }
    }

    /// Two figures that should be the same.
    pub(super) fn equal<T: Display + PartialEq>(&mut self, what: &str, value: &T, wanted: &T) {
        self.check(what, value, &wanted.to_string(), value == wanted);
    }

    pub(super) fn note(&mut self, text: String) {
        if self.notes.len() < NOTES {
            self.notes.push(text.chars().take(NOTE).collect());
        }
    }

    fn push(&mut self, what: String, value: String, wanted: String, fine: bool) {
        self.rows.push(Row { what, value, wanted, fine });
    }

    /// Whether everything is as it should be.
    pub(super) fn is_fine(&self) -> bool {
        self.rows.iter().all(|row| row.fine)
    }

    pub(super) fn print(&self, name: &str) {
        say::line(format_args!("\n{}", self.text(name)));
        for note in &self.notes {
            say::note(note);
        }
    }

    /// The rows, as Markdown.
    pub(super) fn text(&self, name: &str) -> String {
        let mut rows = say::table(&[name, "found", "wanted", ""]);
        for row in &self.rows {
            let verdict = match (row.wanted.is_empty(), row.fine) {
                (true, _) => "",
                (false, true) => "ok",
                (false, false) => "FAILED",
            };
            rows.add_row([row.what.as_str(), row.value.as_str(), row.wanted.as_str(), verdict]);
        }
        rows.to_string()
    }
}

/// Middle, 99th percentile and largest of some times in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Latency {
    /// Of times in milliseconds.
    pub(super) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1))).copied();
        Self {
            p50: at(50).unwrap_or_default(),
            p99: at(99).unwrap_or_default(),
            max: times.last().copied().unwrap_or_default(),
        }
    }
}

impl Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms", self.p50, self.p99, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_makes_the_whole_table_fail() {
        let mut table = Table::default();
        table.show("memory", 7);
        table.equal("clusters", &3, &3);
        assert!(table.is_fine());
        table.none_of("5xx", &["GET /: 500".to_owned()]);
        assert!(!table.is_fine());
        let text = table.text("soak");
        assert!(text.contains("FAILED") && text.lines().count() == 5, "{text}");
    }

    #[test]
    fn percentiles_of_few_and_of_many() {
        for (times, wanted) in [
            (vec![], (0.0, 0.0, 0.0)),
            (vec![5.0], (5.0, 5.0, 5.0)),
            ((1..=1000).map(f64::from).collect(), (501.0, 991.0, 1000.0)),
        ] {
            let found = Latency::of(times);
            assert_eq!((found.p50, found.p99, found.max), wanted);
        }
    }
}
