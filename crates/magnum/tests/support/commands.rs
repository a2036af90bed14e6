//! The real command line client, one process for many commands of a user.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

const DRIVER: &str = include_str!("../data/commands.py");

/// What a command printed.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    pub code: Option<i64>,
    pub out: String,
    pub err: String,
}

/// The client as several users.
pub struct Commands {
    /// One process for each cloud, since the client keeps whom it logged in as.
    shells: BTreeMap<&'static str, Shell>,
    openstack: PathBuf,
    folder: PathBuf,
    clouds: PathBuf,
    /// Every command of the client with its options, of which none has been used yet.
    unused: BTreeMap<String, BTreeSet<String>>,
}

impl Commands {
    /// The client of `MAGNUM_TEST_OPENSTACK`, at work in `folder`, with the clouds of this file.
    pub fn new(openstack: &Path, folder: &Path, clouds: &Path) -> Self {
        let [openstack, folder, clouds] = [openstack, folder, clouds].map(Path::to_path_buf);
        Self { shells: BTreeMap::new(), openstack, folder, clouds, unused: BTreeMap::new() }
    }

    /// Runs a command; arguments are what stands between blanks.
    pub fn run(&mut self, cloud: &'static str, command: &str) -> Outcome {
        if !self.shells.contains_key(cloud) {
            let shell = self.start(cloud);
            self.shells.insert(cloud, shell);
        }
        self.note(command);
        let arguments: Vec<_> = command.split_whitespace().collect();
        self.shells.get_mut(cloud).unwrap().run(&arguments)
    }

    fn start(&mut self, cloud: &str) -> Shell {
        let mut process = Command::new(self.openstack.with_file_name("python"))
            .args(["-c", DRIVER])
            .env_clear()
            .env("OS_CLIENT_CONFIG_FILE", &self.clouds)
            .env("OS_CLOUD", cloud)
            .env("HOME", &self.folder)
            .env("SHELL", "/bin/sh")
            .env("PATH", std::env::var_os("PATH").unwrap())
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let outcomes = BufReader::new(process.stdout.take().unwrap());
        let mut shell = Shell { tasks: process.stdin.take(), process, outcomes };
        let commands: BTreeMap<_, _> = serde_json::from_str(&shell.line()).expect("the client says its commands");
        if self.unused.is_empty() {
            self.unused = commands;
        }
        shell
    }

    fn note(&mut self, command: &str) {
        let words: Vec<_> = command.split_whitespace().collect();
        // The longest name wins: `coe cluster template create` is no `coe cluster`.
        let name =
            (1..=words.len()).rev().map(|count| words[..count].join(" ")).find(|name| self.unused.contains_key(name));
        let Some(options) = name.and_then(|name| self.unused.get_mut(&name)) else { return };
        for word in &words {
            options.remove(word.split('=').next().unwrap());
        }
        options.insert(String::new());
    }

    /// The commands that were never run, and the options that no command had.
    pub fn unused(&self) -> Vec<String> {
        let mut unused = Vec::new();
        for (command, options) in &self.unused {
            if !options.contains("") {
                unused.push(command.clone());
            }
            unused
                .extend(options.iter().filter(|option| !option.is_empty()).map(|option| format!("{command} {option}")));
        }
        unused
    }
}

/// A process of the client. Ends with its input.
struct Shell {
    process: Child,
    tasks: Option<ChildStdin>,
    outcomes: BufReader<ChildStdout>,
}

impl Shell {
    fn run(&mut self, arguments: &[&str]) -> Outcome {
        let task = serde_json::to_string(arguments).unwrap();
        writeln!(self.tasks.as_mut().unwrap(), "{task}").unwrap();
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {line}"))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.outcomes.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.tasks.take());
        let _ = self.process.wait();
    }
}
