//! A conductor for tests: real mutual TLS, real certificates, the real protocol, and a memory of all it was told.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use magnum_certs::{
    CertificateAuthority, KeyKind, NodeSubject, generate_authority, server_certificate, sign_node_csr, tls,
};
use magnum_domain::agent::{
    AgentConfig, DesiredNode, JOIN_PATH, JoinRequest, JoinResponse, REPORT_PATH, Report, STATE_PATH, Supervisor,
};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "one-time-token";
/// How long anything may take in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the conductor knows; outlives a restart of its listener.
pub(crate) struct Conductor {
    pub(crate) authority: CertificateAuthority,
    pub(crate) told: Mutex<Told>,
    pub(crate) desired: watch::Sender<Option<DesiredNode>>,
}

#[derive(Default)]
pub(crate) struct Told {
    pub(crate) token: Option<String>,
    pub(crate) joins: usize,
    pub(crate) refused_joins: usize,
    pub(crate) certificates: HashSet<String>,
    pub(crate) polls: Vec<Option<i64>>,
    pub(crate) reports: Vec<Report>,
}

#[derive(Clone)]
struct Peer(Option<String>);

#[derive(serde::Deserialize)]
struct After {
    after: Option<i64>,
}

impl Conductor {
    pub(crate) fn new() -> Arc<Self> {
        let authority = generate_authority("test cluster", 30, KeyKind::P256).unwrap();
        let told = Told { token: Some(TOKEN.to_owned()), ..Told::default() };
        Arc::new(Self { authority, told: Mutex::new(told), desired: watch::channel(None).0 })
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// How many joins there were, and how many were refused.
    pub(crate) fn joins(&self) -> (usize, usize) {
        let told = self.told();
        (told.joins, told.refused_joins)
    }

    /// Listens until the handle is aborted.
    pub(crate) async fn listen(self: &Arc<Self>, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let identity = server_certificate(&self.authority, &[address.ip().to_string()], 30).unwrap();
        let config = tls::agent_server_config(&identity, &[self.authority.certificate_pem()]).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let router = Router::new()
            .route(JOIN_PATH, post(join))
            .route(STATE_PATH, get(state))
            .route(REPORT_PATH, post(report))
            .with_state(self.clone());
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, router) = (acceptor.clone(), router.clone());
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let peer = Peer(tls::peer_fingerprint(stream.get_ref().1));
                    let service = TowerToHyperService::new(router.layer(Extension(peer)));
                    let served = hyper::server::conn::http1::Builder::new();
                    let _ = served.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (address, task)
    }

    /// Waits until what was told fulfils the condition.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Told) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !condition(&self.told()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        if waited.await.is_err() {
            let told = self.told();
            panic!(
                "waited in vain for {what}; joins {}, polls {:?}, reports {:#?}",
                told.joins, told.polls, told.reports
            );
        }
    }

    /// Waits for a report of that step and state, and returns it.
    pub(crate) async fn reported(&self, step: &str, state: magnum_domain::EventState) -> Report {
        let is_it = |report: &&Report| report.step == step && report.state == state;
        self.until(step, |told| told.reports.iter().any(|report| is_it(&report))).await;
        self.told().reports.iter().rfind(is_it).unwrap().clone()
    }
}

async fn join(State(conductor): State<Arc<Conductor>>, Json(request): Json<JoinRequest>) -> Response {
    let mut told = conductor.told();
    if told.token.take_if(|token| *token == request.join_token).is_none() {
        told.refused_joins += 1;
        return (StatusCode::FORBIDDEN, "the token is not valid").into_response();
    }
    let subject =
        NodeSubject { name: "node-0".to_owned(), names: ["127.0.0.1", "10.99.0.2"].map(str::to_owned).to_vec() };
    let certificate = sign_node_csr(&conductor.authority, &request.csr, &subject, 30).unwrap();
    told.certificates.insert(fingerprint(&certificate));
    told.joins += 1;
    Json(JoinResponse { certificate, ca: conductor.authority.certificate_pem().to_owned() }).into_response()
}

fn fingerprint(certificate: &str) -> String {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    magnum_certs::fingerprint(&der)
}

fn known(conductor: &Conductor, peer: &Peer) -> bool {
    peer.0.as_ref().is_some_and(|fingerprint| conductor.told().certificates.contains(fingerprint))
}

async fn state(
    State(conductor): State<Arc<Conductor>>,
    Extension(peer): Extension<Peer>,
    Query(query): Query<After>,
) -> Response {
    if !known(&conductor, &peer) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    conductor.told().polls.push(query.after);
    let mut desired = conductor.desired.subscribe();
    let is_news = |desired: &Option<DesiredNode>| {
        desired.as_ref().is_some_and(|desired| query.after.is_none_or(|after| desired.generation > after))
    };
    match tokio::time::timeout(Duration::from_secs(2), desired.wait_for(is_news)).await {
        Ok(found) => Json(found.unwrap().clone()).into_response(),
        Err(_elapsed) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn report(
    State(conductor): State<Arc<Conductor>>,
    Extension(peer): Extension<Peer>,
    Json(report): Json<Report>,
) -> StatusCode {
    if !known(&conductor, &peer) {
        return StatusCode::UNAUTHORIZED;
    }
    conductor.told().reports.push(report);
    StatusCode::NO_CONTENT
}

/// A node's folder and the agent in it.
pub(crate) struct TestNode {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: AgentConfig,
}

impl TestNode {
    pub(crate) fn new(conductor: &Conductor, server: SocketAddr, address: IpAddr) -> Self {
        // Short, since the engine's socket is in there.
        let folder = tempfile::Builder::new().prefix("mag").tempdir_in("/tmp").unwrap();
        let config = AgentConfig {
            server: format!("https://{server}"),
            ca: conductor.authority.certificate_pem().to_owned(),
            join_token: TOKEN.to_owned(),
            node: uuid::Uuid::new_v4(),
            name: "node-0".to_owned(),
            address: address.to_string(),
            directory: folder.path().join("agent"),
            data_directory: folder.path().join("data"),
            run_directory: folder.path().join("run"),
            supervisor: Supervisor::Agent,
            cgroup_parent: None,
        };
        let node = Self { folder, config };
        node.write_config();
        node
    }

    pub(crate) fn on_loopback(conductor: &Conductor, server: SocketAddr) -> Self {
        Self::new(conductor, server, Ipv4Addr::LOCALHOST.into())
    }

    pub(crate) fn write_config(&self) {
        std::fs::write(self.config_file(), serde_json::to_vec(&self.config).unwrap()).unwrap();
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("agent.json")
    }

    /// Starts the agent; `programs` is searched first for programs it runs.
    pub(crate) fn start(&self, programs: Option<&Path>) -> Child {
        let path = std::env::var("PATH").unwrap();
        let path = programs.map_or(path.clone(), |programs| format!("{}:{path}", programs.display()));
        Command::new(env!("CARGO_BIN_EXE_magnum-agent"))
            .arg("run")
            .arg("--config")
            .arg(self.config_file())
            .env("PATH", path)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// Asks a process to end and waits until it has; returns whether it ended well.
pub(crate) async fn stop(mut child: Child) -> bool {
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success()
}
