//! The real clients against the real service.
//!
//! Needs `MAGNUM_TEST_OPENSTACK`, the path of the `openstack` program of python-openstackclient; `cargo xtask test`
//! sets it. Without it nothing is run, and said so.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::cloud::{ADMIN_PASSWORD, Cloud, DEMO_PASSWORD, bootstrap, options};

/// Runs the client's own entry point for every command, in one process: starting Python anew costs a second each time.
const DRIVER: &str = r#"
import contextlib, io, json, os, sys
from openstackclient import shell
for line in sys.stdin:
    task = json.loads(line)
    os.environ.clear()
    os.environ.update(task["environment"])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(task["arguments"])
        except SystemExit as exit:
            code = exit.code
    print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}), flush=True)
"#;

/// A service that listens, and the command line client.
struct Client {
    /// `http://127.0.0.1:PORT`
    base: String,
    python: PathBuf,
    driver: Mutex<Driver>,
}

struct Driver {
    _process: Child,
    tasks: ChildStdin,
    outcomes: Lines<BufReader<ChildStdout>>,
}

#[derive(Debug, serde::Deserialize)]
struct Outcome {
    code: i64,
    out: String,
    err: String,
}

/// Somebody who uses the client.
struct User<'a> {
    client: &'a Client,
    environment: HashMap<&'static str, String>,
}

impl Client {
    fn new(openstack: &Path, base: String) -> Self {
        let python = openstack.with_file_name("python");
        let mut process = command(&python, DRIVER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let driver = Driver {
            tasks: process.stdin.take().unwrap(),
            outcomes: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        };
        Self { base, python, driver: Mutex::new(driver) }
    }

    fn with<const N: usize>(&self, settings: [(&'static str, &str); N]) -> User<'_> {
        // No settings, proxies or cached versions of whoever runs the tests.
        let common = [("HOME", "/nonexistent"), ("OS_IDENTITY_API_VERSION", "3"), ("OS_REGION_NAME", "local")];
        let url = format!("{}/identity", self.base);
        let all = common.into_iter().chain([("OS_AUTH_URL", url.as_str())]).chain(settings);
        User { client: self, environment: all.map(|(name, value)| (name, value.to_owned())).collect() }
    }

    /// Somebody who logs in by password.
    fn user(&self, name: &str, password: &str, project: &str) -> User<'_> {
        self.with([
            ("OS_USERNAME", name),
            ("OS_PASSWORD", password),
            ("OS_PROJECT_NAME", project),
            ("OS_USER_DOMAIN_NAME", "Default"),
            ("OS_PROJECT_DOMAIN_ID", "default"),
        ])
    }
}

fn command(python: &Path, code: &str) -> Command {
    let mut command = Command::new(python);
    command.arg("-c").arg(code).env_clear().kill_on_drop(true);
    command
}

impl User<'_> {
    async fn execute(&self, arguments: &[&str]) -> Outcome {
        let task = json!({"environment": self.environment, "arguments": arguments});
        let mut driver = self.client.driver.lock().await;
        driver.tasks.write_all(format!("{task}\n").as_bytes()).await.unwrap();
        let line = driver.outcomes.next_line().await.unwrap().expect("the client ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Runs a command and reads the JSON it prints.
    async fn json(&self, command: &str) -> Value {
        let arguments: Vec<&str> = command.split(' ').chain(["-f", "json"]).collect();
        let outcome = self.execute(&arguments).await;
        assert_eq!(outcome.code, 0, "openstack {command}: {outcome:?}");
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("openstack {command}: {error}: {outcome:?}"))
    }

    /// Runs a command that prints nothing.
    async fn run(&self, command: &str) {
        let outcome = self.execute(&command.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(outcome.code, 0, "openstack {command}: {outcome:?}");
    }

    /// Runs a command that is to fail, and returns what it says.
    async fn fails(&self, command: &str) -> String {
        let outcome = self.execute(&command.split(' ').collect::<Vec<_>>()).await;
        assert_ne!(outcome.code, 0, "openstack {command} should have failed: {outcome:?}");
        outcome.err
    }
}

/// A value of what was made or shown. Releases of the client differ in how they spell its name.
fn field<'a>(shown: &'a Value, name: &str) -> &'a str {
    let plain = |name: &str| name.to_lowercase().replace(' ', "_");
    let value = shown.as_object().unwrap().iter().find(|(key, _)| plain(key) == name).map(|(_, value)| value);
    value.and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {shown}"))
}

/// The values of one column.
fn column<'a>(rows: &'a Value, name: &str) -> Vec<&'a str> {
    rows.as_array().unwrap().iter().map(|row| row[name].as_str().unwrap()).collect()
}

async fn listening() -> Option<(Cloud, Client)> {
    let Some(openstack) = std::env::var_os("MAGNUM_TEST_OPENSTACK") else {
        eprintln!("NOT RUN: no openstack client was given in MAGNUM_TEST_OPENSTACK");
        return None;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let cloud = Cloud::empty(options(), &base).await;
    cloud.identity.bootstrap(&bootstrap()).await.unwrap();
    let service = cloud.router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Some((cloud, Client::new(Path::new(&openstack), base)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_sets_up_a_project_with_the_command_line_client() {
    let Some((_cloud, client)) = listening().await else { return };
    let admin = client.user("admin", ADMIN_PASSWORD, "admin");

    let token = admin.json("token issue").await;
    assert_eq!(token["id"].as_str().unwrap().len(), 43);
    let catalog = admin.json("catalog list").await;
    assert_eq!(column(&catalog, "Type"), ["container-infra", "identity"]);
    let shown = admin.json("catalog show container-infra").await;
    assert!(shown["endpoints"].to_string().contains(&format!("{}/v1", client.base)), "{shown}");
    assert_eq!(column(&admin.json("service list").await, "Type"), ["container-infra", "identity"]);
    assert_eq!(admin.json("endpoint list --service identity --interface public").await.as_array().unwrap().len(), 1);
    assert_eq!(column(&admin.json("region list").await, "Region"), ["local"]);
    assert_eq!(column(&admin.json("domain list").await, "Name"), ["Default"]);

    let project = admin.json("project create --domain Default --description Shop --tag web shop").await;
    assert_eq!((&project["name"], &project["description"]), (&"shop".into(), &"Shop".into()));
    assert_eq!(column(&admin.json("project list").await, "Name"), ["admin", "demo", "shop"]);
    assert_eq!(column(&admin.json("project list --tags web").await, "Name"), ["shop"]);
    let user =
        admin.json("user create --password geheim --project shop --email a@b.example --domain default ann").await;
    assert_eq!((&user["name"], &user["email"]), (&"ann".into(), &"a@b.example".into()));
    assert_eq!(column(&admin.json("user list").await, "Name"), ["admin", "ann", "demo"]);
    assert_eq!(admin.json("user show ann").await["id"], user["id"]);
    assert_eq!(admin.json("user show --domain Default ann").await["default_project_id"], project["id"]);

    admin.run("role add --project shop --user ann member").await;
    let assigned = admin.json("role assignment list --project shop --names").await;
    assert_eq!((column(&assigned, "Role"), column(&assigned, "User")), (vec!["member"], vec!["ann@Default"]));
    assert_eq!(admin.json("role assignment list --user ann --effective").await.as_array().unwrap().len(), 2);
    assert_eq!(column(&admin.json("user list --project shop").await, "Name"), ["ann"]);
    let role = admin.json("role create --description looks auditor").await;
    admin.run("role add --system all --user ann auditor").await;
    admin.run("role remove --system all --user ann auditor").await;
    assert_eq!(admin.json("role show auditor").await["id"], role["id"]);
    admin.run("role delete auditor").await;
    assert_eq!(column(&admin.json("role list").await, "Name"), ["admin", "member", "reader", "service"]);
    assert_eq!(admin.json("implied role list").await.as_array().unwrap().len(), 3);

    let ann = client.user("ann", "geheim", "shop");
    assert_eq!(ann.json("token issue").await["project_id"], project["id"]);
    assert_eq!(column(&ann.json("project list").await, "Name"), ["shop"], "her own");
    let refused = ann.fails("user list").await;
    assert!(refused.contains("403"), "{refused}");
    ann.run("user password set --original-password geheim --password neu").await;
    let refused = ann.fails("token issue").await;
    assert!(refused.contains("401"), "{refused}");

    admin.run("user set --password geheim --disable ann").await;
    ann.fails("token issue").await;
    admin.run("user set --enable ann").await;
    let token = ann.json("token issue").await;
    let by_token = client.with([
        ("OS_AUTH_TYPE", "token"),
        ("OS_AUTH_URL", format!("{}/identity/v3", client.base).as_str()),
        ("OS_TOKEN", token["id"].as_str().unwrap()),
        ("OS_PROJECT_NAME", "shop"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
    ]);
    assert_eq!(by_token.json("token issue").await["project_id"], project["id"]);
    ann.run(&format!("token revoke {}", token["id"].as_str().unwrap())).await;
    by_token.fails("token issue").await;

    admin.run("project set --disable shop").await;
    ann.fails("token issue").await;
    admin.run("user delete ann").await;
    admin.run("project delete shop").await;
    assert_eq!(column(&admin.json("project list").await, "Name"), ["admin", "demo"]);
    let system = client.with([
        ("OS_USERNAME", "admin"),
        ("OS_PASSWORD", ADMIN_PASSWORD),
        ("OS_USER_DOMAIN_ID", "default"),
        ("OS_SYSTEM_SCOPE", "all"),
    ]);
    assert_eq!(column(&system.json("user list").await, "Name"), ["admin", "demo"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_works_with_an_application_credential() {
    let Some((_cloud, client)) = listening().await else { return };
    let demo = client.user("demo", DEMO_PASSWORD, "demo");
    let made = demo.json("application credential create --role member --description ci ci").await;
    assert_eq!(column(&demo.json("application credential list").await, "Name"), ["ci"]);
    assert_eq!(field(&demo.json("application credential show ci").await, "id"), field(&made, "id"));
    let program = client.with([
        ("OS_AUTH_TYPE", "v3applicationcredential"),
        ("OS_APPLICATION_CREDENTIAL_ID", field(&made, "id")),
        ("OS_APPLICATION_CREDENTIAL_SECRET", field(&made, "secret")),
    ]);
    assert_eq!(program.json("token issue").await["project_id"], field(&made, "project_id"));
    assert_eq!(column(&program.json("catalog list").await, "Name"), ["magnum", "keystone"]);
    let refused = program.fails("application credential create other").await;
    assert!(refused.contains("403"), "{refused}");
    demo.run("application credential delete ci").await;
    let refused = program.fails("token issue").await;
    assert!(refused.contains("401"), "{refused}");
}

/// What the SDK is asked: it finds services by each of their names, and its objects have what the service sent.
const SDK: &str = r#"
import openstack
cloud = openstack.connect(cloud="envvars")
assert cloud.authorize()
session = cloud.session
base = session.auth.auth_url.removesuffix("/identity")
for name in ("container-infra", "container-infrastructure-management"):
    url = session.get_endpoint(service_type=name, interface="public", region_name="local")
    assert url == base + "/v1", (name, url)
assert session.get_endpoint(service_type="container-infra", interface="internal") == base + "/v1"
user = cloud.identity.create_user(name="bob", password="p", is_enabled=True)
role = cloud.identity.find_role("member", ignore_missing=False)
project = cloud.identity.find_project("demo", ignore_missing=False)
cloud.identity.assign_project_role_to_user(project, user, role)
assert cloud.identity.validate_user_has_project_role(project, user, role)
assert [a.role["id"] for a in cloud.identity.role_assignments(user_id=user.id)] == [role.id]
assert [u.name for u in cloud.identity.users(limit=1)] == ["admin", "bob", "demo"]
user = cloud.identity.update_user(user, email="b@c.example", description="x")
assert (user.email, user.description) == ("b@c.example", "x")
cloud.identity.delete_user(user)
assert cloud.identity.find_user("bob") is None
assert cloud.current_project.name == "admin"
print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_connects() {
    let Some((_cloud, client)) = listening().await else { return };
    let admin = client.user("admin", ADMIN_PASSWORD, "admin");
    let output = command(&client.python, SDK).envs(admin.environment).stdin(Stdio::null()).output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.trim() == "done", "{out}{err}");
}
