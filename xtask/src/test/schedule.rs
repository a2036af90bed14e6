//! Runs programs side by side: as many as the machine can carry, the heaviest first, each with its output for itself.

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::exec::{self, Ended};
use crate::stop;

/// How often a schedule looks whether it shall end.
const LOOK: Duration = Duration::from_millis(200);

/// Something to run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) command: Command,
    /// What it takes of the capacity. One that takes more than all of it runs alone.
    pub(super) weight: usize,
    /// What it writes.
    pub(super) log: PathBuf,
    /// After how long it is ended.
    pub(super) limit: Duration,
}

/// Something that has run.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) name: String,
    pub(super) log: PathBuf,
    pub(super) outcome: Result<Ended>,
    pub(super) took: Duration,
    /// From the beginning of all to its own.
    pub(super) queued: Duration,
}

/// Runs them all, in this order where their weights allow it, and tells of each when it has ended.
pub(super) fn run(jobs: Vec<Job>, capacity: usize, mut each: impl FnMut(Done)) -> Result<()> {
    let began = Instant::now();
    let mut waiting = jobs;
    let mut running = 0;
    let mut load = 0;
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        loop {
            while let Some(next) = next(&waiting, load, capacity) {
                let mut job = waiting.remove(next);
                load += job.weight;
                running += 1;
                let sender = sender.clone();
                let queued = began.elapsed();
                scope.spawn(move || {
                    let started = Instant::now();
                    let outcome = exec::run_measured(&mut job.command, &job.log, job.limit);
                    let done = Done { name: job.name, log: job.log, outcome, took: started.elapsed(), queued };
                    // Only an end of all of this closes the other end.
                    drop(sender.send((job.weight, done)));
                });
            }
            if running == 0 {
                return stop::check();
            }
            if stop::asked() {
                // Each ends its own program when we are asked to end.
                waiting.clear();
            }
            if let Ok((weight, done)) = receiver.recv_timeout(LOOK) {
                load -= weight;
                running -= 1;
                each(done);
            }
        }
    })
}

/// The first that fits beside what runs.
fn next(waiting: &[Job], load: usize, capacity: usize) -> Option<usize> {
    waiting.iter().position(|job| load == 0 || load + job.weight <= capacity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::path::Path;

    use super::*;

    fn job(folder: &Path, name: &str, weight: usize, script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder);
        let log = folder.join(format!("{name}.log"));
        Job { name: name.to_owned(), command, weight, log, limit: Duration::from_secs(60) }
    }

    /// Waits for a file of another, so that it ends only if that one runs beside it.
    const MEETS: &str = "touch $ME; until [ -e $OTHER ]; do sleep 0.01; done; echo met";

    #[test]
    fn what_fits_runs_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let script = |me: &str, other: &str| format!("ME={me} OTHER={other}; {MEETS}");
        let jobs = vec![
            job(folder.path(), "one", 2, &script("1", "2")),
            job(folder.path(), "heavy", 2, "! [ -e heavy.lock ] && echo alone"),
            job(folder.path(), "two", 1, &script("2", "1")),
        ];
        let mut seen = Vec::new();
        run(jobs, 3, |done| {
            assert!(done.outcome.unwrap().status.success(), "{}", done.name);
            seen.push((done.name, fs::read_to_string(done.log).unwrap()));
        })
        .unwrap();
        seen.sort();
        let wanted = [("heavy", "alone\n"), ("one", "met\n"), ("two", "met\n")];
        assert_eq!(seen, wanted.map(|(name, output)| (name.to_owned(), output.to_owned())));
    }

    #[test]
    fn what_is_too_heavy_waits_and_nothing_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        // Each fails if another holds the folder.
        let jobs = (0..3).map(|n| job(folder.path(), &n.to_string(), 9, "mkdir held && rmdir held")).collect();
        let mut ended = Vec::new();
        run(jobs, 4, |done| ended.push((done.name, done.outcome.unwrap().status.success()))).unwrap();
        assert_eq!(ended, ["0", "1", "2"].map(|name| (name.to_owned(), true)));
    }

    #[test]
    fn one_over_its_time_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut late = job(folder.path(), "late", 1, "sleep 60 & wait");
        late.limit = Duration::from_millis(50);
        let mut ended = Vec::new();
        run(vec![late, job(folder.path(), "fine", 1, "true")], 2, |done| ended.push((done.name, done.outcome.is_ok())))
            .unwrap();
        ended.sort();
        assert_eq!(ended, [("fine".to_owned(), true), ("late".to_owned(), false)]);
    }
}
