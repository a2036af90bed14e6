//! A program of the attackers or victims that runs beside us until it is told to end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::report::Latency;
use crate::exec;

/// The program, which has said that it is ready. Killed when dropped.
pub(super) struct Helper {
    line: String,
    child: Child,
    output: BufReader<ChildStdout>,
}

/// Puts a limit of open files before a command line.
pub(super) fn with_descriptors(soft: u32, program: &OsStr) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -Sn {soft} && exec \"$0\" \"$@\"")).arg(program);
    command
}

impl Helper {
    /// Starts it, in another network namespace if one is named, and waits until it is ready.
    pub(super) fn start(program: &OsStr, namespace: Option<&str>, arguments: &[String]) -> Result<Self> {
        let mut command = match namespace {
            None => with_raised_limit(program),
            Some(namespace) => {
                let mut command = with_raised_limit(OsStr::new("nsenter"));
                command.arg(format!("--net=/run/netns/{namespace}")).arg("--").arg(program);
                command
            }
        };
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let line = exec::shown(&command);
        let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut helper = Self { line, child, output };
        let ready = helper.line()?;
        if ready != "ready" {
            bail!("`{}` did not get ready: {ready}", helper.line);
        }
        Ok(helper)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Ends it and reads what it has seen.
    pub(super) fn finish(mut self) -> Result<Value> {
        drop(self.child.stdin.take());
        let line = self.line()?;
        self.child.wait()?;
        serde_json::from_str(&line).with_context(|| format!("`{}` printed no figures: {line}", self.line))
    }
}

/// With as many open files as a program of this machine may have.
fn with_raised_limit(program: &OsStr) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg("ulimit -Sn \"$(ulimit -Hn)\" && exec \"$0\" \"$@\"").arg(program);
    command
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It has ended already, most of the time.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What somebody who asks at a fixed pace has seen.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Answers {
    pub(super) asked: u64,
    pub(super) good: u64,
    pub(super) times: Latency,
    /// Such as `12 x 401`.
    pub(super) statuses: String,
}

impl Answers {
    /// Reads the figures of the program; answers of this status are good.
    pub(super) fn read(figures: &Value, good: &str) -> Result<Self> {
        let statuses = figures.get("statuses").and_then(Value::as_object).context("no statuses")?;
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        let times = figures.get("times").and_then(Value::as_array).context("no times")?;
        let words: Vec<String> =
            statuses.iter().map(|(status, value)| format!("{} x {status}", count(value))).collect();
        Ok(Self {
            asked: statuses.values().map(count).sum(),
            good: statuses.get(good).map(count).unwrap_or_default(),
            times: Latency::of(times.iter().filter_map(Value::as_f64).collect()),
            statuses: words.join(", "),
        })
    }

    /// Whether every answer was good, and there was one.
    pub(super) fn are_good(&self) -> bool {
        self.asked > 0 && self.good == self.asked
    }
}

impl std::fmt::Display for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}; {}", self.good, self.asked, self.times)?;
        if self.good < self.asked { write!(f, " ({})", self.statuses) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_judged_by_their_status() {
        for (statuses, good, asked, fine) in [
            (json!({"200": 3}), 3, 3, true),
            (json!({"200": 3, "429": 1}), 3, 4, false),
            (json!({"timeout": 2}), 0, 2, false),
            (json!({}), 0, 0, false),
        ] {
            let answers = Answers::read(&json!({"statuses": statuses, "times": [1.0, 2.0]}), "200").unwrap();
            assert_eq!((answers.good, answers.asked, answers.are_good()), (good, asked, fine), "{answers}");
        }
    }

    #[test]
    fn the_limit_is_set_for_the_program() {
        let mut command = with_descriptors(99, OsStr::new("sh"));
        assert_eq!(exec::output(command.args(["-c", "ulimit -Sn"])).unwrap().trim(), "99");
    }
}
