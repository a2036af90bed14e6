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

/// Exit code and all that was said.
fn check(folder: &Path, arguments: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_magnum"))
        .args(["config", "check"])
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn a_check_says_what_a_file_means_and_its_exit_code_how_bad_it_is() {
    for (text, arguments, code, words) in [
        ("", "magnum.conf", 0, "1 files, 0 errors, 0 warnings"),
        ("[api]\nprot = 1\n", "magnum.conf", 0, "0 errors, 1 warnings"),
        ("[api]\nprot = 1\n", "--strict magnum.conf", 1, "0 errors, 1 warnings"),
        ("[api]\nport = many\n[certificates]\ncert_manager_type = barbican\n", "magnum.conf", 1, "2 errors"),
        (
            "[database]\nconnection = oracle://m:p@h/m\n[identity]\nbackend = builtin\n",
            "magnum.conf",
            1,
            "none of sqlite",
        ),
        (
            "[keystone_authtoken]\nauth_url = http://k\nauth_type = v2password\n",
            "magnum.conf",
            1,
            "[keystone_authtoken] auth_type can't be used: [keystone_authtoken] auth_type is v2password",
        ),
        ("[drivers]\ndefault_driver = locla\n", "magnum.conf", 1, "did you mean local?"),
        ("[drivers]\ndisabled_drivers = nothing_v9\n", "magnum.conf", 0, "there is no such driver"),
        ("[x509]\nallowed_extensions = keyUsge\n", "magnum.conf", 0, "did you mean keyUsage?"),
        ("[x509]\nallowed_key_usage = Sign Everything\n", "magnum.conf", 0, "which is not known"),
        ("[oslo_policy]\npolicy_dirs = more.d\n", "magnum.conf", 0, "names more.d"),
        (
            "[DEFAULT]\nmax_clusters_per_project = 5\n",
            "magnum.conf",
            0,
            "did you mean [quotas] max_clusters_per_project?",
        ),
        ("", "--config-file magnum.conf --config-dir conf.d", 0, "3 files, 0 errors, 1 warnings"),
        ("", "--connect magnum.conf", 0, "is not there yet and will be made"),
        (
            "[database]\nconnection = mysql+pymysql://m:hunter2@127.0.0.1:1/m\n[identity]\nbackend = builtin\n",
            "--connect magnum.conf",
            3,
            "database: the database is not available",
        ),
        (
            "[database]\nconnection = postgresql://m:hunter2@127.0.0.1:1/m\n[identity]\nbackend = builtin\n",
            "--connect magnum.conf",
            3,
            "database: the database is not available",
        ),
        (
            "[certificates]\ncert_manager_type = x509keypair\n[keystone_authtoken]\nauth_url = http://127.0.0.1:1/v3\n\
             username = m\npassword = hunter2\n",
            "--connect magnum.conf",
            3,
            "keystone: the identity service (Keystone) can't be reached",
        ),
        ("[api]\nport = many\n", "--connect magnum.conf", 1, "database: answers"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::write(at.join("magnum.conf"), format!("[DEFAULT]\nstate_path = {}/state\n{text}", at.display()))
            .unwrap();
        std::fs::create_dir(at.join("conf.d")).unwrap();
        std::fs::write(at.join("conf.d/10.conf"), "[api]\nprot = 1\n").unwrap();
        std::fs::write(at.join("conf.d/20.conf"), "").unwrap();
        let (found, said) = check(at, arguments);
        assert_eq!(found, code, "{arguments} of\n{text}\n{said}");
        assert!(said.contains(words), "{arguments} of\n{text}\n{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!at.join("state").exists(), "nothing is made");
    }
    assert_eq!(check(Path::new("/"), "--no-such-option").0, 2);
}

/// Every database that there is answers, is not changed, and is told of as it is.
#[test]
fn databases_are_tried_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut urls = vec![format!("sqlite:///{}/db.sqlite", at.display())];
    urls.extend(
        ["MAGNUM_TEST_POSTGRES_URL", "MAGNUM_TEST_MARIADB_URL"].iter().filter_map(|name| std::env::var(name).ok()),
    );
    let (made, said) = magnum(at, "db upgrade --state-dir state");
    assert!(made, "{said}");
    std::fs::copy(at.join("state/magnum.sqlite"), at.join("db.sqlite")).unwrap();
    for url in urls {
        let text = format!(
            "[DEFAULT]\nstate_path = {}/state\n[database]\nconnection = {}\n[identity]\nbackend = builtin\n",
            at.display(),
            // A password may have a dollar sign, which begins a reference here.
            url.replace('$', "$$"),
        );
        std::fs::write(at.join("magnum.conf"), text).unwrap();
        let (code, said) = check(at, "--connect magnum.conf");
        assert_eq!(code, 0, "{said}");
        let kind = url.split([':', '+']).next().unwrap().replace("postgres", "postgresql").replace("mariadb", "mysql");
        let kind = kind.replace("postgresqlql", "postgresql");
        assert!(said.contains(&format!("database: answers: {kind}, ")), "{said}");
    }
}
