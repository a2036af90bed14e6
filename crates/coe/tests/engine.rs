//! The engine's client against a real HTTP server that answers as engines do. What a real engine says to it is tested
//! with the agent and the local driver.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use magnum_coe::EngineClient;
use magnum_coe::engine::{Availability, Departure, EngineError, Role};
use rstest::rstest;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener};

/// Decides on the answer; the number says the how manieth call of that path it is.
type Answer = dyn Fn(&str, usize) -> (u16, String) + Send + Sync;

#[derive(Clone)]
struct Engine {
    version: &'static str,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
    answer: Arc<Answer>,
}

impl Engine {
    fn new(version: &'static str, answer: impl Fn(&str, usize) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self { version, calls: Arc::default(), answer: Arc::new(answer) }
    }

    fn router(&self) -> Router {
        Router::new().fallback(handle).with_state(self.clone())
    }

    async fn listen(&self) -> EngineClient {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        EngineClient::plain(&format!("tcp://{address}")).unwrap()
    }

    /// Method and path of the calls, but for those by which the version is agreed.
    fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let is_agreeing = |call: &String| call.ends_with("/_ping") || call.ends_with("/version");
        calls.iter().map(|(call, _)| call.clone()).filter(|call| !is_agreeing(call)).collect()
    }

    fn body(&self, call: &str) -> Value {
        self.calls.lock().unwrap().iter().rfind(|(made, _)| made == call).unwrap().1.clone()
    }
}

async fn handle(State(engine): State<Engine>, method: Method, uri: Uri, body: Bytes) -> Response {
    let call = format!("{method} {uri}");
    let times = {
        let mut calls = engine.calls.lock().unwrap();
        calls.push((call.clone(), serde_json::from_slice(&body).unwrap_or_default()));
        calls.iter().filter(|(made, _)| *made == call).count()
    };
    if uri.path() == "/_ping" {
        let version = HeaderValue::from_static(engine.version);
        return ([("api-version", version)], "OK").into_response();
    }
    if uri.path() == "/v1.41/version" || uri.path() == "/v1.44/version" || uri.path() == "/v1.40/version" {
        let (status, body) = (engine.answer)("version", times);
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let (status, body) = (engine.answer)(&call, times);
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn node(id: &str, index: u64) -> Value {
    json!({
        "ID": id,
        "Version": {"Index": index},
        "Spec": {"Name": "kept", "Labels": {"zone": "b"}, "Role": "worker", "Availability": "active"},
        "Description": {"Hostname": format!("host-{id}"), "Engine": {"EngineVersion": "20.10.24"}},
        "Status": {"State": "ready", "Addr": "10.0.0.2"},
    })
}

fn swarm(index: u64, worker: &str) -> Value {
    json!({
        "ID": "swarm", "Version": {"Index": index}, "Spec": {"Name": "default", "Raft": {"SnapshotInterval": 10_000}},
        "JoinTokens": {"Worker": worker, "Manager": "manager-token"},
    })
}

fn refusal(message: &str) -> String {
    json!({ "message": message }).to_string()
}

#[rstest]
#[case::same("1.41", "GET /v1.41/info")]
#[case::newer_engine("1.47", "GET /v1.41/info")]
#[case::older_engine("1.40", "GET /v1.40/info")]
#[tokio::test]
async fn the_version_is_the_newest_that_both_know(#[case] version: &'static str, #[case] call: &str) {
    let engine = Engine::new(version, |_, _| (200, json!({"ServerVersion": "20.10.24"}).to_string()));
    let client = engine.listen().await;
    assert_eq!(client.info().await.unwrap().server_version, "20.10.24");
    client.info().await.unwrap();
    assert_eq!(engine.calls(), [call, call]);
}

#[tokio::test]
async fn an_engine_that_has_dropped_our_version_is_asked_in_its_oldest() {
    let words = "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client";
    let engine = Engine::new("1.52", move |call, _| match call {
        "version" => (400, refusal(words)),
        _ => (200, json!({"ServerVersion": "29.0.0"}).to_string()),
    });
    let client = engine.listen().await;
    assert_eq!(client.info().await.unwrap().server_version, "29.0.0");
    assert_eq!(engine.calls(), ["GET /v1.44/info"]);
}

#[tokio::test]
async fn refusals_come_in_the_engines_own_words() {
    let engine = Engine::new("1.41", |call, _| match call {
        "version" => (200, "{}".to_owned()),
        "GET /v1.41/nodes" => (503, refusal("This node is not a swarm manager.")),
        "GET /v1.41/nodes/x" => (404, refusal("node x not found")),
        "POST /v1.41/swarm/leave?force=false" => (500, "not even JSON\n".to_owned()),
        _ => (502, String::new()),
    });
    let client = engine.listen().await;
    let error = client.nodes().await.unwrap_err();
    assert_eq!(error.to_string(), "This node is not a swarm manager.");
    assert!(error.is_wrong_swarm_state() && !error.is_not_found() && !error.is_unreachable());
    assert!(client.node("x").await.unwrap_err().is_not_found());
    assert_eq!(client.swarm_leave(false).await.unwrap_err().to_string(), "not even JSON");
    assert_eq!(client.info().await.unwrap_err().to_string(), "502 Bad Gateway");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_errors() {
    let engine = Engine::new("1.41", |call, _| match call {
        "GET /v1.41/nodes" => (200, "[{}]".to_owned()),
        "GET /v1.41/swarm" => (200, format!("\"{}\"", "x".repeat(17 * 1024 * 1024))),
        _ => (200, "<html>".to_owned()),
    });
    let client = engine.listen().await;
    assert!(matches!(client.nodes().await, Err(EngineError::Malformed { .. })));
    assert!(matches!(client.info().await, Err(EngineError::Malformed { .. })));
    let error = client.swarm_id().await.unwrap_err();
    assert!(error.to_string().ends_with("more than 16777216 bytes"), "{error}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = EngineClient::plain(&address).unwrap().ping().await.unwrap_err();
    assert!(error.is_unreachable());
    assert!(error.to_string().starts_with(&format!("the engine at {address} does not answer: ")), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let missing = EngineClient::unix(&folder.path().join("docker.sock")).unwrap();
    assert!(missing.ping().await.unwrap_err().is_unreachable());
}

#[tokio::test]
async fn an_engine_is_reached_at_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let engine = Engine::new("1.41", |_, _| {
        let swarm = json!({
            "NodeID": "n1", "LocalNodeState": "active", "ControlAvailable": true, "Cluster": {"ID": "s1"},
        });
        (200, json!({"Name": "host", "Swarm": swarm, "Warnings": null}).to_string())
    });
    let (listener, router) = (UnixListener::bind(&socket).unwrap(), engine.router());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = EngineClient::unix(&socket).unwrap();
    client.ping().await.unwrap();
    let info = client.info().await.unwrap();
    assert!(info.swarm.is_active() && info.swarm.is_member() && info.swarm.control_available);
    assert_eq!((info.name.as_str(), info.swarm.swarm_id()), ("host", Some("s1")));
}

#[tokio::test]
async fn settings_that_can_not_work_are_refused_at_once() {
    for address in ["", "tcp://", "no scheme"] {
        assert!(matches!(EngineClient::plain(address), Err(EngineError::Settings { .. })), "{address}");
    }
    let outcome = EngineClient::tls("tcp://127.0.0.1:2376", "no certificate", &"no key".into());
    assert!(matches!(outcome, Err(EngineError::Settings { .. })));
}

#[tokio::test]
async fn members_are_read_and_changed_without_losing_what_we_do_not_know() {
    let engine = Engine::new("1.41", |call, times| match call {
        "GET /v1.41/nodes" => (200, json!([node("a", 1)]).to_string()),
        // Somebody else changes the node between our reading and writing it.
        "GET /v1.41/nodes/a" => (200, node("a", times as u64).to_string()),
        "POST /v1.41/nodes/a/update?version=1" => (500, refusal("rpc error: update out of sequence")),
        _ => (200, String::new()),
    });
    let client = engine.listen().await;
    let nodes = client.nodes().await.unwrap();
    assert_eq!((nodes[0].hostname.as_str(), nodes[0].role, nodes[0].is_ready()), ("host-a", Role::Worker, true));

    client.node_set_availability("a", Availability::Drain).await.unwrap();
    let sent = engine.body("POST /v1.41/nodes/a/update?version=2");
    let wanted = json!({"Name": "kept", "Labels": {"zone": "b"}, "Role": "worker", "Availability": "drain"});
    assert_eq!(sent, wanted);

    let calls = engine.calls().len();
    client.node_demote("a").await.unwrap();
    assert_eq!(engine.calls()[calls..], ["GET /v1.41/nodes/a"], "a worker needs no demotion");
}

#[tokio::test]
async fn a_change_that_others_always_forestall_ends() {
    let engine = Engine::new("1.41", |call, _| match call {
        "version" => (200, String::new()),
        "GET /v1.41/nodes/a" => (200, node("a", 1).to_string()),
        _ => (500, refusal("rpc error: update out of sequence")),
    });
    let client = engine.listen().await;
    let error = client.node_promote("a").await.unwrap_err();
    assert!(error.to_string().contains("out of sequence"));
    assert_eq!(engine.calls().len(), 10, "five attempts, each a look and a change");
}

#[tokio::test]
async fn removing_what_is_gone_is_no_error() {
    let engine = Engine::new("1.41", |call, _| match call {
        "DELETE /v1.41/nodes/gone?force=true" => (404, refusal("node gone not found")),
        "DELETE /v1.41/nodes/up?force=false" => (400, refusal("node up is not down and can't be removed")),
        _ => (200, String::new()),
    });
    let client = engine.listen().await;
    client.node_remove("gone", true).await.unwrap();
    assert!(client.node_remove("up", false).await.unwrap_err().to_string().contains("not down"));
    // Whatever is in an identity, it does not lead to another path.
    client.node_remove("../containers/x?a", true).await.unwrap();
    assert_eq!(engine.calls()[2], "DELETE /v1.41/nodes/..%2Fcontainers%2Fx%3Fa?force=true");
}

#[tokio::test]
async fn tokens_are_rotated_and_the_swarms_settings_kept() {
    let engine = Engine::new("1.41", |call, times| match call {
        "GET /v1.41/swarm" if times < 2 => (200, swarm(7, "old").to_string()),
        "GET /v1.41/swarm" => (200, swarm(8, "new").to_string()),
        _ => (200, String::new()),
    });
    let client = engine.listen().await;
    assert_eq!(client.rotate_join_token(Role::Worker).await.unwrap().expose_secret(), "new");
    let sent = engine.body("POST /v1.41/swarm/update?version=7&rotateWorkerToken=true");
    assert_eq!(sent, swarm(7, "old")["Spec"]);
    assert_eq!(client.join_token(Role::Manager).await.unwrap().expose_secret(), "manager-token");
}

/// A task: member, service, replica, what is wanted of it, what it does and why. Later ones were made later.
type Task = (&'static str, &'static str, u64, &'static str, &'static str);

fn task(at: usize, (node, service, slot, wanted, state): Task) -> Value {
    let (state, why) = state.split_once(": ").unwrap_or((state, ""));
    json!({"NodeID": node, "ServiceID": service, "Slot": slot, "CreatedAt": format!("2026-01-01T00:00:0{at}.5Z"),
        "DesiredState": wanted, "Status": {"State": state, "Err": why}})
}

#[tokio::test]
async fn a_member_has_left_when_its_replicas_run_elsewhere() {
    let cases: [(&str, &'static [Task], (usize, usize)); 13] = [
        ("nothing", &[], (0, 0)),
        (
            "a task still stops",
            &[("a", "web", 1, "shutdown", "running"), ("b", "web", 1, "running", "running")],
            (1, 0),
        ),
        (
            "its successor is fetched",
            &[("a", "web", 1, "shutdown", "shutdown"), ("b", "web", 1, "running", "preparing")],
            (0, 1),
        ),
        ("its successor waits", &[("a", "web", 1, "shutdown", "failed"), ("b", "web", 1, "ready", "ready")], (0, 1)),
        ("nobody has moved it yet", &[("a", "web", 1, "running", "running")], (1, 1)),
        (
            "it runs elsewhere",
            &[("a", "web", 1, "shutdown", "shutdown"), ("b", "web", 1, "running", "running")],
            (0, 0),
        ),
        (
            "others are not ours to wait for",
            &[
                ("a", "web", 1, "shutdown", "shutdown"),
                ("b", "web", 1, "running", "running"),
                ("b", "web", 2, "running", "pending"),
                ("b", "db", 1, "running", "pending"),
            ],
            (0, 0),
        ),
        ("scaled away", &[("a", "web", 2, "remove", "remove")], (0, 0)),
        (
            "no place for it",
            &[("a", "web", 1, "shutdown", "shutdown"), ("", "web", 1, "running", "pending: no suitable node")],
            (0, 0),
        ),
        ("not placed yet", &[("a", "web", 1, "shutdown", "shutdown"), ("", "web", 1, "running", "pending")], (0, 1)),
        (
            "it fails elsewhere",
            &[
                ("a", "web", 1, "shutdown", "shutdown"),
                ("b", "web", 1, "shutdown", "rejected"),
                ("b", "web", 1, "shutdown", "failed"),
                ("b", "web", 1, "ready", "ready"),
            ],
            (0, 0),
        ),
        (
            "it failed there long ago",
            &[
                ("b", "web", 1, "shutdown", "failed"),
                ("b", "web", 1, "shutdown", "failed"),
                ("a", "web", 1, "shutdown", "shutdown"),
                ("b", "web", 1, "running", "starting"),
            ],
            (0, 1),
        ),
        (
            "each member has one",
            &[("a", "log", 0, "shutdown", "complete"), ("b", "log", 0, "running", "preparing")],
            (0, 0),
        ),
    ];
    for (name, tasks, (running, moving)) in cases {
        let engine = Engine::new("1.41", move |call, _| {
            let of = |pick: &dyn Fn(&&Task) -> bool| {
                let rows = tasks.iter().enumerate().filter(|(_, row)| pick(row));
                json!(rows.map(|(at, row)| task(at, *row)).collect::<Vec<_>>()).to_string()
            };
            match call {
                "version" => (200, String::new()),
                call if call.contains("node") => (200, of(&|row| row.0 == "a")),
                call => (200, of(&|row| call.contains(row.1))),
            }
        });
        let client = engine.listen().await;
        assert_eq!(client.departure("a").await.unwrap(), Departure { running, moving }, "{name}");
        assert_eq!(engine.calls()[0], "GET /v1.41/tasks?filters=%7B%22node%22%3A%5B%22a%22%5D%7D", "{name}");
        let replicas = tasks.iter().any(|row| row.0 == "a" && row.2 > 0);
        assert_eq!(engine.calls().len(), if replicas { 2 } else { 1 }, "{name}");
    }
}

#[tokio::test]
async fn tasks_that_have_ended_do_not_hold_up_draining() {
    let states = ["running", "preparing", "shutdown", "complete", "failed", "rejected", "orphaned", "remove"];
    let engine = Engine::new("1.41", move |call, _| match call {
        "version" => (200, String::new()),
        _ => (200, json!(states.map(|state| json!({"Status": {"State": state}}))).to_string()),
    });
    let client = engine.listen().await;
    assert_eq!(client.departure("a").await.unwrap(), Departure { running: 2, moving: 0 });
}
