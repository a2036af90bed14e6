use serde_json::json;

use crate::fixtures::{cluster, template, template_body};
use crate::support::{Ask, Service, keys};

const FIELDS: [&str; 35] = [
    "uuid",
    "name",
    "coe",
    "image_id",
    "flavor_id",
    "master_flavor_id",
    "dns_nameserver",
    "keypair_id",
    "external_network_id",
    "fixed_network",
    "fixed_subnet",
    "network_driver",
    "apiserver_port",
    "docker_volume_size",
    "cluster_distro",
    "links",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "volume_driver",
    "registry_enabled",
    "labels",
    "tls_disabled",
    "public",
    "server_type",
    "insecure_registry",
    "docker_storage_driver",
    "master_lb_enabled",
    "floating_ip_enabled",
    "project_id",
    "user_id",
    "hidden",
    "tags",
    "driver",
    "created_at",
];

#[tokio::test]
async fn a_template_is_made_shown_listed_and_deleted() {
    let service = Service::start().await;
    let made = service.post("alice", "/v1/clustertemplates", template_body("t")).await.expect(201);
    let uuid = made.uuid();
    assert_eq!(made.header("location"), format!("http://magnum.test/v1/clustertemplates/{uuid}"));
    let mut fields = FIELDS.to_vec();
    fields.push("updated_at");
    assert_eq!(keys(&made.json), fields);
    assert_eq!(made.json["cluster_distro"], "local", "the image says it");
    assert_eq!(made.json["network_driver"], "docker", "the default of the engine");
    assert_eq!(made.json["floating_ip_enabled"], true);
    assert_eq!(made.json["server_type"], "vm");
    assert_eq!(made.json["project_id"], "p1");
    assert_eq!(made.json["updated_at"], json!(null));
    assert!(made.json["created_at"].as_str().unwrap().ends_with("+00:00"));
    let links = json!([{"href": format!("http://magnum.test/v1/clustertemplates/{uuid}"), "rel": "self"},
                       {"href": format!("http://magnum.test/clustertemplates/{uuid}"), "rel": "bookmark"}]);
    assert_eq!(made.json["links"], links);
    for path in [format!("/v1/clustertemplates/{uuid}"), "/v1/clustertemplates/t".to_owned()] {
        assert_eq!(service.get("bob", &path).await.expect(200).json, made.json);
    }
    for path in ["/v1/clustertemplates", "/v1/clustertemplates/detail"] {
        assert_eq!(service.get("bob", path).await.expect(200).json, json!({"clustertemplates": [made.json]}));
    }
    let gone = service.delete("alice", "/v1/clustertemplates/t").await.expect(204);
    assert_eq!(gone.text, "");
    service.get("alice", "/v1/clustertemplates/t").await.expect(404);
}

#[tokio::test]
async fn what_the_command_line_sends_is_taken() {
    // `openstack coe cluster template create` sends null for whatever it was not told.
    let service = Service::start().await;
    let body = json!({"name": "cli", "image_id": "local", "keypair_id": null, "external_network_id": "public",
        "coe": "swarm-mode", "fixed_network": null, "fixed_subnet": null, "network_driver": null,
        "volume_driver": null, "driver": null, "dns_nameserver": "8.8.8.8", "flavor_id": "m1.medium",
        "master_flavor_id": null, "docker_volume_size": null, "docker_storage_driver": "overlay2", "http_proxy": null,
        "https_proxy": null, "no_proxy": null, "labels": {}, "tls_disabled": false, "public": false,
        "registry_enabled": false, "insecure_registry": null, "server_type": "vm", "master_lb_enabled": false});
    service.post("alice", "/v1/clustertemplates", body).await.expect(201);
}

#[tokio::test]
async fn values_are_kept_as_upstream_keeps_them() {
    let service = Service::start().await;
    let table = [
        (json!({"labels": {"a": 5, "b": true, "c": 1.5}}), "labels", json!({"a": "5", "b": "True", "c": "1.5"})),
        (json!({"labels": null}), "labels", json!({})),
        (json!({"apiserver_port": "8080"}), "apiserver_port", json!(8080)),
        (json!({"tls_disabled": "yes"}), "tls_disabled", json!(true)),
        (json!({"floating_ip_enabled": null}), "floating_ip_enabled", json!(true)),
        (json!({"cluster_distro": "ubuntu"}), "cluster_distro", json!("local")),
        (json!({"dns_nameserver": "8.8.8.8, 1.1.1.1"}), "dns_nameserver", json!("8.8.8.8, 1.1.1.1")),
        (
            json!({"uuid": "0F0F0F0F-0000-4000-8000-00000000000A"}),
            "uuid",
            json!("0f0f0f0f-0000-4000-8000-00000000000a"),
        ),
        (json!({"driver": "paper"}), "driver", json!("paper")),
        (json!({"coe": "kubernetes"}), "network_driver", json!("flannel")),
        (json!({"tags": ""}), "tags", json!("")),
    ];
    for (change, field, expected) in table {
        let mut body = template_body("t");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let made = service.post("alice", "/v1/clustertemplates", body).await.expect(201);
        assert_eq!(made.json[field], expected, "{change}");
    }
    let mut body = template_body("t");
    body.as_object_mut().unwrap().remove("name");
    let made = service.post("alice", "/v1/clustertemplates", body).await.expect(201);
    assert!(made.json["name"].as_str().unwrap().ends_with("-template"));
}

#[tokio::test]
async fn templates_are_seen_by_those_who_may() {
    let service = Service::start().await;
    let mut shared = template_body("shared");
    shared["public"] = json!(true);
    service.post("root", "/v1/clustertemplates", shared).await.expect(201);
    let mut hidden = template_body("hidden");
    hidden["hidden"] = json!(true);
    service.post("chief", "/v1/clustertemplates", hidden).await.expect(201);
    template(&service, "dave", "foreign").await;
    let table = [
        ("alice", vec!["shared", "hidden"]),
        ("dave", vec!["shared", "foreign"]),
        ("root", vec!["shared", "hidden", "foreign"]),
    ];
    for (user, expected) in table {
        let list = service.get(user, "/v1/clustertemplates").await.expect(200);
        let names: Vec<&str> =
            list.json["clustertemplates"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{user}");
        for name in ["shared", "hidden", "foreign"] {
            let status = if expected.contains(&name) { 200 } else { 404 };
            service.get(user, &format!("/v1/clustertemplates/{name}")).await.expect(status);
        }
    }
}

#[tokio::test]
async fn patches_change_templates() {
    let service = Service::start().await;
    let uuid = template(&service, "alice", "t").await;
    let path = format!("/v1/clustertemplates/{uuid}");
    let table = [
        (json!([]), "name", json!("t")),
        (json!([{"op": "replace", "path": "/name", "value": "u"}]), "name", json!("u")),
        (json!([{"op": "replace", "path": "/labels", "value": "{'a': 'b'}"}]), "labels", json!({"a": "b"})),
        (json!([{"op": "add", "path": "/labels/c", "value": 1}]), "labels", json!({"a": "b", "c": "1"})),
        (json!([{"op": "remove", "path": "/labels/a"}]), "labels", json!({"c": "1"})),
        (json!([{"op": "replace", "path": "/labels", "value": "x=1,y=2"}]), "labels", json!({"x": "1", "y": "2"})),
        (json!([{"op": "replace", "path": "/docker_volume_size", "value": "7"}]), "docker_volume_size", json!(7)),
        (json!([{"op": "remove", "path": "/docker_volume_size"}]), "docker_volume_size", json!(null)),
        (json!([{"op": "add", "path": "/docker_volume_size", "value": 9}]), "docker_volume_size", json!(9)),
        (
            json!([{"op": "replace", "path": "/floating_ip_enabled", "value": "false"}]),
            "floating_ip_enabled",
            json!(false),
        ),
        (json!([{"op": "remove", "path": "/floating_ip_enabled"}]), "floating_ip_enabled", json!(true)),
        (json!([{"op": "remove", "path": "/name"}]), "name", json!(null)),
    ];
    for (patch, field, expected) in table {
        let answer = service.patch("alice", &path, patch.clone()).await.expect(200);
        assert_eq!(answer.json[field], expected, "{patch}");
        assert_eq!(service.get("alice", &path).await.json[field], expected, "{patch}");
    }
}

#[tokio::test]
async fn a_template_in_use_changes_only_in_what_does_not_matter() {
    let service = Service::start().await;
    let uuid = template(&service, "chief", "t").await;
    cluster(&service, "chief", "c", &uuid).await;
    let path = format!("/v1/clustertemplates/{uuid}");
    let replace =
        |field: &str, value: serde_json::Value| json!({"op": "replace", "path": format!("/{field}"), "value": value});
    let table = [
        (json!([replace("name", json!("u"))]), 200),
        (json!([replace("hidden", json!(true))]), 200),
        (json!([replace("hidden", json!(false))]), 200),
        (json!([replace("public", json!(true))]), 200),
        (json!([replace("public", json!(false))]), 400),
        (json!([]), 400),
        (json!([replace("flavor_id", json!("m1.large"))]), 400),
        (json!([replace("name", json!("v")), replace("hidden", json!(true))]), 400),
    ];
    for (patch, status) in table {
        let answer = service.patch("chief", &path, patch.clone()).await;
        assert_eq!(answer.status, status, "{patch}: {}", answer.text);
        if status == 400 {
            assert_eq!(answer.detail(), format!("ClusterTemplate {uuid} is referenced by one or multiple clusters."));
        }
    }
    service.delete("chief", &path).await.expect(400);
    let ask = Ask::new("DELETE", &path).user("chief").header("content-type", "application/octet-stream");
    service.send(ask.build()).await.expect(400);
}
