//! Nothing panics because nobody reads what is printed: not a command whose output goes to `head`, not one whose output
//! goes to a full disk, and not a server whose log has lost its reader.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use support::Server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_magnum");
/// What a shell shows for a program that SIGPIPE ended.
const READER_GONE: i32 = 141;

/// What each command that ends by itself is called with. A command that is not here fails the test.
const COMMANDS: &[(&str, &str)] = &[
    ("db upgrade", "--state-dir state"),
    ("db version", "--state-dir state"),
    ("config check", "magnum.conf"),
    ("config sample", ""),
    ("policy list", "--config-file magnum.conf"),
    ("policy check", "cluster:create --role member --config-file magnum.conf"),
    ("links", "links"),
];
/// Those that serve; they are in a test of their own.
const SERVERS: &[&str] = &["serve", "api", "conductor"];
/// The same for the program under upstream's names.
const NAMED: &[(&str, &str)] = &[
    ("magnum-db-manage", "version --config-file magnum.conf"),
    ("magnum-db-manage", "upgrade --config-file magnum.conf"),
    ("magnum-driver-manage", "list-drivers"),
    ("magnum-status", "upgrade check --config-file magnum.conf"),
    ("magnum-status", "upgrade check --json --config-file magnum.conf"),
];
/// What has no commands of its own.
const NAMED_SERVERS: &[&str] = &["magnum-api", "magnum-conductor"];

/// Where a command's output goes.
#[derive(Debug, Clone, Copy)]
enum Reader {
    /// Nowhere: whoever read has gone.
    Gone,
    /// To a disk that is full.
    FullDisk,
}

impl Reader {
    fn open(self) -> Stdio {
        match self {
            Self::Gone => {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                writer.into()
            }
            Self::FullDisk => File::options().write(true).open("/dev/full").unwrap().into(),
        }
    }
}

fn command(program: &Path, folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    command
}

/// The names that a help text lists under "Commands:".
fn listed(help: &str) -> BTreeSet<String> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = below.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: BTreeSet<String> = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    names.into_iter().filter(|name| name != "help").collect()
}

/// Every command of the program that has none below it, as its own help lists them.
fn leaves(folder: &Path, before: &str) -> Vec<String> {
    let output = command(Path::new(PROGRAM), folder, &format!("{before} --help")).output().unwrap();
    let below = listed(&String::from_utf8(output.stdout).unwrap());
    if below.is_empty() {
        return vec![before.to_owned()];
    }
    below.iter().flat_map(|name| leaves(folder, format!("{before} {name}").trim())).collect()
}

fn check(program: &Path, folder: &Path, arguments: &str) {
    for reader in [Reader::Gone, Reader::FullDisk] {
        let shown = format!("{} {arguments} ({reader:?})", program.display());
        let output = command(program, folder, arguments).stdout(reader.open()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{shown}: {said}");
        match reader {
            Reader::Gone => {
                assert_eq!(output.status.code(), Some(READER_GONE), "{shown}: {said}");
                assert!(!said.contains("standard output"), "{shown} has nobody to tell: {said}");
            }
            Reader::FullDisk => {
                assert_eq!(output.status.code(), Some(1), "{shown}: {said}");
                assert!(said.contains("standard output can't be written: No space left"), "{shown}: {said}");
            }
        }
        // With nobody at either end there is only the exit code to look at: 101 is a panic.
        let status = command(program, folder, arguments).stdout(reader.open()).stderr(reader.open()).status().unwrap();
        assert!(status.code().is_some_and(|code| code != 101), "{shown}: {status}");
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let config = format!("[DEFAULT]\nstate_path = {at}/state\n[api]\nprot = 1\n");
    std::fs::write(folder.path().join("magnum.conf"), config).unwrap();
    let made = command(Path::new(PROGRAM), folder.path(), "db upgrade --state-dir state").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

#[test]
fn every_command_ends_in_order_when_nobody_reads() {
    let folder = folder();
    let leaves = leaves(folder.path(), "");
    let known: BTreeSet<&str> = COMMANDS.iter().map(|(name, _)| *name).chain(SERVERS.iter().copied()).collect();
    let there: BTreeSet<&str> = leaves.iter().map(String::as_str).collect();
    assert_eq!(there, known, "every command of `magnum --help` is tried");
    for (name, arguments) in COMMANDS {
        check(Path::new(PROGRAM), folder.path(), &format!("{name} {arguments}"));
    }
}

#[test]
fn the_same_under_upstreams_names() {
    let folder = folder();
    let names = command(Path::new(PROGRAM), folder.path(), "links names").output().unwrap();
    let names: BTreeSet<String> = String::from_utf8(names.stdout)
        .unwrap()
        .lines()
        .map(|line| line.rsplit('/').next().unwrap().to_owned())
        .collect();
    let known: BTreeSet<&str> = NAMED.iter().map(|(name, _)| *name).chain(NAMED_SERVERS.iter().copied()).collect();
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), known, "every name is tried");
    for (name, arguments) in NAMED {
        if arguments.starts_with("upgrade --config") {
            // It prints to standard error alone, and is done with or without a reader.
            let status = command(&folder.path().join("names").join(name), folder.path(), arguments)
                .stderr(Reader::Gone.open())
                .status()
                .unwrap();
            assert!(status.success(), "{status}");
            continue;
        }
        check(&folder.path().join("names").join(name), folder.path(), arguments);
    }
}

#[test]
fn help_and_versions_are_printed_without_a_panic() {
    let folder = folder();
    symlink(PROGRAM, folder.path().join("magnum-api")).unwrap();
    let mut tried = vec![String::new()];
    tried.extend(leaves(folder.path(), ""));
    for program in [Path::new(PROGRAM).to_owned(), folder.path().join("magnum-api")] {
        for before in &tried {
            for option in ["--help", "--version", "--no-such-option"] {
                for reader in [Reader::Gone, Reader::FullDisk] {
                    let arguments = format!("{before} {option}");
                    let output = command(&program, folder.path(), &arguments).stdout(reader.open()).output().unwrap();
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(!said.contains("panicked") && output.status.code() != Some(101), "{arguments}: {said}");
                    let status = command(&program, folder.path(), &arguments).stderr(reader.open()).status().unwrap();
                    assert_ne!(status.code(), Some(101), "{arguments}");
                }
            }
        }
    }
}

/// A server says things beside its answers: that it is ready, and its log. With nobody to read them it serves on.
#[tokio::test]
async fn a_server_whose_log_has_no_reader_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    for role in [Server::new, Server::api] {
        let mut server = role(&folder.path().join("state"));
        server.extra_arguments = vec!["--debug".to_owned()];
        server.unread = true;
        server.start(&[]).await;
        let client = server.login("demo").await;
        for _ in 0..3 {
            let (status, body) =
                client.send("POST", "/v1/clusters", Some(json!({"cluster_template_id": "none"}))).await;
            assert_eq!(status, 404, "{body}");
        }
        assert!(server.terminate().success());
    }
}
