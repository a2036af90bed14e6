//! Labels are accepted and spoken of: in a header of the answer, and among the cluster's events.

use magnum_domain::ClusterStatus;
use serde_json::{Value, json};

use crate::fixtures::{settle, template_body};
use crate::support::{Answer, Service};

/// The texts of the header, in order.
fn warnings(answer: &Answer) -> Vec<String> {
    let told = answer.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned());
    told.map(|text| text.trim_start_matches("299 magnum \"").trim_end_matches('"').to_owned()).collect()
}

fn body(coe: &str, labels: Value) -> Value {
    let mut body = template_body("t");
    body["coe"] = json!(coe);
    body["labels"] = labels;
    body
}

#[tokio::test]
async fn odd_labels_are_accepted_with_a_word() {
    let service = Service::start().await;
    let table = [
        ("kubernetes", json!({"kube_tag": "v1.23.3", "kube_dashboard_enabled": true, "boot_volume_size": 10}), vec![]),
        ("kubernetes", json!({"kube_tga": "v1.23.3"}), vec!["Label kube_tga is not known. Did you mean kube_tag?"]),
        ("kubernetes", json!({"tier": "gold"}), vec!["Label tier is not known."]),
        (
            "kubernetes",
            json!({"auto_healing_enabled": "on", "etcd_volume_size": 1.5, "swarm_strategy": "whatever"}),
            vec![
                "Label auto_healing_enabled is 'on'. It should be true or false.",
                "Label etcd_volume_size is '1.5'. It should be a whole number of GB, 0 or more.",
                "Label swarm_strategy is for swarm and swarm-mode only and does nothing here.",
            ],
        ),
        ("swarm-mode", json!({"a\\\"b": "c"}), vec![r#"Label a\\\"b is not known."#]),
        ("swarm-mode", json!({"g\u{fc}n": "x"}), vec!["Label g?n is not known."]),
    ];
    for (coe, labels, expected) in table {
        let answer = service.post("alice", "/v1/clustertemplates", body(coe, labels.clone())).await.expect(201);
        assert_eq!(warnings(&answer), expected, "{labels}");
        let kept = answer.json["labels"].as_object().unwrap().len();
        assert_eq!(kept, labels.as_object().unwrap().len(), "nothing is dropped");
    }
}

#[tokio::test]
async fn a_cluster_is_told_in_its_events() {
    let service = Service::start().await;
    let template =
        service.post("alice", "/v1/clustertemplates", body("kubernetes", json!({}))).await.expect(201).uuid();
    let many: serde_json::Map<_, _> = (10..40).map(|number| (format!("own{number}"), json!("x"))).collect();
    for (labels, told) in [(json!({"kube_tagg": "v1"}), 1), (Value::Object(many), 10), (json!({"kube_tag": "v1"}), 0)] {
        let body = json!({"name": "c", "cluster_template_id": template, "labels": labels, "node_count": 1});
        let tried = service.post("alice", "/v1/clusters?dry_run=true", body.clone()).await.expect(200);
        let answer = service.post("alice", "/v1/clusters", body).await.expect(202);
        assert_eq!(warnings(&answer).len(), told);
        assert_eq!(warnings(&tried), warnings(&answer));
        let uuid = answer.uuid();
        let events = service.get("alice", &format!("/v1/clusters/{uuid}/events")).await.expect(200);
        let events = events.json["events"].as_array().unwrap().clone();
        let said: Vec<_> = events.iter().filter(|event| event["state"] == "warning").collect();
        let texts: Vec<_> = said.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
        assert_eq!(texts, warnings(&answer));
        settle(&service, &uuid, ClusterStatus::CreateComplete).await;
        let group = json!({"name": "g", "labels": {"availability_zone": "b", "monitorin_enabled": "true"},
                           "merge_labels": true});
        let answer = service.post("alice", &format!("/v1/clusters/{uuid}/nodegroups"), group).await.expect(202);
        assert_eq!(warnings(&answer), ["Label monitorin_enabled is not known. Did you mean monitoring_enabled?"]);
        settle(&service, &uuid, ClusterStatus::UpdateComplete).await;
    }
}

#[tokio::test]
async fn a_patch_speaks_of_labels_that_it_changes() {
    let service = Service::start().await;
    let template =
        service.post("alice", "/v1/clustertemplates", body("kubernetes", json!({"odd": 1}))).await.expect(201);
    let path = format!("/v1/clustertemplates/{}", template.uuid());
    let renamed = json!([{"op": "replace", "path": "/name", "value": "u"}]);
    assert!(warnings(&service.patch("alice", &path, renamed).await.expect(200)).is_empty());
    let labelled = json!([{"op": "add", "path": "/labels/etcd_volume_siz", "value": 3}]);
    let told = warnings(&service.patch("alice", &path, labelled).await.expect(200));
    let expected = ["Label etcd_volume_siz is not known. Did you mean etcd_volume_size?", "Label odd is not known."];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_upstream_refused_of_an_engine_is_refused() {
    let service = Service::start().await;
    let answer =
        service.post("alice", "/v1/clustertemplates", body("swarm", json!({"swarm_strategy": "clever"}))).await;
    let expected = "property \"labels/swarm_strategy\" with value \"clever\" is not supported, \
                    supported values are: spread, binpack, random, unspecified";
    assert_eq!(answer.expect(400).detail(), expected);
    let template = service.post("alice", "/v1/clustertemplates", body("swarm", json!({}))).await.expect(201).uuid();
    let cluster = json!({"cluster_template_id": template, "labels": {"swarm_strategy": "clever"}});
    assert_eq!(service.post("alice", "/v1/clusters", cluster).await.expect(400).detail(), expected);
    service
        .post("alice", "/v1/clustertemplates", body("kubernetes", json!({"swarm_strategy": "clever"})))
        .await
        .expect(201);
}
