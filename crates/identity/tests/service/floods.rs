//! What costs a caller nothing is bounded: tokens that beget tokens, changes without end; and bodies are read in one way.

use std::num::NonZeroU32;

use axum::body::Body;
use axum::http::{Method, Request};
use magnum_identity::{Authenticator, IncomingRequest, Options};
use serde_json::json;

use crate::cloud::{Cloud, by_credential, by_token, options};

#[tokio::test]
async fn a_user_has_only_so_many_tokens_and_the_oldest_end() {
    let cloud = Cloud::with(Options { tokens_per_user: 5, ..options() }).await;
    let admin = cloud.admin().await;
    let user = cloud.id(&admin, "users", "admin").await;
    let path = format!("/v3/users/{user}/application_credentials");
    let made = cloud.post(&path, &admin, json!({"application_credential": {"name": "a", "secret": "s"}})).await;
    let id = made.expect(201).body["application_credential"]["id"].as_str().unwrap().to_owned();
    let demo = cloud.demo().await;
    // Neither another user's tokens nor an application credential's push out one's own.
    for _ in 0..20 {
        cloud.authenticate(by_token(&demo)).await;
        cloud.authenticate(by_credential(&id, "s")).await.token();
    }
    cloud.validate(&admin).await.expect(200);
    let mut newest = admin.clone();
    for _ in 0..20 {
        newest = cloud.authenticate(by_token(&newest)).await.token();
    }
    cloud.validate(&newest).await.expect(200);
    // In another process, which has not seen it before, the first has ended with those of its kind.
    let second = cloud.second(options()).await;
    let headers = [("x-auth-token", &admin), ("x-auth-token", &newest)].map(|(name, value)| {
        axum::http::HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), value.parse().unwrap())])
    });
    assert!(second.authenticate(IncomingRequest::with_headers(&headers[0])).await.is_err());
    assert!(second.authenticate(IncomingRequest::with_headers(&headers[1])).await.is_ok());
}

#[tokio::test]
async fn logins_and_changes_of_a_user_are_counted_together_and_for_nobody_else() {
    let few = |burst| Options {
        writes_per_second: Some(NonZeroU32::MIN),
        write_burst: NonZeroU32::new(burst).unwrap(),
        ..options()
    };
    let cloud = Cloud::with(few(6)).await;
    let admin = cloud.admin().await;
    let demo = cloud.demo().await;
    type Call<'a> = (Method, &'a str);
    let calls: [Call<'_>; 4] = [
        (Method::POST, "/v3/users"),
        (Method::PATCH, "/v3/users/x"),
        (Method::DELETE, "/v3/projects/x"),
        (Method::POST, "/v3/roles"),
    ];
    let mut answers = Vec::new();
    for (method, path) in calls.iter().cycle().take(40) {
        answers.push(cloud.call(method.clone(), path, &admin, Some(json!({}))).await);
    }
    let refused = answers.iter().find(|answer| answer.status == 429).expect("a limit");
    assert!(refused.message().starts_with("There are too many changes of this user."), "{}", refused.message());
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    cloud.validate(&admin).await.expect(200);
    let begotten = cloud.authenticate(by_token(&demo)).await;
    assert_eq!(begotten.status, 201, "{}", begotten.body);
    let mut last = begotten;
    for _ in 0..40 {
        last = cloud.authenticate(by_token(&demo)).await;
    }
    last.expect(429);
    cloud.validate(&demo).await.expect(200);
}

#[tokio::test]
async fn the_id_of_the_path_may_stand_in_a_change_and_no_other() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let role = json!({"role": {"name": "auditor"}});
    let auditor =
        cloud.post("/v3/roles", &admin, role).await.expect(201).body["role"]["id"].as_str().unwrap().to_owned();
    let user = cloud.id(&admin, "users", "demo").await;
    let project = cloud.id(&admin, "projects", "demo").await;
    for (kind, kinds, id) in [("user", "users", &user), ("project", "projects", &project), ("role", "roles", &auditor)]
    {
        let path = format!("/v3/{kinds}/{id}");
        for (given, expected) in
            [(json!(id), 200), (json!("another"), 400), (json!(null), 400), (json!(1), 400), (json!([id]), 400)]
        {
            let body = json!({kind: {"id": given, "description": "changed"}});
            let answer = cloud.patch(&path, &admin, body).await;
            assert_eq!(answer.status, expected, "{kind} {given}: {}", answer.body);
        }
        let shown = cloud.get(&path, &admin).await.expect(200).body;
        assert_eq!(shown[kind]["id"], json!(id));
        assert_eq!(shown[kind]["description"], "changed");
    }
}

#[tokio::test]
async fn a_key_that_is_there_twice_is_refused() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for (path, body) in [
        ("/v3/auth/tokens", r#"{"auth": {"identity": {"methods": ["password"], "methods": ["token"]}}}"#),
        ("/v3/users", r#"{"user": {"name": "a", "name": "b"}}"#),
        ("/v3/users", r#"{"user": {"name": "a", "own": {"k": 1, "k": 2}}}"#),
        ("/v3/projects", r#"{"project": {"name": "a"}, "project": {"name": "b"}}"#),
        ("/v3/roles", r#"{"role": {"name": "a", "\u006eame": "b"}}"#),
    ] {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/identity{path}"))
            .header("X-Auth-Token", &admin)
            .header("Content-Type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let answer = cloud.send(request).await.expect(400);
        assert!(answer.message().contains("is there twice in one object"), "{path}: {}", answer.message());
    }
}
