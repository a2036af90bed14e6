//! What a real service can't be made to do: answers that are slow, garbled, too large or cut off, and failures at will.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use futures::future::pending;
use futures::stream;
use magnum_config::Settings;
use magnum_domain::Caller;
use magnum_domain::cloud::{CloudLookup, LookupError};
use magnum_domain::credential::{Credential, Endpoint};
use magnum_openstack::{
    Error, Login, OpenStackCloud, ServiceOptions, Session, SessionOptions, TlsOptions, Transport, TransportOptions,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const OWN: &str = "own-token-planted";
const USERS: &str = "users-token-planted";

/// What the stand-in does with one request.
enum Does {
    Answers(u16, Value),
    AnswersWith(u16, &'static [(&'static str, &'static str)], &'static str),
    Hangs,
    BreaksOff,
    NeverEnds,
}

/// What a tenant is told of a lookup: nothing, or a kind of failure and words of its text.
type Told = Result<(), (&'static str, &'static str)>;

/// A request as it came.
struct Came {
    method: Method,
    path: String,
    headers: HeaderMap,
}

/// A server that does what it is told, one request after the other, and keeps what came.
struct StandIn {
    base: String,
    script: Arc<Mutex<VecDeque<Does>>>,
    came: Arc<Mutex<Vec<Came>>>,
}

impl StandIn {
    async fn new(script: impl IntoIterator<Item = Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let came = Arc::new(Mutex::new(Vec::new()));
        let (theirs, kept) = (Arc::clone(&script), Arc::clone(&came));
        let router = Router::new().fallback(move |request: Request| {
            let next = theirs.lock().unwrap().pop_front();
            let path = request.uri().path_and_query().unwrap().to_string();
            let (method, headers) = (request.method().clone(), request.headers().clone());
            kept.lock().unwrap().push(Came { method, path, headers });
            answer(next.unwrap_or(Does::Answers(500, json!({"error": {"message": "nothing more is planned"}}))))
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, script, came }
    }

    fn then(&self, script: impl IntoIterator<Item = Does>) {
        self.script.lock().unwrap().extend(script);
    }

    /// Method and path of all that came.
    fn came(&self) -> Vec<String> {
        self.came.lock().unwrap().iter().map(|came| format!("{} {}", came.method, came.path)).collect()
    }

    fn session(&self, options: TransportOptions) -> Arc<Session> {
        let text = format!("[keystone_authtoken]\nauth_url = {}\nusername = m\npassword = planted\n", self.base);
        let login = Login::for_validation(&Settings::parse(&text).unwrap()).unwrap();
        Arc::new(Session::new(Transport::new(options).unwrap(), login, SessionOptions::default()))
    }

    fn cloud(&self, options: TransportOptions) -> OpenStackCloud {
        let service = || (Transport::new(options.clone()).unwrap(), ServiceOptions::default());
        OpenStackCloud::new(self.session(options.clone()), service(), service(), service())
    }

    /// A caller in whose catalog all services are this one.
    fn caller(&self) -> Caller {
        let endpoint = |kind: &str| Endpoint {
            service_type: kind.into(),
            service_name: String::new(),
            region: "RegionOne".into(),
            interface: "public".into(),
            url: self.base.clone(),
        };
        let endpoints = ["image", "compute", "network"].map(endpoint).to_vec();
        Caller {
            credential: Some(Credential::new(USERS.into(), endpoints)),
            request_id: Some("req-0a1b".into()),
            ..Caller::default()
        }
    }
}

async fn answer(does: Does) -> Response<Body> {
    let response = Response::builder().header("x-openstack-request-id", "req-theirs").header("x-subject-token", OWN);
    match does {
        Does::Answers(status, body) => response.status(status).body(Body::from(body.to_string())).unwrap(),
        Does::AnswersWith(status, headers, body) => {
            let response =
                headers.iter().fold(response.status(status), |response, (name, value)| response.header(*name, *value));
            response.body(Body::from(body)).unwrap()
        }
        Does::Hangs => pending().await,
        Does::BreaksOff => {
            let parts = [Ok("{\"token\":"), Err(std::io::Error::other("broken off"))];
            response.status(StatusCode::OK).body(Body::from_stream(stream::iter(parts))).unwrap()
        }
        Does::NeverEnds => {
            let parts = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 << 10]));
            response.status(StatusCode::OK).body(Body::from_stream(parts)).unwrap()
        }
    }
}

fn token(expires_at: &str) -> Does {
    let domain = json!({"id": "default", "name": "Default"});
    let user = json!({"id": "u", "name": "ann", "domain": domain});
    Does::Answers(201, json!({"token": {"expires_at": expires_at, "user": user, "roles": [{"name": "member"}]}}))
}

fn good_token() -> Does {
    token("2999-01-01T00:00:00.000000Z")
}

fn impatient() -> TransportOptions {
    TransportOptions { timeout: Duration::from_millis(300), ..TransportOptions::default() }
}

/// What is answered to the question for a token, how often it is asked, and what becomes of it.
#[tokio::test]
async fn whatever_keystone_does_there_is_an_outcome() {
    let not_found = || Does::Answers(404, json!({"error": {"message": "no"}}));
    let busy = |after| Does::AnswersWith(429, after, "slow down");
    let own = || Does::Answers(401, json!({"error": {"message": format!("{OWN} is bad")}}));
    let table: Vec<(&str, Vec<Does>, usize, &str)> = vec![
        ("good", vec![good_token()], 1, "good"),
        ("unknown", vec![not_found()], 1, "bad"),
        ("busy once", vec![Does::Answers(503, json!({})), good_token()], 2, "good"),
        ("busy twice", vec![Does::Answers(502, json!({})), Does::Answers(504, json!({})), good_token()], 3, "good"),
        ("busy for good", (0..5).map(|_| Does::Answers(503, json!({}))).collect(), 3, "answered 503"),
        ("asks for patience", vec![busy(&[("retry-after", "0")]), good_token()], 2, "good"),
        ("asks for much patience", vec![busy(&[("retry-after", "900")]), good_token()], 1, "answered 429"),
        (
            "fails",
            vec![Does::Answers(500, json!({"error": {"message": "sorry"}}))],
            1,
            "answered 500 (its req-theirs): sorry",
        ),
        ("forbids", vec![Does::Answers(403, json!({"error": {"message": "no"}}))], 1, "answered 403"),
        ("no JSON", vec![Does::AnswersWith(200, &[], "<html>")], 1, "answered what it should not (its req-theirs)"),
        ("other JSON", vec![Does::Answers(200, json!({"token": {}}))], 1, "answered what it should not"),
        ("a list", vec![Does::Answers(200, json!([]))], 1, "answered what it should not"),
        ("nothing", vec![Does::AnswersWith(204, &[], "")], 1, "answered what it should not"),
        ("elsewhere", vec![Does::AnswersWith(302, &[("location", "/elsewhere")], "")], 1, "answered 302"),
        ("silent", vec![Does::Hangs], 1, "did not answer in time"),
        ("endless", vec![Does::NeverEnds], 1, "larger than"),
        ("cut off", vec![Does::BreaksOff, good_token()], 2, "good"),
        ("our token ended", vec![own(), good_token(), good_token()], 3, "good"),
        ("our token is never good", vec![own(), good_token(), own()], 3, "*** is bad"),
    ];
    for (what, script, requests, expected) in table {
        let keystone = StandIn::new([good_token()]).await;
        let options = TransportOptions { max_answer: 1 << 20, ..impatient() };
        let session = keystone.session(options);
        session.log_in().await.unwrap();
        keystone.then(script);
        let outcome = session.validate(&USERS.into(), false, Some("req-0a1b")).await;
        let shown = match &outcome {
            Ok(Some(token)) => format!("good {token:?}"),
            Ok(None) => "bad".to_owned(),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(shown.contains(expected), "{what}: {shown}");
        assert!(!shown.contains("planted"), "{what}: a secret is shown: {shown}");
        assert_eq!(keystone.came().len() - 1, requests, "{what}: {:?}", keystone.came());
    }
}

#[tokio::test]
async fn a_login_is_not_repeated_but_where_nothing_has_arrived() {
    let keystone = StandIn::new([Does::Answers(503, json!({}))]).await;
    let error = keystone.session(impatient()).log_in().await.unwrap_err();
    assert_eq!((error.status(), keystone.came().len()), (Some(503), 1));

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = StandIn { base: format!("http://{free}"), ..StandIn::new([]).await };
    let error = away.session(impatient()).log_in().await.unwrap_err();
    assert!(error.to_string().contains("can't be reached"), "{error:?}");

    let nameless = StandIn { base: "http://no-such-host.invalid".into(), ..StandIn::new([]).await };
    let error = nameless.session(impatient()).log_in().await.unwrap_err();
    assert!(error.to_string().contains("can't be reached"), "{error:?}");
}

#[tokio::test]
async fn our_token_is_renewed_before_it_ends_and_once_for_all() {
    let keystone = StandIn::new((0..3).map(|_| good_token())).await;
    let session = keystone.session(impatient());
    let many = futures::future::join_all((0..20).map(|_| session.log_in())).await;
    assert!(many.iter().all(Result::is_ok));
    assert_eq!(keystone.came(), ["POST /v3/auth/tokens"]);

    let keystone = StandIn::new([Does::Hangs]).await;
    let session = keystone.session(impatient());
    let many = futures::future::join_all((0..20).map(|_| session.log_in())).await;
    assert!(many.iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.to_string().contains("in time"))));
    assert_eq!(keystone.came().len(), 1, "nor does each of them wait for a Keystone that does not answer");

    let keystone = StandIn::new([token("2001-01-01T00:00:00.000000Z"), good_token()]).await;
    let session = keystone.session(impatient());
    session.log_in().await.unwrap();
    session.log_in().await.unwrap();
    assert_eq!(keystone.came().len(), 2, "one that has ended is no token");
}

#[tokio::test]
async fn both_sides_log_the_same_ids_and_get_the_right_tokens() {
    let keystone = StandIn::new([good_token(), good_token()]).await;
    let session = keystone.session(impatient());
    session.validate(&USERS.into(), true, Some("req-0a1b")).await.unwrap().unwrap();
    assert_eq!(keystone.came(), ["POST /v3/auth/tokens", "GET /v3/auth/tokens?allow_expired=1"]);
    let came = keystone.came.lock().unwrap();
    for came in came.iter() {
        assert_eq!(came.headers["x-openstack-request-id"], "req-0a1b");
    }
    assert!(!came[0].headers.contains_key("x-auth-token"));
    assert_eq!(
        (&came[1].headers["x-auth-token"], &came[1].headers["x-subject-token"]),
        (&OWN.parse().unwrap(), &USERS.parse().unwrap())
    );
}

#[tokio::test]
async fn a_failed_lookup_is_told_in_a_tenants_words() {
    let table: Vec<(&str, Does, Told)> = vec![
        ("found", Does::Answers(200, json!({"networks": [{"id": "n", "name": "web"}]})), Ok(())),
        (
            "two",
            Does::Answers(200, json!({"networks": [{"id": "n", "name": "web"}, {"id": "m", "name": "web"}]})),
            Err(("ambiguous", "Multiple networks")),
        ),
        (
            "none",
            Does::Answers(200, json!({"networks": [{"id": "n", "name": "WEB"}]})),
            Err(("missing", "Unable to find fixed network")),
        ),
        (
            "refused",
            Does::Answers(403, json!({"NeutronError": {"message": "not you"}})),
            Err(("refused", "neutron connection failed. unexpected client error occurred: not you")),
        ),
        (
            "unknown token",
            Does::Answers(401, json!({"error": {"message": USERS}})),
            Err(("refused", "does not accept the token of the request")),
        ),
        (
            "broken",
            Does::Answers(500, json!({"error": {"message": "SELECT secret"}})),
            Err(("unavailable", "could not be asked. Try again")),
        ),
        ("garbled", Does::Answers(200, json!({"subnetz": []})), Err(("unavailable", "could not be asked. Try again"))),
        ("silent", Does::Hangs, Err(("unavailable", "network service (Neutron) could not be asked"))),
    ];
    for (what, does, expected) in table {
        let cloud = StandIn::new([does]).await;
        let outcome = cloud.cloud(impatient()).fixed_network(&cloud.caller(), "web").await;
        let (kind, text) = match &outcome {
            Ok(()) => ("found", String::new()),
            Err(error) => (kind(error), error.to_string()),
        };
        assert!(!text.contains("planted") && !text.contains("SELECT"), "{what}: {text}");
        match expected {
            Ok(()) => assert_eq!(outcome, Ok(()), "{what}"),
            Err((wanted, part)) => {
                assert_eq!(kind, wanted, "{what}: {text}");
                assert!(text.contains(part), "{what}: {text}");
            }
        }
        assert_eq!(cloud.came(), ["GET /v2.0/networks?name=web&fields=id&fields=name"], "{what}");
        assert_eq!(cloud.came.lock().unwrap()[0].headers["x-auth-token"], USERS, "as the caller, not as the service");
    }
}

fn kind(error: &LookupError) -> &'static str {
    match error {
        LookupError::NotFound { .. } => "missing",
        LookupError::Ambiguous { .. } => "ambiguous",
        LookupError::Forbidden(_) => "forbidden",
        LookupError::NoDistribution(_) => "no distribution",
        LookupError::Refused(_) => "refused",
        LookupError::Misconfigured(_) => "misconfigured",
        LookupError::Unavailable(_) => "unavailable",
    }
}

#[tokio::test]
async fn what_a_cloud_does_not_have_is_said() {
    let cloud = StandIn::new([]).await;
    let catalogue = cloud.cloud(impatient());
    let nobody = Caller::default();
    let bare = Caller { credential: Some(Credential::new(USERS.into(), Vec::new())), ..Caller::default() };
    let no_token = "glance connection failed. unexpected client error occurred: the request has no token to ask the image \
                    service (Glance) with";
    assert_eq!(catalogue.image(&nobody, "x").await, Err(LookupError::Refused(no_token.to_owned())));
    // Not a matter of the caller: nobody can ask.
    let no_endpoint = "The image service (Glance) has no public endpoint, so nothing can be looked up there. Tell the operator: \
                       the endpoint has to be registered in Keystone, or region_name or endpoint_type of [glance_client] \
                       corrected.";
    assert_eq!(catalogue.image(&bare, "x").await, Err(LookupError::Misconfigured(no_endpoint.to_owned())));
    assert!(cloud.came().is_empty());
}

#[tokio::test]
async fn an_image_one_may_not_see_and_flavors_over_several_pages() {
    let cloud = StandIn::new([Does::Answers(403, json!({"message": "no"}))]).await;
    let error = cloud.cloud(impatient()).image(&cloud.caller(), "x").await.unwrap_err();
    assert_eq!(error, LookupError::Forbidden("x".into()));

    let flavor = |id: &str, name: &str| json!({"id": id, "name": name, "disk": 20});
    let first = json!({"flavors": [flavor("1", "small"), flavor("2", "2b")], "flavors_links": [{"rel": "next", "href": "http://elsewhere/"}]});
    let second = json!({"flavors": [flavor("small", "odd")]});
    let cloud = StandIn::new([Does::Answers(200, first), Does::Answers(200, second)]).await;
    let found = cloud.cloud(impatient()).flavor(&cloud.caller(), "small").await.unwrap();
    assert_eq!((found.id.as_str(), found.name.as_str()), ("small", "odd"), "an id goes before a name");
    assert_eq!(cloud.came(), ["GET /v2.1/flavors/detail?limit=1000", "GET /v2.1/flavors/detail?limit=1000&marker=2"]);
}

#[test]
fn files_of_certificates_are_checked_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("text"), "no certificate").unwrap();
    let options = |tls| TransportOptions { tls, ..TransportOptions::default() };
    let missing = TlsOptions { ca_file: Some(path("missing")), ..TlsOptions::default() };
    assert!(matches!(Transport::new(options(missing)), Err(Error::File { .. })));
    let wrong = TlsOptions { cert_file: Some(path("text")), ..TlsOptions::default() };
    assert!(matches!(Transport::new(options(wrong)), Err(Error::Certificate { .. })));
}
