//! The unmodified client, in one process for all commands of a user: starting Python anew costs more than most commands.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::exec;

/// Runs the client's own entry point for each line of its input; shared with the tests of the program.
const DRIVER: &str = include_str!("../../../crates/magnum/tests/data/commands.py");

/// The client as several users.
#[derive(Debug, Default)]
pub(super) struct Client {
    shells: BTreeMap<&'static str, Shell>,
}

/// What a command came to.
#[derive(Debug, Deserialize)]
struct Outcome {
    /// What a program would end with; nothing is as good as 0.
    code: Option<i64>,
    out: String,
    err: String,
}

impl Client {
    /// Runs a command as the user of this cloud; whether it is done, and both outputs. `start` makes the client's Python,
    /// with its environment.
    pub(super) fn run(
        &mut self,
        cloud: &'static str,
        arguments: &str,
        start: impl FnOnce() -> Command,
    ) -> Result<(bool, String)> {
        if !self.shells.contains_key(cloud) {
            self.shells.insert(cloud, Shell::start(start())?);
        }
        let shell = self.shells.get_mut(cloud).context("a client that was started is gone")?;
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let outcome = shell.run(&words).with_context(|| format!("openstack {arguments}"))?;
        Ok((outcome.code.unwrap_or_default() == 0, outcome.out + &outcome.err))
    }
}

/// The Python of a virtual environment that has the client in `bin`.
pub(super) fn python(bin: &Path) -> Command {
    let mut python = Command::new(bin.join("python"));
    python.args(["-c", DRIVER]);
    python
}

/// A process of the client. Ends with its input.
#[derive(Debug)]
struct Shell {
    process: Child,
    tasks: Option<ChildStdin>,
    outcomes: BufReader<ChildStdout>,
}

impl Shell {
    fn start(mut python: Command) -> Result<Self> {
        let line = exec::shown(python.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut process = python.spawn().with_context(|| format!("cannot start `{line}`"))?;
        let outcomes = process.stdout.take().context("the client has no output")?;
        let mut shell = Self { tasks: process.stdin.take(), process, outcomes: BufReader::new(outcomes) };
        // First it says which commands it has.
        shell.line()?;
        Ok(shell)
    }

    fn run(&mut self, words: &[&str]) -> Result<Outcome> {
        let tasks = self.tasks.as_mut().context("the client has no input")?;
        writeln!(tasks, "{}", serde_json::to_string(words)?).context("the client has ended")?;
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("the client says {line:?}"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let count = self.outcomes.read_line(&mut line).context("cannot read what the client says")?;
        anyhow::ensure!(count > 0, "the client has ended");
        Ok(line)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.tasks.take());
        drop(self.process.wait());
    }
}
