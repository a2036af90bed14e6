//! Guessing of passwords and secrets.

use std::time::{Duration, Instant};

use futures::future::join_all;
use magnum_identity::PasswordCost;
use serde_json::json;

use crate::cloud::{ADMIN_PASSWORD, Cloud, DEMO_PASSWORD, by_credential, by_password, by_token, options};

#[tokio::test]
async fn after_five_wrong_passwords_the_door_closes_for_a_while() {
    let cloud = Cloud::new().await;
    for (name, exists) in [("demo", true), ("nobody", false)] {
        for guess in 1..=5 {
            let answer = cloud.authenticate(by_password(name, "wrong")).await;
            assert_eq!(answer.status, 401, "guess {guess} at {name}");
        }
        let answer = cloud.authenticate(by_password(name, DEMO_PASSWORD)).await.expect(429);
        assert_eq!(answer.headers["retry-after"], "1", "{name}");
        assert!(answer.message().contains("Try again in 1 seconds"), "{}", answer.message());
        assert_eq!(answer.body["error"]["title"], "Too Many Requests");
        if exists {
            tokio::time::sleep(Duration::from_millis(1050)).await;
            cloud.authenticate(by_password(name, DEMO_PASSWORD)).await.expect(201);
            cloud.authenticate(by_password(name, "wrong")).await.expect(401);
            cloud.authenticate(by_password(name, DEMO_PASSWORD)).await.expect(201);
        }
    }
}

#[tokio::test]
async fn name_id_and_spelling_count_as_one_user_and_others_go_on() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let id = cloud.id(&admin, "users", "demo").await;
    let by_id = json!({"identity": {"methods": ["password"], "password": {"user": {"id": id, "password": "wrong"}}}});
    let change = json!({"user": {"original_password": "wrong", "password": "x"}});
    cloud.authenticate(by_password("demo", "wrong")).await.expect(401);
    cloud.authenticate(by_password("DEMO", "wrong")).await.expect(401);
    cloud.authenticate(by_id.clone()).await.expect(401);
    cloud.post(&format!("/v3/users/{id}/password"), "", change.clone()).await.expect(401);
    cloud.authenticate(by_password("demo", "wrong")).await.expect(401);
    cloud.authenticate(by_password("demo", DEMO_PASSWORD)).await.expect(429);
    cloud.authenticate(by_id).await.expect(429);
    cloud.post(&format!("/v3/users/{id}/password"), "", change).await.expect(429);
    cloud.admin().await;
}

#[tokio::test]
async fn a_burst_of_guesses_is_no_cheaper_than_one_after_another() {
    let cloud = Cloud::new().await;
    let guesses =
        (0..100).map(|guess| cloud.authenticate(by_password("demo", &format!("guess {guess}"))).await_status());
    let answers = join_all(guesses).await;
    let tried = answers.iter().filter(|status| **status == 401).count();
    let refused = answers.iter().filter(|status| **status == 429).count();
    assert_eq!(tried + refused, 100);
    // Five that are free, and those that were under way when the fifth failed.
    assert!((5..=9).contains(&tried), "{tried} guesses were looked at");
}

/// As attacker and as victim: who fails at what from where, and what the owner of the right secret gets then.
#[tokio::test]
async fn a_protection_can_not_be_turned_against_others() {
    struct Case {
        what: &'static str,
        /// Where `demo` has got in before, if anywhere.
        familiar: Option<&'static str>,
        /// Guesses: as which user (`*`: invented ones), from where, by way of which proxy.
        guesses: (usize, &'static str, &'static str),
        /// What the last of them gets.
        attacker: u16,
        /// Where `demo` comes from then, and what they get.
        victim: (&'static str, u16),
        proxied: bool,
    }
    let case =
        |what, familiar, guesses, attacker, victim| Case { what, familiar, guesses, attacker, victim, proxied: false };
    let (near, far) = ("203.0.113.7", "203.0.113.8");
    let cases = [
        case("guessed at from elsewhere", None, (20, "demo", near), 429, (far, 201)),
        case("guessed at from the same address", None, (20, "demo", near), 429, (near, 429)),
        case("the same, but the victim was there before", Some(near), (20, "demo", near), 429, (near, 201)),
        case("the victim was elsewhere before", Some(far), (20, "demo", near), 429, (near, 429)),
        case("invented names from the same address", None, (120, "*", near), 401, (near, 201)),
        case("invented names from elsewhere", None, (120, "*", far), 401, (near, 201)),
        case("another user from the same address", None, (20, "admin", near), 429, (near, 201)),
        Case { proxied: true, ..case("the same proxy, other client", None, (20, "demo", near), 429, (far, 201)) },
        Case { proxied: true, ..case("the same proxy and client", None, (20, "demo", near), 429, (near, 429)) },
    ];
    for case in cases {
        let cloud = Cloud::with(magnum_identity::Options { proxy_headers: case.proxied, ..options() }).await;
        let ask = async |address: &str, auth| {
            let proxy = if case.proxied { "10.0.0.1" } else { address };
            // What the client itself writes into the headers is not believed.
            let told = if case.proxied { format!("6.6.6.6, {address}") } else { "6.6.6.6".to_owned() };
            cloud.authenticate_through(&format!("{proxy}:1000"), &told, auth).await
        };
        let good = by_password("demo", DEMO_PASSWORD);
        if let Some(address) = case.familiar {
            ask(address, good.clone()).await.expect(201);
        }
        let session = cloud.demo().await;
        let (count, name, address) = case.guesses;
        let mut last = 0;
        for guess in 0..count {
            if last == 429 && case.attacker == 429 {
                break;
            }
            let name = if name == "*" { format!("invented {guess}") } else { name.to_owned() };
            last = ask(address, by_password(&name, "wrong")).await.status.as_u16();
        }
        assert_eq!(last, case.attacker, "{}", case.what);
        let (address, expected) = case.victim;
        assert_eq!(ask(address, good).await.status, expected, "{}", case.what);
        // A session that is good stays so, and begets others.
        cloud.validate(&session).await.expect(200);
        ask(address, by_token(&session)).await.expect(201);
        // The right secret does not help who has it wrong, nor an old secret who has changed it.
        ask(address, by_password("demo", "wrong")).await.expect(if expected == 429 { 429 } else { 401 });
    }
}

/// Somebody on the same machine guesses as fast as they can, while the owner logs in again and again.
#[tokio::test]
async fn an_owner_works_through_a_storm_of_guesses() {
    let cloud = Cloud::new().await;
    let address = "127.0.0.1:1000";
    cloud.authenticate_from(address, by_password("admin", ADMIN_PASSWORD)).await.expect(201);
    for round in 0..20 {
        let guesses = (0..10).map(|guess| {
            let auth = by_password("admin", &format!("guess {round} {guess}"));
            cloud.authenticate_from(address, auth).await_status()
        });
        let owner = cloud.authenticate_from(address, by_password("admin", ADMIN_PASSWORD)).await_status();
        let (answers, owner) = futures::join!(join_all(guesses), owner);
        assert!(answers.iter().all(|status| [401, 429].contains(status)), "{answers:?}");
        assert_eq!(owner, 201, "round {round}");
    }
}

/// A remembered secret is not the one that has taken its place, and counts for a user who is enabled.
#[tokio::test]
async fn a_changed_password_is_not_remembered() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (old, id) = (by_password("demo", DEMO_PASSWORD), cloud.id(&admin, "users", "demo").await);
    cloud.authenticate_from("127.0.0.1:1", old.clone()).await.expect(201);
    let path = format!("/v3/users/{id}");
    cloud.patch(&path, &admin, json!({"user": {"password": "another one"}})).await.expect(200);
    cloud.authenticate_from("127.0.0.1:1", old).await.expect(401);
    let new = by_password("demo", "another one");
    cloud.authenticate_from("127.0.0.1:1", new.clone()).await.expect(201);
    cloud.patch(&path, &admin, json!({"user": {"enabled": false}})).await.expect(200);
    cloud.authenticate_from("127.0.0.1:1", new).await.expect(401);
}

#[tokio::test]
async fn secrets_of_application_credentials_are_guarded_the_same_way() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = cloud.id(&admin, "users", "admin").await;
    let path = format!("/v3/users/{user}/application_credentials");
    let made = cloud.post(&path, &admin, json!({"application_credential": {"name": "a", "secret": "s"}})).await;
    let id = made.expect(201).body["application_credential"]["id"].as_str().unwrap().to_owned();
    let by_name = |secret: &str| {
        json!({"identity": {"methods": ["application_credential"], "application_credential": {
            "name": "a", "user": {"name": "admin", "domain": {"id": "default"}}, "secret": secret,
        }}})
    };
    for _ in 0..3 {
        cloud.authenticate(by_credential(&id, "wrong")).await.expect(401);
    }
    for _ in 0..2 {
        cloud.authenticate(by_name("wrong")).await.expect(401);
    }
    cloud.authenticate(by_credential(&id, "s")).await.expect(429);
    cloud.authenticate(by_name("s")).await.expect(429);
    cloud.admin().await;
}

/// Compares the work, not the clock of one request: the ratio of the sums is far from what skipping the hash gives.
#[tokio::test]
async fn unknown_users_cost_what_known_ones_cost() {
    let cost = PasswordCost { memory_kib: 4096, passes: 3 };
    let cloud = Cloud::with(magnum_identity::Options { password_cost: cost, ..options() }).await;
    let mut known = Duration::ZERO;
    let mut unknown = Duration::ZERO;
    let too_long = "x".repeat(5000);
    for round in 0..4 {
        let password = if round == 3 { too_long.as_str() } else { "wrong" };
        for (name, sum) in [("demo", &mut known), ("nobody", &mut unknown)] {
            let start = Instant::now();
            cloud.authenticate(by_password(name, password)).await.expect(401);
            *sum += start.elapsed();
        }
    }
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.33..3.0).contains(&ratio), "known {known:?}, unknown {unknown:?}");
}

/// For `join_all`: the status only.
trait AwaitStatus {
    fn await_status(self) -> impl Future<Output = u16>;
}

impl<F: Future<Output = crate::cloud::Answer>> AwaitStatus for F {
    async fn await_status(self) -> u16 {
        self.await.status.as_u16()
    }
}
