//! A running API, asked all that its document allows and much that it does not: schemathesis makes the requests up.
//!
//! None is answered with a 500 or with anything the document does not say, none hangs, and the process does not grow.
//! `MAGNUM_TEST_SCHEMATHESIS` names the program (`cargo xtask test` installs it).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use support::{Client, Server};

/// The same requests every time.
const SEED: &str = "20261123";
/// Random requests for each operation, besides those that go through all values at the edges.
const EXAMPLES: &str = "20";
/// What may go wrong. Data that fits the schemas may be refused all the same, by rules that no schema can hold; what does
/// not fit must be refused. Methods that a path has not are the differential suite's: as with upstream, a microversion
/// that is none is refused before them.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,ignored_auth";
/// How much the process may grow once it has all that it keeps (pools, caches, prepared statements), in KiB: what an allocator keeps, not what is lost with every request.
const GROWTH: u64 = 12 * 1024;

fn program() -> Option<PathBuf> {
    let program = std::env::var_os("MAGNUM_TEST_SCHEMATHESIS").map(PathBuf::from);
    if program.is_none() {
        let required = std::env::var_os("MAGNUM_TEST_REQUIRE_CLIENT").is_some();
        assert!(!required, "MAGNUM_TEST_SCHEMATHESIS does not name the schemathesis executable");
        eprintln!("NOT RUN: MAGNUM_TEST_SCHEMATHESIS names no schemathesis; `cargo xtask test` installs one");
    }
    program
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Things that requests can be about, so that not all end with 404; the names are those of `NAMES`.
async fn furnish(client: &Client) {
    let template = client.template(json!({"name": "swarm"})).await;
    client.create(&template, "web", 1, 1).await;
}

const NAMES: &str = r#"
[parameters]
"path.cluster_ident" = "web"
"path.clustertemplate_ident" = "swarm"
"path.nodegroup_ident" = "default-worker"
"#;

/// Asks as somebody, and answers what the program says of it.
#[track_caller]
fn ask(program: &Path, folder: &Path, client: &Client, selection: [&str; 2]) -> String {
    let config = folder.join("schemathesis.toml");
    std::fs::write(&config, NAMES).unwrap();
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .arg("--config-file")
        .arg(&config)
        .args(["run", &format!("{}/openapi.json", client.url)])
        .args(["--header", &format!("X-Auth-Token: {}", client.token)])
        .args(selection)
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--checks", CHECKS, "--generation-database", "none", "--continue-on-failure", "--no-color"])
        // Events as a stream have no end; what takes longer than this hangs.
        .args(["--request-timeout", "60", "--suppress-health-check", "all", "--warnings", "off"]);
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "schemathesis has found something:\n{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_can_be_made_up_is_answered_wrongly() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::api(&folder.path().join("state"));
    server.start(&[]).await;
    let demo = server.login("demo").await;
    let admin = server.login("admin").await;
    furnish(&demo).await;

    let document = folder.path().join("openapi.json");
    std::fs::write(&document, demo.get("/openapi.json").await.to_string()).unwrap();
    let validator = Command::new(program.with_file_name("openapi-spec-validator")).arg(&document).output().unwrap();
    assert!(validator.status.success(), "the document is none: {}", String::from_utf8_lossy(&validator.stdout));

    // What is deleted answers everything else with a conflict: that comes last.
    let but_deletes = ["--exclude-method", "DELETE"];
    let mut texts = vec![ask(&program, folder.path(), &demo, but_deletes)];
    let before = resident(server.pid());
    texts.push(ask(&program, folder.path(), &admin, but_deletes));
    texts.push(ask(&program, folder.path(), &demo, ["--include-method", "DELETE"]));
    let after = resident(server.pid());
    for text in &texts {
        let count = text.lines().find(|line| line.contains("generated")).unwrap_or_default();
        println!("{}", count.trim());
    }
    println!("resident: {before} KiB after the first of them, {after} KiB at the end");
    assert!(after <= before + GROWTH, "the process has grown from {before} to {after} KiB");
    // It lives, and the log has no panic.
    assert_eq!(demo.get("/v1/clusters/web").await["name"], "web");
    assert!(!server.log_text().contains("panic"), "{}", server.log_text());
    assert!(server.terminate().success(), "{}", server.log_text());
}
