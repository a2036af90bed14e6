//! Joining, being told, reporting: over real mutual TLS.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::conductor::{Conductor, TOKEN, TestNode, stop};
use magnum_domain::EventState;
use magnum_domain::agent::{AgentConfig, DesiredNode, EngineSpec, SwarmSpec};

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn desired(generation: i64, swarm: SwarmSpec) -> DesiredNode {
    DesiredNode { generation, engine: EngineSpec { port: 2376, tls: true, ..EngineSpec::default() }, swarm }
}

/// An engine that ends at once, with these words as its last.
fn failing_engine(folder: &Path, words: &str) {
    let program = folder.join("dockerd");
    fs::write(&program, format!("#!/bin/sh\necho 'level=info starting'\necho '{words}' >&2\nexit 1\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_node_joins_once_and_its_token_is_forgotten() {
    let conductor = Conductor::new();
    let (address, _server) = conductor.listen(anywhere()).await;
    let node = TestNode::on_loopback(&conductor, address);

    let agent = node.start(None);
    conductor.until("a poll", |told| !told.polls.is_empty()).await;
    assert!(stop(agent).await);

    let kept: AgentConfig = serde_json::from_slice(&fs::read(node.config_file()).unwrap()).unwrap();
    assert_eq!(kept, AgentConfig { join_token: String::new(), ..node.config.clone() });
    let key = node.config.directory.join("key.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));

    // Its second life begins with the certificate of the first.
    let polls = conductor.told().polls.len();
    let agent = node.start(None);
    conductor.until("another poll", |told| told.polls.len() > polls).await;
    assert!(stop(agent).await);
    assert_eq!(conductor.joins(), (1, 0));
}

#[tokio::test]
async fn a_node_ended_between_joining_and_forgetting_goes_on_with_its_certificate() {
    let conductor = Conductor::new();
    let (address, _server) = conductor.listen(anywhere()).await;
    let node = TestNode::on_loopback(&conductor, address);
    let agent = node.start(None);
    conductor.until("a poll", |told| !told.polls.is_empty()).await;
    assert!(stop(agent).await);

    node.write_config();
    let polls = conductor.told().polls.len();
    let agent = node.start(None);
    conductor.until("another poll", |told| told.polls.len() > polls).await;
    assert!(stop(agent).await);
    assert_eq!(conductor.joins(), (1, 1));
    assert!(!fs::read_to_string(node.config_file()).unwrap().contains(TOKEN));
}

#[tokio::test]
async fn a_token_that_is_not_valid_gives_no_certificate() {
    let conductor = Conductor::new();
    conductor.told().token = Some("another".to_owned());
    let (address, _server) = conductor.listen(anywhere()).await;
    let node = TestNode::on_loopback(&conductor, address);
    let agent = node.start(None);
    conductor.until("two refusals", |told| told.refused_joins >= 2).await;
    assert!(stop(agent).await);
    assert!(!node.config.directory.join("cert.pem").exists());
    assert!(conductor.told().polls.is_empty());

    // The right one, given later, is still good.
    conductor.told().token = Some(TOKEN.to_owned());
    let agent = node.start(None);
    conductor.until("a poll", |told| !told.polls.is_empty()).await;
    assert!(stop(agent).await);
}

#[tokio::test]
async fn a_conductor_of_another_authority_is_not_trusted() {
    let (conductor, impostor) = (Conductor::new(), Conductor::new());
    let (address, server) = impostor.listen(anywhere()).await;
    let node = TestNode::on_loopback(&conductor, address);
    let agent = node.start(None);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(impostor.joins(), (0, 0), "the token was shown to a stranger");

    server.abort();
    let _ = server.await;
    let (_, _server) = conductor.listen(address).await;
    conductor.until("a poll", |told| !told.polls.is_empty()).await;
    assert!(stop(agent).await);
}

#[tokio::test]
async fn a_conductor_that_is_away_is_waited_for() {
    let conductor = Conductor::new();
    let (address, server) = conductor.listen(anywhere()).await;
    server.abort();
    let _ = server.await;

    let programs = tempfile::tempdir().unwrap();
    failing_engine(programs.path(), "failed to start daemon: no room");
    let node = TestNode::on_loopback(&conductor, address);
    let mut agent = node.start(Some(programs.path()));
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert!(agent.try_wait().unwrap().is_none(), "the agent gave up");

    let (_, server) = conductor.listen(address).await;
    conductor.until("a poll", |told| !told.polls.is_empty()).await;
    server.abort();
    let _ = server.await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;

    // What it wants when it is back is brought about, and reported.
    conductor.desired.send_replace(Some(desired(1, SwarmSpec::Wait)));
    let (_, _server) = conductor.listen(address).await;
    conductor.reported("engine.start", EventState::Failed).await;
    assert!(stop(agent).await);
    assert_eq!(conductor.joins().0, 1);
}

#[tokio::test]
async fn an_engine_that_does_not_start_is_reported_in_its_own_words_and_once() {
    let conductor = Conductor::new();
    let (address, _server) = conductor.listen(anywhere()).await;
    let programs = tempfile::tempdir().unwrap();
    failing_engine(programs.path(), "failed to start daemon: no room");
    let node = TestNode::on_loopback(&conductor, address);
    conductor.desired.send_replace(Some(desired(3, SwarmSpec::Wait)));

    let agent = node.start(Some(programs.path()));
    let report = conductor.reported("engine.start", EventState::Failed).await;
    let words = "the container engine has ended (exit status: 1): level=info starting; failed to start daemon: no room";
    assert_eq!(report.message, words);
    assert_eq!(report.observed.problem.as_deref(), Some(words));
    assert_eq!((report.observed.generation, report.observed.engine_ready), (0, false));

    let steps = |conductor: &Conductor| {
        let told = conductor.told();
        told.reports.iter().map(|report| (report.step.clone(), report.state)).collect::<Vec<_>>()
    };
    let said = [
        ("engine.configure", EventState::Started),
        ("engine.configure", EventState::Done),
        ("engine.start", EventState::Started),
        ("engine.start", EventState::Failed),
    ]
    .map(|(step, state)| (step.to_owned(), state));
    assert_eq!(steps(&conductor), said);
    // It is tried again, but not said again until the reason changes.
    let attempts = || fs::read_to_string(node.config.directory.join("engine.log")).unwrap().matches("no room").count();
    tokio::time::timeout(crate::conductor::PATIENCE, async {
        while attempts() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(steps(&conductor), said);
    failing_engine(programs.path(), "failed to start daemon: no rights");
    conductor
        .until("another reason", |told| told.reports.iter().any(|report| report.message.contains("no rights")))
        .await;
    assert!(stop(agent).await);
}

#[tokio::test]
async fn an_engine_that_refuses_its_configuration_says_so_and_one_that_lacks_something_does_not() {
    for (words, refused) in [
        ("failed to start daemon: insecure registry a b is not valid: invalid host \"a b\"", true),
        ("unable to configure the Docker daemon with file /x/daemon.json: the following directives are wrong", true),
        ("failed to start daemon: invalid mirror: no scheme", true),
        ("failed to start daemon: no room", false),
        ("failed to start daemon: timeout waiting for containerd to start", false),
    ] {
        let conductor = Conductor::new();
        let (address, _server) = conductor.listen(anywhere()).await;
        let programs = tempfile::tempdir().unwrap();
        failing_engine(programs.path(), words);
        let node = TestNode::on_loopback(&conductor, address);
        conductor.desired.send_replace(Some(desired(3, SwarmSpec::Wait)));
        let agent = node.start(Some(programs.path()));
        let report = conductor.reported("engine.start", EventState::Failed).await;
        assert_eq!(report.observed.refused_generation, refused.then_some(3), "{words}");
        assert!(stop(agent).await);
    }
}

#[tokio::test]
async fn an_engine_that_is_not_installed_is_named() {
    let conductor = Conductor::new();
    let (address, _server) = conductor.listen(anywhere()).await;
    let node = TestNode::on_loopback(&conductor, address);
    conductor.desired.send_replace(Some(desired(1, SwarmSpec::Wait)));
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_magnum-agent"));
    command.args(["run", "--config"]).arg(node.config_file()).env("PATH", "/nowhere").kill_on_drop(true);
    let agent = command.spawn().unwrap();
    let report = conductor.reported("engine.start", EventState::Failed).await;
    assert_eq!(report.message, "`dockerd` failed: it is not installed");
    assert!(stop(agent).await);
}

#[tokio::test]
async fn what_was_wanted_outlives_a_restart_without_a_conductor() {
    let conductor = Conductor::new();
    let (address, server) = conductor.listen(anywhere()).await;
    let programs = tempfile::tempdir().unwrap();
    failing_engine(programs.path(), "first life");
    let node = TestNode::on_loopback(&conductor, address);
    let secret = "SWMTKN-1-very-secret";
    let swarm = SwarmSpec::Join {
        managers: vec!["127.0.0.1:2377".to_owned()],
        token: secret.to_owned(),
        advertise: "127.0.0.1".to_owned(),
    };
    conductor.desired.send_replace(Some(desired(7, swarm)));
    let agent = node.start(Some(programs.path()));
    conductor.reported("engine.start", EventState::Failed).await;
    assert!(stop(agent).await);
    server.abort();
    let _ = server.await;

    // Only root reads what is remembered, and nothing of it is shown.
    let state = node.config.directory.join("state.json");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(conductor.told().reports.iter().all(|report| !report.message.contains(secret)));

    failing_engine(programs.path(), "second life");
    let agent = node.start(Some(programs.path()));
    let log = node.config.directory.join("engine.log");
    tokio::time::timeout(crate::conductor::PATIENCE, async {
        while !fs::read_to_string(&log).unwrap().contains("second life") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    // What it did alone, it tells when there is somebody to tell.
    let (_, _server) = conductor.listen(address).await;
    conductor.until("the second life", |told| told.reports.iter().any(|r| r.message.contains("second life"))).await;
    assert!(stop(agent).await);
    assert_eq!(conductor.joins().0, 1);
}
