//! A service to send requests to, and the means to look behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use magnum_api::{ApiOptions, ApiState, DriverPlanner, LocalCloud, Metrics, Projects};
use magnum_certs::{KeyKind, SealKey, Vault};
use magnum_contract::{Contract, held};
use magnum_domain::cloud::CloudLookup;
use magnum_domain::driver::{
    ClusterType, Driver, DriverError, Drivers, Facts, Health, NodeDemand, Plan, Progress, Snapshot, Step,
};
use magnum_domain::effect::{Effect, FieldEffect, Subject};
use magnum_domain::{Caller, ClusterTemplate, HealthStatus, Labels, NodePhase, OperationKind};
use magnum_identity::{AuthError, Authenticator, IncomingRequest};
use magnum_policy::Policy;
use magnum_store::{ConnectOptions, Store};
use prometheus_client::registry::Registry;
use serde_json::Value;
use sqlx::{AssertSqlSafe, SqlitePool};
use tower::ServiceExt;

/// Users by name: project and roles.
pub(crate) const USERS: &[(&str, Option<&str>, &[&str])] = &[
    ("alice", Some("p1"), &["member", "reader"]),
    ("carol", Some("p1"), &["member", "reader"]),
    ("bob", Some("p1"), &["reader"]),
    ("nora", Some("p1"), &[]),
    ("mona", Some("p1"), &["member"]),
    ("dave", Some("p2"), &["member", "reader"]),
    ("root", Some("p0"), &["admin", "member", "reader"]),
    ("chief", Some("p1"), &["admin", "member", "reader"]),
    ("erin", Some("p1"), &["reader"]),
    ("frank", Some("p1"), &["reader"]),
    ("drifter", None, &["member", "reader"]),
];

/// What has become of some users since: none of them any more, or other roles.
pub(crate) static CHANGED: Mutex<BTreeMap<&str, Option<&[&str]>>> = Mutex::new(BTreeMap::new());

/// Believes a header.
struct Names;

#[async_trait]
impl Authenticator for Names {
    async fn authenticate(&self, request: IncomingRequest<'_>) -> Result<Caller, AuthError> {
        let name =
            request.headers.get("x-auth-token").ok_or(AuthError::Missing)?.to_str().map_err(|_| AuthError::Invalid)?;
        if name == "unavailable" {
            return Err(AuthError::Unavailable("the identity service is down".into()));
        }
        let (_, project, roles) = USERS.iter().find(|(user, ..)| *user == name).ok_or(AuthError::Invalid)?;
        let changed = CHANGED.lock().unwrap().get(name).copied();
        let roles = match changed {
            Some(None) => return Err(AuthError::Invalid),
            Some(Some(roles)) => roles,
            None => *roles,
        };
        Ok(Caller {
            user_id: name.to_owned(),
            user_name: name.to_owned(),
            project_id: project.map(str::to_owned),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Caller::default()
        })
    }

    fn challenge(&self) -> Option<String> {
        Some("Keystone uri=\"http://identity/v3\"".to_owned())
    }
}

/// Knows the projects of [`USERS`].
struct KnownProjects;

#[async_trait]
impl Projects for KnownProjects {
    async fn exists(&self, id: &str) -> Result<bool, String> {
        Ok(USERS.iter().any(|(_, project, _)| *project == Some(id)))
    }
}

/// Makes nothing, but plans. Refuses clusters with the label `impossible`, and more nodes at once than the
/// label `room` says; has a bug for those with the label `bug`.
struct Paper;

#[async_trait]
impl Driver for Paper {
    fn name(&self) -> &'static str {
        "paper"
    }

    fn provides(&self) -> Vec<ClusterType> {
        let made = |server: &str, os: &str, coe: &str| ClusterType {
            server_type: server.into(),
            os: os.into(),
            coe: coe.into(),
        };
        let mut types: Vec<_> = ["swarm-mode", "swarm", "kubernetes"].map(|coe| made("vm", "local", coe)).into();
        // A distribution that every engine is made on, for those who want to see the rules rather than the driver.
        for coe in ["kubernetes", "swarm", "swarm-mode", "mesos", "dcos"] {
            types.extend(["vm", "bm"].map(|server| made(server, "fedora", coe)));
        }
        types
    }

    fn field_effects(&self) -> &'static [FieldEffect] {
        const TABLE: &[FieldEffect] = &[
            FieldEffect {
                subject: Subject::ClusterTemplate,
                name: "apiserver_port",
                effect: Effect::Ignored { unless: &["8080"], why: "paper has no ports" },
            },
            FieldEffect {
                subject: Subject::Cluster,
                name: "discovery_url",
                effect: Effect::Ignored { unless: &[], why: "nothing is discovered on paper" },
            },
        ];
        TABLE
    }

    fn supports(&self, kind: OperationKind) -> bool {
        !matches!(kind, OperationKind::RotateCa | OperationKind::RotateCredential)
    }

    async fn preflight(&self, _: &ClusterTemplate, labels: &Labels, demand: NodeDemand) -> Result<(), DriverError> {
        assert!(!labels.contains_key("bug"), "the secret is 42");
        let room = labels.get("room").and_then(|room| room.parse::<u32>().ok()).unwrap_or(u32::MAX);
        if labels.contains_key("impossible") || demand.total > room {
            let nodes = demand.total;
            return Err(DriverError::Unsupported(format!("There is no room for {nodes} nodes. Free some memory.")));
        }
        Ok(())
    }

    async fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DriverError> {
        let mut plan = Plan::default();
        let steps = |phase: NodePhase, kind: &str| {
            let nodes = snapshot.nodes.iter().filter(|node| node.phase == phase);
            let step = |node: &magnum_domain::Node| Step {
                kind: kind.to_owned(),
                node: Some(node.uuid),
                title: format!("{kind} {}", node.name),
                timeout: std::time::Duration::from_secs(1),
            };
            nodes.map(step).collect::<Vec<_>>()
        };
        plan.stage(steps(NodePhase::Planned, "node.start"));
        plan.stage(steps(NodePhase::Leaving, "node.stop"));
        Ok(plan)
    }

    async fn apply(&self, _: &Step, _: &Snapshot, _: &dyn Progress) -> Result<(), DriverError> {
        Ok(())
    }

    async fn facts(&self, _: &Snapshot) -> Result<Facts, DriverError> {
        Ok(Facts::default())
    }

    async fn health(&self, _: &Snapshot) -> Health {
        Health { status: HealthStatus::Unknown, reason: Labels::new() }
    }

    async fn resume(&self, _: &Snapshot) -> Result<(), DriverError> {
        Ok(())
    }
}

/// The service, its database, and a folder that goes when it goes.
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    folder: tempfile::TempDir,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A service with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut ApiOptions)) -> Self {
        let cloud = LocalCloud::built_in().unwrap().with_projects(Arc::new(KnownProjects));
        Self::over(Arc::new(cloud), change).await
    }

    /// A service that looks things up elsewhere.
    pub(crate) async fn over(cloud: Arc<dyn CloudLookup>, change: impl FnOnce(&mut ApiOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}/db.sqlite", folder.path().display());
        let store = Store::connect(&url, &ConnectOptions::default()).await.unwrap();
        store.migrate().await.unwrap();
        let vault = Vault::new(store.clone(), SealKey::ephemeral().unwrap()).making(30, KeyKind::P256);
        let router = router(&store, &vault, cloud, change);
        Self { router, store, vault, folder }
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.open(request).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            json,
        }
    }

    /// Sends a request and leaves the body to be read.
    pub(crate) async fn open(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, user: &str, path: &str) -> Answer {
        self.send(Ask::new("GET", path).user(user).build()).await
    }

    pub(crate) async fn post(&self, user: &str, path: &str, body: Value) -> Answer {
        self.send(Ask::new("POST", path).user(user).json(&body).build()).await
    }

    pub(crate) async fn patch(&self, user: &str, path: &str, body: Value) -> Answer {
        self.send(Ask::new("PATCH", path).user(user).json(&body).build()).await
    }

    pub(crate) async fn delete(&self, user: &str, path: &str) -> Answer {
        self.send(Ask::new("DELETE", path).user(user).build()).await
    }

    /// Runs SQL behind the service's back.
    pub(crate) async fn execute(&self, sql: &str) {
        let pool = SqlitePool::connect(&format!("sqlite://{}/db.sqlite", self.folder.path().display())).await.unwrap();
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// Everything in the database, as text: table by table, row by row, every value quoted by the database itself.
    pub(crate) async fn dump(&self) -> BTreeMap<String, Vec<String>> {
        let url = format!("sqlite://{}/db.sqlite?mode=ro", self.folder.path().display());
        let pool = SqlitePool::connect(&url).await.unwrap();
        let tables: Vec<String> =
            sqlx::query_scalar("select name from sqlite_master where type = 'table' order by name")
                .fetch_all(&pool)
                .await
                .unwrap();
        let mut dump = BTreeMap::new();
        for table in tables {
            let columns: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(format!("select name from pragma_table_info('{table}')")))
                    .fetch_all(&pool)
                    .await
                    .unwrap();
            let quoted: Vec<String> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
            let sql = format!("select {} from \"{table}\" order by rowid", quoted.join("||','||"));
            let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap();
            dump.insert(table, rows);
        }
        pool.close().await;
        dump
    }
}

/// The routes over any database.
pub(crate) fn router(
    store: &Store,
    vault: &Vault,
    cloud: Arc<dyn CloudLookup>,
    change: impl FnOnce(&mut ApiOptions),
) -> Router {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let mut options = ApiOptions::default();
    change(&mut options);
    let router = magnum_api::router(ApiState {
        store: store.clone(),
        policy: Arc::new(Policy::defaults()),
        authenticator: Arc::new(Names),
        vault: vault.clone(),
        planner: Arc::new(DriverPlanner::new(Drivers::new(vec![Arc::new(Paper)]))),
        cloud,
        metrics,
        registry: Arc::new(registry),
        options,
    });
    held(router, Arc::clone(&CONTRACT))
}

/// The document, to which every request of these tests is held.
pub(crate) static CONTRACT: LazyLock<Arc<Contract>> =
    LazyLock::new(|| Arc::new(Contract::new(magnum_api::openapi_document()).unwrap().reading(canonical)));

/// Paths as the document has them.
fn canonical(path: &str) -> String {
    const OWN: [&str; 3] = ["/healthcheck", "/metrics", "/openapi.json"];
    let trimmed = path.trim_end_matches('/');
    let is_whole = OWN.contains(&trimmed) || trimmed == "/v1" || trimmed.starts_with("/v1/");
    match trimmed {
        "" => "/".to_owned(),
        "/v1.json" => "/v1".to_owned(),
        _ if is_whole => trimmed.to_owned(),
        _ => format!("/v1{trimmed}"),
    }
}

/// A request in the making.
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    /// Asks at the newest version.
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let version = ("openstack-api-version".to_owned(), "container-infra latest".to_owned());
        Self { method: method.to_owned(), path: path.to_owned(), headers: vec![version], body: Vec::new() }
    }

    pub(crate) fn user(self, user: &str) -> Self {
        self.header("x-auth-token", user)
    }

    pub(crate) fn version(self, version: &str) -> Self {
        self.header("openstack-api-version", &format!("container-infra {version}"))
    }

    /// Sets a header, or with an empty value leaves it out.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").raw(serde_json::to_vec(body).unwrap())
    }

    pub(crate) fn raw(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn build(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method.as_str()).uri(self.path.as_str());
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(HeaderName::try_from(name.as_str()).unwrap(), value);
        }
        request.header("host", "magnum.test").body(Body::from(self.body)).unwrap()
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    /// Insists on a status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// The detail of the error document.
    pub(crate) fn detail(&self) -> &str {
        self.json["errors"][0]["detail"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The `uuid` of the body.
    #[track_caller]
    pub(crate) fn uuid(&self) -> String {
        self.json["uuid"].as_str().unwrap_or_else(|| panic!("no uuid: {}", self.text)).to_owned()
    }
}

/// The keys of an object, in order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
