use serde_json::{Value, json};

use crate::support::{Ask, Service, keys};

#[tokio::test]
async fn documents_are_upstreams() {
    let service = Service::start().await;
    let root = service.send(Ask::new("GET", "/").build()).await.expect(200);
    let expected = json!({"name": "OpenStack Magnum API",
        "description": "Magnum is an OpenStack project which aims to provide container cluster management.",
        "versions": [{"id": "v1", "links": [{"href": "http://magnum.test/v1/", "rel": "self"}], "status": "CURRENT",
                      "max_version": "1.14", "min_version": "1.1"}]});
    assert_eq!(root.json, expected);
    assert_eq!(root.header("openstack-api-version"), "", "the root is not versioned");
    for path in ["/v1", "/v1/", "/v1.json"] {
        let v1 = service.send(Ask::new("GET", path).build()).await.expect(200);
        let names = [
            "id",
            "media_types",
            "links",
            "clustertemplates",
            "clusters",
            "quotas",
            "certificates",
            "mservices",
            "stats",
            "federations",
            "nodegroups",
            "credentials",
        ];
        assert_eq!(keys(&v1.json), names);
        let pair = json!([{"href": "http://magnum.test/v1/clusters/", "rel": "self"},
                          {"href": "http://magnum.test/clusters/", "rel": "bookmark"}]);
        assert_eq!(v1.json["clusters"], pair);
        assert_eq!(v1.json["nodegroups"][0]["href"], "http://magnum.test/v1/clusters/{cluster_id}/nodegroups");
    }
    service.send(Ask::new("HEAD", "/").build()).await.expect(200);
}

#[tokio::test]
async fn paths_have_several_forms() {
    let service = Service::start().await;
    for path in
        ["/v1/clusters", "/v1/clusters/", "/clusters", "/clusters/", "/clusters?limit=5", "/v1/clusters/?limit=5"]
    {
        service.get("alice", path).await.expect(200);
    }
    for path in ["/v2", "/v1/nothing", "/v1/bays", "/v1/baymodels", "/v1/nodegroups", "/v2/clusters"] {
        let answer = service.get("alice", path).await.expect(404);
        let expected = json!({"errors": [{"request_id": "", "code": "", "status": 404, "title": "Not Found",
            "detail": "", "links": []}]});
        assert_eq!(answer.json, expected, "{path}");
        assert_eq!(answer.header("openstack-api-version"), "", "{path}: routing failures are not versioned");
    }
}

#[tokio::test]
async fn methods_that_are_not_there_say_which_are() {
    let service = Service::start().await;
    let table = [
        ("PUT", "/v1/clusters", "DELETE, GET, PATCH, POST"),
        ("HEAD", "/v1/clusters", "DELETE, GET, PATCH, POST"),
        ("PUT", "/v1/clusters/x", "DELETE, GET, PATCH"),
        ("GET", "/v1/certificates", "PATCH, POST"),
        ("GET", "/v1/clusters/x/actions/resize", "POST"),
        ("POST", "/v1/clusters/x/actions/explode", ""),
        ("GET", "/v1/mservices/1", ""),
        ("GET", "/v1/stats/x", ""),
        ("GET", "/v1/credentials/x", "PATCH"),
    ];
    for (method, path, allowed) in table {
        let answer = service.send(Ask::new(method, path).user("alice").build()).await.expect(405);
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        assert_eq!(answer.header("openstack-api-version"), "", "{method} {path}");
        assert_eq!(answer.json["errors"][0]["title"], "Method Not Allowed", "{method} {path}");
    }
}

#[tokio::test]
async fn links_follow_the_way_of_the_request() {
    let service = Service::with(|options| options.links.proxy_headers = true).await;
    let ask = Ask::new("GET", "/").header("x-forwarded-proto", "https").header("x-forwarded-host", "cloud.example:443");
    let root = service.send(ask.header("x-forwarded-prefix", "/container-infra").build()).await.expect(200);
    assert_eq!(root.json["versions"][0]["links"][0]["href"], "https://cloud.example/container-infra/v1/");
}

#[tokio::test]
async fn the_challenge_is_keystones() {
    let service = Service::start().await;
    for ask in [Ask::new("GET", "/v1/clusters"), Ask::new("GET", "/v1/clusters").user("nobody"), Ask::new("GET", "/x")]
    {
        let answer = service.send(ask.build()).await.expect(401);
        assert_eq!(answer.header("www-authenticate"), "Keystone uri=\"http://identity/v3\"");
        let expected: Value = json!({"error": {"code": 401, "title": "Unauthorized",
            "message": "The request you have made requires authentication."}});
        assert_eq!(answer.json, expected);
        assert!(answer.header("x-openstack-request-id").starts_with("req-"));
    }
    service.get("unavailable", "/v1/clusters").await.expect(503);
}
