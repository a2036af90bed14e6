//! Application credentials.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Cloud, DEMO_PASSWORD, by_credential, by_password, by_token, names, scoped};

struct Owner {
    cloud: Cloud,
    admin: String,
    token: String,
    /// Of the user's credentials.
    path: String,
    user: String,
    project: String,
}

/// The user `ann`, who has the role `admin` in the project `demo`.
async fn owner() -> Owner {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = cloud.add_user(&admin, "ann", "p", "admin").await;
    let project = cloud.id(&admin, "projects", "demo").await;
    let token = cloud.authenticate(scoped(by_password("ann", "p"), "demo")).await.token();
    Owner { path: format!("/v3/users/{user}/application_credentials"), cloud, admin, token, user, project }
}

impl Owner {
    async fn make(&self, fields: Value) -> Value {
        let body = json!({"application_credential": fields});
        self.cloud.post(&self.path, &self.token, body).await.expect(201).body["application_credential"].take()
    }

    async fn log_in(&self, credential: &Value) -> crate::cloud::Answer {
        let (id, secret) = (credential["id"].as_str().unwrap(), credential["secret"].as_str().unwrap());
        self.cloud.authenticate(by_credential(id, secret)).await
    }
}

#[tokio::test]
async fn one_from_beginning_to_end() {
    let owner = owner().await;
    let cloud = &owner.cloud;
    let mut made = owner.make(json!({"name": "ci", "description": null, "roles": [{"name": "member"}]})).await;
    assert_eq!(made["secret"].as_str().unwrap().len(), 86);
    assert_eq!(names(&made["roles"]), ["member"]);
    assert_eq!((&made["unrestricted"], &made["expires_at"]), (&json!(false), &json!(null)));
    assert_eq!(made["project_id"], owner.project.as_str());

    let token = owner.log_in(&made).await.expect(201).body["token"].take();
    assert_eq!(token["methods"], json!(["application_credential"]));
    assert_eq!((&token["user"]["name"], &token["project"]["name"]), (&json!("ann"), &json!("demo")));
    assert_eq!(names(&token["roles"]), ["member"], "neither admin nor what member implies");
    let restricted = json!({"id": made["id"], "name": "ci", "restricted": true});
    assert_eq!(token["application_credential"], restricted);

    let by_name = json!({"identity": {"methods": ["application_credential"], "application_credential": {
        "name": "ci", "user": {"id": owner.user}, "secret": made["secret"],
    }}});
    let token = cloud.authenticate(by_name).await.token();
    cloud.validate(&token).await.expect(200);

    made.as_object_mut().unwrap().remove("secret");
    let path = format!("{}/{}", owner.path, made["id"].as_str().unwrap());
    assert_eq!(cloud.get(&path, &owner.token).await.expect(200).body["application_credential"], made);
    for query in ["", "?name=ci"] {
        let list = cloud.get(&format!("{}{query}", owner.path), &owner.token).await.expect(200).body;
        assert_eq!(list["application_credentials"], json!([made]));
    }
    let list = cloud.get(&format!("{}?name=other", owner.path), &owner.token).await.expect(200).body;
    assert_eq!(list["application_credentials"], json!([]));
    cloud.post(&owner.path, &owner.token, json!({"application_credential": {"name": "ci"}})).await.expect(409);

    cloud.delete(&path, &owner.token).await.expect(204);
    cloud.validate(&token).await.expect(401);
    cloud.get(&path, &owner.token).await.expect(404);
    cloud.delete(&path, &owner.token).await.expect(404);
}

#[tokio::test]
async fn a_restricted_one_makes_no_others_and_an_unrestricted_one_does() {
    let owner = owner().await;
    let cloud = &owner.cloud;
    let new = |name: &str| json!({"application_credential": {"name": name}});
    for (unrestricted, create, delete) in [(false, 403, 403), (true, 201, 204)] {
        let name = format!("made with unrestricted={unrestricted}");
        let made = owner.make(json!({"name": name, "unrestricted": unrestricted})).await;
        let victim = owner.make(json!({"name": format!("victim of {name}")})).await;
        let direct = owner.log_in(&made).await.token();
        let again = cloud.authenticate(by_token(&direct)).await.token();
        for (token, attempt) in [(direct, "first"), (again, "second")] {
            cloud.post(&owner.path, &token, new(&format!("{attempt} {name}"))).await.expect(create);
            cloud.get(&owner.path, &token).await.expect(200);
            if attempt == "second" {
                let path = format!("{}/{}", owner.path, victim["id"].as_str().unwrap());
                cloud.delete(&path, &token).await.expect(delete);
            }
        }
    }
}

#[tokio::test]
async fn its_tokens_stay_in_its_project() {
    let owner = owner().await;
    let cloud = &owner.cloud;
    let reader = cloud.id(&owner.admin, "roles", "reader").await;
    let other = cloud.id(&owner.admin, "projects", "admin").await;
    let path = format!("/v3/projects/{other}/users/{}/roles/{reader}", owner.user);
    cloud.put(&path, &owner.admin).await.expect(204);
    cloud.authenticate(scoped(by_password("ann", "p"), "admin")).await.expect(201);

    let made = owner.make(json!({"name": "a", "unrestricted": true})).await;
    let token = owner.log_in(&made).await.token();
    let auth = by_credential(made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    for (scope, status) in [
        (json!(null), 201),
        (json!({"project": {"id": owner.project}}), 201),
        (json!({"project": {"id": other}}), 401),
        (json!({"system": {"all": true}}), 401),
        (json!({"domain": {"id": "default"}}), 401),
        (json!("unscoped"), 401),
    ] {
        for mut auth in [auth.clone(), by_token(&token)] {
            auth["scope"] = scope.clone();
            let answer = cloud.authenticate(auth.clone()).await;
            assert_eq!(answer.status, status, "{auth}: {}", answer.body);
            if status == 201 {
                assert_eq!(answer.body["token"]["project"]["id"], owner.project.as_str());
            }
        }
    }
}

#[tokio::test]
async fn it_gives_no_role_the_user_lacks() {
    let owner = owner().await;
    let cloud = &owner.cloud;
    let demo = cloud.demo().await;
    let user = cloud.id(&owner.admin, "users", "demo").await;
    let path = format!("/v3/users/{user}/application_credentials");
    for (roles, status) in [
        (json!([{"name": "admin"}]), 404),
        (json!([{"name": "member"}, {"name": "nonsense"}]), 404),
        (json!([{"id": cloud.id(&owner.admin, "roles", "admin").await}]), 404),
        (json!([{}]), 400),
        (json!(["member"]), 400),
        (json!([{"name": "reader"}]), 201),
    ] {
        let body = json!({"application_credential": {"name": "x", "roles": roles}});
        let answer = cloud.post(&path, &demo, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }

    // A role taken from the user is taken from the credential.
    let made = owner.make(json!({"name": "a", "roles": [{"name": "admin"}]})).await;
    let token = owner.log_in(&made).await.token();
    let (admin, member) =
        (cloud.id(&owner.admin, "roles", "admin").await, cloud.id(&owner.admin, "roles", "member").await);
    let grant = |role: &str| format!("/v3/projects/{}/users/{}/roles/{role}", owner.project, owner.user);
    cloud.put(&grant(&member), &owner.admin).await.expect(204);
    cloud.delete(&grant(&admin), &owner.admin).await.expect(204);
    cloud.validate(&token).await.expect(401);
    owner.log_in(&made).await.expect(401);
    cloud.authenticate(scoped(by_password("ann", "p"), "demo")).await.expect(201);
}

#[tokio::test]
async fn only_the_user_makes_them_and_an_administrator_may_look_and_remove() {
    let owner = owner().await;
    let cloud = &owner.cloud;
    let demo = cloud.demo().await;
    let made = owner.make(json!({"name": "a"})).await;
    let path = format!("{}/{}", owner.path, made["id"].as_str().unwrap());
    let new = json!({"application_credential": {"name": "b"}});
    cloud.post(&owner.path, &demo, new.clone()).await.expect(403);
    cloud.post(&owner.path, &owner.admin, new.clone()).await.expect(403);
    for path in [&owner.path, &path] {
        cloud.get(path, &demo).await.expect(403);
        cloud.get(path, &owner.admin).await.expect(200);
    }
    cloud.delete(&path, &demo).await.expect(403);
    let elsewhere = format!(
        "/v3/users/{}/application_credentials/{}",
        cloud.id(&owner.admin, "users", "demo").await,
        made["id"].as_str().unwrap()
    );
    cloud.get(&elsewhere, &demo).await.expect(404);
    cloud.delete(&elsewhere, &demo).await.expect(404);
    cloud.delete(&path, &owner.admin).await.expect(204);

    let unscoped = cloud.authenticate(by_password("demo", DEMO_PASSWORD)).await.token();
    let own = format!("/v3/users/{}/application_credentials", cloud.id(&owner.admin, "users", "demo").await);
    cloud.post(&own, &unscoped, new).await.expect(400);
}

#[tokio::test]
async fn it_ends_when_it_is_over() {
    let owner = owner().await;
    for (expires_at, status) in [
        (json!("2000-01-01T00:00:00Z"), 400),
        (json!("tomorrow"), 400),
        (json!(20300101), 400),
        (json!("9999-12-31T23:59:59.999999Z"), 201),
        (json!("2099-01-01T00:00:00.000000"), 201),
        (json!("2099-01-01T00:00:00+02:00"), 201),
    ] {
        let body = json!({"application_credential": {"name": format!("x{expires_at}"), "expires_at": expires_at}});
        let answer = owner.cloud.post(&owner.path, &owner.token, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    let end = magnum_domain::now() + Duration::from_secs(1);
    let made = owner.make(json!({"name": "short", "expires_at": end.to_rfc3339()})).await;
    let answer = owner.log_in(&made).await;
    let token = answer.token();
    let expires = answer.body["token"]["expires_at"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(expires).unwrap() <= end, "no longer than the credential");
    tokio::time::sleep(Duration::from_millis(1050)).await;
    owner.cloud.validate(&token).await.expect(401);
    let answer = owner.log_in(&made).await.expect(401);
    assert!(answer.message().contains("expired"), "{}", answer.message());
}

#[tokio::test]
async fn it_goes_with_its_user_and_its_project() {
    for (collection, name) in [("users", "ann"), ("projects", "demo")] {
        let owner = owner().await;
        let made = owner.make(json!({"name": "a"})).await;
        let id = owner.cloud.id(&owner.admin, collection, name).await;
        owner.cloud.delete(&format!("/v3/{collection}/{id}"), &owner.admin).await.expect(204);
        owner.log_in(&made).await.expect(401);
        let left = owner.cloud.store.identity().find_application_credential(made["id"].as_str().unwrap()).await;
        assert_eq!(left.unwrap(), None, "{collection}");
    }
}
