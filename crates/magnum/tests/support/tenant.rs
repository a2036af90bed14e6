//! A tenant of a cluster: certificates of their own, Docker's own client, and a service that has to stay up.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr, missing_docs, unreachable_pub)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, node_processes};

/// Replicas of the service.
pub const REPLICAS: usize = 3;
/// How long all of them may take to run.
const LIMIT: Duration = Duration::from_secs(120);
/// Docker's own client among a node's processes.
const INSIDE: &str = "docker -H unix:///run/engine/docker.sock";

/// Who has certificates for a cluster.
#[derive(Clone)]
pub struct Tenant {
    folder: PathBuf,
    address: String,
}

impl Tenant {
    /// Makes a key, has it signed by the cluster's authority of now, and trusts that authority.
    pub async fn new(client: &Client, cluster: &str, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let made = Command::new("openssl")
            .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=system:masters/CN=admin"])
            .args(["-keyout", "key.pem", "-out", "request.pem"])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let csr = std::fs::read_to_string(folder.join("request.pem")).unwrap();
        let body = json!({"cluster_uuid": cluster, "csr": csr});
        let (status, signed) = client.send("POST", "/v1/certificates", Some(body)).await;
        assert_eq!(status, 201, "{signed}");
        std::fs::write(folder.join("cert.pem"), signed["pem"].as_str().unwrap()).unwrap();
        let authority = client.get(&format!("/v1/certificates/{cluster}")).await;
        std::fs::write(folder.join("ca.pem"), authority["pem"].as_str().unwrap()).unwrap();
        let row = client.get(&format!("/v1/clusters/{cluster}")).await;
        Self { folder: folder.to_owned(), address: row["api_address"].as_str().unwrap().to_owned() }
    }

    /// The certificate of the authority that is trusted.
    pub fn authority(&self) -> String {
        std::fs::read_to_string(self.folder.join("ca.pem")).unwrap()
    }

    /// Who trusts another authority than the one that knows them.
    pub fn trusting(&self, authority: &str, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        for file in ["cert.pem", "key.pem"] {
            std::fs::copy(self.folder.join(file), folder.join(file)).unwrap();
        }
        std::fs::write(folder.join("ca.pem"), authority).unwrap();
        Self { folder: folder.to_owned(), address: self.address.clone() }
    }

    /// What Docker's own client says.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn docker(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("docker")
            .args(["--tlsverify", "--tlscacert=ca.pem", "--tlscert=cert.pem", "--tlskey=key.pem", "-H", &self.address])
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        said(&output)
    }

    /// How many replicas of the service run.
    fn running(&self) -> Result<usize, String> {
        let states =
            self.docker(&["service", "ps", "web", "-f", "desired-state=running", "--format", "{{.CurrentState}}"])?;
        Ok(states.lines().filter(|state| state.starts_with("Running")).count())
    }
}

fn said(output: &Output) -> Result<String, String> {
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// A service whose replicas are looked at all the time.
pub struct Service {
    nodes: PathBuf,
    stop: Arc<AtomicBool>,
    watcher: Option<std::thread::JoinHandle<Vec<usize>>>,
}

impl Service {
    /// Brings the service up, from an image made of this machine's `sleep`, and begins to watch it. Nodes that come
    /// get the image: there is no registry to take it from.
    pub fn start(tenant: &Tenant, nodes: &Path) -> Self {
        let mut known = BTreeSet::new();
        give_image(nodes, &mut known);
        let replicas = REPLICAS.to_string();
        let create = ["service", "create", "--detach", "--quiet", "--name", "web", "--replicas", &replicas]
            .into_iter()
            .chain(["--endpoint-mode", "dnsrr", "--no-resolve-image", "--stop-grace-period", "1s"])
            .chain(["--restart-delay", "100ms", "probe", "/bin/sleep", "10000"]);
        tenant.docker(&create.collect::<Vec<_>>()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let watcher = {
            let (tenant, nodes, stop) = (tenant.clone(), nodes.to_owned(), stop.clone());
            std::thread::spawn(move || watch(&tenant, &nodes, &mut known, &stop))
        };
        let service = Self { nodes: nodes.to_owned(), stop, watcher: Some(watcher) };
        all_run(tenant);
        service
    }

    /// Ends the watch: the service was there all the time, and all its replicas run, for `tenant` as well. Then it is
    /// removed: nodes that come later have no image for it, and replicas that fail all the time keep engines busy.
    pub fn stayed_up(mut self, tenant: &Tenant) {
        all_run(tenant);
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.watcher.take().unwrap().join().unwrap();
        let first = seen.iter().position(|running| *running == REPLICAS).unwrap();
        let least = seen[first..].iter().min();
        eprintln!("{} looks, at least {least:?} replicas", seen.len());
        assert!(seen.len() > first + 5, "{}: {seen:?}", self.nodes.display());
        assert!(least > Some(&0), "{}: {seen:?}", self.nodes.display());
        tenant.docker(&["service", "rm", "web"]).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Looks at the service until it is told to stop. What could not be seen, since managers come and go, is passed over.
fn watch(tenant: &Tenant, nodes: &Path, known: &mut BTreeSet<i32>, stop: &AtomicBool) -> Vec<usize> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        give_image(nodes, known);
        if let Ok(running) = tenant.running() {
            seen.push(running);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    seen
}

fn all_run(tenant: &Tenant) {
    let began = Instant::now();
    loop {
        let running = tenant.running();
        if running == Ok(REPLICAS) {
            return;
        }
        let tasks = || tenant.docker(&["service", "ps", "web", "--no-trunc"]);
        assert!(began.elapsed() < LIMIT, "{running:?}\n{:?}", tasks());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Gives the image to nodes whose engine has come up since.
fn give_image(nodes: &Path, known: &mut BTreeSet<i32>) {
    let files = "/bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*')";
    for entry in std::fs::read_dir(nodes).into_iter().flatten().flatten() {
        let engines = node_processes(&entry.path()).into_iter().filter(|(_, command)| command.contains("dockerd"));
        for (engine, _) in engines.filter(|(pid, _)| !known.contains(pid)).collect::<Vec<_>>() {
            let script = format!("tar -Phc {files} | {INSIDE} import - probe");
            let given = Command::new("nsenter").args(["-t", &engine.to_string(), "-a", "sh", "-c", &script]).output();
            if given.is_ok_and(|output| output.status.success()) {
                known.insert(engine);
            }
        }
    }
}
