//! The program called by upstream's names: options, output, exit codes.

#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Links under every name, made as an operator makes them, and a configuration with a database of its own.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made =
            Command::new(env!("CARGO_BIN_EXE_magnum")).arg("links").arg(folder.path().join("bin")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let installed = Self { folder };
        installed.write("magnum.conf", "");
        installed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, more: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "[DEFAULT]\nstate_path = {folder}/state\n[database]\nconnection = sqlite:///{folder}/db.sqlite\n{more}"
        );
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Exit code, standard output, standard error.
    fn run(&self, line: &str) -> (i32, String, String) {
        let mut words = line.split_whitespace();
        let output = Command::new(self.path("bin").join(words.next().unwrap()))
            .args(words)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("MAGNUM_STATE_DIR")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn links_are_made_once_and_nothing_is_overwritten() {
    let installed = Installed::new();
    let links = |folder: &Path| Command::new(env!("CARGO_BIN_EXE_magnum")).arg("links").arg(folder).output().unwrap();
    let again = links(&installed.path("bin"));
    assert!(again.status.success());
    assert_eq!(String::from_utf8_lossy(&again.stdout).lines().count(), 5);
    let other = installed.path("other");
    std::fs::create_dir(&other).unwrap();
    symlink("/bin/true", other.join("magnum-status")).unwrap();
    let refused = links(&other);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("magnum-status is there already"));
}

#[test]
fn the_database_is_looked_after() {
    let installed = Installed::new();
    for (line, code, out, err) in [
        ("magnum-db-manage --config-file magnum.conf version", 0, "Current DB revision is None\n", ""),
        ("magnum-db-manage --config-file magnum.conf upgrade c04e925e65c2", 1, "", "nothing older"),
        (
            "magnum-db-manage --config-file magnum.conf upgrade nonsense",
            1,
            "",
            "Can't locate revision identified by 'nonsense'",
        ),
        ("magnum-db-manage --config-file magnum.conf upgrade", 0, "", "Running upgrade"),
        ("magnum-db-manage --config-file magnum.conf --debug upgrade head", 0, "", ""),
        ("magnum-db-manage --config-file magnum.conf version", 0, "Current DB revision is b3e1cf4a2d5e\n", ""),
        ("magnum-db-manage version --config-file magnum.conf", 0, "Current DB revision is b3e1cf4a2d5e\n", ""),
        ("magnum-db-manage --config-file magnum.conf stamp b3e1cf4a2d5e", 0, "", ""),
        ("magnum-db-manage --config-file magnum.conf stamp c0f832afc4fd", 1, "", "those of b3e1cf4a2d5e"),
        ("magnum-db-manage --config-file magnum.conf upgrade c0f832afc4fd", 1, "", "no way back"),
        ("magnum-db-manage revision -m words --autogenerate", 1, "", "Python script"),
        ("magnum-db-manage", 2, "", "Usage: magnum-db-manage"),
        ("magnum-db-manage bogus", 2, "", "bogus"),
        ("magnum-db-manage stamp", 2, "", "required"),
        ("magnum-db-manage --help", 0, "Usage: magnum-db-manage", ""),
    ] {
        let (found, stdout, stderr) = installed.run(line);
        assert_eq!(found, code, "{line}: {stdout}{stderr}");
        assert!(stdout.contains(out) && (!out.is_empty() || stdout.is_empty()), "{line}: {stdout}");
        assert!(stderr.contains(err), "{line}: {stderr}");
    }
}

#[test]
fn an_upgrade_is_checked() {
    let installed = Installed::new();
    let check =
        |file: &str, more: &str| installed.run(&format!("magnum-status --config-file {file} upgrade check {more}"));
    let (code, out, _) = check("magnum.conf", "");
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("| Check: Database Schema") && out.contains("It is empty."), "{out}");

    assert_eq!(installed.run("magnum-db-manage --config-file magnum.conf upgrade").0, 0);
    let (code, out, err) = check("magnum.conf", "");
    assert_eq!(code, 0, "{out}{err}");
    let begins = "+-------------------------------------------+\n| Upgrade Check Results                     |\n\
                  +-------------------------------------------+\n| Check: Policy File JSON to YAML Migration |\n\
                  | Result: Success                           |\n| Details: None                             |\n";
    assert!(out.starts_with(begins), "{out}");

    std::fs::write(installed.path("rules.json"), "{}").unwrap();
    installed.write("json.conf", &format!("[oslo_policy]\npolicy_file = {}\n", installed.path("rules.json").display()));
    installed.write("odd.conf", "[api]\nprot = 1\n[database]\nbackend = sqlalchemy\n");
    installed.write("wrong.conf", "[api]\nport = many\n");
    for (file, worst, check_name, result) in
        [("json.conf", 2, "Policy File JSON to YAML Migration", 2), ("odd.conf", 1, "Configuration", 1)]
    {
        let (code, out, err) = check(file, "--json");
        assert_eq!(code, worst, "{file}: {out}{err}");
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["name"], "Upgrade Check Results");
        let checks = document["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["check"] == check_name).unwrap();
        assert_eq!(found["result"], result, "{out}");
    }
    let (code, _, err) = check("wrong.conf", "");
    assert_eq!(code, 255, "{err}");
    assert_eq!(installed.run("magnum-status upgrade").0, 2);
}

#[test]
fn drivers_are_listed() {
    let installed = Installed::new();
    for (options, expected) in [
        ("", "+-------+\n| Name  |\n+-------+\n| local |\n+-------+\n"),
        ("-f value", "local\n"),
        ("-f csv -d -p -c Name -c COE", "\"Name\",\"COE\"\n\"local\",\"swarm-mode\"\n\"local\",\"swarm\"\n"),
        ("--format yaml -p", "- Name: local\n  Template Path: n/a\n"),
        ("-f value -d --sort-column COE", "local vm local swarm\nlocal vm local swarm-mode\n"),
    ] {
        let (code, out, err) = installed.run(&format!("magnum-driver-manage list-drivers {options}"));
        assert_eq!((code, out.as_str()), (0, expected), "{options}: {err}");
    }
    let (code, out, _) = installed.run("magnum-driver-manage list-drivers -f json -d");
    let drivers: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, drivers[0]["Server_Type"].as_str()), (0, Some("vm")));
    assert_eq!(installed.run("magnum-driver-manage list-drivers -f shell").0, 2);
    assert_eq!(installed.run("magnum-driver-manage --version").0, 0);
}
