//! A Keystone elsewhere as the API sees it. What only another implementation can show is tested in `magnum-openstack`.

use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join_all;
use magnum_domain::Caller;
use magnum_identity::{AuthError, Authenticator, IncomingRequest, Keystone, KeystoneOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cloud::{ADMIN_PASSWORD, DEMO_PASSWORD, by_credential};
use crate::remote::{Remote, ask, headers, session, word};

/// Asks about every token each time.
fn forgetful() -> KeystoneOptions {
    KeystoneOptions { token_cache_time: None, ..KeystoneOptions::default() }
}

#[tokio::test]
async fn a_caller_is_the_same_as_for_the_one_who_gave_the_token_out() {
    let remote = Remote::new().await;
    let keystone = remote.keystone(KeystoneOptions::default());
    let admin = remote.cloud.admin().await;
    remote.cloud.add_user(&admin, "auditor", "a", "reader").await;
    let ann = remote.cloud.demo().await;
    let mut tokens = Vec::new();
    for (user, password, scope) in [
        ("demo", DEMO_PASSWORD, json!("demo")),
        ("admin", ADMIN_PASSWORD, json!("admin")),
        ("auditor", "a", json!("demo")),
        ("admin", ADMIN_PASSWORD, json!({"system": {"all": true}})),
        ("admin", ADMIN_PASSWORD, json!({"domain": {"id": "default"}})),
        ("demo", DEMO_PASSWORD, Value::Null),
    ] {
        tokens.push((format!("{user} for {scope}"), remote.token(user, password, &scope).await));
    }
    let demo = remote.cloud.id(&admin, "users", "demo").await;
    let credential = json!({"application_credential": {"name": "c", "secret": "s", "roles": [{"name": "reader"}]}});
    let path = format!("/v3/users/{demo}/application_credentials");
    let made = remote.cloud.post(&path, &ann, credential).await.expect(201);
    let id = made.body["application_credential"]["id"].as_str().unwrap();
    tokens.push(("a credential".into(), remote.cloud.authenticate(by_credential(id, "s")).await.token()));

    for (whose, token) in tokens {
        let there = ask(&remote.cloud.identity, &token).await.unwrap();
        let here = ask(&keystone, &token).await.unwrap();
        let shown = format!("{here:?} {}", serde_json::to_string(&here).unwrap());
        assert!(!shown.contains(&token), "{whose}: the token is shown");
        let scoped = !there.roles.is_empty();
        assert_eq!(here.credential.as_ref().is_some_and(|known| !known.endpoints().is_empty()), scoped, "{whose}");
        assert_eq!(Caller { credential: None, ..here }, there, "{whose}");
    }
    assert_eq!(keystone.challenge(), Some(format!("Keystone uri=\"{}/identity/v3\"", remote.base)));
}

#[tokio::test]
async fn each_token_is_asked_about_once() {
    let remote = Remote::new().await;
    let keystone = remote.keystone(KeystoneOptions::default());
    let (demo, other) = (remote.cloud.demo().await, remote.cloud.demo().await);
    let before = remote.seen.logins();
    let at_once = join_all((0..20).map(|_| ask(&keystone, &demo))).await;
    assert!(at_once.iter().all(|outcome| word(outcome) == "good"), "{at_once:?}");
    assert_eq!((remote.seen.checks(), remote.seen.logins() - before), (1, 1), "twenty that come together");
    ask(&keystone, &demo).await.unwrap();
    ask(&keystone, &other).await.unwrap();
    assert_eq!((remote.seen.checks(), remote.seen.logins() - before), (2, 1), "and one more for another token");
    for _ in 0..5 {
        assert_eq!(word(&ask(&keystone, "no-such-token").await), "invalid");
    }
    assert_eq!(remote.seen.checks(), 3, "a bad one is remembered as well");
}

#[tokio::test]
async fn what_ends_a_token_ends_it_here() {
    type Ending = for<'a> fn(&'a Remote, &'a str, &'a str) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
    let table: [(&str, Ending); 3] = [
        ("revoked", |remote, _, token| {
            Box::pin(async move {
                remote.cloud.revoke_as(token, token).await.expect(204);
            })
        }),
        ("disabled", |remote, admin, _| {
            Box::pin(async move {
                let user = remote.cloud.id(admin, "users", "demo").await;
                let change = json!({"user": {"enabled": false}});
                remote.cloud.patch(&format!("/v3/users/{user}"), admin, change).await.expect(200);
            })
        }),
        ("without a project", |remote, admin, _| {
            Box::pin(async move {
                let project = remote.cloud.id(admin, "projects", "demo").await;
                let change = json!({"project": {"enabled": false}});
                remote.cloud.patch(&format!("/v3/projects/{project}"), admin, change).await.expect(200);
            })
        }),
    ];
    for (what, ending) in table {
        let remote = Remote::new().await;
        let (careful, trusting) = (remote.keystone(forgetful()), remote.keystone(KeystoneOptions::default()));
        let short = Some(Duration::from_millis(50));
        let brief = remote.keystone(KeystoneOptions { token_cache_time: short, ..KeystoneOptions::default() });
        let (admin, demo) = (remote.cloud.admin().await, remote.cloud.demo().await);
        for keystone in [&careful, &trusting, &brief] {
            ask(keystone, &demo).await.unwrap();
        }
        ending(&remote, &admin, &demo).await;
        assert_eq!(word(&ask(&careful, &demo).await), "invalid", "{what}");
        assert_eq!(word(&ask(&trusting, &demo).await), "good", "{what}, which is not asked about for five minutes");
        while word(&ask(&brief, &demo).await) == "good" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(word(&ask(&brief, &demo).await), "invalid", "{what}");
    }
}

#[tokio::test]
async fn without_keystone_what_is_known_goes_on() {
    let remote = Remote::new().await;
    let keystone = remote.keystone(KeystoneOptions::default());
    let (known, fresh) = (remote.cloud.demo().await, remote.cloud.demo().await);
    ask(&keystone, &known).await.unwrap();
    remote.seen.switch(false);
    assert_eq!(word(&ask(&keystone, &known).await), "good");
    assert_eq!(word(&ask(&keystone, &fresh).await), "unavailable", "which is not the same as a bad token");
    remote.seen.switch(true);
    assert_eq!(word(&ask(&keystone, &fresh).await), "good", "and is not remembered");
}

#[tokio::test]
async fn wrong_credentials_of_our_own_are_nobodys_fault_but_ours() {
    let remote = Remote::new().await;
    let keystone = Keystone::new(session(&remote.credentials("wrong")), KeystoneOptions::default());
    let demo = remote.cloud.demo().await;
    let before = remote.seen.logins();
    for _ in 0..5 {
        match ask(&keystone, &demo).await {
            Err(AuthError::Unavailable(cause)) => {
                let text = format!("{cause} {cause:?}");
                assert!(text.contains("does not accept the credentials of [keystone_authtoken]"), "{text}");
                assert!(!text.contains("wrong"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(remote.seen.logins() - before, 1, "a user who insists would be locked out");
}

#[tokio::test]
async fn a_token_of_our_own_that_ended_early_is_replaced() {
    let remote = Remote::new().await;
    let keystone = remote.keystone(forgetful());
    let demo = remote.cloud.demo().await;
    ask(&keystone, &demo).await.unwrap();
    let before = remote.seen.logins();
    // Setting a password ends all tokens of its user.
    let admin = remote.cloud.admin().await;
    let user = remote.cloud.id(&admin, "users", "admin").await;
    let change = json!({"user": {"password": ADMIN_PASSWORD}});
    remote.cloud.patch(&format!("/v3/users/{user}"), &admin, change).await.expect(200);
    let at_once = join_all((0..10).map(|_| ask(&keystone, &demo))).await;
    assert!(at_once.iter().all(|outcome| word(outcome) == "good"), "{at_once:?}");
    assert_eq!(remote.seen.logins() - before, 1);
}

#[tokio::test]
async fn a_service_that_acts_for_a_user_shows_a_token_of_its_own() {
    let remote = Remote::new().await;
    let admin = remote.cloud.admin().await;
    remote.cloud.add_user(&admin, "robot", "r", "service").await;
    let (demo, robot) = (remote.cloud.demo().await, remote.token("robot", "r", &json!("demo")).await);
    let lenient = KeystoneOptions { service_token_roles_required: false, ..KeystoneOptions::default() };
    let renamed = KeystoneOptions { service_token_roles: vec!["auditor".into()], ..KeystoneOptions::default() };
    let usual = KeystoneOptions::default;
    let table = [
        (usual(), robot.as_str(), "good"),
        (usual(), demo.as_str(), "invalid"),
        (usual(), "no-such-token", "invalid"),
        (lenient.clone(), demo.as_str(), "good"),
        (lenient, "no-such-token", "invalid"),
        (renamed, robot.as_str(), "invalid"),
    ];
    for (options, service, expected) in table {
        let shown = format!("{options:?} {service}");
        let keystone = remote.keystone(options);
        let headers = headers(&demo, &[("x-service-token", service)]);
        let outcome = keystone.authenticate(IncomingRequest::with_headers(&headers)).await;
        assert_eq!(word(&outcome), expected, "{shown}");
        if let Ok(caller) = outcome {
            assert_eq!(caller.user_name, "demo", "the user's rights count, not the service's");
        }
    }
}

#[tokio::test]
async fn nothing_but_the_token_is_believed() {
    let remote = Remote::new().await;
    let keystone = remote.keystone(KeystoneOptions::default());
    let demo = remote.cloud.demo().await;
    let claims = [
        ("x-roles", "admin"),
        ("x-user-id", "root"),
        ("x-project-id", "p"),
        ("x-identity-status", "Confirmed"),
        ("openstack-system-scope", "all"),
    ];
    let honest = ask(&keystone, &demo).await.unwrap();
    let claimed = keystone.authenticate(IncomingRequest::with_headers(&headers(&demo, &claims))).await.unwrap();
    assert_eq!(claimed, honest);
    let mut without: HeaderMap = headers("x", &claims);
    without.remove("x-auth-token");
    let request =
        IncomingRequest { method: &Method::GET, path: "/v1/clusters", ..IncomingRequest::with_headers(&without) };
    assert_eq!(word(&keystone.authenticate(request).await), "missing");
    let lenient = remote.keystone(KeystoneOptions { delay_auth_decision: true, ..KeystoneOptions::default() });
    assert_eq!(lenient.authenticate(request).await.unwrap(), Caller::default(), "nobody, if the policy is to decide");
    for (token, expected) in [("", "invalid"), ("  ", "invalid"), (&"x".repeat(100_000), "invalid")] {
        assert_eq!(word(&ask(&keystone, token).await), expected, "{} bytes", token.len());
    }
    let padded = headers(&format!("  {demo}  "), &[]);
    assert_eq!(word(&keystone.authenticate(IncomingRequest::with_headers(&padded)).await), "good");
    let mut storage = headers("x", &[("x-storage-token", &demo)]);
    storage.remove("x-auth-token");
    assert_eq!(word(&keystone.authenticate(IncomingRequest::with_headers(&storage)).await), "good");
}

/// A Keystone with tokens that the built-in one does not have: one that has ended, one for some requests only.
async fn with_odd_tokens() -> String {
    const LATER: &str = "2999-01-01T00:00:00.000000Z";
    const ENDED: &str = "2020-01-01T00:00:00.000000Z";
    fn document(role: &str, expires_at: &str, credential: &Value) -> axum::Json<Value> {
        let user = json!({"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}});
        axum::Json(json!({"token": {"user": user, "roles": [{"id": role, "name": role}], "expires_at": expires_at,
            "application_credential": credential}}))
    }
    async fn check(headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
        let rules = json!({"access_rules": [
            {"service": "container-infra", "method": "GET", "path": "/v1/clusters/*"},
            {"service": "compute", "method": "POST", "path": "/v1/**"}]});
        let allow_expired = query.as_deref() == Some("allow_expired=1");
        match (headers["x-subject-token"].to_str().unwrap(), allow_expired) {
            ("service", _) => document("service", LATER, &Value::Null).into_response(),
            ("ended", true) => document("member", ENDED, &Value::Null).into_response(),
            ("bound", _) => document("member", LATER, &rules).into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
    async fn issue() -> Response {
        let token = [("x-subject-token", "own")];
        (StatusCode::CREATED, token, document("admin", LATER, &Value::Null)).into_response()
    }
    let router = Router::new().route("/v3/auth/tokens", get(check).post(issue));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("[keystone_authtoken]\nauth_url = {base}\nusername = m\npassword = p\n")
}

#[tokio::test]
async fn tokens_that_have_ended_or_are_for_some_requests_only() {
    let configuration = with_odd_tokens().await;
    let ours = KeystoneOptions { service_type: Some("container-infra".into()), ..KeystoneOptions::default() };
    let nameless = Keystone::new(session(&configuration), KeystoneOptions::default());
    let named = Keystone::new(session(&configuration), ours);
    let service = ("x-service-token", "service");
    let table = [
        (&named, "ended", None, "GET", "/v1/clusters", "invalid"),
        (&named, "ended", Some(service), "GET", "/v1/clusters", "good"),
        (&named, "ended", None, "GET", "/v1/clusters", "invalid"),
        (&named, "bound", None, "GET", "/v1/clusters/a", "good"),
        (&named, "bound", None, "GET", "/v1/clusters", "invalid"),
        (&named, "bound", None, "DELETE", "/v1/clusters/a", "invalid"),
        (&named, "bound", None, "POST", "/v1/clusters", "invalid"),
        (&named, "bound", Some(service), "DELETE", "/v1/clusters/a", "good"),
        (&nameless, "bound", None, "GET", "/v1/clusters/a", "invalid"),
    ];
    for (keystone, token, other, method, path, expected) in table {
        let (headers, method) = (headers(token, other.as_slice()), method.parse().unwrap());
        let request = IncomingRequest { method: &method, path, ..IncomingRequest::with_headers(&headers) };
        let outcome = keystone.authenticate(request).await;
        assert_eq!(word(&outcome), expected, "{token} {method} {path} {other:?}");
    }
}
