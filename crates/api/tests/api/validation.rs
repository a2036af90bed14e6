//! The rules between fields, over the whole cross product of what they are about, in upstream's order: of several
//! things that are wrong a client hears of the same one first.

use std::fmt::Write as _;
use std::sync::Arc;

use magnum_api::LocalCloud;
use serde_json::{Value, json};

use crate::support::{Ask, Service};

/// A small cloud: something of every kind, some of it twice, some of it no good.
pub(crate) const CLOUD: &str = "
images:
  - {id: i1, name: fedora, os_distro: fedora}
  - {id: i2, name: local, os_distro: local}
  - {id: i3, name: plain}
  - {id: i4, name: twin, os_distro: fedora}
  - {id: i5, name: twin, os_distro: fedora}
  - {id: i6, name: foreign, os_distro: plan9}
flavors: [{id: f1, name: small, disk: 20}, {id: f2, name: diskless, disk: 0}]
external_networks: [{id: e1, name: public}, {id: e2, name: twin}, {id: e3, name: twin}]
fixed_networks: [{id: n1, name: private}]
fixed_subnets: [{id: s1, name: subnet}]
keypairs: [mykey]
";

async fn service() -> Service {
    Service::over(Arc::new(LocalCloud::from_yaml(CLOUD).unwrap()), |_| {}).await
}

/// What one value of a field leads to by itself: nothing, or a message.
type Outcome = Option<String>;

/// The first that is wrong, in the order of the checks.
fn first(outcomes: &[Outcome]) -> Outcome {
    outcomes.iter().flatten().next().cloned()
}

/// Counts combinations and collects those that came out otherwise.
#[derive(Default)]
struct Tally {
    tried: usize,
    accepted: usize,
    wrong: String,
}

impl Tally {
    fn note(&mut self, what: &Value, expected: &Outcome, status: u16, detail: &str) {
        self.tried += 1;
        let is_right = match expected {
            None => {
                self.accepted += 1;
                (200..300).contains(&status)
            }
            Some(message) => (400..500).contains(&status) && detail.contains(message.as_str()),
        };
        if !is_right && self.wrong.len() < 5_000 {
            let _ = writeln!(self.wrong, "{what}: {status} {detail}, wanted {expected:?}");
        }
    }

    #[track_caller]
    fn report(self, of: &str) {
        println!("{of}: {} combinations, {} accepted", self.tried, self.accepted);
        assert!(self.wrong.is_empty(), "{}", self.wrong);
        assert!(self.accepted > 0);
    }
}

/// What an engine takes: network drivers it has, those allowed as it comes, and its volume driver.
const ENGINES: [(&str, &str, &str, &str); 5] = [
    ("kubernetes", "flannel/calico/cilium", "flannel/calico", "cinder"),
    ("swarm", "docker/flannel", "docker/flannel", "rexray"),
    ("swarm-mode", "docker/flannel", "docker/flannel", "rexray"),
    ("mesos", "docker", "docker", "rexray"),
    ("dcos", "docker", "docker", "rexray"),
];

fn network(coe: &str, driver: &Value) -> Outcome {
    let (_, has, allowed, _) = ENGINES.iter().find(|(name, ..)| *name == coe)?;
    let driver = driver.as_str()?;
    let named = |list: &str| list.split('/').any(|word| word == driver);
    if !named(has) {
        return Some(format!(
            "Network driver type {driver} is not supported, expecting a {has}/unspecified network driver."
        ));
    }
    (!named(allowed)).then(|| {
        format!("Network driver type {driver} is not allowed, expecting a {allowed}/unspecified network driver. ")
    })
}

fn volume(coe: &str, driver: &Value) -> Outcome {
    let (.., has) = ENGINES.iter().find(|(name, ..)| *name == coe)?;
    let driver = driver.as_str().filter(|driver| driver != has)?;
    Some(format!("Volume driver type {driver} is not supported, expecting a {has}/unspecified volume driver."))
}

fn storage(driver: &Value, size: &Value) -> Outcome {
    let enough = size.as_i64().is_some_and(|size| size >= 3);
    let size = size.as_i64().map_or("None".to_owned(), |size| size.to_string());
    (driver == "devicemapper" && !enough).then(|| format!("docker volume size {size} GB is not valid"))
}

#[tokio::test]
async fn engines_servers_networks_volumes_and_storage() {
    let service = service().await;
    let mut tally = Tally::default();
    let coes = ["kubernetes", "swarm", "swarm-mode", "mesos", "dcos", "nomad"];
    let servers = [json!("vm"), json!("bm"), json!("gpu"), Value::Null];
    let networks = ["flannel", "calico", "cilium", "docker", "weave"].map(Value::from);
    let volumes = [Value::Null, json!("cinder"), json!("rexray"), json!("nfs")];
    let storages = [
        (Value::Null, Value::Null),
        (json!("overlay2"), Value::Null),
        (json!("devicemapper"), Value::Null),
        (json!("devicemapper"), json!(2)),
        (json!("devicemapper"), json!(3)),
    ];
    for coe in coes {
        for server in &servers {
            for network_driver in networks.iter().chain([&Value::Null]) {
                for volume_driver in &volumes {
                    for (driver, size) in &storages {
                        let body = json!({
                            "coe": coe, "server_type": server, "image_id": "fedora", "flavor_id": "small",
                            "network_driver": network_driver, "volume_driver": volume_driver,
                            "docker_storage_driver": driver, "docker_volume_size": size,
                            "http_proxy": "http://proxy:3128", "no_proxy": "10.0.0.0/8,.local"});
                        let expected = first(&[
                            (coe == "nomad").then(|| "Value should be one of: kubernetes, swarm".to_owned()),
                            (server == "gpu").then(|| "Value should be one of: vm, bm".to_owned()),
                            server.is_null().then(|| "Server type None is not supported".to_owned()),
                            network(coe, network_driver),
                            volume(coe, volume_driver),
                            storage(driver, size),
                        ]);
                        let answer = service.post("alice", "/v1/clustertemplates", body.clone()).await;
                        tally.note(&body, &expected, answer.status.as_u16(), answer.detail());
                    }
                }
            }
        }
    }
    tally.report("engine x server x network x volume x storage");
}

/// Names of things of the cloud, each with what is said of it.
fn named(values: &[(&str, &str)]) -> Vec<(Value, Outcome)> {
    let value = |name: &str| if name.is_empty() { Value::Null } else { Value::from(name) };
    values.iter().map(|(name, says)| (value(name), (!says.is_empty()).then(|| (*says).to_owned()))).collect()
}

const NO_DISK: &str = "Flavor with zero root volume size is not supported when boot_volume_size is zero.";

/// What is said of two flavors by a size of boot volumes, in the order of the checks.
fn disks(boot: Option<&str>, flavors: [&Value; 2]) -> Outcome {
    match boot.unwrap_or("0").parse::<i64>() {
        Err(_) => Some("boot_volume_size must be an integer".to_owned()),
        Ok(0) => flavors.iter().any(|flavor| *flavor == "diskless").then(|| NO_DISK.to_owned()),
        Ok(size) if size < 0 => Some("The label boot_volume_size is -1. It must be between 0 and".to_owned()),
        Ok(_) => None,
    }
}

#[tokio::test]
async fn images_flavors_networks_and_boot_volumes_of_templates() {
    let service = service().await;
    let mut tally = Tally::default();
    let images = named(&[
        ("fedora", ""),
        ("i1", ""),
        ("gone", "Image gone could not be found."),
        ("plain", "Image plain doesn't contain os_distro field."),
        ("twin", "Multiple images exist with same name 'twin'. Please use the image ID instead."),
        ("foreign", "Cluster type (vm, plan9, mesos) not supported"),
    ]);
    let flavors =
        named(&[("", ""), ("small", ""), ("f2", ""), ("diskless", ""), ("gone", "Unable to find flavor gone.")]);
    let externals = named(&[
        ("", ""),
        ("public", ""),
        ("gone", "Unable to find external network gone."),
        ("twin", "Multiple external networks exist with same name 'twin'."),
    ]);
    let fixed = [
        (named(&[("private", "")]), named(&[("subnet", ""), ("gone", "Unable to find fixed subnet gone.")])),
        (named(&[("gone", "Unable to find fixed network gone.")]), named(&[("", "")])),
    ];
    for (image, of_image) in &images {
        for (flavor, of_flavor) in &flavors {
            for (master, of_master) in &flavors[1..4] {
                for (external, of_external) in &externals {
                    for (networks, subnets) in &fixed {
                        for (subnet, of_subnet) in subnets {
                            for boot in [None, Some("10"), Some("-1"), Some("big")] {
                                let (fixed_network, of_network) = &networks[0];
                                let labels = boot.map_or(json!({}), |size| json!({"boot_volume_size": size}));
                                let body = json!({
                                    "coe": "mesos", "image_id": image, "flavor_id": flavor,
                                    "master_flavor_id": master, "external_network_id": external,
                                    "fixed_network": fixed_network, "fixed_subnet": subnet, "labels": labels,
                                    "keypair_id": "not looked up here"});
                                let ids = [flavor, master]
                                    .map(|name| if name == "f2" { json!("diskless") } else { name.clone() });
                                let expected = first(&[
                                    of_image.clone(),
                                    of_flavor.clone(),
                                    of_master.clone(),
                                    of_external.clone(),
                                    of_network.clone(),
                                    of_subnet.clone(),
                                    disks(boot, [&ids[0], &ids[1]]),
                                ]);
                                let answer = service.post("alice", "/v1/clustertemplates", body.clone()).await;
                                tally.note(&body, &expected, answer.status.as_u16(), answer.detail());
                            }
                        }
                    }
                }
            }
        }
    }
    tally.report("image x flavors x networks x boot volume");
}

/// A template by what clusters inherit of it.
async fn template(service: &Service, change: Value) -> String {
    let mut body = json!({"coe": "kubernetes", "image_id": "fedora", "flavor_id": "small", "master_flavor_id": "small",
                          "external_network_id": "public"});
    for (key, value) in change.as_object().unwrap() {
        body[key] = value.clone();
    }
    service.post("alice", "/v1/clustertemplates", body).await.expect(201).uuid()
}

#[tokio::test]
async fn masters_load_balancers_nodes_and_storage_of_clusters() {
    let service = service().await;
    let mut tally = Tally::default();
    let absent = json!("absent");
    for template_lb in [false, true] {
        for template_size in [3, 10] {
            let template = template(
                &service,
                json!({"master_lb_enabled": template_lb, "docker_storage_driver": "devicemapper",
                       "docker_volume_size": template_size, "floating_ip_enabled": null}),
            )
            .await;
            for masters in [absent.clone(), json!(1), json!(2), json!(3), json!("5"), json!(0)] {
                for lb in [absent.clone(), json!(true), json!(false), json!("yes"), Value::Null] {
                    for floating in [absent.clone(), json!(true), Value::Null] {
                        for (nodes, version) in
                            [(&absent, "1.9"), (&json!(0), "1.9"), (&json!(0), "1.10"), (&json!(3), "1.14")]
                        {
                            for size in [absent.clone(), json!(2), json!(4)] {
                                let mut body = json!({"cluster_template_id": template});
                                let fields = [
                                    ("master_count", &masters),
                                    ("master_lb_enabled", &lb),
                                    ("floating_ip_enabled", &floating),
                                    ("node_count", nodes),
                                    ("docker_volume_size", &size),
                                ];
                                for (name, value) in fields.into_iter().filter(|(_, value)| **value != "absent") {
                                    body[name] = value.clone();
                                }
                                let count = match &masters {
                                    Value::String(text) => text.parse().unwrap_or(1),
                                    other => other.as_i64().unwrap_or(1),
                                };
                                let balanced = match &lb {
                                    Value::Bool(flag) => *flag,
                                    Value::String(word) if word == "yes" => true,
                                    Value::Null => template_lb,
                                    _ => template_lb,
                                };
                                let expected = first(&[
                                    (count < 1).then(|| "Value should be greater or equal to 1".to_owned()),
                                    (size == 2).then(|| "docker volume size 2 GB is not valid".to_owned()),
                                    (count % 2 == 0).then(|| format!("master nodegroup size of {count} is invalid")),
                                    (*nodes == 0 && version == "1.9")
                                        .then(|| "Resizing a nodegroup to zero is not supported".to_owned()),
                                    (count > 1 && !balanced)
                                        .then(|| "master_count must be 1 when master_lb_enabled is False".to_owned()),
                                ]);
                                let ask = Ask::new("POST", "/v1/clusters?dry_run=true").user("alice").version(version);
                                let answer = service.send(ask.json(&body).build()).await;
                                tally.note(&body, &expected, answer.status.as_u16(), answer.detail());
                            }
                        }
                    }
                }
            }
        }
    }
    tally.report("load balancers x masters x floating IPs x nodes x storage");
}

#[tokio::test]
async fn flavors_networks_key_pairs_and_labels_of_clusters() {
    let service = service().await;
    let mut tally = Tally::default();
    let flavors = named(&[("", ""), ("small", ""), ("diskless", ""), ("gone", "Unable to find flavor gone.")]);
    let networks = named(&[("", ""), ("n1", ""), ("gone", "Unable to find fixed network gone.")]);
    let subnets = named(&[("", ""), ("s1", ""), ("gone", "Unable to find fixed subnet gone.")]);
    let keys = named(&[("", ""), ("mykey", ""), ("gone", "Unable to find keypair gone.")]);
    for inherited in [None, Some("10")] {
        let labels = inherited.map_or(json!({}), |size| json!({"boot_volume_size": size, "kube_tag": "v1.23.3"}));
        let template = template(&service, json!({"labels": labels})).await;
        for (labels, merge) in [
            (Value::Null, false),
            (json!({}), true),
            (json!({"kube_tag": "v1.24.1"}), false),
            (json!({"kube_tag": "v1.24.1"}), true),
            (json!({"boot_volume_size": 0}), true),
            (json!({"boot_volume_size": 5}), false),
            (json!({"boot_volume_size": "five"}), false),
        ] {
            let own = labels.as_object().filter(|labels| !labels.is_empty());
            let given = own.and_then(|labels| labels.get("boot_volume_size")).map(|size| match size {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            let keeps = own.is_none() || merge;
            let boot = given.or_else(|| inherited.filter(|_| keeps).map(str::to_owned));
            let size = boot.as_deref().map_or(Ok(0), str::parse::<i64>);
            for (flavor, of_flavor) in &flavors {
                for (master, of_master) in &flavors {
                    for (network, of_network) in &networks {
                        for (subnet, of_subnet) in &subnets {
                            for (key, of_key) in &keys {
                                let body = json!({
                                    "cluster_template_id": template, "labels": labels, "merge_labels": merge,
                                    "flavor_id": flavor, "master_flavor_id": master, "fixed_network": network,
                                    "fixed_subnet": subnet, "keypair": key});
                                let disk = |name: &Value| (name == "diskless").then(|| NO_DISK.to_owned());
                                let is_zero = size == Ok(0);
                                let expected = first(&[
                                    size.is_err().then(|| "boot_volume_size must be an integer".to_owned()),
                                    of_flavor.clone().filter(|_| is_zero),
                                    disk(flavor).filter(|_| is_zero),
                                    of_master.clone().filter(|_| is_zero),
                                    disk(master).filter(|_| is_zero),
                                    of_flavor.clone(),
                                    of_master.clone(),
                                    of_network.clone(),
                                    of_subnet.clone(),
                                    of_key.clone(),
                                ]);
                                let answer = service.post("alice", "/v1/clusters?dry_run=true", body.clone()).await;
                                tally.note(&body, &expected, answer.status.as_u16(), answer.detail());
                            }
                        }
                    }
                }
            }
        }
    }
    tally.report("labels x flavors x networks x key pairs");
}
