//! A running service, and requests to it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use magnum_identity::{Bootstrap, BuiltIn, Options, PasswordCost, ServiceCatalog};
use magnum_store::{ConnectOptions, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

pub const ADMIN_PASSWORD: &str = "admin's secret";
pub const DEMO_PASSWORD: &str = "demo's secret";
/// Where the service_catalog says the service is.
pub const BASE: &str = "http://127.0.0.1:9511";

pub struct Cloud {
    pub identity: BuiltIn,
    pub store: Store,
    router: Router,
    folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    /// The token that was given out.
    #[track_caller]
    pub fn token(&self) -> String {
        assert_eq!(self.status, 201, "{}", self.body);
        self.headers["x-subject-token"].to_str().unwrap().to_owned()
    }
}

/// Cheap passwords: what is tested is not how long argon2 takes.
pub fn options() -> Options {
    Options { password_cost: PasswordCost { memory_kib: 8, passes: 1 }, ..Options::default() }
}

pub fn bootstrap() -> Bootstrap {
    Bootstrap { admin_password: ADMIN_PASSWORD.into(), demo_password: Some(DEMO_PASSWORD.into()) }
}

impl Cloud {
    pub async fn new() -> Self {
        Self::with(options()).await
    }

    pub async fn with(options: Options) -> Self {
        let cloud = Self::empty(options, BASE).await;
        cloud.identity.bootstrap(&bootstrap()).await.unwrap();
        cloud
    }

    /// Without any users.
    pub async fn empty(options: Options, base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        store.migrate().await.unwrap();
        let identity = BuiltIn::new(&store, ServiceCatalog::of_this_process("local", base), options).unwrap();
        let router = Router::new().nest_service("/identity", identity.router());
        Self { identity, store, router, folder }
    }

    /// Another process on the same database.
    pub async fn second(&self, options: Options) -> BuiltIn {
        let store = open(&self.folder).await;
        BuiltIn::new(&store, ServiceCatalog::of_this_process("local", BASE), options).unwrap()
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn call(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/identity{path}"));
        if !token.is_empty() {
            request = request.header("X-Auth-Token", token);
        }
        let body = match body {
            Some(body) => {
                request = request.header("Content-Type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::POST, path, token, Some(body)).await
    }

    pub async fn patch(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, token, Some(body)).await
    }

    pub async fn put(&self, path: &str, token: &str) -> Answer {
        self.call(Method::PUT, path, token, None).await
    }

    pub async fn delete(&self, path: &str, token: &str) -> Answer {
        self.call(Method::DELETE, path, token, None).await
    }

    /// Asks for a token.
    pub async fn authenticate(&self, auth: Value) -> Answer {
        self.post("/v3/auth/tokens", "", json!({"auth": auth})).await
    }

    /// Asks for a token, from some address.
    pub async fn authenticate_from(&self, peer: &str, auth: Value) -> Answer {
        self.authenticate_through(peer, "", auth).await
    }

    /// Asks for a token, from some address that says for whom it does so.
    pub async fn authenticate_through(&self, peer: &str, forwarded_for: &str, auth: Value) -> Answer {
        let peer: SocketAddr = peer.parse().unwrap();
        let request = Request::builder()
            .method(Method::POST)
            .uri("/identity/v3/auth/tokens")
            .header("Content-Type", "application/json")
            .header("X-Forwarded-For", forwarded_for)
            .extension(ConnectInfo(peer))
            .body(Body::from(json!({"auth": auth}).to_string()));
        self.send(request.unwrap()).await
    }

    /// A token for the project of the same name as the user.
    pub async fn log_in(&self, name: &str, password: &str) -> String {
        self.authenticate(scoped(by_password(name, password), name)).await.token()
    }

    pub async fn admin(&self) -> String {
        self.log_in("admin", ADMIN_PASSWORD).await
    }

    pub async fn demo(&self) -> String {
        self.log_in("demo", DEMO_PASSWORD).await
    }

    /// What a token stands for, as its bearer sees it.
    pub async fn validate(&self, token: &str) -> Answer {
        self.validate_as(token, token).await
    }

    pub async fn validate_as(&self, token: &str, subject: &str) -> Answer {
        let request = Request::builder()
            .uri("/identity/v3/auth/tokens")
            .header("X-Auth-Token", token)
            .header("X-Subject-Token", subject)
            .body(Body::empty());
        self.send(request.unwrap()).await
    }

    pub async fn revoke_as(&self, token: &str, subject: &str) -> Answer {
        let request = Request::builder()
            .method(Method::DELETE)
            .uri("/identity/v3/auth/tokens")
            .header("X-Auth-Token", token)
            .header("X-Subject-Token", subject)
            .body(Body::empty());
        self.send(request.unwrap()).await
    }

    /// The id of a user, project or role.
    pub async fn id(&self, admin: &str, collection: &str, name: &str) -> String {
        let answer = self.get(&format!("/v3/{collection}?name={name}"), admin).await.expect(200);
        answer.body[collection][0]["id"].as_str().unwrap_or_else(|| panic!("no {name} in {collection}")).to_owned()
    }

    /// Adds a user with a role in the project `demo`, and returns the id.
    pub async fn add_user(&self, admin: &str, name: &str, password: &str, role: &str) -> String {
        let user = json!({"user": {"name": name, "password": password}});
        let answer = self.post("/v3/users", admin, user).await.expect(201);
        let user = answer.body["user"]["id"].as_str().unwrap().to_owned();
        let (project, role) = (self.id(admin, "projects", "demo").await, self.id(admin, "roles", role).await);
        self.put(&format!("/v3/projects/{project}/users/{user}/roles/{role}"), admin).await.expect(204);
        user
    }
}

async fn open(folder: &TempDir) -> Store {
    let url = format!("sqlite:///{}", folder.path().join("magnum.sqlite").display());
    let options = ConnectOptions { acquire_timeout: Duration::from_secs(60), ..ConnectOptions::default() };
    Store::connect(&url, &options).await.unwrap()
}

pub fn by_password(name: &str, password: &str) -> Value {
    json!({"identity": {
        "methods": ["password"],
        "password": {"user": {"name": name, "domain": {"id": "default"}, "password": password}},
    }})
}

pub fn by_token(token: &str) -> Value {
    json!({"identity": {"methods": ["token"], "token": {"id": token}}})
}

pub fn by_credential(id: &str, secret: &str) -> Value {
    json!({"identity": {
        "methods": ["application_credential"],
        "application_credential": {"id": id, "secret": secret},
    }})
}

pub fn scoped(mut auth: Value, project: &str) -> Value {
    auth["scope"] = json!({"project": {"name": project, "domain": {"name": "Default"}}});
    auth
}

/// The names in a list of roles, in order.
pub fn names(roles: &Value) -> Vec<&str> {
    roles.as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect()
}
