//! Requests that are wrong: each gets a document that says why, nothing is written, and none is a 500.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::cloud::{Cloud, DEMO_PASSWORD, by_password};

struct Wrong {
    request: &'static str,
    body: Vec<u8>,
    content_type: &'static str,
    status: u16,
    /// Part of the message.
    message: &'static str,
}

fn wrong(request: &'static str, body: Value, status: u16, message: &'static str) -> Wrong {
    raw(request, body.to_string().into_bytes(), "application/json", status, message)
}

fn raw(request: &'static str, body: Vec<u8>, content_type: &'static str, status: u16, message: &'static str) -> Wrong {
    Wrong { request, body, content_type, status, message }
}

const LOGIN: &str = "POST /v3/auth/tokens";

fn logins() -> Vec<Wrong> {
    let password = |user: Value| {
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        json!({"auth": {"identity": identity}})
    };
    let identity = |identity: Value| json!({"auth": {"identity": identity}});
    let scope = |scope: Value| {
        let mut auth = by_password("demo", DEMO_PASSWORD);
        auth["scope"] = scope;
        json!({"auth": auth})
    };
    let credential = |credential: Value| json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}});
    vec![
        raw(LOGIN, vec![], "application/json", 400, "EOF"),
        raw(LOGIN, b"{".to_vec(), "application/json", 400, "EOF"),
        raw(LOGIN, b"[1, 2".to_vec(), "application/json", 400, "not what is expected"),
        raw(LOGIN, b"\xff\xfe".to_vec(), "application/json", 400, "not what is expected"),
        raw(LOGIN, vec![b'['; 60_000], "application/json", 400, "not what is expected"),
        raw(LOGIN, b"{\"auth\": {}}".to_vec(), "text/plain", 400, "application/json"),
        raw(LOGIN, b"{\"auth\": {}}".to_vec(), "application/x-www-form-urlencoded", 400, "application/json"),
        raw(LOGIN, vec![b' '; 70_000], "application/json", 413, "65536 bytes"),
        wrong(LOGIN, json!(null), 400, "not what is expected"),
        wrong(LOGIN, json!([]), 400, "not what is expected"),
        wrong(LOGIN, json!({}), 400, "missing field `auth`"),
        wrong(LOGIN, json!({"auth": {}}), 400, "missing field `identity`"),
        wrong(LOGIN, json!({"auth": {"passwordCredentials": {}}}), 400, "missing field `identity`"),
        wrong(LOGIN, identity(json!({})), 400, "missing field `methods`"),
        wrong(LOGIN, identity(json!({"methods": []})), 400, "exactly one"),
        wrong(LOGIN, identity(json!({"methods": "password"})), 400, "expected a sequence"),
        wrong(LOGIN, identity(json!({"methods": ["password"]})), 400, "password in identity"),
        wrong(LOGIN, identity(json!({"methods": ["token"]})), 400, "token in identity"),
        wrong(LOGIN, identity(json!({"methods": ["application_credential"]})), 400, "application_credential in"),
        wrong(LOGIN, identity(json!({"methods": ["password", "totp"]})), 400, "exactly one"),
        wrong(LOGIN, identity(json!({"methods": ["totp"]})), 401, "methods password, token"),
        wrong(LOGIN, identity(json!({"methods": ["token"], "token": {"id": "x"}})), 401, "requires authentication"),
        wrong(LOGIN, identity(json!({"methods": ["token"], "token": {"id": 7}})), 400, "a secret has to be text"),
        wrong(LOGIN, password(json!({"name": "demo", "password": "x"})), 400, "domain in user"),
        wrong(LOGIN, password(json!({"password": "x"})), 400, "id or name in user"),
        wrong(LOGIN, password(json!({"id": "x"})), 400, "missing field `password`"),
        wrong(LOGIN, password(json!({"id": "x", "password": ["geheim"]})), 400, "a secret has to be text"),
        wrong(LOGIN, password(json!({"id": 5, "password": "x"})), 400, "expected a string"),
        wrong(LOGIN, password(json!({"id": "x", "password": ""})), 401, "requires authentication"),
        wrong(LOGIN, password(json!({"id": "a\u{0}b", "password": "x"})), 401, "requires authentication"),
        wrong(LOGIN, password(json!({"id": "y".repeat(9000), "password": "x"})), 401, "requires authentication"),
        wrong(LOGIN, json!({"auth": by_password("\u{0}", "x")}), 401, "requires authentication"),
        wrong(LOGIN, json!({"auth": by_password("' OR '1'='1", "' OR '1'='1")}), 401, "requires authentication"),
        wrong(LOGIN, json!({"auth": by_password("n", &"x".repeat(5000))}), 401, "requires authentication"),
        wrong(LOGIN, scope(json!({})), 400, "exactly one of project"),
        wrong(LOGIN, scope(json!({"project": {"name": "demo"}})), 400, "domain in project"),
        wrong(LOGIN, scope(json!({"OS-TRUST:trust": {"id": "x"}})), 400, "no scope"),
        wrong(LOGIN, scope(json!(5)), 400, "has to be an object"),
        wrong(LOGIN, credential(json!({"id": "x"})), 400, "missing field `secret`"),
        wrong(LOGIN, credential(json!({"secret": "x"})), 400, "id, or name and user"),
        wrong(LOGIN, credential(json!({"name": "x", "secret": "x"})), 400, "id, or name and user"),
        wrong(LOGIN, credential(json!({"id": "\u{0}", "secret": "x"})), 401, "requires authentication"),
        wrong(LOGIN, credential(json!({"id": "x", "secret": "x"})), 401, "requires authentication"),
    ]
}

fn bodies() -> Vec<Wrong> {
    let user = |fields: Value| json!({"user": fields});
    let project = |fields: Value| json!({"project": fields});
    let role = |fields: Value| json!({"role": fields});
    let credential = |fields: Value| json!({"application_credential": fields});
    const USERS: &str = "POST /v3/users";
    const PROJECTS: &str = "POST /v3/projects";
    const ROLES: &str = "POST /v3/roles";
    const CREDENTIALS: &str = "POST /v3/users/SELF/application_credentials";
    vec![
        wrong(USERS, json!({}), 400, "missing field `user`"),
        wrong(USERS, user(json!({})), 400, "missing field `name`"),
        wrong(USERS, user(json!([])), 400, "not what is expected"),
        wrong(USERS, user(json!({"name": null})), 400, "expected a string"),
        wrong(USERS, user(json!({"name": ""})), 400, "can't be empty"),
        wrong(USERS, user(json!({"name": " x"})), 400, "blanks"),
        wrong(USERS, user(json!({"name": "a\u{0}b"})), 400, "control characters"),
        wrong(USERS, user(json!({"name": "x".repeat(256)})), 400, "at most 255"),
        wrong(USERS, user(json!({"name": "x", "password": ""})), 400, "can't be empty"),
        wrong(USERS, user(json!({"name": "x", "password": 123456})), 400, "a secret has to be text"),
        wrong(USERS, user(json!({"name": "x", "password": "x".repeat(1025)})), 400, "at most 1024 bytes"),
        wrong(USERS, user(json!({"name": "x", "enabled": "yes"})), 400, "expected a boolean"),
        wrong(USERS, user(json!({"name": "x", "domain_id": "other"})), 400, "one domain"),
        wrong(USERS, user(json!({"name": "x", "default_project_id": "a b"})), 400, "not the id of a project"),
        wrong(
            USERS,
            user(json!({"name": "x", "options": {"ignore_lockout_failure_attempts": true}})),
            400,
            "no option",
        ),
        wrong(USERS, user(json!({"name": "x", "id": "0"})), 400, "id can't be set"),
        wrong(USERS, user(json!({"name": "x", "links": {}})), 400, "links can't be set"),
        wrong(USERS, user(json!({"name": "x", "federated": []})), 400, "federated can't be set"),
        wrong(USERS, user(json!({"name": "x", "description": "x".repeat(5000)})), 400, "at most 4096"),
        wrong(USERS, user(json!({"name": "x", "a": "x".repeat(5000)})), 400, "at most 4096 bytes"),
        wrong(USERS, user(json!({"name": "demo"})), 409, "already"),
        wrong("PATCH /v3/users/SELF", json!({}), 400, "missing field `user`"),
        wrong("PATCH /v3/users/SELF", user(json!({"name": ""})), 400, "can't be empty"),
        wrong("PATCH /v3/users/SELF", user(json!({"name": "demo"})), 409, "already"),
        wrong("PATCH /v3/users/SELF", user(json!({"password": ""})), 400, "can't be empty"),
        wrong("PATCH /v3/users/SELF", user(json!({"domain_id": "x"})), 400, "one domain"),
        wrong("PATCH /v3/users/NOBODY", user(json!({"name": "x"})), 404, "Could not find user"),
        wrong("POST /v3/users/SELF/password", user(json!({"password": "x"})), 400, "original_password"),
        wrong("POST /v3/users/SELF/password", json!({"password": "x"}), 400, "missing field `user`"),
        wrong(PROJECTS, json!({"user": {}}), 400, "missing field `project`"),
        wrong(PROJECTS, project(json!({})), 400, "name in project"),
        wrong(PROJECTS, project(json!({"name": "x".repeat(65)})), 400, "at most 64"),
        wrong(PROJECTS, project(json!({"name": "\n"})), 400, "can't be empty"),
        wrong(PROJECTS, project(json!({"name": "x", "is_domain": true})), 400, "one domain"),
        wrong(PROJECTS, project(json!({"name": "x", "parent_id": "y"})), 400, "do not nest"),
        wrong(PROJECTS, project(json!({"name": "x", "domain_id": "y"})), 400, "one domain"),
        wrong(PROJECTS, project(json!({"name": "x", "tags": ["a,b"]})), 400, "commas"),
        wrong(PROJECTS, project(json!({"name": "x", "tags": [""]})), 400, "can't be empty"),
        wrong(PROJECTS, project(json!({"name": "x", "tags": vec!["t"; 81]})), 400, "at most 80 tags"),
        wrong(PROJECTS, project(json!({"name": "x", "description": "a\u{0}"})), 400, "control characters"),
        wrong(PROJECTS, project(json!({"name": "x", "options": {"immutable": true}})), 400, "no option immutable"),
        wrong(PROJECTS, project(json!({"name": "demo"})), 409, "already"),
        wrong("PATCH /v3/projects/NOBODY", project(json!({"name": "x"})), 404, "Could not find project"),
        wrong(ROLES, role(json!({})), 400, "missing field `name`"),
        wrong(ROLES, role(json!({"name": "x", "domain_id": "default"})), 400, "belong to a domain"),
        wrong(ROLES, role(json!({"name": "x", "colour": "red"})), 400, "unknown field `colour`"),
        wrong(ROLES, role(json!({"name": "Member"})), 409, "already"),
        wrong("PATCH /v3/roles/NOBODY", role(json!({"name": "x"})), 404, "Could not find role"),
        wrong(CREDENTIALS, credential(json!({})), 400, "missing field `name`"),
        wrong(CREDENTIALS, credential(json!({"name": "x", "secret": ""})), 400, "can't be empty"),
        wrong(CREDENTIALS, credential(json!({"name": "x", "access_rules": [{"path": "/"}]})), 400, "no access rules"),
        wrong(CREDENTIALS, credential(json!({"name": "x", "project_id": "y"})), 400, "project of the token"),
        wrong(CREDENTIALS, credential(json!({"name": "x", "system": "all"})), 400, "unknown field"),
        wrong(CREDENTIALS, credential(json!({"name": "x", "expires_at": "now"})), 400, "has to be a time"),
    ]
}

fn paths() -> Vec<Wrong> {
    [
        ("GET /v3/users/%00", 404, "Could not find user"),
        ("GET /v3/users/%ff%fe", 404, "no such page"),
        ("GET /v3/users/..%2f..%2fetc%2fpasswd", 404, "Could not find user"),
        ("GET /v3/users/%27%20OR%201=1", 404, "Could not find user"),
        ("DELETE /v3/users/NOBODY", 404, "Could not find user"),
        ("DELETE /v3/users/a%0ab", 404, "Could not find user"),
        ("GET /v3/users?name=%00", 400, "control characters"),
        ("GET /v3/users?name=%ff", 200, ""),
        ("GET /v3/users?limit=-1", 400, "limit has to be a number"),
        ("GET /v3/users?limit=many", 400, "limit has to be a number"),
        ("GET /v3/users?marker=NOBODY", 400, "marker"),
        ("GET /v3/users?marker=%00", 400, "marker"),
        ("GET /v3/users?name=a&name=b", 400, "query string"),
        ("GET /v3/projects?marker=NOBODY", 400, "marker"),
        ("GET /v3/projects?name=%0a", 400, "control characters"),
        ("GET /v3/roles/%00", 404, "Could not find role"),
        ("GET /v3/roles?name=%00", 200, ""),
        ("GET /v3/role_assignments?user.id=%00", 400, "control characters"),
        ("GET /v3/users/SELF/application_credentials/%00", 404, "Could not find application credential"),
        ("DELETE /v3/users/SELF/application_credentials/x", 404, "Could not find application credential"),
        ("GET /v3/users/SELF/application_credentials?name=%00", 400, "control characters"),
        ("GET /v3/services/x", 404, "Could not find service"),
        ("GET /v3/regions/%00", 404, "Could not find region"),
        ("GET /v3/domains/x", 404, "Could not find domain"),
        ("DELETE /v3/domains/default", 405, "not allowed"),
        ("PUT /v3/auth/tokens", 405, "not allowed"),
        ("POST /v3", 405, "not allowed"),
        ("DELETE /v3/services/x", 405, "not allowed"),
        ("GET /v3/groups", 404, "no such page"),
        ("GET /v3/OS-TRUST/trusts", 404, "no such page"),
        ("GET /v2.0", 404, "no such page"),
        ("GET /v3//users", 404, "no such page"),
        ("GET /v3/users/SELF/", 200, ""),
    ]
    .into_iter()
    .map(|(request, status, message)| raw(request, Vec::new(), "", status, message))
    .collect()
}

#[tokio::test]
async fn each_is_answered_with_what_is_wrong() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = cloud.id(&admin, "users", "admin").await;
    let everything = async || {
        let mut all = Vec::new();
        for path in ["users", "projects", "roles", "role_assignments"] {
            all.push(cloud.get(&format!("/v3/{path}"), &admin).await.expect(200).body);
        }
        all.push(cloud.get(&format!("/v3/users/{user}/application_credentials"), &admin).await.expect(200).body);
        all
    };
    let before = everything().await;
    for case in [logins(), bodies(), paths()].into_iter().flatten() {
        let target = case.request.replace("SELF", &user).replace("NOBODY", &"0".repeat(32));
        let (method, path) = target.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(format!("/identity{path}"));
        if case.request != LOGIN {
            request = request.header("X-Auth-Token", &admin);
        }
        if !case.content_type.is_empty() {
            request = request.header("Content-Type", case.content_type);
        }
        let shown = String::from_utf8_lossy(&case.body).chars().take(200).collect::<String>();
        let answer = cloud.send(request.body(Body::from(case.body)).unwrap()).await;
        assert_eq!(answer.status, case.status, "{} {shown}: {}", case.request, answer.body);
        assert!(answer.message().contains(case.message), "{} {shown}: {}", case.request, answer.body);
        assert!(!answer.message().contains("geheim"), "a secret is quoted: {}", answer.message());
        if !answer.status.is_success() {
            let error = &answer.body["error"];
            assert_eq!(error["code"], case.status, "{}", answer.body);
            assert!(!error["title"].as_str().unwrap().is_empty(), "{}", answer.body);
        }
    }
    assert_eq!(everything().await, before, "something was written");
}
