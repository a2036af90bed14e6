//! Slow clients shut nobody out, on any listener of the service; and there is no listener that the rules don't hold for.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::path::Path;

use support::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Every place outside of tests that listens or accepts, and whose limits hold there. A new one has to be put on
/// `magnum_listen`, and here.
const LISTENERS: [(&str, &str, &str); 8] = [
    ("magnum/src/serve.rs", "TcpListener::bind", "the API and the built-in identity, by serve_http"),
    ("drivers/src/local/namespace.rs", "socket.listen(", "makes the sockets of serve.rs"),
    ("drivers/src/local/serve.rs", "TcpListener::bind", "ports of clusters, by serve_streams in forward.rs"),
    ("drivers/src/local/serve.rs", "namespace.listen(", "agents and the way out: Listener::new"),
    ("drivers/src/local/listener.rs", "serve_http(", "agents"),
    ("drivers/src/local/forward.rs", "serve_streams(", "the engines of a cluster"),
    ("drivers/src/local/egress_proxy.rs", "serve_streams(", "the way out of a cluster"),
    ("listen/src/listener.rs", ".accept().await", "the one place that accepts"),
];

#[test]
fn every_listener_is_under_the_rules() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    look(crates, crates, &mut found);
    let mut listed = LISTENERS.map(|(file, what, _)| (file.to_owned(), what)).to_vec();
    found.sort();
    found.dedup();
    listed.sort();
    assert_eq!(found, listed);
}

fn look(crates: &Path, folder: &Path, found: &mut Vec<(String, &'static str)>) {
    const WORDS: [&str; 8] = [
        "TcpListener::bind",
        "UnixListener::bind",
        "socket.listen(",
        "namespace.listen(",
        ".accept().await",
        "axum::serve(",
        "serve_http(",
        "serve_streams(",
    ];
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() {
            // What only tests use serves nobody.
            if name != "tests" && name != "testkit" {
                look(crates, &entry, found);
            }
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&entry).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let file = entry.strip_prefix(crates).unwrap().display().to_string();
            for word in WORDS {
                let calls = code.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.contains("fn "));
                if calls.into_iter().any(|line| line.contains(word)) && file != "listen/src/http.rs" {
                    // The API's own call of serve_http is in the same file as its socket.
                    if file == "magnum/src/serve.rs" && word == "serve_http(" {
                        continue;
                    }
                    found.push((file.clone(), word));
                }
            }
        }
    }
}

/// Ten times as many slow requests as there is room for, to each part of the service, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_requests_to_any_part_shut_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("magnum.conf");
    std::fs::write(&configuration, "[limits]\nmax_connections = 16\nbody_timeout = 3600\nbody_pause_timeout = 3600\n")
        .unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.extra_arguments = vec!["--no-tls".into(), "--config-file".into(), configuration.display().to_string()];
    server.url = server.url.replace("https:", "http:");
    server.spawn(&[]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut answered = false;
    for _ in 0..3000 {
        if reqwest::get(format!("{}/healthcheck", server.url)).await.is_ok_and(|answer| answer.status().is_success()) {
            answered = true;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(answered, "{}", server.log_text());
    for (method, path, whole_head) in [
        ("POST", "/identity/v3/auth/tokens", true),
        ("POST", "/identity/v3/users", true),
        ("POST", "/v1/clusters", true),
        ("GET", "/metrics", false),
        ("GET", "/healthcheck", false),
        ("GET", "/v1/clusters", false),
    ] {
        let mut slow = Vec::new();
        for _ in 0..160 {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let end = if whole_head { "\r\n\r\n{" } else { "" };
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 99{end}"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            slow.push(stream);
        }
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}\n{}", server.log_text());
    }
    assert!(server.terminate().success());
}
