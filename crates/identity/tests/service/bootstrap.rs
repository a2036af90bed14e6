//! The first start, and the ones after it.

use futures::future::join_all;
use magnum_identity::{Bootstrap, Bootstrapped, BuiltIn, Options, PasswordCost, ServiceCatalog};

use crate::cloud::{ADMIN_PASSWORD, BASE, Cloud, bootstrap, by_password, options};

#[tokio::test]
async fn the_second_start_changes_nothing() {
    let cloud = Cloud::empty(options(), BASE).await;
    assert_eq!(cloud.identity.bootstrap(&bootstrap()).await.unwrap(), Bootstrapped::First);
    let admin = cloud.admin().await;
    let demo = cloud.id(&admin, "users", "demo").await;
    cloud.delete(&format!("/v3/users/{demo}"), &admin).await.expect(204);

    let other = Bootstrap { admin_password: "other".into(), demo_password: Some("other".into()) };
    assert_eq!(cloud.identity.bootstrap(&other).await.unwrap(), Bootstrapped::Before);
    cloud.authenticate(by_password("admin", "other")).await.expect(401);
    cloud.authenticate(by_password("admin", ADMIN_PASSWORD)).await.expect(201);
    assert_eq!(cloud.get("/v3/users?name=demo", &admin).await.body["users"], serde_json::json!([]), "removed stays so");
}

#[tokio::test]
async fn without_a_demo_password_there_is_no_such_user() {
    let cloud = Cloud::empty(options(), BASE).await;
    let first = Bootstrap { admin_password: ADMIN_PASSWORD.into(), demo_password: None };
    assert_eq!(cloud.identity.bootstrap(&first).await.unwrap(), Bootstrapped::First);
    let admin = cloud.admin().await;
    assert_eq!(cloud.get("/v3/users", &admin).await.body["users"].as_array().unwrap().len(), 1);
    cloud.id(&admin, "projects", "demo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_first_starts_one_wins() {
    let cloud = Cloud::empty(options(), BASE).await;
    let starts = (0..5).map(|_| async {
        let other = cloud.second(options()).await;
        other.bootstrap(&bootstrap()).await.unwrap()
    });
    let outcomes = join_all(starts).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Bootstrapped::First).count(), 1, "{outcomes:?}");
    cloud.admin().await;
}

#[tokio::test]
async fn what_can_not_work_is_refused() {
    let cloud = Cloud::empty(options(), BASE).await;
    let empty = Bootstrap { admin_password: "".into(), demo_password: None };
    let error = cloud.identity.bootstrap(&empty).await.unwrap_err();
    assert!(error.to_string().contains("can't be empty"), "{error}");

    let service_catalog =
        |url: &str| ServiceCatalog { identity_url: url.into(), ..ServiceCatalog::of_this_process("local", BASE) };
    for url in ["", "no url", "/identity", "http://x/\n"] {
        let error = BuiltIn::new(&cloud.store, service_catalog(url), options()).unwrap_err();
        assert!(error.to_string().contains("no URL"), "{url:?}: {error}");
    }
    let cost = PasswordCost { memory_kib: 1, passes: 1 };
    let options = Options { password_cost: cost, ..options() };
    let error = BuiltIn::new(&cloud.store, service_catalog(BASE), options).unwrap_err();
    assert!(error.to_string().contains("can't be hashed"), "{error}");
}
