//! The unmodified `openstack coe` client against a running `magnum serve`, with a real cluster.
//!
//! `MAGNUM_TEST_OPENSTACK` names the client's executable (`cargo xtask test` installs it).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, engines_wanted, leftovers};

struct Openstack {
    executable: PathBuf,
    clouds: PathBuf,
    folder: PathBuf,
}

impl Openstack {
    fn run(&self, cloud: &str, arguments: &str) -> (bool, String) {
        let output = Command::new(&self.executable)
            .args(["--os-cloud", cloud])
            .args(arguments.split_whitespace())
            .env("OS_CLIENT_CONFIG_FILE", &self.clouds)
            // `cluster config` says how to set variables in the user's shell, and fails where there is none.
            .env("SHELL", "/bin/bash")
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    fn ok(&self, cloud: &str, arguments: &str) -> String {
        let (success, text) = self.run(cloud, arguments);
        assert!(success, "openstack {arguments}\n{text}");
        text
    }

    fn json(&self, cloud: &str, arguments: &str) -> Value {
        let text = self.ok(cloud, &format!("{arguments} -f json"));
        let start = text.find(['{', '[']).unwrap_or(0);
        serde_json::from_str(&text[start..]).unwrap_or_else(|error| panic!("{arguments}: {error}\n{text}"))
    }

    fn refused(&self, cloud: &str, arguments: &str, words: &str) {
        // Deleting several things, the client goes on after a refusal and ends well all the same.
        let (_, text) = self.run(cloud, arguments);
        assert!(text.contains(words), "openstack {arguments}: expected a refusal with '{words}'\n{text}");
    }

    fn wait(&self, cluster: &str, status: &str) -> Value {
        let began = Instant::now();
        loop {
            let row = self.json("demo", &format!("coe cluster show {cluster}"));
            if row["status"] == status {
                return row;
            }
            assert!(row["status"].as_str().unwrap().ends_with("IN_PROGRESS"), "{row:#}");
            assert!(began.elapsed() < Duration::from_secs(120), "{row:#}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn client(folder: &Path, state: &Path) -> Option<Openstack> {
    let Some(executable) = std::env::var_os("MAGNUM_TEST_OPENSTACK") else {
        assert!(
            std::env::var_os("MAGNUM_TEST_REQUIRE_CLIENT").is_none(),
            "MAGNUM_TEST_OPENSTACK does not name the openstack executable"
        );
        eprintln!("NOT RUN: MAGNUM_TEST_OPENSTACK names no openstack executable; `cargo xtask test` installs one");
        return None;
    };
    Some(Openstack { executable: executable.into(), clouds: state.join("clouds.yaml"), folder: folder.to_owned() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_coe_command_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    let Some(openstack) = client(folder.path(), &server.state_dir) else { return };
    if !engines_wanted() {
        return;
    }
    server.start(&[]).await;
    let demo = server.login("demo").await;

    templates(&openstack);
    clusters(&openstack, folder.path());
    administration(&openstack, &demo.get("/identity/v3/auth/projects").await["projects"][0]);

    openstack.ok("demo", "coe cluster delete web");
    let began = Instant::now();
    while !openstack.json("demo", "coe cluster list").as_array().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "not deleted");
    }
    openstack.ok("demo", "coe cluster template delete swarm");
    server.terminate();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}

fn templates(openstack: &Openstack) {
    openstack.ok(
        "demo",
        "coe cluster template create swarm --coe swarm-mode --image local --external-network public \
         --network-driver docker --flavor m1.small --master-flavor m1.small --labels availability_zone=one",
    );
    let list = openstack.json("demo", "coe cluster template list");
    assert_eq!(list[0]["name"], "swarm");
    let shown = openstack.json("demo", "coe cluster template show swarm");
    assert_eq!(shown["coe"], "swarm-mode");
    assert_eq!(shown["labels"], json!({"availability_zone": "one"}));
    openstack.ok("demo", "coe cluster template update swarm --docker-volume-size 5 --label rexray_preempt=true --no-label availability_zone");
    assert_eq!(openstack.json("demo", "coe cluster template show swarm")["docker_volume_size"], 5);
    let labels = openstack.json("demo", "coe cluster template show swarm")["labels"].clone();
    assert_eq!(labels, json!({"rexray_preempt": "true"}));
    openstack.refused("demo", "coe cluster template show nope", "could not be found");
    openstack.refused(
        "demo",
        "coe cluster template create bad --coe nomad --image local --external-network public",
        "Invalid input",
    );
}

fn clusters(openstack: &Openstack, folder: &Path) {
    openstack.ok("demo", "coe cluster create web --cluster-template swarm --node-count 1");
    let row = openstack.wait("web", "CREATE_COMPLETE");
    assert_eq!(row["node_addresses"].as_array().unwrap().len(), 1, "{row:#}");
    assert_eq!(row["master_addresses"].as_array().unwrap().len(), 1, "{row:#}");
    assert!(row["api_address"].as_str().unwrap().starts_with("tcp://"), "{row:#}");
    assert_eq!(openstack.json("demo", "coe cluster list")[0]["name"], "web");
    openstack.refused("demo", "coe cluster template delete swarm", "is referenced by one or multiple clusters");

    openstack.ok("demo", "coe cluster resize web 2");
    let row = openstack.wait("web", "UPDATE_COMPLETE");
    assert_eq!(row["node_count"], 2, "{row:#}");
    openstack.ok("demo", "coe cluster update web --node-count 1");
    let row = openstack.wait("web", "UPDATE_COMPLETE");
    assert_eq!(row["node_count"], 1, "{row:#}");

    openstack.ok("demo", "coe nodegroup create web extra --node-count 1 --max-nodes 3");
    openstack.wait("web", "UPDATE_COMPLETE");
    let groups = openstack.json("demo", "coe nodegroup list web");
    assert_eq!(groups.as_array().unwrap().len(), 3, "{groups:#}");
    openstack.ok("demo", "coe nodegroup update web extra --max-nodes 5");
    openstack.wait("web", "UPDATE_COMPLETE");
    assert_eq!(openstack.json("demo", "coe nodegroup show web extra")["max_node_count"], 5);
    openstack.ok("demo", "coe nodegroup delete web extra");
    openstack.wait("web", "UPDATE_COMPLETE");
    assert_eq!(openstack.json("demo", "coe nodegroup list web").as_array().unwrap().len(), 2);

    certificates(openstack, folder);
}

fn certificates(openstack: &Openstack, folder: &Path) {
    let ca = openstack.ok("demo", "coe ca show web");
    assert!(ca.contains("BEGIN CERTIFICATE"), "{ca}");
    let key = folder.join("key.pem");
    let csr = folder.join("client.csr");
    let made = Command::new("openssl")
        .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tester", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&csr)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = openstack.ok("demo", "coe ca sign web client.csr");
    assert!(certificate.contains("BEGIN CERTIFICATE"), "{certificate}");

    // The client writes a kubeconfig only for Kubernetes; for Swarm it writes the TLS files and what to export.
    openstack.ok("demo", "coe cluster config web --dir . --force --output-certs");
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        assert!(folder.join(file).exists(), "{file} is missing");
    }
    let row = openstack.json("demo", "coe cluster show web");
    let nodes = Command::new("docker")
        .args(["--tlsverify", "--tlscacert=ca.pem", "--tlscert=cert.pem", "--tlskey=key.pem", "-H"])
        .arg(row["api_address"].as_str().unwrap())
        .args(["node", "ls", "--format", "{{.Status}}"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&nodes.stdout), String::from_utf8_lossy(&nodes.stderr));
    assert_eq!(text.lines().filter(|line| *line == "Ready").count(), 2, "{text}");
}

fn administration(openstack: &Openstack, project: &Value) {
    let id = project["id"].as_str().unwrap();
    openstack.ok("admin", &format!("coe quotas create --project-id {id} --resource Cluster --hard-limit 1"));
    // These print a table and know no other form.
    let quota = openstack.ok("admin", &format!("coe quotas show --project-id {id} --resource Cluster"));
    assert_eq!(cell(&quota, "hard_limit"), "1", "{quota}");
    openstack.refused("demo", "coe cluster create more --cluster-template swarm", "maximum clusters per project");
    openstack.ok("admin", &format!("coe quotas update --project-id {id} --resource Cluster --hard-limit 3"));
    assert!(openstack.ok("admin", "coe quotas list --all-tenants").contains(id));
    openstack.ok("admin", &format!("coe quotas delete --project-id {id} --resource Cluster"));

    let stats = openstack.ok("demo", &format!("coe stats list {id}"));
    assert_eq!(cell(&stats, "clusters"), "1", "{stats}");
    let services = openstack.json("admin", "coe service list");
    assert_eq!(services[0]["state"], "up", "{services:#}");
    openstack.refused("demo", "coe service list", "Policy doesn't allow");
}

/// The value beside a name in a two-column table.
fn cell<'a>(table: &'a str, name: &str) -> &'a str {
    let rows = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| row.get(1) == Some(&name)).find_map(|row| row.get(2).copied()).unwrap_or_default()
}
