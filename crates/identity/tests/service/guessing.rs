//! Guessing of passwords and secrets.

use std::time::{Duration, Instant};

use futures::future::join_all;
use magnum_identity::PasswordCost;
use serde_json::json;

use crate::cloud::{Cloud, DEMO_PASSWORD, by_credential, by_password, options};

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

#[tokio::test]
async fn many_names_from_one_address_close_that_address() {
    let cloud = Cloud::new().await;
    for guess in 0..50 {
        let auth = by_password(&format!("user {guess}"), "Spring2026");
        cloud.authenticate_from("203.0.113.7:1000", auth).await.expect(401);
    }
    let good = by_password("demo", DEMO_PASSWORD);
    cloud.authenticate_from("203.0.113.7:2000", good.clone()).await.expect(429);
    cloud.authenticate_from("203.0.113.8:1000", good).await.expect(201);
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
