//! Federations: shown and deleted where a database has them, never made or changed.

use serde_json::{Value, json};

use crate::fixtures::{federation, ready_cluster, template};
use crate::support::{Ask, Service, keys};

#[tokio::test]
async fn making_one_is_refused_with_the_reason() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    ready_cluster(&service, "alice", "c", &own).await;
    for path in ["/v1/federations", "/v1/federations/detail"] {
        assert_eq!(service.get("bob", path).await.expect(200).json, json!({"federations": []}));
    }
    let body = json!({"name": "f", "hostcluster_id": "c", "properties": {"dns-zone": "example.com"}});
    let before = service.dump().await;
    let answer = service.post("alice", "/v1/federations", body).await.expect(409);
    assert!(answer.detail().starts_with("Federations can not be made"), "{}", answer.detail());
    assert_eq!(service.dump().await, before);
}

#[tokio::test]
async fn rows_are_listed_shown_and_deleted() {
    let service = Service::start().await;
    let mut uuids = Vec::new();
    for (name, project) in [("a", "p1"), ("b", "p1"), ("b", "p1"), ("foreign", "p2")] {
        uuids.push(federation(&service, name, project, "").await);
    }
    let short = ["uuid", "name", "hostcluster_id", "member_ids", "status", "properties", "links"];
    let full = [&short[..], &["status_reason", "created_at", "updated_at"]].concat();

    let list = service.get("bob", "/v1/federations?limit=2").await.expect(200).json;
    assert_eq!(keys(&list["federations"][0]), short);
    let next = format!("http://magnum.test/v1/federations?sort_key=id&sort_dir=asc&limit=2&marker={}", uuids[1]);
    assert_eq!(list["next"], next);
    let rest = service.get("bob", next.trim_start_matches("http://magnum.test")).await.expect(200).json;
    assert_eq!(rest["federations"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["federations"][0]["uuid"], uuids[2]);
    let detail = service.get("bob", "/v1/federations/detail").await.expect(200).json;
    assert_eq!(keys(&detail["federations"][0]), full);

    let shown = service.get("bob", "/v1/federations/a").await.expect(200).json;
    assert_eq!(shown, service.get("bob", &format!("/v1/federations/{}", uuids[0])).await.expect(200).json);
    assert_eq!((keys(&shown), &shown["properties"]["dns-zone"]), (full, &json!("example.com.")));
    assert_eq!(shown["links"][1]["href"], format!("http://magnum.test/federations/{}", uuids[0]));
    let twice = service.get("bob", "/v1/federations/b").await.expect(409);
    assert_eq!(twice.detail(), "Multiple federations exist with same name. Please use the federation uuid instead.");
    service.get("root", "/v1/federations/a").await.expect(404);

    service.delete("bob", "/v1/federations/a").await.expect(403);
    service.delete("alice", "/v1/federations/a").await.expect(204);
    service.delete("alice", "/v1/federations/a").await.expect(404);
    assert_eq!(service.get("dave", "/v1/federations/foreign").await.expect(200).uuid(), uuids[3]);
}

#[tokio::test]
async fn changes_are_checked_and_then_refused() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    let (member, other) =
        (ready_cluster(&service, "alice", "m", &own).await, ready_cluster(&service, "alice", "o", &own).await);
    let federation = federation(&service, "f", "p1", &member).await;
    let nobody = "00000000-0000-0000-0000-000000000001";
    let change = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    let refused = "Federations can not be changed";
    let before = service.dump().await;
    for (body, status, says) in [
        (change("add", "/member_ids", json!(other)), 409, refused.to_owned()),
        (change("remove", "/member_ids", json!(member)), 409, refused.to_owned()),
        (change("replace", "/properties", json!({"dns-zone": "other."})), 409, refused.to_owned()),
        (change("replace", "/properties", json!({"dns-zone": "example.com."})), 202, String::new()),
        (json!([]), 202, String::new()),
        (
            change("add", "/member_ids", json!(member)),
            409,
            format!("A cluster with UUID {member} is already a member of the federation f."),
        ),
        (
            change("remove", "/member_ids", json!(other)),
            404,
            format!("Cluster {other} is not a member of the federation f."),
        ),
        (change("add", "/member_ids", json!(nobody)), 404, format!("Cluster {nobody} could not be found.")),
        (change("replace", "/name", json!("g")), 400, "cannot change federation property(ies) name.".to_owned()),
        (change("replace", "/uuid", json!("g")), 400, "'/uuid' is an internal attribute".to_owned()),
    ] {
        let answer = service.patch("alice", "/v1/federations/f", body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text);
        assert!(answer.detail().starts_with(&says), "{body}: {}", answer.detail());
        if status == 202 {
            assert_eq!(answer.json, json!({"uuid": federation}));
        }
    }
    assert_eq!(service.dump().await, before);
    let path = "/v1/federations/f?rollback=True";
    service.send(Ask::new("PATCH", path).user("alice").version("1.2").json(&json!([])).build()).await.expect(400);
    service.send(Ask::new("PATCH", path).user("alice").version("1.3").json(&json!([])).build()).await.expect(202);
}
