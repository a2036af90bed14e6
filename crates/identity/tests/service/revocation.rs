//! When a token is no longer good.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use futures::future::join_all;
use magnum_identity::{AuthError, Authenticator, IncomingRequest, Options};
use serde_json::{Value, json};

use crate::cloud::{Cloud, DEMO_PASSWORD, by_password, by_token, options, scoped};

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let cloud = Cloud::with(Options { token_lifetime: Duration::from_secs(2), ..options() }).await;
    let answer = cloud.authenticate(scoped(by_password("demo", DEMO_PASSWORD), "demo")).await;
    let token = answer.token();
    cloud.validate(&token).await.expect(200);
    let second = cloud.authenticate(by_token(&token)).await;
    assert_eq!(second.body["token"]["expires_at"], answer.body["token"]["expires_at"]);
    tokio::time::sleep(Duration::from_millis(2050)).await;
    cloud.validate(&token).await.expect(401);
    cloud.validate(&second.token()).await.expect(401);
    cloud.authenticate(by_token(&token)).await.expect(401);
    assert_eq!(cloud.store.identity().prune_tokens(magnum_domain::now()).await.unwrap(), 2);
}

/// Each case ends the tokens of `demo` in its own way, at once, though they were cached; those of `admin` go on.
#[tokio::test]
async fn everything_that_ends_tokens_ends_them_at_once() {
    type Case = (&'static str, &'static str, fn(&str, &str) -> String, Option<Value>);
    let cases: [Case; 7] = [
        ("password set", "PATCH", |user, _| format!("users/{user}"), Some(json!({"user": {"password": "new"}}))),
        ("disabled", "PATCH", |user, _| format!("users/{user}"), Some(json!({"user": {"enabled": false}}))),
        ("deleted", "DELETE", |user, _| format!("users/{user}"), None),
        (
            "password changed",
            "POST",
            |user, _| format!("users/{user}/password"),
            Some(json!({"user": {"original_password": DEMO_PASSWORD, "password": "new"}})),
        ),
        (
            "project disabled",
            "PATCH",
            |_, project| format!("projects/{project}"),
            Some(json!({"project": {"enabled": false}})),
        ),
        ("project deleted", "DELETE", |_, project| format!("projects/{project}"), None),
        ("role taken", "DELETE", |user, project| format!("projects/{project}/users/{user}/roles/ROLE"), None),
    ];
    for (what, method, path, body) in cases {
        let cloud = Cloud::new().await;
        let admin = cloud.admin().await;
        let (user, project) = (cloud.id(&admin, "users", "demo").await, cloud.id(&admin, "projects", "demo").await);
        let role = cloud.id(&admin, "roles", "member").await;
        let tokens = [cloud.demo().await, cloud.demo().await];
        for token in &tokens {
            cloud.validate(token).await.expect(200);
        }
        let path = format!("/v3/{}", path(&user, &project).replace("ROLE", &role));
        let answer = cloud.call(method.parse().unwrap(), &path, &admin, body).await;
        assert!(answer.status.is_success(), "{what}: {}", answer.body);
        for token in &tokens {
            assert_eq!(cloud.validate(token).await.status, 401, "{what}");
            assert_eq!(cloud.authenticate(by_token(token)).await.status, 401, "{what}");
        }
        cloud.validate(&admin).await.expect(200);
    }
}

#[tokio::test]
async fn enabling_again_does_not_bring_tokens_back() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let demo = cloud.demo().await;
    for (collection, key) in [("users", "user"), ("projects", "project")] {
        let path = format!("/v3/{collection}/{}", cloud.id(&admin, collection, "demo").await);
        for enabled in [false, true] {
            cloud.patch(&path, &admin, json!({key: {"enabled": enabled}})).await.expect(200);
        }
        cloud.validate(&demo).await.expect(401);
    }
    cloud.demo().await;
}

#[tokio::test]
async fn one_token_is_revoked_and_others_are_not() {
    let cloud = Cloud::new().await;
    let (first, second) = (cloud.demo().await, cloud.demo().await);
    cloud.validate(&first).await.expect(200);
    cloud.revoke_as(&second, &first).await.expect(204);
    cloud.validate(&first).await.expect(401);
    cloud.revoke_as(&second, &first).await.expect(404);
    cloud.validate(&second).await.expect(200);
    cloud.revoke_as(&second, &second).await.expect(204);
    cloud.validate(&second).await.expect(401);
}

#[tokio::test]
async fn other_processes_notice_when_their_cache_runs_out() {
    let cloud = Cloud::new().await;
    let other = cloud.second(Options { cache_lifetime: Duration::from_millis(300), ..options() }).await;
    let token = cloud.demo().await;
    let headers = HeaderMap::from_iter([("x-auth-token".parse().unwrap(), HeaderValue::from_str(&token).unwrap())]);
    other.authenticate(IncomingRequest::with_headers(&headers)).await.unwrap();
    cloud.revoke_as(&token, &token).await.expect(204);
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert!(matches!(other.authenticate(IncomingRequest::with_headers(&headers)).await, Err(AuthError::Invalid)));
}

/// Tokens that are being made while the password changes: none made with the old one is good afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_slips_through_a_change_of_password() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let path = format!("/v3/users/{}", cloud.id(&admin, "users", "demo").await);
    let logins = join_all((0..16).map(|_| cloud.authenticate(by_password("demo", DEMO_PASSWORD))));
    let change = cloud.patch(&path, &admin, json!({"user": {"password": "new"}}));
    let (logins, changed) = futures::join!(logins, change);
    changed.expect(200);
    for login in logins.iter().filter(|login| login.status == 201) {
        cloud.validate(&login.token()).await.expect(401);
    }
    cloud.authenticate(by_password("demo", "new")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_get_along() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let new = |name: String| cloud.post("/v3/users", &admin, json!({"user": {"name": name, "password": "p"}}));
    let same = join_all((0..10).map(|_| new("same".into()))).await;
    let mut statuses: Vec<u16> = same.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![409; 9]].concat());
    for answer in join_all((0..20).map(|i| new(format!("user {i}")))).await {
        answer.expect(201);
    }
    let logins = join_all((0..20).map(|i| {
        let auth = by_password(["demo", "admin"][i % 2], [DEMO_PASSWORD, crate::cloud::ADMIN_PASSWORD][i % 2]);
        cloud.authenticate(auth)
    }));
    let mut tokens: Vec<String> = logins.await.iter().map(crate::cloud::Answer::token).collect();
    for answer in join_all(tokens.iter().map(|token| cloud.validate(token))).await {
        answer.expect(200);
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 20);
}
