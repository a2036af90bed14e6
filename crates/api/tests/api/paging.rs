use serde_json::Value;

use crate::fixtures::{cluster, template};
use crate::support::Service;

/// Follows `next` from page to page; the names, in the order they were listed.
async fn walk(service: &Service, first: &str, key: &str) -> (Vec<String>, usize) {
    let (mut path, mut names, mut pages) = (first.to_owned(), Vec::new(), 0);
    loop {
        let page = service.get("alice", &path).await.expect(200).json;
        pages += 1;
        names.extend(page[key].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page.get("next").and_then(Value::as_str) {
            Some(next) => path = next.strip_prefix("http://magnum.test").unwrap().to_owned(),
            None => return (names, pages),
        }
    }
}

#[tokio::test]
async fn pages_are_walked_to_the_end() {
    let service = Service::start().await;
    for name in ["d", "a", "c", "b", "e"] {
        template(&service, "alice", name).await;
    }
    let table = [
        ("/v1/clustertemplates", "dacbe", 1),
        ("/v1/clustertemplates?limit=2", "dacbe", 3),
        ("/v1/clustertemplates?limit=5", "dacbe", 2),
        ("/v1/clustertemplates?limit=2&sort_key=name", "abcde", 3),
        ("/v1/clustertemplates?limit=2&sort_key=name&sort_dir=desc", "edcba", 3),
        ("/v1/clustertemplates/detail?limit=3", "dacbe", 2),
        ("/v1/clustertemplates?limit=99999999999999999999", "dacbe", 1),
    ];
    for (path, names, pages) in table {
        let (found, walked) = walk(&service, path, "clustertemplates").await;
        assert_eq!((found.concat().as_str(), walked), (names, pages), "{path}");
    }
}

#[tokio::test]
async fn the_greatest_page_is_the_servers() {
    let service = Service::with(|options| options.max_limit = 2).await;
    let template = template(&service, "alice", "t").await;
    for name in ["a", "b", "c"] {
        cluster(&service, "alice", name, &template).await;
    }
    for path in ["/v1/clusters", "/v1/clusters?limit=50", "/v1/clusters/detail"] {
        let (names, pages) = walk(&service, path, "clusters").await;
        assert_eq!((names.concat().as_str(), pages), ("abc", 2), "{path}");
    }
    let page = service.get("alice", "/v1/clusters?limit=1").await.json;
    let last = page["clusters"][0]["uuid"].as_str().unwrap();
    let next = format!("http://magnum.test/v1/clusters?sort_key=id&sort_dir=asc&limit=1&marker={last}");
    assert_eq!(page["next"], next.as_str());
}
