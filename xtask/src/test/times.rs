//! Where the time goes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::say;

/// What something took.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) took: Duration,
    /// Processor time of it and of the programs that it has waited for; unknown for what is done beside other things.
    pub(super) processor: Option<Duration>,
    /// How long it waited for its turn.
    pub(super) queued: Duration,
}

/// What has been measured.
#[derive(Debug, Default)]
pub(super) struct Times {
    steps: Mutex<Vec<Row>>,
    programs: Mutex<Vec<Row>>,
}

impl Times {
    /// Does something and remembers what it took.
    pub(super) fn measure<T>(&self, what: &str, act: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let outcome = act();
        self.step(what, began.elapsed());
        outcome
    }

    /// Something else than a test program.
    pub(super) fn step(&self, what: &str, took: Duration) {
        let row = Row { what: what.to_owned(), took, processor: None, queued: Duration::ZERO };
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// A test program.
    pub(super) fn program(&self, row: Row) {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// Prints both tables, what took longest first.
    pub(super) fn print(&self) {
        let sorted = |rows: &Mutex<Vec<Row>>| {
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
            rows.sort_by_key(|row| std::cmp::Reverse(row.took));
            rows
        };
        let steps = sorted(&self.steps);
        if !steps.is_empty() {
            let mut table = say::table(&["step", "time"]);
            for row in steps {
                table.add_row([row.what, say::seconds(row.took)]);
            }
            say::line("\nWhere the time goes; the steps are done side by side where one waits\n");
            say::line(table);
        }
        let programs = sorted(&self.programs);
        if !programs.is_empty() {
            let mut table = say::table(&["test program", "time", "computing", "waiting", "queued before"]);
            for row in programs {
                let processor = row.processor.unwrap_or_default();
                table.add_row([
                    row.what,
                    say::seconds(row.took),
                    say::seconds(processor),
                    say::seconds(row.took.saturating_sub(processor)),
                    say::seconds(row.queued),
                ]);
            }
            say::line(format_args!("\n{table}"));
        }
    }
}
