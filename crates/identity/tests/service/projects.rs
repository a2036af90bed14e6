//! Projects and roles.

use serde_json::json;

use crate::cloud::{Cloud, by_password, names, scoped};

#[tokio::test]
async fn a_project_from_beginning_to_end() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let new = json!({"project": {
        "name": "web", "domain_id": "default", "parent_id": "default", "is_domain": false, "enabled": true,
        "description": "Shop", "tags": ["b", "a", "b"], "options": {}, "cost_centre": "7",
    }});
    let project = cloud.post("/v3/projects", &admin, new.clone()).await.expect(201).body["project"].take();
    let id = project["id"].as_str().unwrap();
    assert_eq!(
        project,
        json!({
            "id": id, "name": "web", "domain_id": "default", "parent_id": "default", "description": "Shop", "enabled": true,
            "is_domain": false, "tags": ["a", "b"], "options": {}, "cost_centre": "7",
            "links": {"self": format!("http://127.0.0.1:9511/identity/v3/projects/{id}")},
        })
    );
    let path = format!("/v3/projects/{id}");
    assert_eq!(cloud.get(&path, &admin).await.expect(200).body["project"], project);
    cloud.post("/v3/projects", &admin, new).await.expect(409);
    let change = json!({"project": {"name": "shop", "tags": [], "cost_centre": null}});
    let changed = cloud.patch(&path, &admin, change).await.expect(200).body["project"].take();
    assert_eq!((&changed["name"], &changed["tags"], changed.get("cost_centre")), (&json!("shop"), &json!([]), None));
    cloud.patch(&path, &admin, json!({"project": {"name": "demo"}})).await.expect(409);
    cloud.delete(&path, &admin).await.expect(204);
    cloud.get(&path, &admin).await.expect(404);
    cloud.patch(&path, &admin, json!({"project": {}})).await.expect(404);
    cloud.delete(&path, &admin).await.expect(404);
}

#[tokio::test]
async fn lists_are_filtered() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for (name, tags, enabled) in [("x", json!(["a", "b"]), true), ("y", json!(["a"]), false), ("z", json!([]), true)] {
        let new = json!({"project": {"name": name, "tags": tags, "enabled": enabled}});
        cloud.post("/v3/projects", &admin, new).await.expect(201);
    }
    for (query, expected) in [
        ("", vec!["admin", "demo", "x", "y", "z"]),
        ("?name=x", vec!["x"]),
        ("?enabled=false", vec!["y"]),
        ("?domain_id=default&enabled=true", vec!["admin", "demo", "x", "z"]),
        ("?domain_id=other", vec![]),
        ("?parent_id=default&name=x", vec!["x"]),
        ("?parent_id=x", vec![]),
        ("?is_domain=true", vec![]),
        ("?is_domain=false&name=x", vec!["x"]),
        ("?tags=a", vec!["x", "y"]),
        ("?tags=a,b", vec!["x"]),
        ("?tags-any=b,c", vec!["x"]),
        ("?not-tags=a,b", vec!["admin", "demo", "y", "z"]),
        ("?not-tags-any=a,b", vec!["admin", "demo", "z"]),
        ("?limit=2", vec!["admin", "demo"]),
    ] {
        let body = cloud.get(&format!("/v3/projects{query}"), &admin).await.expect(200).body;
        assert_eq!(names(&body["projects"]), expected, "{query}");
    }
}

#[tokio::test]
async fn members_see_their_own_project_only() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    let (own, other) = (cloud.id(&admin, "projects", "demo").await, cloud.id(&admin, "projects", "admin").await);
    cloud.get(&format!("/v3/projects/{own}"), &demo).await.expect(200);
    cloud.get(&format!("/v3/projects/{other}"), &demo).await.expect(403);
    cloud.get("/v3/projects", &demo).await.expect(403);
    cloud.patch(&format!("/v3/projects/{own}"), &demo, json!({"project": {"name": "mine"}})).await.expect(403);
    cloud.delete(&format!("/v3/projects/{own}"), &demo).await.expect(403);
    cloud.post("/v3/projects", &demo, json!({"project": {"name": "mine"}})).await.expect(403);
}

#[tokio::test]
async fn a_role_from_beginning_to_end() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    let list = cloud.get("/v3/roles", &admin).await.expect(200).body;
    assert_eq!(names(&list["roles"]), ["admin", "member", "reader", "service"]);

    let role = cloud.post("/v3/roles", &admin, json!({"role": {"name": "auditor", "description": "looks"}})).await;
    let role = role.expect(201).body["role"].take();
    let id = role["id"].as_str().unwrap();
    assert_eq!((&role["domain_id"], &role["description"]), (&json!(null), &json!("looks")));
    let path = format!("/v3/roles/{id}");
    assert_eq!(cloud.get(&path, &admin).await.expect(200).body["role"], role);
    for taken in ["auditor", "Auditor", "ADMIN"] {
        cloud.post("/v3/roles", &admin, json!({"role": {"name": taken}})).await.expect(409);
        if taken != "auditor" && taken != "Auditor" {
            cloud.patch(&path, &admin, json!({"role": {"name": taken}})).await.expect(409);
        }
    }
    let change = json!({"role": {"name": "Auditor", "description": null}});
    let changed = cloud.patch(&path, &admin, change).await.expect(200).body["role"].take();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Auditor"), &json!(null)));

    let user = cloud.add_user(&admin, "ann", "p", "Auditor").await;
    let token = cloud.authenticate(scoped(by_password("ann", "p"), "demo")).await;
    assert_eq!(names(&token.body["token"]["roles"]), ["Auditor"]);
    cloud.delete(&path, &admin).await.expect(204);
    cloud.get(&path, &admin).await.expect(404);
    cloud.validate(&token.token()).await.expect(401);
    let left = cloud.get(&format!("/v3/role_assignments?user.id={user}"), &admin).await.expect(200).body;
    assert_eq!(left["role_assignments"], json!([]));

    for path in ["/v3/roles", &path, "/v3/role_inferences"] {
        cloud.get(path, &demo).await.expect(403);
    }
    cloud.post("/v3/roles", &demo, json!({"role": {"name": "boss"}})).await.expect(403);
}
