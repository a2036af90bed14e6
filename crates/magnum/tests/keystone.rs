//! `magnum api` with a `magnum.conf` as operators of OpenStack have it, on a real Keystone, Glance, Nova and Neutron,
//! used with the unmodified client.
//!
//! Needs `MAGNUM_TEST_LAB`, the description that `cargo xtask lab up` writes, and `MAGNUM_TEST_OPENSTACK`, the client's
//! executable; `cargo xtask test` sets both. Without them nothing is run, and said so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

#[path = "support/commands.rs"]
mod commands;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use commands::Commands;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// The real services, and what an administrator of theirs can do.
struct Lab {
    description: Value,
    http: Client,
    admin: String,
}

impl Lab {
    async fn find() -> Option<Self> {
        let path = std::env::var_os("MAGNUM_TEST_LAB").map(PathBuf::from);
        let Some(path) = path else {
            assert!(std::env::var_os("MAGNUM_TEST_REQUIRE_LAB").is_none(), "there is no lab");
            eprintln!("skipped: there is no lab (see MAGNUM_TEST_LAB)");
            return None;
        };
        let description: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": description["password"]});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let scope = json!({"project": {"name": "admin", "domain": {"id": "default"}}});
        let body = json!({"auth": {"identity": identity, "scope": scope}});
        let url = format!("{}/auth/tokens", description["keystone"].as_str().unwrap());
        let answer = http.post(url).json(&body).send().await.unwrap();
        let admin = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
        Some(Self { description, http, admin })
    }

    fn keystone(&self) -> &str {
        self.description["keystone"].as_str().unwrap()
    }

    fn password(&self) -> &str {
        self.description["password"].as_str().unwrap()
    }

    async fn call(&self, method: Method, url: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, url).header("X-Auth-Token", &self.admin);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Puts a server into the catalog, in a region of its own; the region's name.
    async fn announce(&self, url: &str) -> String {
        let region = format!("test-{}", std::process::id());
        let keystone = self.keystone();
        self.call(Method::POST, &format!("{keystone}/regions"), Some(json!({"region": {"id": region}}))).await;
        let services = self.call(Method::GET, &format!("{keystone}/services?type=container-infra"), None).await;
        let endpoint = json!({"service_id": services["services"][0]["id"], "interface": "public", "region_id": region, "url": url});
        self.call(Method::POST, &format!("{keystone}/endpoints"), Some(json!({"endpoint": endpoint}))).await;
        region
    }

    async fn withdraw(&self, region: &str) {
        let keystone = self.keystone();
        let found = self.call(Method::GET, &format!("{keystone}/endpoints?region_id={region}"), None).await;
        for endpoint in found["endpoints"].as_array().unwrap() {
            let id = endpoint["id"].as_str().unwrap();
            self.call(Method::DELETE, &format!("{keystone}/endpoints/{id}"), None).await;
        }
        self.call(Method::DELETE, &format!("{keystone}/regions/{region}"), None).await;
    }

    fn glance(&self) -> String {
        format!("http://127.0.0.1:{}/v2/images", self.description["ports"]["glance"])
    }

    /// An image of the kind that the local driver takes.
    async fn image(&self, name: &str) -> String {
        let image = json!({"name": name, "os_distro": "local", "visibility": "public", "disk_format": "raw",
            "container_format": "bare"});
        self.call(Method::POST, &self.glance(), Some(image)).await["id"].as_str().unwrap().to_owned()
    }

    /// The configuration, as the installation guide has it, and the clients'.
    fn write(&self, folder: &Path, region: &str) {
        let (keystone, password) = (self.keystone(), self.password());
        let credentials = format!(
            "auth_url = {keystone}\nauth_type = password\nproject_domain_name = Default\nuser_domain_name = Default\n\
             project_name = service\nusername = magnum\npassword = {password}\n"
        );
        let state = folder.join("state");
        let text = format!(
            "[DEFAULT]\nstate_path = {}\ntransport_url = rabbit://openstack:x@controller\n\
             [keystone_auth]\n{credentials}\
             [keystone_authtoken]\nwww_authenticate_uri = {keystone}\nmemcached_servers = controller:11211\n\
             service_type = container-infra\n{credentials}\
             [glance_client]\nregion_name = RegionOne\n\
             [nova_client]\nregion_name = RegionOne\nendpoint_type = internalURL\n\
             [neutron_client]\nregion_name = RegionOne\n",
            state.display()
        );
        std::fs::write(folder.join("magnum.conf"), text).unwrap();
        let cloud = |user: &str, project: &str| {
            json!({"region_name": region, "identity_api_version": 3, "auth": {"auth_url": keystone, "username": user,
                "password": password, "project_name": project, "user_domain_id": "default",
                "project_domain_id": "default"}})
        };
        let clouds = json!({"clouds": {"demo": cloud("demo", "demo"), "admin": cloud("admin", "admin"),
            "reader": cloud("reader", "demo"), "other": cloud("other", "other")}});
        std::fs::write(folder.join("clouds.yaml"), clouds.to_string()).unwrap();
    }

    /// A token of an application credential.
    async fn robot(&self, credential: &str) -> String {
        let all = self.description["application_credentials"].as_array().unwrap();
        let id = &all.iter().find(|item| item["name"] == credential).unwrap()["id"];
        let credential = json!({"id": id, "secret": self.password()});
        let identity = json!({"methods": ["application_credential"], "application_credential": credential});
        let url = format!("{}/auth/tokens", self.keystone());
        let answer = self.http.post(url).json(&json!({"auth": {"identity": identity}})).send().await.unwrap();
        answer.headers()["x-subject-token"].to_str().unwrap().to_owned()
    }
}

/// The API, ended when dropped.
struct Api {
    process: Child,
    url: String,
    log: PathBuf,
}

impl Api {
    async fn start(folder: &Path, lab: &Lab, port: u16) -> Self {
        let (url, log) = (format!("http://127.0.0.1:{port}"), folder.join("log"));
        let process = Command::new(env!("CARGO_BIN_EXE_magnum"))
            .arg("api")
            .arg("--config-file")
            .arg(folder.join("magnum.conf"))
            .args(["--bind", &format!("127.0.0.1:{port}")])
            .env("MAGNUM_LOG", "info,magnum_openstack=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut api = Self { process, url, log };
        let began = Instant::now();
        while lab.http.get(format!("{}/healthcheck", api.url)).send().await.is_err() {
            assert!(api.process.try_wait().unwrap().is_none(), "ended:\n{}", api.log());
            assert!(began.elapsed() < Duration::from_secs(60), "not ready:\n{}", api.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        api
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// As whom, what, and what is said to it.
const STEPS: &[(&str, &str, &str)] = &[
    (
        "demo",
        "coe cluster template create full --coe swarm-mode --image {image} --keypair key --external-network public \
         --flavor m1.small --master-flavor m1.master --fixed-network private --fixed-subnet private-subnet",
        "| image_id",
    ),
    (
        "demo",
        "coe cluster template create by-id --coe swarm-mode --image {id} --external-network public --flavor 2",
        "| image_id",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image nope --external-network public --flavor m1.small",
        "Image nope could not be found",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image private-of-other --external-network public --flavor m1.small",
        "could not be found",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image twice --external-network public --flavor m1.small",
        "Multiple images exist with same name",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image no-distro --external-network public --flavor m1.small",
        "doesn't contain os_distro",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image {image} --external-network private --flavor m1.small",
        "Unable to find external network private",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image {image} --external-network public --flavor nope",
        "Unable to find flavor nope",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image {image} --external-network public --flavor diskless",
        "Flavor with zero root volume size",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image {image} --external-network public --flavor m1.small --fixed-network twice",
        "Multiple networks exist with same name",
    ),
    (
        "demo",
        "coe cluster template create x --coe swarm-mode --image {image} --external-network public --flavor m1.small --fixed-network private --fixed-subnet subnet-of-other",
        "Unable to find fixed subnet",
    ),
    ("demo", "coe cluster create web --cluster-template full --keypair nope", "Unable to find keypair nope"),
    (
        "reader",
        "coe cluster template create x --coe swarm-mode --image {image} --external-network public --flavor m1.small",
        "Policy doesn't allow clustertemplate:create",
    ),
    ("reader", "coe cluster template list", "full"),
    ("other", "coe cluster template show full", "could not be found"),
    ("admin", "coe cluster template show full", "swarm-mode"),
    ("admin", "coe quotas create --project-id nope --resource Cluster --hard-limit 3", "could not be found"),
    ("admin", "coe quotas create --project-id {demo} --resource Cluster --hard-limit 3", "| hard_limit"),
];

#[tokio::test]
async fn an_operators_configuration_works_with_a_real_cloud() {
    let Some(lab) = Lab::find().await else { return };
    let Some(openstack) = std::env::var_os("MAGNUM_TEST_OPENSTACK").map(PathBuf::from) else {
        assert!(std::env::var_os("MAGNUM_TEST_REQUIRE_CLIENT").is_none(), "there is no client");
        eprintln!("skipped: there is no client (see MAGNUM_TEST_OPENSTACK)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let region = lab.announce(&format!("http://127.0.0.1:{port}/v1")).await;
    let name = format!("local-{}", std::process::id());
    let image = lab.image(&name).await;
    lab.write(folder.path(), &region);
    let api = Api::start(folder.path(), &lab, port).await;

    let used = use_it(&lab, &api, folder.path(), &openstack, &name, &image).await;
    lab.withdraw(&region).await;
    lab.call(Method::DELETE, &format!("{}/{image}", lab.glance()), None).await;
    used.unwrap_or_else(|what| panic!("{what}\n{}", api.log()));
}

async fn use_it(lab: &Lab, api: &Api, folder: &Path, openstack: &Path, name: &str, image: &str) -> Result<(), String> {
    let demo = lab.description["projects"]["demo"].as_str().unwrap();
    let mut commands = Commands::new(openstack, folder, &folder.join("clouds.yaml"));
    for (cloud, command, says) in STEPS {
        let command = command.replace("{image}", name).replace("{id}", image).replace("{demo}", demo);
        let outcome = commands.run(cloud, &command);
        let said = format!("{}{}", outcome.out, outcome.err);
        if !said.contains(says) {
            return Err(format!("{cloud}: openstack {command}\ndoes not say {says:?}, but\n{said}"));
        }
    }

    // What the client does not show: 401 with the way to Keystone, and credentials for some requests only. These have
    // the role `member` and none that it implies, so that the policy refuses to read (403) whom Keystone knows.
    let get = async |token: &str, path: &str| {
        let request =
            lab.http.get(format!("{}{path}", api.url)).header("X-Auth-Token", token).header("X-Roles", "admin");
        let answer = request.send().await.unwrap();
        let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge)
    };
    let challenge = Some(format!("Keystone uri=\"{}\"", lab.keystone()));
    let (free, bound) = (lab.robot("automation").await, lab.robot("templates-only").await);
    for (token, path, expected) in [
        ("no-such-token", "/v1/clusters", (401, challenge.clone())),
        (free.as_str(), "/v1/clusters", (403, None)),
        (bound.as_str(), "/v1/clustertemplates", (403, None)),
        (bound.as_str(), "/v1/clusters", (401, challenge)),
        (free.as_str(), "/v1/mservices", (403, None)),
    ] {
        let got = get(token, path).await;
        if got != expected {
            return Err(format!("{path}: {got:?}, not {expected:?}"));
        }
    }
    let log = api.log();
    for needed in ["service=\"glance\"", "service_request_id=\"req-", "sent_request_id=\"req-"] {
        if !log.contains(needed) {
            return Err(format!("the log has no {needed}"));
        }
    }
    for secret in [lab.password(), &lab.admin, &free, &bound] {
        if log.contains(secret) {
            return Err("a secret is in the log".to_owned());
        }
    }
    Ok(())
}
