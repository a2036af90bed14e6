//! Who may call what: every operation of the document has its line in the table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fixtures::world;
use crate::support::{Ask, Service};

/// Users, in the columns of the table: creator, other member, reader, without a role, stranger, administrator
/// elsewhere, administrator of the project.
const COLUMNS: [&str; 7] = ["alice", "carol", "bob", "nora", "dave", "root", "chief"];

/// What the columns say: `+` is let through by policy and lookup, `-` is 403, `0` is 404 (or 400 where a body names it).
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("GET", "/", "+++++++", ""),
    ("GET", "/v1", "+++++++", ""),
    ("GET", "/healthcheck", "+++++++", ""),
    ("GET", "/metrics", "-------", ""),
    ("GET", "/openapi.json", "+++++++", ""),
    ("GET", "/v1/clustertemplates", "+++-+++", ""),
    ("GET", "/v1/clustertemplates/detail", "+++-+++", ""),
    ("POST", "/v1/clustertemplates", "++--+++", "template"),
    ("GET", "/v1/clustertemplates/{clustertemplate_ident}", "+++-0++", ""),
    ("PATCH", "/v1/clustertemplates/{clustertemplate_ident}", "++--0++", "patch"),
    ("DELETE", "/v1/clustertemplates/{clustertemplate_ident}", "++--0++", ""),
    ("GET", "/v1/clusters", "+++-+++", ""),
    ("GET", "/v1/clusters/detail", "+++-+++", ""),
    ("POST", "/v1/clusters", "++--00+", "cluster"),
    ("GET", "/v1/clusters/{cluster_ident}", "+++-0++", ""),
    ("PATCH", "/v1/clusters/{cluster_ident}", "++--0++", "patch"),
    ("DELETE", "/v1/clusters/{cluster_ident}", "++--0++", ""),
    ("POST", "/v1/clusters/{cluster_ident}/actions/resize", "++--00+", "resize"),
    ("POST", "/v1/clusters/{cluster_ident}/actions/upgrade", "++--0++", "upgrade"),
    ("GET", "/v1/clusters/{cluster_ident}/nodegroups", "+++-0++", ""),
    ("POST", "/v1/clusters/{cluster_ident}/nodegroups", "++--00+", "nodegroup"),
    ("GET", "/v1/clusters/{cluster_ident}/nodegroups/{nodegroup_ident}", "+++-0++", ""),
    ("PATCH", "/v1/clusters/{cluster_ident}/nodegroups/{nodegroup_ident}", "++--00+", "patch"),
    ("DELETE", "/v1/clusters/{cluster_ident}/nodegroups/{nodegroup_ident}", "++--00+", ""),
    ("GET", "/v1/clusters/{cluster_ident}/events", "+++-0++", ""),
    ("GET", "/v1/clusters/{cluster_ident}/operations", "+++-0++", ""),
    ("GET", "/v1/clusters/{cluster_ident}/operations/{operation}", "+++-0++", ""),
    ("POST", "/v1/clusters/{cluster_ident}/operations/{operation}/cancel", "++--0++", ""),
    ("POST", "/v1/clusters/{cluster_ident}/operations/{operation}/retry", "++--0++", ""),
    ("GET", "/v1/clusters/{cluster_ident}/nodes", "+++-0++", ""),
    ("POST", "/v1/certificates", "+---00+", "certificate"),
    ("GET", "/v1/certificates/{cluster_ident}", "+---00+", ""),
    ("PATCH", "/v1/certificates/{cluster_ident}", "++--00+", ""),
    ("GET", "/v1/certificates/{cluster_ident}/{ca_cert_type}", "+---00+", ""),
    ("PATCH", "/v1/credentials/{cluster_ident}", "++--00+", ""),
    ("GET", "/v1/quotas", "-----++", ""),
    ("POST", "/v1/quotas", "-----++", "quota"),
    ("PATCH", "/v1/quotas", "-----++", "quota"),
    ("DELETE", "/v1/quotas", "-----++", "quota"),
    ("GET", "/v1/quotas/{project_id}/{resource}", "+++--++", ""),
    ("PATCH", "/v1/quotas/{project_id}/{resource}", "-----++", "quota"),
    ("DELETE", "/v1/quotas/{project_id}/{resource}", "-----++", ""),
    ("GET", "/v1/stats", "+++-+++", ""),
    ("GET", "/v1/mservices", "-----++", ""),
    ("GET", "/v1/federations", "+++-+++", ""),
    ("GET", "/v1/federations/detail", "+++-+++", ""),
    ("POST", "/v1/federations", "++--00+", "federation"),
    ("GET", "/v1/federations/{federation_ident}", "+++-00+", ""),
    ("PATCH", "/v1/federations/{federation_ident}", "++--00+", "patch"),
    ("DELETE", "/v1/federations/{federation_ident}", "++--00+", ""),
    ("GET", "/v1/bays", "+++-+++", ""),
    ("GET", "/v1/bays/detail", "+++-+++", ""),
    ("POST", "/v1/bays", "++--00+", "bay"),
    ("GET", "/v1/bays/{bay_ident}", "+++-00+", ""),
    ("PATCH", "/v1/bays/{bay_ident}", "++--00+", "patch"),
    ("DELETE", "/v1/bays/{bay_ident}", "++--00+", ""),
    ("GET", "/v1/baymodels", "+++-+++", ""),
    ("GET", "/v1/baymodels/detail", "+++-+++", ""),
    ("POST", "/v1/baymodels", "++--+++", "baymodel"),
    ("GET", "/v1/baymodels/{baymodel_ident}", "+++-00+", ""),
    ("PATCH", "/v1/baymodels/{baymodel_ident}", "++--00+", "patch"),
    ("DELETE", "/v1/baymodels/{baymodel_ident}", "++--00+", ""),
];

fn body(kind: &str, world: &BTreeMap<&str, String>) -> Option<Value> {
    let template = &world["template"];
    let body = match kind {
        "" => return None,
        "template" => crate::fixtures::template_body("p"),
        "patch" => json!([]),
        "bay" => json!({"baymodel_id": template}),
        "baymodel" => json!({"coe": "swarm-mode", "image_id": "local", "keypair_id": "k"}),
        "cluster" => json!({"cluster_template_id": template}),
        "resize" => json!({"node_count": 2}),
        "upgrade" => json!({"cluster_template": template}),
        "nodegroup" => json!({"name": "n"}),
        "certificate" => json!({"cluster_uuid": world["ready"], "csr": "x"}),
        "quota" => json!({"project_id": "p1", "hard_limit": 1}),
        "federation" => json!({"hostcluster_id": world["ready"], "properties": {"dns-zone": "x"}}),
        other => panic!("no body {other}"),
    };
    Some(body)
}

fn path(pattern: &str, world: &BTreeMap<&str, String>) -> String {
    pattern
        .replace("{clustertemplate_ident}", &world["unused"])
        .replace("{baymodel_ident}", &world["spare"])
        .replace("{cluster_ident}", &world["ready"])
        .replace("{bay_ident}", &world["twin"])
        .replace("{nodegroup_ident}", &world["worker"])
        .replace("{operation}", &world["operation"])
        .replace("{federation_ident}", &world["federation"])
        .replace("{project_id}", "p1")
        .replace("{resource}", "Cluster")
        .replace("{ca_cert_type}", "etcd")
}

/// What a status means: refused by policy, not found, or let through (whatever came of it then).
fn verdict(status: u16, detail: &str) -> char {
    match status {
        401 => panic!("unknown user"),
        403 if !detail.starts_with("Resource limit") => '-',
        404 if !detail.starts_with("Quota") => '0',
        400 if detail.ends_with("could not be found.") => '0',
        500.. => panic!("{status}: {detail}"),
        _ => '+',
    }
}

#[tokio::test]
async fn every_operation_asks_the_policy() {
    let mut checked = 0;
    for (column, user) in COLUMNS.into_iter().enumerate() {
        // A world for each user: what one is allowed to do changes it for the next.
        let service = Service::start().await;
        let world = world(&service).await;
        let mut lines: Vec<_> = TABLE.iter().collect();
        // Whatever deletes or keeps busy comes last.
        lines.sort_by_key(|(method, ..)| *method == "DELETE");
        for (method, pattern, expected, kind) in lines {
            let mut ask = Ask::new(method, &path(pattern, &world)).user(user);
            if pattern.starts_with("/v1/bay") {
                ask = ask.version("1.10");
            }
            if let Some(body) = body(kind, &world) {
                ask = ask.json(&body);
            }
            let answer = service.send(ask.build()).await;
            let found = verdict(answer.status.as_u16(), answer.detail());
            let wanted = expected.chars().nth(column).unwrap();
            assert_eq!(found, wanted, "{user}: {method} {pattern}: {} {}", answer.status, answer.text);
            checked += 1;
        }
    }
    println!("{checked} decisions over {} operations and {} users", TABLE.len(), COLUMNS.len());
}

#[test]
fn no_operation_is_left_out() {
    let document = magnum_api::openapi_document().clone();
    let mut missing = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            if !TABLE.iter().any(|(known, pattern, ..)| *known == method && pattern == path) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "without a line in the table: {missing:#?}");
}

#[tokio::test]
async fn members_without_the_role_of_readers_can_not_read() {
    let service = Service::start().await;
    let answer = service.get("mona", "/v1/clusters").await.expect(403);
    assert_eq!(answer.detail(), "Policy doesn't allow cluster:get_all to be performed.");
    service.get("drifter", "/v1/clusters").await.expect(403);
}
