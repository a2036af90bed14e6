//! Secrets are planted wherever there may be some, and looked for wherever something is written: logs at debug level,
//! answers, metrics, documents, what the commands print, and the command lines of processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, engines_wanted, node_processes};

/// What stands for a secret in the files below; long enough to be found nowhere by chance.
const PLANT: &str = "Pl4ntedS3cretThatNobodyMaySee";

/// Configuration files with a secret in them, as `§`: right ones, and every way to get one wrong.
const FILES: &[(&str, &str)] = &[
    (
        "a database that is not there",
        "[database]\nconnection = mysql+pymysql://magnum:§@127.0.0.1:1/magnum\nmax_retries = 1\nretry_interval = 1\n",
    ),
    (
        "another one",
        "[database]\nconnection = postgresql+psycopg2://magnum:§@127.0.0.1:1/m\nmax_retries = 1\nretry_interval = 1\n",
    ),
    ("a database of another make", "[database]\nconnection = oracle://magnum:§@127.0.0.1/magnum\n"),
    ("a bracket too many", "[database]\nconnection = mysql+pymysql://magnum:§@[127.0.0.1/magnum\n"),
    ("a port in words", "[database]\nconnection = mysql://magnum:§@host:port/magnum\n"),
    ("no scheme", "[database]\nconnection = magnum:§@host\n"),
    ("no encoding", "[database]\nconnection = mysql://magnum:§%zz@127.0.0.1:99999/magnum?ssl_ca=§\n"),
    (
        "a parameter",
        "[database]\nconnection = postgresql://magnum@127.0.0.1:1/m?password=§&sslmode=no\nmax_retries = 1\n",
    ),
    ("a second database", "[database]\nslave_connection = mysql://magnum:§@127.0.0.1/magnum\n"),
    (
        "a Keystone that is not there",
        "[DEFAULT]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_url = http://127.0.0.1:1/v3\nusername = magnum\n\
         password = §\nproject_name = service\n",
    ),
    (
        "misspelt names",
        "[keystone_authtoken]\npasword = §\nPASSWORD = §\nadmin_password = §\nmemcache_secret_key = §\n",
    ),
    ("trusts", "[keystone_auth]\npassword = §\n[trust]\ntrustee_domain_admin_password = §\n"),
    (
        "messages",
        "[DEFAULT]\ntransport_url = rabbit://magnum:§@127.0.0.1:1//\n[oslo_messaging_notifications]\n\
         transport_url = rabbit://a:§@b:bad/\n[oslo_messaging_rabbit]\nrabbit_password = §\n",
    ),
    ("no equals sign", "[database]\nconnection mysql://magnum:§@host/magnum\n"),
    ("no section", "password = §\n"),
    ("half a section", "[database\npassword = §\n"),
    ("a section for a value", "[§\n"),
    ("said twice", "[keystone_authtoken]\npassword = §\npassword = §2\n"),
    ("several lines", "[keystone_authtoken]\npassword =\n  §\n  §\n"),
    ("no text", "[keystone_authtoken]\npassword = §\u{0}\u{1}\n"),
    ("substituted", "[DEFAULT]\nmine = §\n[database]\nconnection = mysql://m:$mine@127.0.0.1:1/x\nmax_retries = 1\n"),
    ("substituted by nothing", "[database]\nconnection = mysql://m:§$nothing@127.0.0.1:1/x\nmax_retries = 1\n"),
    ("other services", "[barbican]\npassword = §\n[local_auth]\nadmin_password = §\n[cinder_client]\npassword = §\n"),
    ("a section that is not known", "[databse]\nconnection = mysql://magnum:§@host/magnum\n"),
    (
        "an option that is not known",
        "[database]\nconection = mysql://magnum:§@host/x\nsql_connection = mysql://m:§@h:x/d\n",
    ),
];

/// Runs a command for so long at most, and answers all that it has said.
fn said(folder: &Path, arguments: &[&str], limit: Duration) -> String {
    let log = folder.join("said.log");
    let file = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_magnum"))
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned()
}

#[test]
fn no_command_shows_a_secret_of_its_files() {
    // What is not over by then waits for a server that does not come; what it had to say of its files it has said.
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut commands = 0;
    std::thread::scope(|scope| {
        for files in FILES.chunks(FILES.len().div_ceil(4)) {
            commands += files.len() * 5;
            scope.spawn(move || {
                for (name, text) in files {
                    let folder = tempfile::tempdir().unwrap();
                    std::fs::write(folder.path().join("magnum.conf"), text.replace('§', PLANT)).unwrap();
                    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
                    let config = ["--config-file", "magnum.conf"];
                    let state = ["--state-dir", "state"];
                    let table: [&[&str]; 5] = [
                        &["config", "check", "magnum.conf"],
                        &["config", "sample"],
                        &["policy", "list"],
                        &[&["db", "upgrade"][..], &state].concat(),
                        &[&["serve", "--debug", "--no-tls", "--bind", &port][..], &state].concat(),
                    ];
                    for command in table {
                        let text = said(folder.path(), &[command, &config].concat(), PATIENCE);
                        assert!(!text.contains(PLANT), "{name}: {command:?} says\n{text}");
                        let is_silent = matches!(command[0], "db") || !text.is_empty();
                        assert!(is_silent, "{name}: {command:?} said nothing at all, so nothing was looked at");
                    }
                }
            });
        }
    });
    println!("{commands} commands over {} files, none shows a secret", FILES.len());
}

/// What must not show, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn keep(&mut self, what: &str, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() >= 12, "{what} is too short to be looked for");
        self.0.insert(what.to_owned(), secret);
    }

    /// Insists that a text holds none.
    #[track_caller]
    fn are_not_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            if let Some(at) = text.find(secret) {
                let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                let line = text[from..].lines().next().unwrap_or_default();
                panic!("{what} is in {place}: {line}");
            }
        }
    }
}

/// A client that keeps what it was answered.
struct Prober {
    http: reqwest::Client,
    url: String,
    /// Answers, with the request that they are to.
    answers: Vec<(String, String)>,
}

impl Prober {
    /// Sends a request. An answer that is there to hand out a secret is not kept.
    async fn send(&mut self, ask: &str, token: &str, body: impl Into<String>, keep: bool) -> (u16, Value, String) {
        let (method, path) = ask.split_once(' ').unwrap();
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .header("X-Auth-Token", token)
            .header("Content-Type", "application/json")
            .header("OpenStack-API-Version", "container-infra latest")
            .body(body.into());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let subject = answer.headers().get("x-subject-token").map(|token| token.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        if keep {
            self.answers.push((ask.to_owned(), text.clone()));
        }
        (status, serde_json::from_str(&text).unwrap_or_default(), subject.unwrap_or_default())
    }

    async fn login(&mut self, identity: &Value) -> (u16, Value, String) {
        self.send("POST /identity/v3/auth/tokens", "", json!({"auth": identity}).to_string(), true).await
    }
}

fn by_password(user: &str, password: &str, project: Option<&str>) -> Value {
    let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": {
        "name": user, "domain": {"id": "default"}, "password": password}}}});
    if let Some(project) = project {
        auth["scope"] = json!({"project": {"name": project, "domain": {"id": "default"}}});
    }
    auth
}

/// Every file below a folder that is a log.
fn logs(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => logs(&path, into),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|extension| extension == "log") => {
                into.push((path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into()));
            }
            _ => {}
        }
    }
}

/// One-time tokens of nodes, where the local driver hands them over.
fn join_tokens(folder: &Path, secrets: &mut Secrets) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            join_tokens(&path, secrets);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "yaml")
            && let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(value) = serde_saphyr::from_str::<Value>(&text)
            && let Some(token) = value["join_token"].as_str().filter(|token| !token.is_empty())
        {
            secrets.keep(&format!("the join token of {}", path.display()), token);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut secrets = Secrets::default();
    let plant = |what: &str| format!("{PLANT}-{what}");
    let names = ["keystone-password", "trust-password", "rabbit-password", "memcache-key"];
    let config = format!(
        "[identity]\nbackend = builtin\n[keystone_authtoken]\npassword = {}\nmemcache_secret_key = {}\n[trust]\ntrustee_domain_admin_password = {}\n\
         [DEFAULT]\ntransport_url = rabbit://magnum:{}@127.0.0.1:1//\ndebug = true\n",
        plant(names[0]),
        plant(names[3]),
        plant(names[1]),
        plant(names[2]),
    );
    for name in names {
        secrets.keep(name, plant(name));
    }
    std::fs::write(folder.path().join("magnum.conf"), config).unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    let config_file = folder.path().join("magnum.conf").display().to_string();
    server.extra_arguments = ["--debug", "--config-file", &config_file].map(str::to_owned).into();
    server.start(&[("RUST_BACKTRACE", "1")]).await;
    let mut prober = Prober { http: server.http(), url: server.url.clone(), answers: Vec::new() };

    // What the first start has made up.
    let clouds: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(server.state_dir.join("clouds.yaml")).unwrap()).unwrap();
    let password = |cloud: &str| clouds["clouds"][cloud]["auth"]["password"].as_str().unwrap().to_owned();
    for cloud in ["demo", "admin"] {
        secrets.keep(&format!("{cloud}'s password"), password(cloud));
    }
    let key = std::fs::read(server.state_dir.join("secret.key")).unwrap();
    secrets.keep("the seal key in hexadecimal", key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    secrets.keep("the seal key as it is", String::from_utf8_lossy(&key).trim().to_owned());

    let token = identity(&mut prober, &mut secrets, &password("demo"), &password("admin")).await;
    containers(&mut prober, &mut secrets, &token, &server).await;

    let mut places = std::mem::take(&mut prober.answers);
    for path in ["/metrics", "/openapi.json", "/healthcheck", "/"] {
        let text = prober.http.get(format!("{}{path}", server.url)).send().await.unwrap().text().await.unwrap();
        places.push((path.to_owned(), text));
    }
    for (pid, command) in node_processes(&server.state_dir) {
        places.push((format!("the command line of {pid}"), command));
    }
    let status = server.terminate();
    assert!(status.success(), "{}", server.log_text());
    logs(folder.path(), &mut places);
    assert!(server.log_text().contains("DEBUG"), "the log is at debug level");
    for (place, text) in &places {
        secrets.are_not_in(place, text);
        // Whatever key or token of an engine it is: none has its place there.
        for mark in ["PRIVATE KEY-----", "SWMTKN-1-", "sealed:v1:", "$argon2"] {
            assert!(!text.contains(mark), "{mark} is in {place}");
        }
    }
    println!("{} secrets, looked for in {} places: none found", secrets.0.len(), places.len());
}

/// Logins that work and such that don't, users, application credentials; answers a token.
async fn identity(prober: &mut Prober, secrets: &mut Secrets, demo: &str, admin: &str) -> String {
    let plant = |what: &str| format!("{PLANT}-{what}");
    let (status, _, token) = prober.login(&by_password("demo", demo, Some("demo"))).await;
    assert_eq!(status, 201);
    let (status, _, root) = prober.login(&by_password("admin", admin, Some("admin"))).await;
    assert_eq!(status, 201);
    secrets.keep("demo's token", &token);
    secrets.keep("admin's token", &root);

    for (what, user, project) in [("wrong-password", "demo", Some("demo")), ("nobody's-password", "nobody", None)] {
        secrets.keep(what, plant(what));
        assert_eq!(prober.login(&by_password(user, &plant(what), project)).await.0, 401);
    }
    secrets.keep("broken-body", plant("broken-body"));
    for body in [
        format!("{{\"auth\": {{\"identity\": {{\"password\": \"{}\"", plant("broken-body")),
        json!({"auth": {"identity": {"methods": ["password"], "password": plant("broken-body")}}}).to_string(),
        json!({"auth": {"identity": {"methods": ["token"], "token": {"id": plant("broken-body")}}}}).to_string(),
        json!({"auth": {"identity": {"methods": ["application_credential"],
            "application_credential": {"id": "nothing", "secret": plant("broken-body")}}}})
        .to_string(),
    ] {
        let (status, ..) = prober.send("POST /identity/v3/auth/tokens", "", body, true).await;
        assert!((400..500).contains(&status), "{status}");
    }

    // Users and their passwords.
    secrets.keep("a new user's password", plant("user"));
    let body = json!({"user": {"name": "planted", "password": plant("user"), "domain_id": "default"}}).to_string();
    let (status, user, _) = prober.send("POST /identity/v3/users", &root, body, true).await;
    assert_eq!(status, 201, "{user}");
    let id = user["user"]["id"].as_str().unwrap().to_owned();
    secrets.keep("a changed password", plant("changed"));
    let body = json!({"user": {"password": plant("changed"), "original_password": plant("user")}}).to_string();
    prober.send(&format!("POST /identity/v3/users/{id}/password"), &root, body.clone(), true).await;
    prober.send(&format!("PATCH /identity/v3/users/{id}"), &root, body, true).await;
    prober.send(&format!("GET /identity/v3/users/{id}"), &root, "", true).await;
    let twice = json!({"user": {"name": "planted", "password": plant("user"), "domain_id": "default"}}).to_string();
    assert_eq!(prober.send("POST /identity/v3/users", &root, twice, true).await.0, 409);

    // Application credentials: the answer to making one is the only place for its secret.
    let (_, own, _) = prober.send("GET /identity/v3/auth/tokens", &token, "", false).await;
    drop(own);
    secrets.keep("an application credential's secret", plant("application"));
    let (status, shown, _) = prober.login(&by_password("demo", demo, Some("demo"))).await;
    assert_eq!(status, 201);
    let user = shown["token"]["user"]["id"].as_str().unwrap().to_owned();
    let path = format!("/identity/v3/users/{user}/application_credentials");
    let body = json!({"application_credential": {"name": "planted", "secret": plant("application")}}).to_string();
    let (status, made, _) = prober.send(&format!("POST {path}"), &token, body.clone(), false).await;
    assert_eq!(status, 201, "{made}");
    prober.send(&format!("POST {path}"), &token, body, true).await;
    prober.send(&format!("GET {path}"), &token, "", true).await;
    let id = made["application_credential"]["id"].as_str().unwrap();
    let (status, _, by_application) = prober
        .login(&json!({"identity": {"methods": ["application_credential"],
            "application_credential": {"id": id, "secret": plant("application")}}}))
        .await;
    assert_eq!(status, 201);
    secrets.keep("an application credential's token", by_application);
    token
}

/// Requests to the API with secrets in tokens and bodies, and a real cluster where engines can run.
async fn containers(prober: &mut Prober, secrets: &mut Secrets, token: &str, server: &Server) {
    let plant = |what: &str| format!("{PLANT}-{what}");
    secrets.keep("a token that is none", plant("token"));
    assert_eq!(prober.send("GET /v1/clusters", &plant("token"), "", true).await.0, 401);

    // A body that can't be read is not quoted, neither to the sender nor in the log.
    secrets.keep("a broken body", plant("cluster-body"));
    for (ask, body) in [
        ("POST /v1/clusters", format!("{{\"password\": \"{}\"", plant("cluster-body"))),
        ("POST /v1/clusters", json!({"cluster_template_id": "x", "password": plant("cluster-body")}).to_string()),
        ("POST /v1/clustertemplates", json!({"secret": plant("cluster-body")}).to_string()),
    ] {
        assert_eq!(prober.send(ask, token, body, true).await.0, 400, "{ask}");
    }

    let body = json!({"name": "swarm", "coe": "swarm-mode", "image_id": "local", "external_network_id": "public",
        "network_driver": "docker"});
    assert_eq!(prober.send("POST /v1/clustertemplates", token, body.to_string(), true).await.0, 201);
    if !engines_wanted() {
        return;
    }
    let body = json!({"name": "web", "cluster_template_id": "swarm", "master_count": 1, "node_count": 1});
    let (status, made, _) = prober.send("POST /v1/clusters", token, body.to_string(), true).await;
    assert_eq!(status, 202, "{made}");
    let began = Instant::now();
    loop {
        join_tokens(&server.state_dir.join("clusters"), secrets);
        let (_, cluster, _) = prober.send("GET /v1/clusters/web", token, "", true).await;
        if cluster["status"] == "CREATE_COMPLETE" {
            break;
        }
        assert_eq!(cluster["status"], "CREATE_IN_PROGRESS", "{cluster:#}\n{}", server.log_text());
        assert!(began.elapsed() < Duration::from_secs(180), "{cluster:#}\n{}", server.log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(secrets.0.keys().any(|what| what.starts_with("the join token")), "no node's join token was seen");

    // A private key in place of a request for a certificate: somebody took the wrong file.
    secrets.keep("a key that was sent by mistake", plant("key"));
    let mistaken = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", plant("key"));
    let body = json!({"cluster_uuid": "web", "csr": mistaken}).to_string();
    assert_eq!(prober.send("POST /v1/certificates", token, body, true).await.0, 400);
    prober.send("GET /v1/certificates/web", token, "", true).await;
    for ask in ["GET /v1/clusters/web/events", "GET /v1/clusters/web/operations", "GET /v1/clusters/web/nodes"] {
        assert_eq!(prober.send(ask, token, "", true).await.0, 200, "{ask}");
    }
    assert_eq!(prober.send("DELETE /v1/clusters/web", token, "", true).await.0, 204);
    while prober.send("GET /v1/clusters/web", token, "", true).await.0 != 404 {
        assert!(began.elapsed() < Duration::from_secs(240), "{}", server.log_text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
