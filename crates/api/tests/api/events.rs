use std::time::Duration;

use axum::body::BodyDataStream;
use futures::StreamExt;
use magnum_domain::EventState;
use magnum_domain::event::NewEvent;
use serde_json::Value;
use uuid::Uuid;

use crate::fixtures::{cluster, ready_cluster, template};
use crate::support::{Ask, Service, keys};

/// Reads a stream message by message.
struct Messages {
    body: BodyDataStream,
    text: String,
}

impl Messages {
    async fn open(service: &Service, path: &str, last: &str) -> Self {
        let ask = Ask::new("GET", path).user("bob").header("accept", "text/event-stream").header("last-event-id", last);
        let response = service.open(ask.build()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next message: id and data. Nothing at the end of the stream.
    async fn next(&mut self) -> Option<(i64, Value)> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let found = field("id:")
                    .map(|id| (id.parse().unwrap(), serde_json::from_str(field("data:").unwrap()).unwrap()));
                self.text = rest.to_owned();
                if found.is_some() {
                    return found;
                }
                continue;
            }
            let chunk =
                tokio::time::timeout(Duration::from_secs(10), self.body.next()).await.expect("a stalled stream")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
}

async fn tell(service: &Service, cluster: &str, message: &str) {
    let event = NewEvent {
        cluster_uuid: Uuid::parse_str(cluster).unwrap(),
        operation_uuid: None,
        node: Some("c-worker-0".to_owned()),
        step: "node.start".to_owned(),
        state: EventState::Started,
        message: message.to_owned(),
    };
    service.store.add_event(event).await.unwrap();
}

#[tokio::test]
async fn events_are_listed_from_where_one_was() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = cluster(&service, "alice", "c", &template).await;
    tell(&service, &uuid, "second").await;
    tell(&service, &uuid, "third").await;
    let path = format!("/v1/clusters/{uuid}/events");
    let all = service.get("bob", &path).await.expect(200).json;
    let all = all["events"].as_array().unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(keys(&all[1]), ["id", "operation_uuid", "node", "step", "state", "message", "created_at"]);
    let after = service.get("bob", &format!("{path}?after={}&limit=1", all[0]["id"])).await.expect(200).json;
    assert_eq!(after["events"].as_array().unwrap(), &all[1..2]);
}

#[tokio::test]
async fn events_are_streamed_while_they_happen_and_until_the_cluster_is_gone() {
    let service = Service::start().await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let path = format!("/v1/clusters/{uuid}/events");
    let mut stream = Messages::open(&service, &path, "").await;
    let (first, data) = stream.next().await.unwrap();
    assert_eq!(data["id"], first);
    let (second, _) = stream.next().await.unwrap();
    tell(&service, &uuid, "now").await;
    let (third, data) = stream.next().await.unwrap();
    assert_eq!(data["message"], "now");
    assert!(first < second && second < third);

    let mut resumed = Messages::open(&service, &path, &second.to_string()).await;
    assert_eq!(resumed.next().await.unwrap().0, third);

    service.delete("alice", &format!("/v1/clusters/{uuid}")).await.expect(204);
    let delete = service.store.claim_operation("test", Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(service.store.finish_delete(delete.uuid, "test").await.unwrap());
    let mut rest = 0;
    while stream.next().await.is_some() {
        rest += 1;
    }
    assert!(rest >= 2, "the request and the end of the delete were told before the stream ended, not {rest}");
}

#[tokio::test]
async fn a_project_holds_only_so_many_streams() {
    // A project of its own: slots are the process's.
    let service = Service::with(|options| options.streams_per_project = 1).await;
    let template = template(&service, "dave", "t").await;
    let uuid = cluster(&service, "dave", "c", &template).await;
    let ask = || {
        let path = format!("/v1/clusters/{uuid}/events");
        Ask::new("GET", &path).user("dave").header("accept", "text/event-stream").build()
    };
    let held = service.open(ask()).await;
    assert_eq!(held.status(), 200);
    let refused = service.send(ask()).await.expect(429);
    assert!(refused.detail().contains("Close one"), "{}", refused.detail());
    drop(held);
    assert_eq!(service.open(ask()).await.status(), 200);
}
