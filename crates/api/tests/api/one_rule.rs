//! What POST refuses, PATCH refuses in the same words; and a patch changes what it was asked to change, and nothing else.

use serde_json::{Value, json};

use crate::fixtures::template_body;
use crate::support::Service;

/// Fields of a template with values that it must not have. One that may hold any text has none.
fn bad_values() -> Vec<(&'static str, Vec<Value>)> {
    let long = || json!("x".repeat(256));
    let text = || vec![json!(""), long(), json!("a\u{7}b")];
    let number = || vec![json!("x"), json!(0), json!(-1), json!(2_147_483_648_i64)];
    let flag = || vec![json!("perhaps"), json!(2)];
    let with = |mut values: Vec<Value>, more: &[&str]| {
        values.extend(more.iter().map(|value| json!(value)));
        values
    };
    vec![
        ("name", text()),
        ("coe", vec![json!("nomad"), json!("")]),
        ("image_id", with(text(), &["gone"])),
        ("flavor_id", with(text(), &["gone"])),
        ("master_flavor_id", with(text(), &["gone"])),
        ("dns_nameserver", vec![json!("8.8.8"), json!("::1"), json!("nonsense")]),
        ("keypair_id", text()),
        ("external_network_id", with(text(), &["gone"])),
        ("fixed_network", with(text(), &["gone"])),
        ("fixed_subnet", with(text(), &["gone"])),
        ("network_driver", with(vec![long()], &["weave", "flannel "])),
        ("apiserver_port", vec![json!(80), json!(65_536), json!("x")]),
        ("docker_volume_size", number()),
        ("http_proxy", with(text(), &["not a url", "ftp://proxy", "http://"])),
        ("https_proxy", with(text(), &["not a url", "http://proxy:99999"])),
        ("no_proxy", with(text(), &["a b", "http://host", "10.0.0.0/99"])),
        ("volume_driver", with(vec![long()], &["cinder"])),
        ("registry_enabled", flag()),
        ("labels", vec![json!({"boot_volume_size": "x"}), json!({"": "x"}), json!([])]),
        ("tls_disabled", flag()),
        ("public", flag()),
        ("server_type", vec![json!("lxc"), json!("bm")]),
        ("insecure_registry", with(text(), &["a b", "registry:port"])),
        ("docker_storage_driver", with(text(), &["devicemapper"])),
        ("master_lb_enabled", flag()),
        ("floating_ip_enabled", flag()),
        ("hidden", flag()),
        ("tags", vec![long(), json!("a\u{7}b")]),
        ("driver", with(text(), &["gone"])),
    ]
}

#[tokio::test]
async fn a_template_is_patched_by_the_rules_that_it_is_made_by() {
    let service = Service::start().await;
    let document = magnum_api::openapi_document();
    let fields = document["components"]["schemas"]["ClusterTemplateBody"]["properties"].as_object().unwrap();
    let table = bad_values();
    for name in fields.iter().filter(|(_, field)| field["description"] != "Set by the server.").map(|(name, _)| name) {
        // The one is no part of a patch; the other is the image's, whatever a new template says.
        let is_apart = matches!(name.as_str(), "uuid" | "cluster_distro");
        assert!(is_apart || table.iter().any(|(field, _)| field == name), "{name} has no bad value here");
    }
    let mut body = template_body("t");
    body["docker_volume_size"] = json!(2);
    let made = service.post("alice", "/v1/clustertemplates", body.clone()).await.expect(201);
    let path = format!("/v1/clustertemplates/{}", made.uuid());
    let mut tried = 0;
    for (field, values) in table {
        for bad in values {
            let mut wrong = body.clone();
            wrong[field] = bad.clone();
            let posted = service.post("alice", "/v1/clustertemplates", wrong).await;
            let patch = json!([{"op": "replace", "path": format!("/{field}"), "value": bad}]);
            let patched = service.patch("alice", &path, patch).await;
            let statuses = (posted.status.as_u16(), patched.status.as_u16());
            assert_eq!(statuses, (400, 400), "{field} {bad}: {} / {}", posted.text, patched.text);
            let is_about_whole =
                |detail: &str| detail.contains("attribute cluster_template.") || detail.contains("is not supported");
            if !is_about_whole(posted.detail()) {
                assert_eq!(posted.detail(), patched.detail(), "{field} {bad}");
            }
            tried += 1;
        }
    }
    assert!(tried > 90, "{tried}");
    let after = service.get("alice", &path).await.expect(200);
    assert_eq!(after.json, made.json, "nothing was changed");
}

/// A template that upstream has left as no rule here would have it can be renamed, hidden and mended all the same.
#[tokio::test]
async fn a_patch_changes_what_it_was_asked_to_change() {
    let service = Service::start().await;
    let made = service.post("alice", "/v1/clustertemplates", template_body("t")).await.expect(201);
    let path = format!("/v1/clustertemplates/{}", made.uuid());
    service
        .execute(
            "UPDATE cluster_template SET network_driver = NULL, coe = 'nomad', driver = 'gone', cluster_distro = 'other', \
             docker_storage_driver = 'devicemapper', docker_volume_size = 1, http_proxy = 'not a url', server_type = 'lxc'",
        )
        .await;
    let before = service.get("alice", &path).await.expect(200).json;
    let renamed = service
        .patch("alice", &path, json!([{"op": "replace", "path": "/name", "value": "renamed"}]))
        .await
        .expect(200);
    for (name, value) in renamed.json.as_object().unwrap() {
        match name.as_str() {
            "name" => assert_eq!(value, "renamed"),
            "updated_at" => assert!(value.is_string()),
            other => assert_eq!(value, &before[other], "{other}"),
        }
    }
    // It names its driver, so its image and its distribution have to fit each other again.
    let mended = json!([
        {"op": "replace", "path": "/coe", "value": "swarm-mode"},
        {"op": "replace", "path": "/driver", "value": "paper"},
        {"op": "replace", "path": "/cluster_distro", "value": "local"},
        {"op": "replace", "path": "/docker_volume_size", "value": 5},
    ]);
    service.patch("alice", &path, mended).await.expect(200);
    let odd = json!([{"op": "replace", "path": "/cluster_distro", "value": "other"}]);
    let refused = service.patch("alice", &path, odd).await.expect(400);
    assert!(
        refused.detail().contains("does not fit the image local, whose os_distro is local"),
        "{}",
        refused.detail()
    );
}

#[tokio::test]
async fn a_quota_is_changed_only_by_what_a_patch_says() {
    let service = Service::start().await;
    service.post("root", "/v1/quotas", json!({"project_id": "p2", "hard_limit": 7})).await.expect(201);
    for (path, body) in [
        ("/v1/quotas/p2/Cluster", json!({})),
        ("/v1/quotas", json!({"project_id": "p2", "resource": "Cluster"})),
        ("/v1/quotas/p2/Cluster", json!({"hard_limit": -1})),
        ("/v1/quotas/p2/Cluster", json!({"hard_limit": "x"})),
    ] {
        service.patch("root", path, body.clone()).await.expect(400);
        let kept = service.get("root", "/v1/quotas/p2/Cluster").await.expect(200);
        assert_eq!(kept.json["hard_limit"], 7, "{body}");
    }
}

/// What has no effect with a driver is answered with a word and kept among the events.
#[tokio::test]
async fn fields_without_effect_are_answered_with_a_word() {
    let service = Service::start().await;
    let mut body = template_body("t");
    body["apiserver_port"] = json!(9000);
    let warnings = |answer: &crate::support::Answer| -> Vec<String> {
        answer.headers.get_all("warning").iter().map(|text| text.to_str().unwrap().to_owned()).collect()
    };
    let made = service.post("alice", "/v1/clustertemplates", body.clone()).await.expect(201);
    let told = "299 magnum \"apiserver_port has no effect with the driver paper: paper has no ports.\"";
    assert_eq!(warnings(&made), [told]);
    body["apiserver_port"] = json!(8080);
    assert!(warnings(&service.post("alice", "/v1/clustertemplates", body).await.expect(201)).is_empty());
    let path = format!("/v1/clustertemplates/{}", made.uuid());
    let rename = json!([{"op": "replace", "path": "/name", "value": "u"}]);
    assert!(warnings(&service.patch("alice", &path, rename).await.expect(200)).is_empty());
    let port = json!([{"op": "replace", "path": "/apiserver_port", "value": 9001}]);
    assert_eq!(warnings(&service.patch("alice", &path, port).await.expect(200)), [told]);

    let body = json!({"name": "c", "cluster_template_id": made.uuid(), "discovery_url": "https://x", "status": "CREATE_COMPLETE"});
    let cluster = service.post("alice", "/v1/clusters", body).await.expect(202);
    let expected = [
        "discovery_url has no effect with the driver paper: nothing is discovered on paper.",
        "status is set by the server. What the request says of it has no effect.",
    ];
    assert_eq!(warnings(&cluster), expected.map(|text| format!("299 magnum \"{text}\"")));
    let events = service.get("alice", &format!("/v1/clusters/{}/events", cluster.uuid())).await.expect(200).text;
    assert!(expected.iter().all(|text| events.contains(text)), "{events}");
}
