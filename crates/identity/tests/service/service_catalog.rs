//! Discovery, services, endpoints, regions, the domain.

use serde_json::{Value, json};

use crate::cloud::{BASE, Cloud, names};

#[tokio::test]
async fn versions_are_found_with_and_without_a_slash_and_without_a_token() {
    let cloud = Cloud::new().await;
    for path in ["", "/"] {
        let answer = cloud.get(path, "").await.expect(300);
        assert_eq!(answer.headers["location"], format!("{BASE}/identity/v3/").as_str());
        let versions = &answer.body["versions"]["values"];
        assert_eq!(versions.as_array().unwrap().len(), 1);
        assert_eq!(versions[0]["links"], json!([{"rel": "self", "href": format!("{BASE}/identity/v3/")}]));
        for path in ["/v3", "/v3/"] {
            let version = cloud.get(path, "").await.expect(200).body;
            assert_eq!(version["version"], versions[0]);
            assert_eq!((&version["version"]["id"], &version["version"]["status"]), (&json!("v3.14"), &json!("stable")));
        }
    }
}

#[tokio::test]
async fn the_catalogue_can_be_read_piece_by_piece() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.admin().await, cloud.demo().await);
    let list = async |path: &str, key: &str| -> Vec<Value> {
        cloud.get(path, &admin).await.expect(200).body[key].as_array().unwrap().clone()
    };
    let services = list("/v3/services", "services").await;
    assert_eq!(names(&json!(services)), ["magnum", "keystone"]);
    assert_eq!(list("/v3/services?type=container-infra", "services").await, services[..1]);
    assert_eq!(list("/v3/services?name=keystone", "services").await, services[1..]);
    let magnum = services[0]["id"].as_str().unwrap();

    let endpoints = list("/v3/endpoints/", "endpoints").await;
    assert_eq!(endpoints.len(), 6);
    assert_eq!(list(&format!("/v3/endpoints?service_id={magnum}"), "endpoints").await, endpoints[..3]);
    let public = list(&format!("/v3/endpoints?service_id={magnum}&interface=public&region=local"), "endpoints").await;
    assert_eq!((public.len(), &public[0]["url"]), (1, &json!(format!("{BASE}/v1"))));
    assert_eq!(list("/v3/endpoints?region_id=elsewhere", "endpoints").await, Vec::<Value>::new());

    let regions = list("/v3/regions", "regions").await;
    assert_eq!((regions.len(), &regions[0]["id"]), (1, &json!("local")));

    for (path, key, expected) in [
        (format!("/v3/services/{magnum}"), "service", &services[0]),
        (format!("/v3/endpoints/{}", endpoints[4]["id"].as_str().unwrap()), "endpoint", &endpoints[4]),
        ("/v3/regions/local".to_owned(), "region", &regions[0]),
    ] {
        assert_eq!(cloud.get(&path, &admin).await.expect(200).body[key], *expected);
        cloud.get(&format!("{path}x"), &admin).await.expect(404);
    }
    cloud.get("/v3/regions", &demo).await.expect(200);
    cloud.get("/v3/services", &demo).await.expect(403);
    cloud.get(&format!("/v3/services/{magnum}"), &demo).await.expect(403);
    cloud.get("/v3/endpoints", &demo).await.expect(403);

    let token = cloud.validate(&admin).await.body["token"].take();
    assert_eq!(token["catalog"][0]["id"], magnum, "ids are the same everywhere");
    assert_eq!(token["catalog"][0]["endpoints"][0]["id"], endpoints[0]["id"]);
}

#[tokio::test]
async fn there_is_one_domain() {
    let cloud = Cloud::new().await;
    let demo = cloud.demo().await;
    let domain = cloud.get("/v3/domains/default", &demo).await.expect(200).body["domain"].take();
    assert_eq!(domain["name"], "Default");
    for (query, count) in [("", 1), ("?name=Default", 1), ("?name=other", 0), ("?enabled=false", 0)] {
        let body = cloud.get(&format!("/v3/domains{query}"), &demo).await.expect(200).body;
        assert_eq!(body["domains"].as_array().unwrap().len(), count, "{query}");
    }
    cloud.get("/v3/domains/Default", &demo).await.expect(404);
    cloud.post("/v3/domains", &cloud.admin().await, json!({"domain": {"name": "x"}})).await.expect(405);
}

#[tokio::test]
async fn roles_imply_others_as_listed() {
    let cloud = Cloud::new().await;
    let body = cloud.get("/v3/role_inferences", &cloud.admin().await).await.expect(200).body;
    let rules = body["role_inferences"].as_array().unwrap();
    let rules: Vec<(&str, Vec<&str>)> =
        rules.iter().map(|rule| (rule["prior_role"]["name"].as_str().unwrap(), names(&rule["implies"]))).collect();
    assert_eq!(rules, [("admin", vec!["member", "reader"]), ("member", vec!["reader"])]);
}
