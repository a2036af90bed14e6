//! What an operator sees when the machine misbehaves: a taken port, a full disk, a lost database. Each ends in
//! words, and everything goes on when it is mended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Client, Server};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_magnum"))
        .args(["serve", "--bind", &address, "--state-dir"])
        .arg(folder.path().join("state"))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(words.contains(&address) && words.contains("--bind"), "{words}");
    assert!(!folder.path().join("state/magnum.sqlite").exists(), "nothing is made before the port is had");
}

fn template(name: &str) -> Value {
    json!({"name": name, "coe": "swarm-mode", "image_id": "local", "external_network_id": "public",
        "labels": {"padding": "x".repeat(4000)}})
}

/// A folder on a file system of 16 MiB, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "none"]).arg(path).status();
        assert!(mounted.unwrap().success(), "run this as root: a small file system could not be mounted");
        Self(path)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_named_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let _disk = SmallDisk::mount(&state);
    let mut server = Server::new(&state);
    server.start(&[]).await;
    let client = server.login("demo").await;
    let before = client.template(json!({"name": "before"})).await;

    // Filled to the last block, so that the database can't grow.
    let filler = state.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    let block = vec![0_u8; 4096];
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    drop(file);
    let mut refused = None;
    for number in 0..2000 {
        let (status, body) =
            client.send("POST", "/v1/clustertemplates", Some(template(&format!("full-{number}")))).await;
        if status != 201 {
            refused = Some((status, body));
            break;
        }
    }
    let (status, body) = refused.expect("the disk is full, yet everything was accepted");
    assert_eq!(status, 503, "{body}");
    assert!(body["errors"][0]["detail"].as_str().unwrap().to_lowercase().contains("database"), "{body}");
    // What is there can still be read.
    assert_eq!(client.get(&format!("/v1/clustertemplates/{before}")).await["name"], "before");

    std::fs::remove_file(&filler).unwrap();
    let (status, body) = client.send("POST", "/v1/clustertemplates", Some(template("after"))).await;
    assert_eq!(status, 201, "{body}");
    assert!(server.terminate().success(), "{}", server.log_text());
}

/// Lies between the server and its database, and can be cut.
struct Wire {
    address: SocketAddr,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Wire {
    async fn to(database: SocketAddr) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire =
            Arc::new(Self { address: listener.local_addr().unwrap(), cut: tokio::sync::watch::Sender::new(false) });
        let shared = wire.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut cut = shared.cut.subscribe();
                tokio::spawn(async move {
                    if *cut.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(database).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        wire
    }
}

async fn status_of(client: &Client, path: &str) -> (u16, Value) {
    client.send("GET", path, None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_named_and_found_again() {
    let Ok(url) = std::env::var("MAGNUM_TEST_POSTGRES_URL") else {
        assert!(std::env::var_os("MAGNUM_TEST_REQUIRE_DATABASES").is_none(), "MAGNUM_TEST_POSTGRES_URL is missing");
        eprintln!("NOT RUN: MAGNUM_TEST_POSTGRES_URL names no PostgreSQL; `cargo xtask test` starts one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (head, rest) = url.split_once('@').unwrap();
    let (host, _) = rest.split_once('/').unwrap();
    let wire = Wire::to(host.parse().unwrap()).await;
    let name = format!("faults_{}", std::process::id());
    let psql = |sql: &str| {
        let output = Command::new("psql").arg(&url).args(["-qc", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    psql(&format!("CREATE DATABASE {name}"));
    let config = folder.path().join("magnum.conf");
    let connection = format!("{head}@{}/{name}", wire.address);
    std::fs::write(
        &config,
        format!("[identity]\nbackend = builtin\n[database]\nconnection = {connection}\npool_timeout = 3\n"),
    )
    .unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.extra_arguments = vec!["--config-file".to_owned(), config.display().to_string()];
    server.start(&[]).await;
    let client = server.login("demo").await;
    client.template(json!({})).await;

    wire.cut.send_replace(true);
    let (status, body) = status_of(&client, "/v1/clustertemplates").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.to_string().to_lowercase().contains("database"), "{body}");
    assert_eq!(status_of(&client, "/healthcheck").await.0, 503);

    wire.cut.send_replace(false);
    let began = Instant::now();
    while status_of(&client, "/v1/clustertemplates").await.0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "not found again:\n{}", server.log_text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(server.terminate().success(), "{}", server.log_text());
    psql(&format!("DROP DATABASE {name} WITH (FORCE)"));
}
