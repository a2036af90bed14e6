//! Logging in, and what a token tells.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::cloud::{ADMIN_PASSWORD, BASE, Cloud, DEMO_PASSWORD, by_password, by_token, names, scoped};

#[tokio::test]
async fn a_scoped_token_tells_everything_clients_look_at() {
    let cloud = Cloud::new().await;
    let answer = cloud.authenticate(scoped(by_password("demo", DEMO_PASSWORD), "demo")).await;
    let subject = answer.token();
    assert_eq!(subject.len(), 43);
    assert_eq!(answer.headers["vary"], "X-Auth-Token");
    assert_eq!(answer.headers["cache-control"], "no-store");

    let token = &answer.body["token"];
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(token["user"]["name"], "demo");
    assert_eq!(token["user"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!(token["user"]["password_expires_at"], Value::Null);
    assert_eq!(token["project"]["name"], "demo");
    assert_eq!(token["project"]["domain"]["id"], "default");
    assert_eq!(token["is_domain"], false);
    assert_eq!(names(&token["roles"]), ["member", "reader"]);
    assert_eq!(token["audit_ids"].as_array().unwrap().len(), 1);
    let time = |key: &str| chrono::DateTime::parse_from_rfc3339(token[key].as_str().unwrap()).unwrap();
    assert_eq!((time("expires_at") - time("issued_at")).num_seconds(), 3600);
    assert!(token["expires_at"].as_str().unwrap().ends_with(".000000Z"));

    let catalog = token["catalog"].as_array().unwrap();
    let urls: Vec<(&str, usize, &Value)> = catalog
        .iter()
        .map(|service| {
            let endpoints = service["endpoints"].as_array().unwrap();
            (service["type"].as_str().unwrap(), endpoints.len(), &endpoints[0]["url"])
        })
        .collect();
    assert_eq!(
        urls,
        [("container-infra", 3, &json!(format!("{BASE}/v1"))), ("identity", 3, &json!(format!("{BASE}/identity/v3"))),]
    );

    let again = cloud.validate(&subject).await.expect(200);
    assert_eq!(again.body, answer.body, "validating tells the same as logging in");
    assert_eq!(again.headers["x-subject-token"], subject.as_str());
}

#[tokio::test]
async fn every_kind_of_scope() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let project = cloud.id(&admin, "projects", "demo").await;
    let scope_of = |token: &Value| {
        ["project", "domain", "system"]
            .into_iter()
            .find(|key| token.get(key).is_some())
            .unwrap_or("unscoped")
            .to_owned()
    };
    // Who, scope, status, what the token is for.
    let cases: [(&str, Value, u16, &str); 17] = [
        ("admin", json!({"project": {"id": project}}), 201, "project"),
        ("admin", json!({"project": {"name": "demo", "domain": {"id": "default"}}}), 201, "project"),
        ("admin", json!({"domain": {"id": "default"}}), 201, "domain"),
        ("admin", json!({"domain": {"name": "Default"}}), 201, "domain"),
        ("admin", json!({"system": {"all": true}}), 201, "system"),
        ("admin", json!("unscoped"), 201, "unscoped"),
        ("admin", json!(null), 201, "unscoped"),
        ("demo", json!({"unscoped": {}}), 201, "unscoped"),
        ("demo", json!({"project": {"id": project}}), 201, "project"),
        ("demo", json!({"project": {"name": "admin", "domain": {"id": "default"}}}), 401, ""),
        ("demo", json!({"project": {"name": "nowhere", "domain": {"id": "default"}}}), 401, ""),
        ("demo", json!({"project": {"name": "demo", "domain": {"id": "elsewhere"}}}), 401, ""),
        ("demo", json!({"project": {"id": "0".repeat(32)}}), 401, ""),
        ("demo", json!({"project": {"id": "\u{0}"}}), 401, ""),
        ("demo", json!({"domain": {"id": "default"}}), 401, ""),
        ("demo", json!({"system": {"all": true}}), 401, ""),
        ("demo", json!({"OS-TRUST:trust": {"id": "t"}}), 400, ""),
    ];
    for (name, scope, status, kind) in cases {
        let password = if name == "admin" { ADMIN_PASSWORD } else { DEMO_PASSWORD };
        let mut auth = by_password(name, password);
        auth["scope"] = scope.clone();
        let answer = cloud.authenticate(auth).await;
        assert_eq!(answer.status, status, "{name} {scope}: {}", answer.body);
        if status == 201 {
            let token = &answer.body["token"];
            assert_eq!(scope_of(token), kind, "{name} {scope}");
            assert_eq!(token.get("roles").is_some(), kind != "unscoped", "{name} {scope}");
            assert_eq!(token.get("catalog").is_some(), kind != "unscoped", "{name} {scope}");
        }
    }
}

#[tokio::test]
async fn a_default_project_scopes_what_was_asked_for_without_a_scope() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (user, project) = (cloud.id(&admin, "users", "demo").await, cloud.id(&admin, "projects", "demo").await);
    let set = |project: Value| json!({"user": {"default_project_id": project}});
    let path = format!("/v3/users/{user}");
    cloud.patch(&path, &admin, set(json!(project))).await.expect(200);

    let answer = cloud.authenticate(by_password("demo", DEMO_PASSWORD)).await;
    assert_eq!(answer.body["token"]["project"]["id"], project.as_str());
    let mut unscoped = by_password("demo", DEMO_PASSWORD);
    unscoped["scope"] = json!("unscoped");
    assert!(cloud.authenticate(unscoped).await.body["token"].get("project").is_none());

    // One where the user has no role is not held against them.
    let other = cloud.id(&admin, "projects", "admin").await;
    for project in [json!(other), json!("gone"), json!(null)] {
        cloud.patch(&path, &admin, set(project)).await.expect(200);
        let answer = cloud.authenticate(by_password("demo", DEMO_PASSWORD)).await.expect(201);
        assert!(answer.body["token"].get("project").is_none());
    }
}

#[tokio::test]
async fn a_token_begets_another_for_another_scope_but_no_longer_life() {
    let cloud = Cloud::new().await;
    let first = cloud.authenticate(by_password("demo", DEMO_PASSWORD)).await;
    let second = cloud.authenticate(scoped(by_token(&first.token()), "demo")).await;
    let third = cloud.authenticate(by_token(&second.token())).await;
    let (first, second, third) = (&first.body["token"], &second.body["token"], &third.body["token"]);

    assert_eq!(second["methods"], json!(["token", "password"]));
    assert_eq!(second["project"]["name"], "demo");
    assert_eq!(second["expires_at"], first["expires_at"]);
    assert!(third.get("project").is_none());
    for token in [second, third] {
        let audit_ids = token["audit_ids"].as_array().unwrap();
        assert_eq!(audit_ids.len(), 2);
        assert_eq!(audit_ids[1], first["audit_ids"][0], "the chain is named by its first token");
        assert_ne!(audit_ids[0], audit_ids[1]);
    }
}

#[tokio::test]
async fn who_may_look_at_whose_token() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    cloud.add_user(&admin, "watcher", "w", "service").await;
    let watcher = cloud.authenticate(scoped(by_password("watcher", "w"), "demo")).await.token();
    let other_demo = cloud.demo().await;
    for (token, subject, status) in [
        (&admin, &demo, 200),
        (&demo, &demo, 200),
        (&other_demo, &demo, 200),
        (&watcher, &demo, 200),
        (&demo, &admin, 403),
        (&watcher, &admin, 200),
        (&admin, &"x".repeat(43), 404),
        (&admin, &"kurz".to_owned(), 404),
        (&"x".repeat(43), &demo, 401),
    ] {
        let answer = cloud.validate_as(token, subject).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert_eq!(cloud.revoke_as(&demo, &admin).await.status, 403);
    assert_eq!(cloud.revoke_as(&watcher, &demo).await.status, 403);
    assert_eq!(cloud.get("/v3/auth/tokens", &admin).await.status, 400, "no subject");
}

#[tokio::test]
async fn head_and_nocatalog_tell_less() {
    let cloud = Cloud::new().await;
    let demo = cloud.demo().await;
    let request = |method: Method, query: &str| {
        Request::builder()
            .method(method)
            .uri(format!("/identity/v3/auth/tokens{query}"))
            .header("X-Auth-Token", &demo)
            .header("X-Subject-Token", &demo)
            .body(Body::empty())
            .unwrap()
    };
    let head = cloud.send(request(Method::HEAD, "")).await.expect(200);
    assert_eq!(head.body, Value::Null);
    for (query, catalog) in [("", true), ("?nocatalog", false), ("?nocatalog=1", false), ("?nocatalog=0", true)] {
        let token = cloud.send(request(Method::GET, query)).await.expect(200).body;
        assert_eq!(token["token"].get("catalog").is_some(), catalog, "{query}");
    }
    let auth = json!({"auth": scoped(by_password("demo", DEMO_PASSWORD), "demo")});
    let answer = cloud.post("/v3/auth/tokens?nocatalog", "", auth).await.expect(201);
    assert!(answer.body["token"].get("catalog").is_none());
}

#[tokio::test]
async fn what_one_can_have_a_token_for() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    for (token, projects, domains, system) in [(&admin, vec!["admin", "demo"], 1, 1), (&demo, vec!["demo"], 0, 0)] {
        let body = cloud.get("/v3/auth/projects", token).await.expect(200).body;
        assert_eq!(names(&body["projects"]), projects);
        let body = cloud.get("/v3/auth/domains", token).await.expect(200).body;
        assert_eq!(body["domains"].as_array().unwrap().len(), domains);
        let body = cloud.get("/v3/auth/system", token).await.expect(200).body;
        assert_eq!(body["system"].as_array().unwrap().len(), system);
        let body = cloud.get("/v3/auth/catalog", token).await.expect(200).body;
        assert_eq!(body["catalog"].as_array().unwrap().len(), 2);
    }
    let unscoped = cloud.authenticate(by_password("demo", DEMO_PASSWORD)).await.token();
    assert_eq!(cloud.get("/v3/auth/catalog", &unscoped).await.status, 403);
    assert_eq!(names(&cloud.get("/v3/auth/projects", &unscoped).await.body["projects"]), ["demo"]);
}
