//! The service as the API sees it.

use axum::http::{HeaderMap, HeaderValue};
use magnum_identity::{AuthError, Authenticator, IncomingRequest};
use serde_json::json;

use crate::cloud::{ADMIN_PASSWORD, Cloud, by_password};

fn headers(token: &[u8]) -> HeaderMap {
    HeaderMap::from_iter([("x-auth-token".parse().unwrap(), HeaderValue::from_bytes(token).unwrap())])
}

#[tokio::test]
async fn a_caller_has_everything_policies_refer_to() {
    let cloud = Cloud::new().await;
    let authenticator: &dyn Authenticator = &cloud.identity;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    let caller = authenticator.authenticate(IncomingRequest::with_headers(&headers(demo.as_bytes()))).await.unwrap();
    assert_eq!((caller.user_name.as_str(), caller.user_domain_id.as_str()), ("demo", "default"));
    assert_eq!(caller.user_id, cloud.id(&admin, "users", "demo").await);
    assert_eq!(caller.project_id, Some(cloud.id(&admin, "projects", "demo").await));
    assert_eq!((caller.project_name.as_deref(), caller.project_domain_id.as_deref()), (Some("demo"), Some("default")));
    assert_eq!(caller.roles, ["member", "reader"]);
    assert_eq!((caller.system_scope, caller.is_admin), (None, false));

    let caller = authenticator.authenticate(IncomingRequest::with_headers(&headers(admin.as_bytes()))).await.unwrap();
    assert_eq!(caller.roles, ["admin", "member", "reader"]);
    assert!(!caller.is_admin, "that is for the policy to say");

    for (scope, system, roles) in [
        (json!({"system": {"all": true}}), Some("all"), 3),
        (json!({"domain": {"id": "default"}}), None, 3),
        (json!("unscoped"), None, 0),
    ] {
        let mut auth = by_password("admin", ADMIN_PASSWORD);
        auth["scope"] = scope.clone();
        let token = cloud.authenticate(auth).await.token();
        let caller =
            authenticator.authenticate(IncomingRequest::with_headers(&headers(token.as_bytes()))).await.unwrap();
        assert_eq!(
            (caller.system_scope.as_deref(), caller.project_id, caller.roles.len()),
            (system, None, roles),
            "{scope}"
        );
    }
}

#[tokio::test]
async fn anything_else_is_no_caller() {
    let cloud = Cloud::new().await;
    let none = cloud.identity.authenticate(IncomingRequest::with_headers(&HeaderMap::new())).await;
    assert!(matches!(none, Err(AuthError::Missing)), "{none:?}");
    let demo = cloud.demo().await;
    let mut cases: Vec<Vec<u8>> = ["", "x", "' OR 1=1 --", "x".repeat(43).as_str(), "x".repeat(5000).as_str()]
        .map(|token| token.as_bytes().to_vec())
        .into();
    cases.push(vec![0xff; 43]);
    cases.push([demo.as_bytes(), b" "].concat());
    cases.push(demo.to_uppercase().into_bytes());
    cases.push(demo.as_bytes()[..42].to_vec());
    for token in cases {
        let got = cloud.identity.authenticate(IncomingRequest::with_headers(&headers(&token))).await;
        assert!(matches!(got, Err(AuthError::Invalid)), "{token:?}: {got:?}");
    }
    let challenge = cloud.identity.challenge();
    assert_eq!(challenge.as_deref(), Some("Keystone uri=\"http://127.0.0.1:9511/identity\""));
}

#[tokio::test]
async fn without_a_database_nobody_is_told_that_their_token_is_bad() {
    let cloud = Cloud::new().await;
    let (demo, fresh) = (cloud.demo().await, cloud.demo().await);
    cloud.identity.authenticate(IncomingRequest::with_headers(&headers(demo.as_bytes()))).await.unwrap();
    cloud.store.close().await;
    cloud
        .identity
        .authenticate(IncomingRequest::with_headers(&headers(demo.as_bytes())))
        .await
        .expect("a validated token is believed for a while");
    let got = cloud.identity.authenticate(IncomingRequest::with_headers(&headers(fresh.as_bytes()))).await;
    assert!(matches!(got, Err(AuthError::Unavailable(_))), "{got:?}");
    cloud.authenticate(by_password("admin", ADMIN_PASSWORD)).await.expect(503);
    cloud.get("/v3/users", &fresh).await.expect(503);
}
