//! Who has which role where.

use axum::http::Method;
use serde_json::{Value, json};

use crate::cloud::{ADMIN_PASSWORD, Cloud, by_password, names, scoped};

#[tokio::test]
async fn roles_are_given_and_taken_in_every_kind_of_scope() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = cloud.id(&admin, "users", "demo").await;
    let project = cloud.id(&admin, "projects", "admin").await;
    let role = cloud.id(&admin, "roles", "reader").await;
    for (place, scope) in [
        (format!("projects/{project}"), json!({"project": {"id": project}})),
        ("domains/default".to_owned(), json!({"domain": {"id": "default"}})),
        ("system".to_owned(), json!({"system": {"all": true}})),
    ] {
        let all = format!("/v3/{place}/users/{user}/roles");
        let one = format!("{all}/{role}");
        let mut auth = by_password("demo", "demo's secret");
        auth["scope"] = scope;

        cloud.authenticate(auth.clone()).await.expect(401);
        cloud.get(&one, &admin).await.expect(404);
        cloud.put(&one, &admin).await.expect(204);
        cloud.put(&one, &admin).await.expect(204);
        cloud.get(&one, &admin).await.expect(204);
        cloud.call(Method::HEAD, &one, &admin, None).await.expect(204);
        assert_eq!(names(&cloud.get(&all, &admin).await.expect(200).body["roles"]), ["reader"]);
        let token = cloud.authenticate(auth.clone()).await;
        assert_eq!(names(&token.body["token"]["roles"]), ["reader"]);
        cloud.delete(&one, &admin).await.expect(204);
        cloud.validate(&token.token()).await.expect(401);
        cloud.authenticate(auth).await.expect(401);
        cloud.delete(&one, &admin).await.expect(404);
        assert_eq!(cloud.get(&all, &admin).await.expect(200).body["roles"], json!([]));
    }
}

#[tokio::test]
async fn all_parts_of_a_grant_have_to_exist() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    let user = cloud.id(&admin, "users", "demo").await;
    let project = cloud.id(&admin, "projects", "demo").await;
    let role = cloud.id(&admin, "roles", "reader").await;
    let gone = "0".repeat(32);
    for path in [
        format!("/v3/projects/{gone}/users/{user}/roles/{role}"),
        format!("/v3/projects/{project}/users/{gone}/roles/{role}"),
        format!("/v3/projects/{project}/users/{user}/roles/{gone}"),
        format!("/v3/projects/{project}/users/{user}/roles/reader"),
        format!("/v3/domains/other/users/{user}/roles/{role}"),
        format!("/v3/projects/{project}/groups/{gone}/roles/{role}"),
    ] {
        for method in [Method::PUT, Method::GET, Method::DELETE] {
            cloud.call(method, &path, &admin, None).await.expect(404);
        }
    }
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        let path = format!("/v3/projects/{project}/users/{user}/roles/{role}");
        cloud.call(method, &path, &demo, None).await.expect(403);
    }
    cloud.get(&format!("/v3/projects/{project}/users/{user}/roles"), &demo).await.expect(403);
}

#[tokio::test]
async fn assignments_are_listed_by_everything() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    let (admin_id, demo_id) = (cloud.id(&admin, "users", "admin").await, cloud.id(&admin, "users", "demo").await);
    let project = cloud.id(&admin, "projects", "demo").await;
    let reader = cloud.id(&admin, "roles", "reader").await;
    for (query, expected) in [
        (String::new(), 5),
        (format!("user.id={demo_id}"), 1),
        (format!("user.id={admin_id}"), 4),
        (format!("scope.project.id={project}"), 2),
        (format!("scope.project.id={project}&user.id={demo_id}"), 1),
        ("scope.domain.id=default".to_owned(), 1),
        ("scope.domain.id=other".to_owned(), 0),
        ("scope.system=all".to_owned(), 1),
        (format!("role.id={reader}"), 0),
        (format!("role.id={reader}&effective"), 5),
        (format!("user.id={demo_id}&effective=true"), 2),
        ("group.id=x".to_owned(), 0),
        ("scope.OS-INHERIT:inherited_to=projects".to_owned(), 0),
    ] {
        let body = cloud.get(&format!("/v3/role_assignments?{query}"), &admin).await.expect(200).body;
        assert_eq!(body["role_assignments"].as_array().unwrap().len(), expected, "{query}");
    }
    let body =
        cloud.get(&format!("/v3/role_assignments?user.id={demo_id}&include_names"), &demo).await.expect(200).body;
    let one = &body["role_assignments"][0];
    assert_eq!((&one["user"]["name"], &one["user"]["domain"]["name"]), (&json!("demo"), &json!("Default")));
    assert_eq!((&one["role"]["name"], &one["scope"]["project"]["name"]), (&json!("member"), &json!("demo")));
    let link = one["links"]["assignment"].as_str().unwrap();
    let link = link.strip_prefix("http://127.0.0.1:9511/identity").unwrap();
    cloud.get(link, &admin).await.expect(204);

    cloud.get("/v3/role_assignments", &demo).await.expect(403);
    cloud.get(&format!("/v3/role_assignments?user.id={admin_id}"), &demo).await.expect(403);
    cloud.get("/v3/role_assignments?scope.system=all&scope.domain.id=default", &admin).await.expect(400);
}

/// What an ordinary user must not be able to do, or to see.
#[tokio::test]
async fn everything_else_needs_an_administrator() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    cloud.add_user(&admin, "ann", "p", "reader").await;
    let victim = cloud.id(&admin, "users", "admin").await;
    let project = cloud.id(&admin, "projects", "admin").await;
    let tokens = [
        ("member", cloud.demo().await),
        ("reader", cloud.authenticate(scoped(by_password("ann", "p"), "demo")).await.token()),
        // Administrators need a scope, too.
        ("unscoped admin", cloud.authenticate(by_password("admin", ADMIN_PASSWORD)).await.token()),
    ];
    let user = json!({"user": {"name": "x", "password": "x"}});
    let cases: Vec<(Method, String, Option<Value>)> = vec![
        (Method::GET, "/v3/users".into(), None),
        (Method::POST, "/v3/users".into(), Some(user.clone())),
        (Method::PATCH, format!("/v3/users/{victim}"), Some(user)),
        (Method::GET, "/v3/projects".into(), None),
        (Method::POST, "/v3/projects".into(), Some(json!({"project": {"name": "x"}}))),
        (Method::GET, format!("/v3/projects/{project}"), None),
        (Method::DELETE, format!("/v3/projects/{project}"), None),
        (Method::GET, "/v3/roles".into(), None),
        (Method::POST, "/v3/roles".into(), Some(json!({"role": {"name": "x"}}))),
        (Method::GET, "/v3/role_assignments".into(), None),
        (Method::GET, "/v3/services".into(), None),
        (Method::GET, "/v3/endpoints".into(), None),
    ];
    for (who, token) in &tokens {
        for (method, path, body) in &cases {
            let answer = cloud.call(method.clone(), path, token, body.clone()).await;
            assert_eq!(answer.status, 403, "{who}: {method} {path}: {}", answer.body);
        }
    }
    for (method, path, body) in &cases {
        let answer = cloud.call(method.clone(), path, "", body.clone()).await;
        assert_eq!(answer.status, 401, "nobody: {method} {path}: {}", answer.body);
        assert_eq!(answer.headers["www-authenticate"], "Keystone uri=\"http://127.0.0.1:9511/identity\"");
    }
}
