//! What a request names is looked up where upstream looks it up, and side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use magnum_api::LocalCloud;
use magnum_domain::cloud::{CloudLookup, Flavor, Image, LookupError};
use magnum_domain::{Caller, ClusterStatus};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::fixtures::settle;
use crate::support::{Ask, Service};
use crate::validation::CLOUD;

/// Answers no lookup before all of a request's have come.
struct Slow {
    within: LocalCloud,
    barrier: Barrier,
    asked: AtomicUsize,
}

impl Slow {
    fn waiting_for(lookups: usize) -> Arc<Self> {
        let within = LocalCloud::from_yaml(CLOUD).unwrap();
        Arc::new(Self { within, barrier: Barrier::new(lookups), asked: AtomicUsize::new(0) })
    }

    async fn wait(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.barrier.wait().await;
    }
}

#[async_trait]
impl CloudLookup for Slow {
    async fn image(&self, caller: &Caller, name: &str) -> Result<Image, LookupError> {
        self.wait().await;
        self.within.image(caller, name).await
    }

    async fn flavor(&self, caller: &Caller, name: &str) -> Result<Flavor, LookupError> {
        self.wait().await;
        self.within.flavor(caller, name).await
    }

    async fn external_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        self.wait().await;
        self.within.external_network(caller, name).await
    }

    async fn fixed_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        self.wait().await;
        self.within.fixed_network(caller, name).await
    }

    async fn fixed_subnet(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        self.wait().await;
        self.within.fixed_subnet(caller, name).await
    }

    async fn keypair(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        self.wait().await;
        self.within.keypair(caller, name).await
    }

    async fn project(&self, caller: &Caller, id: &str) -> Result<(), LookupError> {
        self.within.project(caller, id).await
    }
}

const TEMPLATE: &str = "/v1/clustertemplates";

fn template_body() -> Value {
    json!({"name": "t", "coe": "kubernetes", "image_id": "fedora", "flavor_id": "small", "master_flavor_id": "diskless",
           "external_network_id": "public", "fixed_network": "private", "fixed_subnet": "subnet", "keypair_id": "mykey",
           "labels": {"boot_volume_size": 10}})
}

/// Were the lookups made one after the other, the first would wait for ever.
#[tokio::test]
async fn all_lookups_of_a_request_are_under_way_at_once() {
    let slow = Slow::waiting_for(6);
    let service = Service::over(slow.clone(), |_| {}).await;
    let made = service.post("alice", TEMPLATE, template_body());
    let made = tokio::time::timeout(Duration::from_secs(60), made).await.expect("one lookup waits for another");
    let template = made.expect(201).uuid();
    assert_eq!(slow.asked.load(Ordering::Relaxed), 6);

    // A cluster's: the key pair as well, and one flavor less, since both groups have the same.
    let body = json!({"cluster_template_id": template, "master_flavor_id": "small"});
    let made = service.post("alice", "/v1/clusters", body);
    tokio::time::timeout(Duration::from_secs(60), made).await.expect("one lookup waits for another").expect(202);
    assert_eq!(slow.asked.load(Ordering::Relaxed), 12);
}

/// Counts what is asked for.
struct Counting {
    within: LocalCloud,
    asked: AtomicUsize,
}

macro_rules! counted {
    ($($method:ident -> $what:ty),* $(,)?) => {
        #[async_trait]
        impl CloudLookup for Counting {
            $(async fn $method(&self, caller: &Caller, name: &str) -> Result<$what, LookupError> {
                self.asked.fetch_add(1, Ordering::Relaxed);
                self.within.$method(caller, name).await
            })*
        }
    };
}
counted!(image -> Image, flavor -> Flavor, external_network -> (), fixed_network -> (), fixed_subnet -> (),
         keypair -> (), project -> ());

/// A request on a cluster whose flavors are `flavors`: method, path, body, the lookups it makes, and what it is told.
type Line = (&'static str, &'static str, Value, usize, Option<&'static str>);

#[tokio::test]
async fn existing_clusters_are_looked_at_where_upstream_does() {
    let cloud = Arc::new(Counting { within: LocalCloud::from_yaml(CLOUD).unwrap(), asked: AtomicUsize::new(0) });
    let service = Service::over(cloud.clone(), |_| {}).await;
    let mut body = template_body();
    body["labels"] = json!({"boot_volume_size": 1});
    let template = service.post("alice", TEMPLATE, body).await.expect(201).uuid();
    let cluster = |name: &str, size: &str| {
        json!({"name": name, "cluster_template_id": template, "flavor_id": "small", "master_flavor_id": "small",
               "labels": {"boot_volume_size": size}})
    };
    for (name, size) in [("disk", "0"), ("volume", "10")] {
        let uuid = service.post("alice", "/v1/clusters", cluster(name, size)).await.expect(202).uuid();
        settle(&service, &uuid, ClusterStatus::CreateComplete).await;
    }
    let replace = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    let group = |flavor: &str| json!({"name": format!("g-{flavor}"), "flavor_id": flavor});
    let table: Vec<Line> = vec![
        // Health is told by monitors, which a flavor that is gone must not silence.
        ("PATCH", "/v1/clusters/disk", replace("/health_status", json!("HEALTHY")), 0, None),
        ("PATCH", "/v1/clusters/disk", json!([]), 0, None),
        ("PATCH", "/v1/clusters/disk?dry_run=true", replace("/node_count", json!(2)), 1, None),
        ("PATCH", "/v1/clusters/volume?dry_run=true", replace("/node_count", json!(2)), 0, None),
        ("POST", "/v1/clusters/disk/actions/resize?dry_run=true", json!({"node_count": 2}), 0, None),
        ("POST", "/v1/clusters/disk/nodegroups", group("gone"), 1, Some("Unable to find flavor gone.")),
        ("POST", "/v1/clusters/disk/nodegroups", group("diskless"), 1, Some("Flavor with zero root volume size")),
        ("POST", "/v1/clusters/disk/nodegroups", group("small"), 1, None),
        ("POST", "/v1/clusters/volume/nodegroups", group("gone"), 0, None),
    ];
    for (method, path, body, lookups, says) in table {
        let before = cloud.asked.load(Ordering::Relaxed);
        let answer = service.send(Ask::new(method, path).user("alice").json(&body).build()).await;
        let made = cloud.asked.load(Ordering::Relaxed) - before;
        assert_eq!(made, lookups, "{method} {path} {body}");
        match says {
            None => assert!(answer.status.is_success(), "{method} {path} {body}: {}", answer.text),
            Some(says) => assert!(answer.detail().starts_with(says), "{method} {path} {body}: {}", answer.text),
        }
    }
    for (name, group) in [("disk", "g-small"), ("volume", "g-gone")] {
        let uuid = service.get("alice", &format!("/v1/clusters/{name}")).await.expect(200).uuid();
        settle(&service, &uuid, ClusterStatus::UpdateComplete).await;
        let before = cloud.asked.load(Ordering::Relaxed);
        let path = format!("/v1/clusters/{name}/nodegroups/{group}");
        service.patch("alice", &path, replace("/max_node_count", json!(9))).await.expect(202);
        let made = cloud.asked.load(Ordering::Relaxed) - before;
        assert_eq!(made, usize::from(name == "disk"), "a boot volume makes the flavor's disk unimportant");
    }
}

/// Of several things that are wrong, the client hears of the one that upstream names.
#[tokio::test]
async fn rights_and_room_come_before_the_cloud() {
    let service = Service::over(Arc::new(LocalCloud::from_yaml(CLOUD).unwrap()), |options| {
        options.max_clusters_per_project = 0;
    })
    .await;
    let with = |name: &str, value: Value| {
        let mut body = template_body();
        body[name] = value;
        body
    };
    let template = service.post("alice", TEMPLATE, template_body()).await.expect(201).uuid();
    let cluster = |name: &str, value: Value| json!({"cluster_template_id": template, name: value});
    let table = [
        // Who may only read hears of the engine's rules first, as upstream has it, and then that he may not.
        ("bob", TEMPLATE, with("network_driver", json!("weave")), 400, "Network driver type weave is not supported"),
        ("bob", TEMPLATE, with("image_id", json!("gone")), 403, "Policy doesn't allow clustertemplate:create"),
        ("bob", "/v1/clusters", cluster("master_count", json!(2)), 400, "master nodegroup size of 2 is invalid"),
        ("bob", "/v1/clusters", cluster("keypair", json!("gone")), 403, "Policy doesn't allow cluster:create"),
        // Whoever may publish nothing still hears of a missing image first.
        ("alice", TEMPLATE, json!({"coe": "kubernetes", "image_id": "gone", "public": true}), 400, "Image gone"),
        ("alice", TEMPLATE, with("public", json!(true)), 403, "Not authorized to set public or hidden flag"),
        ("alice", "/v1/clusters", cluster("keypair", json!("gone")), 403, "Resource limit exceeded"),
        ("alice", "/v1/clusters", cluster("master_count", json!(3)), 403, "Resource limit exceeded"),
        ("alice", "/v1/clusters", cluster("name", json!("fine")), 403, "Resource limit exceeded"),
        ("alice", "/v1/clusters", cluster("master_count", json!(2)), 400, "master nodegroup size of 2 is invalid"),
    ];
    for (user, path, body, status, says) in table {
        let answer = service.post(user, path, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{user} {path} {body}: {}", answer.text);
        assert!(answer.detail().starts_with(says), "{user} {path} {body}: {}", answer.text);
    }
}
