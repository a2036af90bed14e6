//! What was asked and answered: counted by all workers together, held against the server at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An operation that the server has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    /// UUID of the cluster.
    pub(super) cluster: String,
    /// Kind of the request.
    pub(super) what: &'static str,
    /// Its request, which the operation names; `None` when the answer was lost.
    pub(super) request_id: Option<String>,
}

/// The counts of one kind of request.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) by_status: BTreeMap<u16, usize>,
    pub(super) lost: usize,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) by_kind: BTreeMap<&'static str, Answers>,
    /// Milliseconds from sending a request to the end of its answer.
    pub(super) times: Vec<f64>,
    /// Attempts while nobody listened.
    pub(super) refused: usize,
    /// Changes whose answer was lost, and that were done all the same, or were not.
    pub(super) lost_done: usize,
    pub(super) lost_not_done: usize,
    /// Answers of 500 and above.
    pub(super) server_errors: Vec<String>,
    /// Answers that were not among those a request may have.
    pub(super) unexpected: Vec<String>,
    /// Requests without an answer on a connection that stayed.
    pub(super) silent: Vec<String>,
    /// What the server says otherwise than the journal.
    pub(super) wrong: Vec<String>,
    /// Changes to clusters that ended as failed though nobody had stopped them.
    pub(super) failed: Vec<String>,
    pub(super) operations: Vec<Accepted>,
    /// Every cluster that was ever accepted.
    pub(super) clusters: Vec<String>,
}

/// The journal, shared by all workers.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<Counts>);

impl Journal {
    /// The counts, held while they are changed or read.
    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        // Whoever panicked here has at worst not counted something.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Counts an answer and says whether it was one that the request may have.
    pub(super) fn answered(&mut self, kind: &'static str, status: u16, expected: bool, time: f64, words: &str) -> bool {
        *self.by_kind.entry(kind).or_default().by_status.entry(status).or_default() += 1;
        self.times.push(time);
        let words = || format!("{kind}: {status} {}", words.chars().take(300).collect::<String>());
        if status >= 500 {
            self.server_errors.push(words());
        } else if !expected {
            self.unexpected.push(words());
        }
        expected && status < 500
    }

    /// Counts a request whose answer was lost.
    pub(super) fn lost(&mut self, kind: &'static str) {
        self.by_kind.entry(kind).or_default().lost += 1;
    }

    /// All requests that were sent.
    pub(super) fn sent(&self) -> usize {
        self.by_kind.values().map(|answers| answers.lost + answers.by_status.values().sum::<usize>()).sum()
    }

    /// How often each status was answered.
    pub(super) fn statuses(&self) -> BTreeMap<u16, usize> {
        let mut all = BTreeMap::new();
        for (status, count) in self.by_kind.values().flat_map(|answers| &answers.by_status) {
            *all.entry(*status).or_default() += count;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_and_judged() {
        let journal = Journal::default();
        let mut counts = journal.counts();
        for (status, expected, fine) in
            [(200, true, true), (404, false, false), (503, false, false), (500, true, false)]
        {
            assert_eq!(counts.answered("list", status, expected, 1.0, "words"), fine, "{status}");
        }
        counts.lost("list");
        assert_eq!((counts.sent(), counts.server_errors.len(), counts.unexpected.len()), (5, 2, 1));
        assert_eq!(counts.statuses().get(&503), Some(&1));
    }
}
