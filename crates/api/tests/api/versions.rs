use serde_json::json;

use crate::support::{Ask, Service};

#[tokio::test]
async fn answers_tell_their_version() {
    let service = Service::start().await;
    let table = [
        ("", "1.1"),
        ("container-infra 1.9", "1.9"),
        ("container-infrastructure-management 1.14", "1.14"),
        ("container-infra latest", "1.14"),
        ("bogus latest", "1.14"),
    ];
    for (header, version) in table {
        for (path, status) in [("/v1/clusters", 200), ("/v1/clusters/nope", 404)] {
            let ask = Ask::new("GET", path).user("alice").header("openstack-api-version", header);
            let answer = service.send(ask.build()).await.expect(status);
            let told = |version: &str| format!("container-infrastructure-management {version}");
            assert_eq!(answer.header("openstack-api-version"), told(version), "{header}");
            assert_eq!(answer.header("openstack-api-minimum-version"), told("1.1"), "{header}");
            assert_eq!(answer.header("openstack-api-maximum-version"), told("1.14"), "{header}");
            assert_eq!(answer.header("vary"), "OpenStack-API-Version", "{header}");
        }
    }
}

#[tokio::test]
async fn versions_that_are_not_served_have_a_document_of_their_own() {
    let service = Service::start().await;
    let answer = service.send(Ask::new("GET", "/v1").version("1.99").build()).await.expect(406);
    let expected = json!({"errors": [{"code": "magnum.microversion-unsupported",
        "title": "Requested microversion is unsupported",
        "description": "Version 1.99 was requested but the minor version is not supported by this service. \
            The supported version range is: [container-infrastructure-management 1.1, \
            container-infrastructure-management 1.14].",
        "max_version": "1.14", "min_version": "1.1",
        "links": [{"rel": "help", "href": "http://docs.openstack.org/api-guide/compute/microversions.html"}]}]});
    assert_eq!(answer.json, expected);
    assert_eq!(answer.header("openstack-api-version"), "container-infrastructure-management 1.99");
    let answer = service.send(Ask::new("GET", "/v1/clusters").user("alice").version("2.0").build()).await.expect(406);
    let description = answer.json["errors"][0]["description"].as_str().unwrap();
    assert!(description.starts_with(
        "Mutually exclusive versions requested. Version 2.0 requested but not supported by this service.The"
    ));
}

#[tokio::test]
async fn what_a_version_does_not_have_is_406() {
    let service = Service::start().await;
    let table = [
        ("POST", "/v1/clusters/x/actions/resize", "1.6", "resize", "1.7"),
        ("POST", "/v1/clusters/x/actions/upgrade", "1.6", "upgrade", "1.8"),
        ("GET", "/v1/clusters/x/nodegroups", "1.8", "get", "1.9"),
        ("GET", "/v1/clusters/x/nodegroups/y", "1.8", "get", "1.9"),
        ("POST", "/v1/clusters/x/nodegroups", "1.8", "post", "1.9"),
        ("PATCH", "/v1/clusters/x/nodegroups/y", "1.8", "patch", "1.9"),
        ("DELETE", "/v1/clusters/x/nodegroups/y", "1.8", "delete", "1.9"),
        ("PATCH", "/v1/credentials/x", "1.11", "patch", "1.12"),
    ];
    for (method, path, before, word, since) in table {
        let ask = |version: &str| Ask::new(method, path).user("alice").version(version).build();
        let answer = service.send(ask(before)).await.expect(406);
        let expected =
            format!("Version {before} was requested but the requested API {word} is not supported for this version.");
        let detail = answer.detail();
        assert!(detail.starts_with(&expected), "{method} {path}: {detail}");
        // The upgrade is there from 1.7 on, and refused in other words until 1.8.
        let since = if word == "upgrade" { "1.7" } else { since };
        assert!(detail.ends_with(&format!("container-infra {since}, or a later one.")), "{method} {path}: {detail}");
        assert_eq!(answer.json["errors"][0]["title"], "Not Acceptable");
        assert_ne!(service.send(ask(since)).await.status, 406, "{method} {path} at {since}");
    }
}

#[tokio::test]
async fn representations_are_negotiated() {
    let service = Service::start().await;
    for (accept, status) in [
        ("", 200),
        ("*/*", 200),
        ("application/json", 200),
        ("text/html, application/json;q=0.5", 200),
        ("text/html", 406),
        ("application/xml", 406),
        ("application/json;q=0", 406),
        ("text/event-stream", 406),
    ] {
        let ask = Ask::new("GET", "/v1/clusters").user("alice").header("accept", accept);
        let answer = service.send(ask.build()).await.expect(status);
        if status == 406 {
            assert_eq!(answer.json["errors"][0]["title"], "", "{accept}");
        }
    }
}
