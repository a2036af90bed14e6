use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;

use crate::fixtures::{cluster, ready_cluster, template};
use crate::support::{Ask, Service, keys};

fn csr(common_name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serialize_request(&key).unwrap().pem().unwrap()
}

#[tokio::test]
async fn authorities_are_shown_and_sign() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let own = service.get("alice", &format!("/v1/certificates/{uuid}")).await.expect(200).json;
    assert_eq!(keys(&own), ["cluster_uuid", "links", "pem"]);
    assert_eq!(own["cluster_uuid"], uuid.as_str());
    assert_eq!(own["links"][0]["href"], format!("http://magnum.test/v1/certificates/{uuid}"));
    let pem = own["pem"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && pem.ends_with("-----END CERTIFICATE-----"));
    for path in ["/v1/certificates/c?ca_cert_type=kubernetes", "/v1/certificates/c/kubelet"] {
        assert_eq!(service.get("alice", path).await.expect(200).json["pem"], own["pem"]);
    }
    for kind in ["etcd", "front_proxy", "front-proxy"] {
        let other = service.get("alice", &format!("/v1/certificates/c?ca_cert_type={kind}")).await.expect(200).json;
        assert_ne!(other["pem"], own["pem"], "{kind}");
        assert_eq!(service.get("alice", &format!("/v1/certificates/c/{kind}")).await.json["pem"], other["pem"]);
    }
    let csr = csr("admin");
    let signed = service.post("alice", "/v1/certificates", json!({"cluster_uuid": "c", "csr": csr})).await.expect(201);
    assert_eq!(keys(&signed.json), ["cluster_uuid", "links", "csr", "pem"]);
    assert_eq!(signed.header("location"), "");
    assert!(signed.json["pem"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    let body = json!({"cluster_uuid": uuid, "csr": csr, "ca_cert_type": "etcd"});
    let etcd = service.post("alice", "/v1/certificates", body).await.expect(201).json;
    assert_eq!(etcd["ca_cert_type"], "etcd");
}

#[tokio::test]
async fn only_the_creator_and_administrators_of_the_project_get_certificates() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    ready_cluster(&service, "alice", "c", &template).await;
    for (user, status) in [("alice", 200), ("carol", 403), ("bob", 403), ("chief", 200), ("root", 404), ("dave", 404)] {
        let answer = service.get(user, "/v1/certificates/c").await;
        assert_eq!(answer.status, status, "{user}: {}", answer.text);
        let signed = service.post(user, "/v1/certificates", json!({"cluster_uuid": "c", "csr": csr("x")})).await;
        let status = match status {
            200 => 201,
            404 => 400,
            other => other,
        };
        assert_eq!(signed.status, status, "{user}: {}", signed.text);
    }
}

#[tokio::test]
async fn rotation_is_refused_in_words() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    ready_cluster(&service, "alice", "c", &own).await;
    cluster(&service, "alice", "busy", &own).await;
    let rotate =
        |path: &str| Ask::new("PATCH", path).user("alice").header("content-type", "application/octet-stream").build();
    let table = [
        ("/v1/certificates/c", "'rotate_ca_certificate' is not supported by this driver."),
        (
            "/v1/certificates/busy",
            "Updating a cluster when status is \"CREATE_IN_PROGRESS\" is not supported. Its operation create is not finished: wait for it, or cancel it, and try again.",
        ),
        ("/v1/credentials/c", "Credential rotation is not supported by driver."),
        (
            "/v1/credentials/busy",
            "Rotating the credential of a cluster when status is \"CREATE_IN_PROGRESS\" is not supported. Its operation create is not finished: wait for it, or cancel it, and try again.",
        ),
    ];
    for (path, detail) in table {
        assert_eq!(service.send(rotate(path)).await.expect(400).detail(), detail);
    }
    let busy = service.get("alice", "/v1/certificates/busy").await.expect(409);
    assert!(busy.detail().contains("has no certificate authority"), "{}", busy.detail());
}
