//! A real `magnum serve` on a free port with a folder of its own, and a client for its API.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs, unreachable_pub)]

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Whether engines can run here. Without them a test must fail, unless somebody says so outright.
pub fn engines_wanted() -> bool {
    if std::env::var("MAGNUM_TEST_ENGINES").as_deref() == Ok("off") {
        eprintln!("NOT RUN: MAGNUM_TEST_ENGINES=off, so nothing was tried on real engines");
        return false;
    }
    true
}

/// A server process. Killed, with everything it made, when dropped.
pub struct Server {
    child: Option<Child>,
    pub state_dir: PathBuf,
    pub url: String,
    bind: String,
    pub extra_arguments: Vec<String>,
    /// Whether nobody reads what it prints: the other ends of its output are closed.
    pub unread: bool,
    /// `serve`, or `api` for a server that carries nothing out.
    role: &'static str,
}

impl Server {
    /// Prepares a server; nothing runs yet.
    pub fn new(state_dir: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let bind = format!("127.0.0.1:{port}");
        Self {
            child: None,
            state_dir: state_dir.to_owned(),
            url: format!("https://{bind}"),
            bind,
            extra_arguments: Vec::new(),
            unread: false,
            role: "serve",
        }
    }

    /// Prepares a server that carries nothing out, and has no TLS, as it is meant to stand behind a proxy.
    pub fn api(state_dir: &Path) -> Self {
        let mut server = Self::new(state_dir);
        server.role = "api";
        server.url = format!("http://{}", server.bind);
        server
    }

    /// Starts the process with `environment` added to ours, and waits until it answers.
    pub async fn start(&mut self, environment: &[(&str, &str)]) {
        self.spawn(environment);
        self.wait_ready().await;
    }

    pub fn spawn(&mut self, environment: &[(&str, &str)]) {
        let output = || -> Stdio {
            if self.unread {
                return std::io::pipe().unwrap().1.into();
            }
            std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap().into()
        };
        let child = Command::new(env!("CARGO_BIN_EXE_magnum"))
            .args([self.role, "--state-dir"])
            .arg(&self.state_dir)
            .args(["--bind", &self.bind])
            .args(&self.extra_arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn log(&self) -> PathBuf {
        self.state_dir.with_extension("log")
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    async fn wait_ready(&mut self) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the server ended with {status} before it was ready:\n{}", self.log_text());
            }
            if (self.role == "api" || self.state_dir.join("tls/ca.pem").exists())
                && let Ok(answer) = self.http().get(format!("{}/healthcheck", self.url)).send().await
                && answer.status().is_success()
            {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "not ready after 30 s:\n{}", self.log_text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "SIGTERM had no effect:\n{}", self.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the process has died by SIGKILL (of a fault point). False if it still runs after `limit`.
    pub async fn died(&mut self, limit: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                assert_eq!(status.signal(), Some(9), "ended with {status}:\n{}", self.log_text());
                self.child = None;
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// An HTTP client that trusts this server and nothing else.
    pub fn http(&self) -> reqwest::Client {
        let authorities = (self.role != "api").then(|| {
            let ca = std::fs::read(self.state_dir.join("tls/ca.pem")).unwrap();
            reqwest::Certificate::from_pem(&ca).unwrap()
        });
        reqwest::Client::builder()
            .tls_certs_only(authorities)
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()
            .unwrap()
    }

    /// Logs in as one of the clouds of `clouds.yaml`.
    pub async fn login(&self, cloud: &str) -> Client {
        let text = std::fs::read_to_string(self.state_dir.join("clouds.yaml")).unwrap();
        let clouds: Value = serde_saphyr::from_str(&text).unwrap();
        let auth = &clouds["clouds"][cloud]["auth"];
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}}},
            "scope": {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}}});
        let http = self.http();
        let answer = http.post(format!("{}/identity/v3/auth/tokens", self.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "login");
        let token = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
        Client { http, url: self.url.clone(), token }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Of a test that failed half-way: nodes outlive their server, as they should anywhere else.
        let clusters = std::fs::read_dir(self.state_dir.join("clusters")).into_iter().flatten().flatten();
        for cluster in clusters {
            let name = cluster.file_name().to_string_lossy().into_owned();
            remove_cluster(&cluster.path(), &name[..8.min(name.len())]);
        }
    }
}

fn remove_cluster(folder: &Path, short: &str) {
    for (pid, _) in node_processes(folder) {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
    }
    std::thread::sleep(Duration::from_millis(300));
    for namespace in namespaces(short) {
        let _ = Command::new("ip").args(["netns", "delete", &namespace]).status();
    }
    let groups = format!("*/magnum/{short}*");
    let _ = Command::new("find")
        .args(["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &groups, "-exec", "rmdir", "{}", ";"])
        .stderr(Stdio::null())
        .status();
}

/// A logged-in client.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub token: String,
}

impl Client {
    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .header("X-Auth-Token", &self.token)
            .header("OpenStack-API-Version", "container-infra latest");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Makes the template that the tests' clusters come from.
    pub async fn template(&self, extra: Value) -> String {
        let mut body = json!({"name": "swarm", "coe": "swarm-mode", "image_id": "local",
            "external_network_id": "public", "network_driver": "docker"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let (status, body) = self.send("POST", "/v1/clustertemplates", Some(body)).await;
        assert_eq!(status, 201, "{body}");
        body["uuid"].as_str().unwrap().to_owned()
    }

    pub async fn create(&self, template: &str, name: &str, masters: u32, workers: u32) -> String {
        let body = json!({"name": name, "cluster_template_id": template, "master_count": masters,
            "node_count": workers});
        let (status, body) = self.send("POST", "/v1/clusters", Some(body)).await;
        assert_eq!(status, 202, "{body}");
        body["uuid"].as_str().unwrap().to_owned()
    }

    pub async fn resize(&self, cluster: &str, workers: u32) {
        let path = format!("/v1/clusters/{cluster}/actions/resize");
        let (status, body) = self.send("POST", &path, Some(json!({"node_count": workers}))).await;
        assert_eq!(status, 202, "{body}");
    }

    /// Waits for the end of whatever goes on; the status, or `None` when the cluster is gone.
    pub async fn settled(&self, cluster: &str, limit: Duration) -> Option<Value> {
        let began = Instant::now();
        loop {
            let (status, body) = self.send("GET", &format!("/v1/clusters/{cluster}"), None).await;
            if status == 404 {
                return None;
            }
            assert_eq!(status, 200, "{body}");
            if !body["status"].as_str().unwrap().ends_with("_IN_PROGRESS") {
                return Some(body);
            }
            if began.elapsed() > limit {
                let operations = self.get(&format!("/v1/clusters/{cluster}/operations")).await;
                let events = self.get(&format!("/v1/clusters/{cluster}/events")).await;
                panic!("{cluster} still {} after {limit:?}\n{operations:#}\n{events:#}", body["status"]);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Processes of the nodes whose folders are below this one, with their command lines. A node's processes have mounts of
/// their own, whose sources are in that folder.
pub fn node_processes(folder: &Path) -> Vec<(i32, String)> {
    let folder = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if mounts.contains(&folder) {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((pid, String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned()));
        }
    }
    found
}

/// What of a state directory's clusters is still on this machine: processes, mounts, folders.
pub fn leftovers(state_dir: &Path) -> Vec<String> {
    let mut left: Vec<_> = node_processes(state_dir).iter().map(|(pid, command)| format!("{pid} {command}")).collect();
    let folder = state_dir.to_string_lossy().into_owned();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(&folder)).map(|line| format!("mount {line}")));
    if let Ok(clusters) = std::fs::read_dir(state_dir.join("clusters")) {
        left.extend(clusters.flatten().map(|entry| format!("folder {}", entry.path().display())));
    }
    left
}

/// Network namespaces of a cluster.
pub fn namespaces(cluster: &str) -> Vec<String> {
    let prefix = format!("magnum-{}", &cluster[..8]);
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&prefix)).collect()
}
