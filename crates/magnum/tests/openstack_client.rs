//! The unmodified clients against a running `magnum serve` with real clusters: every command of `openstack coe` with
//! every option it has, and what openstacksdk offers.
//!
//! Which commands there are, the client itself says; one that is not tried here fails the test. `MAGNUM_TEST_OPENSTACK`
//! names the client's executable (`cargo xtask test` installs it).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

#[path = "support/commands.rs"]
mod commands;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use commands::Commands;
use support::{Server, engines_wanted, leftovers};

/// One command, as whom, and words that its answer has.
struct Step {
    cloud: &'static str,
    command: &'static str,
    says: &'static [&'static str],
}

const fn demo(command: &'static str, says: &'static [&'static str]) -> Step {
    Step { cloud: "demo", command, says }
}

const fn admin(command: &'static str, says: &'static [&'static str]) -> Step {
    Step { cloud: "admin", command, says }
}

/// Waits until no cluster of the project changes any more.
const SETTLED: Step = demo("", &[]);

const TEMPLATES: &[Step] = &[
    demo(
        "coe cluster template create swarm --coe swarm-mode --image local --external-network public --flavor m1.small \
         --master-flavor m1.small --network-driver docker --server-type vm --docker-volume-size 5 \
         --docker-storage-driver overlay2 --dns-nameserver 8.8.8.8 --http-proxy http://proxy:3128 \
         --https-proxy http://proxy:3128 --no-proxy localhost --labels availability_zone=one \
         --insecure-registry registry:5000 --registry-enabled --floating-ip-disabled --visible --tags first,second",
        &["accepted", "availability_zone", "registry:5000", "overlay2"],
    ),
    demo(
        "coe cluster template create balanced --coe swarm-mode --image local --external-network public \
         --driver local --master-lb-enabled --floating-ip-enabled --tls-disabled",
        &["local"],
    ),
    demo(
        "coe cluster template create stored --coe swarm-mode --image local --external-network public \
         --volume-driver rexray",
        &["volume_driver rexray is not supported by the local driver"],
    ),
    demo(
        "coe cluster template create keyed --coe swarm-mode --image local --external-network public --keypair mine",
        // Whose key it is shows when a cluster is made.
        &["accepted", "mine"],
    ),
    demo(
        "coe cluster template create netted --coe swarm-mode --image local --external-network public \
         --fixed-network mine --fixed-subnet mine",
        &["Unable to find fixed network mine"],
    ),
    demo(
        "coe cluster template create open --coe swarm-mode --image local --external-network public --public",
        &["Not authorized to set public or hidden flag"],
    ),
    admin(
        "coe cluster template create open --coe swarm-mode --image local --external-network public --public",
        &["| public", "True"],
    ),
    admin(
        "coe cluster template create secret --coe swarm-mode --image local --external-network public --hidden",
        &["| hidden", "True"],
    ),
    demo("coe cluster template list --fields coe,public --sort-key name --sort-dir desc --limit 2", &["swarm", "open"]),
    demo("coe cluster template show open", &["swarm-mode"]),
    demo("coe cluster template show secret", &["could not be found"]),
    demo(
        "coe cluster template update balanced --name changed --image magnum-local --flavor m1.medium \
         --master-flavor m1.medium --external-network public --network-driver docker \
         --driver local --dns-nameserver 1.1.1.1 --docker-volume-size 7 --docker-storage-driver overlay2 \
         --http-proxy http://other:3128 --https-proxy http://other:3128 --no-proxy 127.0.0.1 \
         --insecure-registry other:5000 --label rexray_preempt=true --tag third --tls-enabled --registry-enabled \
         --master-lb-disabled --floating-ip-disabled",
        &["changed", "other:5000", "rexray_preempt", "third"],
    ),
    demo(
        "coe cluster template update changed --no-label rexray_preempt --private --tls-disabled --registry-disabled \
         --master-lb-enabled --floating-ip-enabled --visible",
        &["| tls_disabled", "True"],
    ),
    demo("coe cluster template update changed --keypair mine", &["| mine"]),
    demo(
        "coe cluster template update changed --volume-driver rexray",
        &["volume_driver rexray is not supported by the local driver"],
    ),
    demo("coe cluster template update changed --fixed-network mine", &["Unable to find fixed network mine"]),
    demo("coe cluster template update changed --fixed-subnet mine", &["Unable to find fixed subnet mine"]),
    demo("coe cluster template update changed --public", &["Not authorized"]),
    admin("coe cluster template update open --hidden --public", &["| hidden", "True"]),
    admin("coe cluster template delete open secret", &["has been accepted"]),
    demo("coe cluster template delete changed", &["has been accepted"]),
];

const CLUSTERS: &[Step] = &[
    demo(
        "coe cluster create web --cluster-template swarm --fixed-network mine",
        &["Unable to find fixed network mine"],
    ),
    demo("coe cluster create web --cluster-template swarm --fixed-subnet mine", &["Unable to find fixed subnet mine"]),
    demo("coe cluster create web --cluster-template swarm --master-count 2", &["cannot be an even number"]),
    demo(
        "coe cluster create web --cluster-template swarm --master-lb-disabled --master-count 3",
        &["Master node count can only be one"],
    ),
    demo("coe cluster create web --cluster-template nope", &["could not be found"]),
    demo(
        "coe cluster create web --cluster-template swarm --node-count 2 --master-count 1 --timeout 10 --flavor m1.tiny \
         --master-flavor m1.tiny --docker-volume-size 4 --labels availability_zone=two --merge-labels \
         --discovery-url http://127.0.0.1/none --floating-ip-disabled",
        &["accepted"],
    ),
    demo(
        "coe cluster create balanced --cluster-template swarm --master-lb-enabled --floating-ip-enabled --node-count 0 \
         --keypair mine",
        &["accepted"],
    ),
    SETTLED,
    demo("coe cluster show web", &["CREATE_COMPLETE", "| node_count", "m1.tiny", "availability_zone"]),
    demo("coe cluster list --limit 1 --sort-key name --sort-dir desc", &["| web"]),
    demo("coe cluster delete balanced", &["has been accepted"]),
    demo("coe cluster resize web 1 --nodes-to-remove web-worker-0", &["has been accepted"]),
    SETTLED,
    demo("coe cluster resize web 2 --nodegroup default-worker", &["has been accepted"]),
    SETTLED,
    demo("coe cluster update web --node-count 1 --rollback", &["has been accepted"]),
    SETTLED,
    demo("coe cluster update web --name other", &["cannot change cluster property"]),
    demo("coe cluster update web --master-count 3", &["cannot change cluster property"]),
    demo("coe cluster update web --label a=b", &["cannot change cluster property"]),
    demo("coe cluster update web --no-label availability_zone", &["cannot change cluster property"]),
    demo("coe cluster show web", &["UPDATE_COMPLETE", "availability_zone"]),
    demo("coe credential rotate web", &["Credential rotation is not supported by driver"]),
];

const NODEGROUPS: &[Step] = &[
    demo("coe nodegroup create web masters --role master", &["Creating master nodegroups is currently not supported"]),
    demo(
        "coe nodegroup create web extra --node-count 1 --min-nodes 0 --max-nodes 3 --role extra --flavor m1.large --image local \
         --docker-volume-size 6 --labels disk=fast --merge-labels --node-labels tier=web \
         --node-taints dedicated=web:NoSchedule",
        &["accepted"],
    ),
    SETTLED,
    demo("coe nodegroup list web --limit 5 --sort-key name --sort-dir asc", &["default-master", "extra"]),
    demo("coe nodegroup list web --role extra", &["extra"]),
    demo("coe nodegroup show web extra", &["CREATE_COMPLETE", "tier", "m1.large", "dedicated"]),
    demo(
        "coe nodegroup update web extra --min-nodes 1 --max-nodes 4 --node-labels tier=shop \
         --node-taints dedicated=shop:NoExecute",
        &["accepted"],
    ),
    SETTLED,
    demo("coe nodegroup show web extra", &["shop", "NoExecute"]),
    demo("coe nodegroup delete web extra", &["has been accepted"]),
    SETTLED,
    demo("coe nodegroup delete web default-worker", &["Deleting a default nodegroup is not supported"]),
];

const CERTIFICATES: &[Step] = &[
    demo("coe ca show web", &["BEGIN CERTIFICATE"]),
    demo("coe ca sign web client.csr", &["BEGIN CERTIFICATE"]),
    demo("coe cluster config web --dir . --output-certs --use-keystone", &["export DOCKER_HOST=tcp://"]),
    demo("coe cluster config web --dir . --output-certs", &["exists, aborting"]),
    demo("coe cluster config web --dir . --output-certs --force --use-certificate", &["export DOCKER_HOST=tcp://"]),
];

/// `PROJECT` stands for the tenant's project.
const ADMINISTRATION: &[Step] = &[
    admin("coe quotas create --project-id PROJECT --resource Cluster --hard-limit 1", &["hard_limit", "| 1"]),
    admin("coe quotas show --project-id PROJECT --resource Cluster", &["hard_limit"]),
    demo("coe cluster create more --cluster-template swarm", &["maximum clusters per project, 1"]),
    admin("coe quotas update --project-id PROJECT --resource Cluster --hard-limit 5", &["| 5"]),
    admin("coe quotas list --all-tenants --limit 3 --sort-key id --sort-dir desc", &["PROJECT"]),
    admin("coe quotas list --all-tenants --marker 9999", &["could not be found"]),
    admin("coe quotas delete --project-id PROJECT --resource Cluster", &["has been accepted"]),
    demo("coe stats list PROJECT", &["| clusters"]),
    admin("coe service list", &["magnum-conductor"]),
    demo("coe service list", &["Policy doesn't allow magnum-service:get_all"]),
];

const LIFE: &[Step] = &[
    demo("coe ca rotate web", &["has been accepted"]),
    SETTLED,
    demo("coe cluster show web", &["UPDATE_COMPLETE"]),
    demo("coe cluster upgrade web swarm --max-batch-size 1 --nodegroup default-worker", &["has been accepted"]),
    SETTLED,
    demo("coe cluster show web", &["UPDATE_COMPLETE"]),
];

const END: &[Step] = &[
    demo("coe cluster delete web", &["has been accepted"]),
    SETTLED,
    demo("coe cluster template delete swarm keyed", &["keyed has been accepted"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_with_every_option() {
    let Some(openstack) = client() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.start(&[]).await;
    let project = server.login("demo").await.get("/identity/v3/auth/projects").await["projects"][0]["id"].clone();
    let project = project.as_str().unwrap();
    certificate_request(folder.path());

    let mut client = Commands::new(&openstack, folder.path(), &server.state_dir.join("clouds.yaml"));
    let mut wrong = Vec::new();
    for steps in [TEMPLATES, CLUSTERS, NODEGROUPS, CERTIFICATES] {
        wrong.extend(steps.iter().filter_map(|step| follow(&mut client, step, project)));
    }
    the_files_lead_to_the_engine(&mut client, folder.path());
    for steps in [ADMINISTRATION, LIFE, END] {
        wrong.extend(steps.iter().filter_map(|step| follow(&mut client, step, project)));
    }
    assert!(wrong.is_empty(), "{} commands said something else:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(client.unused(), Vec::<String>::new(), "commands and options that were not tried");
    server.terminate();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_openstacksdk_offers() {
    let Some(openstack) = client() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.start(&[]).await;
    certificate_request(folder.path());
    let script = Command::new(openstack.with_file_name("python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sdk.py"))
        .env_clear()
        .env("OS_CLIENT_CONFIG_FILE", server.state_dir.join("clouds.yaml"))
        .env("OS_CLOUD", "demo")
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    server.terminate();
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}

/// The client's executable, where the clients and engines can be tried at all.
fn client() -> Option<PathBuf> {
    let Some(openstack) = std::env::var_os("MAGNUM_TEST_OPENSTACK") else {
        let required = std::env::var_os("MAGNUM_TEST_REQUIRE_CLIENT").is_some();
        assert!(!required, "MAGNUM_TEST_OPENSTACK does not name the openstack executable");
        eprintln!("NOT RUN: MAGNUM_TEST_OPENSTACK names no openstack executable; `cargo xtask test` installs one");
        return None;
    };
    engines_wanted().then(|| openstack.into())
}

/// The files that `cluster config` has written open the cluster to Docker's own client.
fn the_files_lead_to_the_engine(client: &mut Commands, folder: &Path) {
    let shown = client.run("demo", "coe cluster show web -f json").out;
    let row: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(row["node_addresses"].as_array().unwrap().len(), 1, "{row:#}");
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

/// What the command said, if that was not what it should.
fn follow(client: &mut Commands, step: &Step, project: &str) -> Option<String> {
    if step.command.is_empty() {
        settle(client);
        return None;
    }
    let command = step.command.replace("PROJECT", project);
    let outcome = client.run(step.cloud, &command);
    let text = format!("{}{}", outcome.out, outcome.err);
    let missing = step.says.iter().find(|words| !text.contains(&words.replace("PROJECT", project)));
    missing.map(|words| format!("openstack {command}: no '{words}'\n{text}"))
}

fn settle(client: &mut Commands) {
    let began = Instant::now();
    loop {
        let list = client.run("demo", "coe cluster list").out;
        if !list.contains("_IN_PROGRESS") {
            assert!(!list.contains("_FAILED"), "{list}");
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(180), "still at it\n{list}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn certificate_request(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tester"])
        .args(["-keyout", "client.key", "-out", "client.csr"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
