//! The commands that look at something and end, as an operator types them.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

fn magnum(folder: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_magnum"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn the_schema_is_named_as_upstream_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[DEFAULT]\nstate_path = state\n[database]\nconnection = sqlite:///DIR/db.sqlite\n";
    let config = config.replace("DIR", &folder.path().display().to_string());
    std::fs::write(folder.path().join("magnum.conf"), config).unwrap();
    let db = |command: &str| magnum(folder.path(), &format!("db {command} --config-file magnum.conf"));

    let (ok, text) = db("version");
    assert!(ok && text.contains("empty") && text.contains("magnum db upgrade"), "{text}");
    for command in ["upgrade", "version"] {
        let (ok, text) = db(command);
        assert!(ok && text.contains("b3e1cf4a2d5e") && text.contains("current"), "{command}: {text}");
    }
}

#[test]
fn a_database_that_is_not_there_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ok, text) = magnum(folder.path(), "db version --state-dir nowhere");
    assert!(!ok && text.contains("nowhere"), "{text}");
    assert_eq!(text.matches("No such file").count(), 1, "{text}");
}

#[test]
fn policy_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let check = |role: &str| magnum(folder.path(), &format!("policy check cluster:create --role {role}"));
    let (ok, text) = check("member");
    assert!(ok && text.starts_with("cluster:create: allowed") && text.contains("yes"), "{text}");
    let (ok, text) = check("reader");
    assert!(!ok && text.starts_with("cluster:create: denied") && text.contains("role:member"), "{text}");
    let (ok, text) = magnum(folder.path(), "policy list");
    assert!(ok && text.contains("\"cluster:create\": \"rule:"), "{text}");

    // What is listed is a policy file itself, and says of a rule that it is the operator's.
    std::fs::create_dir(folder.path().join("policy.d")).unwrap();
    let overrides = "'quota:get_all': 'role:auditor'\n'cluster:creat': '@'\n";
    std::fs::write(folder.path().join("policy.d/own.yaml"), overrides).unwrap();
    std::fs::write(folder.path().join("magnum.conf"), "[oslo_policy]\npolicy_dirs = policy.d\n").unwrap();
    let (ok, text) = magnum(folder.path(), "policy list --config-file magnum.conf");
    assert!(ok && text.contains("\"quota:get_all\": \"role:auditor\"  # "), "{text}");
    assert!(text.contains("own.yaml") && text.contains("# ") && text.contains("cluster:creat"), "{text}");
    let listed: serde_json::Map<String, serde_json::Value> = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(listed["quota:get_all"], "role:auditor");
}

#[test]
fn configuration_is_checked_and_sampled() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.conf"), "[api]\nprot = 1\nport = many\n").unwrap();
    let (ok, text) = magnum(folder.path(), "config check bad.conf");
    assert!(!ok && text.contains("did you mean port?") && text.contains("1 errors"), "{text}");
    let (ok, sample) = magnum(folder.path(), "config sample");
    assert!(ok);
    std::fs::write(folder.path().join("sample.conf"), sample).unwrap();
    let (ok, text) = magnum(folder.path(), "config check sample.conf");
    assert!(ok && text.ends_with("0 errors, 0 warnings\n"), "{text}");
}
