//! Users.

use axum::http::Method;
use serde_json::{Value, json};

use crate::cloud::{ADMIN_PASSWORD, Cloud, by_password, names, scoped};

#[tokio::test]
async fn a_user_from_beginning_to_end() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let new = json!({"user": {
        "name": "Ann Müller", "password": "p", "domain_id": "default", "email": "ann@example.org",
        "description": "tests", "options": {}, "default_project_id": null,
    }});
    let user = cloud.post("/v3/users", &admin, new.clone()).await.expect(201).body["user"].take();
    let id = user["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(
        user,
        json!({
            "id": id, "name": "Ann Müller", "domain_id": "default", "enabled": true, "password_expires_at": null,
            "options": {}, "links": {"self": format!("http://127.0.0.1:9511/identity/v3/users/{id}")},
            "email": "ann@example.org", "description": "tests",
        })
    );
    let path = format!("/v3/users/{id}");
    assert_eq!(cloud.get(&path, &admin).await.expect(200).body["user"], user);
    assert_eq!(cloud.get("/v3/users?name=Ann%20M%C3%BCller", &admin).await.body["users"], json!([user]));
    assert_eq!(cloud.post("/v3/users", &admin, new).await.status, 409);

    let change = json!({"user": {"name": "ann", "email": null, "phone": "1", "enabled": false}});
    let changed = cloud.patch(&path, &admin, change).await.expect(200).body["user"].take();
    assert_eq!(changed["name"], "ann");
    assert_eq!(changed["enabled"], false);
    assert_eq!(changed.get("email"), None);
    assert_eq!(changed["phone"], "1");
    assert_eq!(changed["description"], "tests", "what is not named stays");
    assert_eq!(cloud.authenticate(by_password("ann", "p")).await.status, 401, "disabled");

    cloud.patch(&path, &admin, json!({"user": {"enabled": true, "password": "q"}})).await.expect(200);
    assert_eq!(cloud.authenticate(by_password("ann", "p")).await.status, 401);
    cloud.authenticate(by_password("ann", "q")).await.expect(201);
    cloud.patch(&path, &admin, json!({"user": {"password": null}})).await.expect(200);
    assert_eq!(cloud.authenticate(by_password("ann", "q")).await.status, 401, "without a password there is no login");

    cloud.delete(&path, &admin).await.expect(204);
    for answer in [cloud.get(&path, &admin).await, cloud.delete(&path, &admin).await] {
        assert_eq!(answer.expect(404).message(), format!("Could not find user: {id}."));
    }
}

#[tokio::test]
async fn lists_are_filtered_and_paged_in_the_order_of_names() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for (name, enabled) in [("carl", true), ("ann", true), ("bob", false)] {
        cloud.post("/v3/users", &admin, json!({"user": {"name": name, "enabled": enabled}})).await.expect(201);
    }
    for (query, expected) in [
        ("", vec!["admin", "ann", "bob", "carl", "demo"]),
        ("?enabled=true", vec!["admin", "ann", "carl", "demo"]),
        ("?enabled=False", vec!["bob"]),
        ("?name=bob", vec!["bob"]),
        ("?name=BOB", vec![]),
        ("?name=bob&enabled=1", vec![]),
        ("?domain_id=default&name=ann", vec!["ann"]),
        ("?domain_id=other", vec![]),
        ("?default_project_id=x", vec![]),
        ("?limit=0", vec!["admin", "ann", "bob", "carl", "demo"]),
        ("?unknown=1&name=ann", vec!["ann"]),
        ("?name=%27%20OR%201%3D1", vec![]),
    ] {
        let body = cloud.get(&format!("/v3/users{query}"), &admin).await.expect(200).body;
        assert_eq!(names(&body["users"]), expected, "{query}");
    }

    let mut path = "/v3/users?limit=2".to_owned();
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let body = cloud.get(&path, &admin).await.expect(200).body;
        seen.extend(names(&body["users"]).into_iter().map(str::to_owned));
        pages += 1;
        match &body["links"]["next"] {
            Value::String(next) => path = next.strip_prefix("http://127.0.0.1:9511/identity").unwrap().to_owned(),
            next => break assert_eq!(next, &Value::Null),
        }
    }
    assert_eq!((pages, seen.join(" ")), (3, "admin ann bob carl demo".to_owned()));
}

#[tokio::test]
async fn users_see_themselves_and_change_their_own_password() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    let (own, other) = (cloud.id(&admin, "users", "demo").await, cloud.id(&admin, "users", "admin").await);
    assert_eq!(cloud.get(&format!("/v3/users/{own}"), &demo).await.expect(200).body["user"]["name"], "demo");
    assert_eq!(names(&cloud.get(&format!("/v3/users/{own}/projects"), &demo).await.body["projects"]), ["demo"]);
    for path in [format!("/v3/users/{other}"), format!("/v3/users/{other}/projects"), "/v3/users".to_owned()] {
        cloud.get(&path, &demo).await.expect(403);
    }
    let change = |old: &str, new: &str| json!({"user": {"original_password": old, "password": new}});
    let path = format!("/v3/users/{own}/password");
    cloud.post(&path, &demo, change("wrong", "new")).await.expect(401);
    cloud.post(&path, &demo, change("demo's secret", "")).await.expect(400);
    cloud.post(&path, &demo, change("demo's secret", "new")).await.expect(204);
    cloud.authenticate(by_password("demo", "demo's secret")).await.expect(401);
    cloud.authenticate(by_password("demo", "new")).await.expect(201);
    // The old password is proof enough.
    cloud.post(&path, "", change("new", "newer")).await.expect(204);
    cloud.authenticate(by_password("demo", "newer")).await.expect(201);
    let nobody = format!("/v3/users/{}/password", "0".repeat(32));
    cloud.post(&nobody, "", change("new", "newer")).await.expect(401);
}

#[tokio::test]
async fn the_last_administrator_does_not_shut_himself_out() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let id = cloud.id(&admin, "users", "admin").await;
    let (project, role) = (cloud.id(&admin, "projects", "admin").await, cloud.id(&admin, "roles", "admin").await);
    for (method, path, body) in [
        (Method::DELETE, format!("/v3/users/{id}"), None),
        (Method::PATCH, format!("/v3/users/{id}"), Some(json!({"user": {"enabled": false}}))),
        (Method::DELETE, format!("/v3/projects/{project}/users/{id}/roles/{role}"), None),
        (Method::DELETE, format!("/v3/projects/{project}"), None),
        (Method::PATCH, format!("/v3/projects/{project}"), Some(json!({"project": {"enabled": false}}))),
        (Method::DELETE, format!("/v3/roles/{role}"), None),
        (Method::PATCH, format!("/v3/roles/{role}"), Some(json!({"role": {"name": "boss"}}))),
    ] {
        let answer = cloud.call(method.clone(), &path, &admin, body).await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    cloud.authenticate(scoped(by_password("admin", ADMIN_PASSWORD), "admin")).await.expect(201);
}

#[tokio::test]
async fn an_operator_on_the_machine_can_set_a_password() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    cloud.identity.set_password("admin", "new".into()).await.unwrap();
    cloud.validate(&admin).await.expect(401);
    cloud.log_in("admin", "new").await;
    let error = cloud.identity.set_password("nobody", "x".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no user nobody");
    let error = cloud.identity.set_password("admin", "".into()).await.unwrap_err();
    assert!(error.to_string().contains("can't be empty"), "{error}");
}
