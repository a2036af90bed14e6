use std::time::Duration;

use axum::body::BodyDataStream;
use futures::StreamExt;
use magnum_domain::EventState;
use magnum_domain::event::NewEvent;
use serde_json::Value;
use uuid::Uuid;

use crate::fixtures::{cluster, ready_cluster, template};
use crate::support::{Ask, CHANGED, Service, keys};

/// Reads a stream message by message.
struct Messages {
    body: BodyDataStream,
    text: String,
    /// The last message that was read.
    last: Option<String>,
}

impl Messages {
    async fn open(service: &Service, path: &str, last: &str) -> Self {
        Self::open_as(service, path, last, "bob").await
    }

    async fn open_as(service: &Service, path: &str, last: &str, user: &str) -> Self {
        let ask = Ask::new("GET", path).user(user).header("accept", "text/event-stream").header("last-event-id", last);
        let response = service.open(ask.build()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new(), last: None }
    }

    /// The next message: id and data. Nothing at the end of the stream.
    async fn next(&mut self) -> Option<(i64, Value)> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let found = field("id:")
                    .map(|id| (id.parse().unwrap(), serde_json::from_str(field("data:").unwrap()).unwrap()));
                self.last = Some(message.to_owned());
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
    let last = stream.last.unwrap();
    assert!(last.starts_with("event: end\n") && last.contains("The cluster is gone."), "{last}");
    assert!(rest >= 2, "the request and the end of the delete were told before the stream ended, not {rest}");
}

/// Opens a stream, and changes something. The last message is the event `end` with the reason.
#[tokio::test]
async fn a_stream_ends_when_its_user_may_not_follow_it_any_more() {
    let service = Service::with(|options| options.streams.look_again = Duration::from_millis(50)).await;
    let template = template(&service, "alice", "t").await;
    let uuid = ready_cluster(&service, "alice", "c", &template).await;
    let path = format!("/v1/clusters/{uuid}/events");
    type Change = fn();
    let table: [(&str, Change, &str); 2] = [
        ("erin", || _ = CHANGED.lock().unwrap().insert("erin", None), "token is not valid any more"),
        ("frank", || _ = CHANGED.lock().unwrap().insert("frank", Some(&[])), "policy does not allow it"),
    ];
    let mut lasting = Messages::open_as(&service, &path, "", "bob").await;
    for (user, change, reason) in table {
        let mut stream = Messages::open_as(&service, &path, "", user).await;
        assert!(stream.next().await.is_some(), "{user}");
        change();
        while stream.next().await.is_some() {}
        let last = stream.last.unwrap();
        assert!(last.starts_with("event: end\n"), "{user}: {last}");
        assert!(last.contains(reason), "{user}: {last}");
    }
    // Nobody else's.
    tell(&service, &uuid, "still here").await;
    loop {
        if lasting.next().await.unwrap().1["message"] == "still here" {
            break;
        }
    }
}

/// Who holds streams, and who still gets one: nobody's streams use up another's.
#[tokio::test]
async fn streams_are_shared_out() {
    // Limits for a user, a project, all; who holds how many; who then asks, and what is said.
    let table: [(usize, usize, usize, &[(&str, usize)], &str, Option<&str>); 8] = [
        (2, 9, 9, &[("alice", 2)], "alice", Some("The user holds 2")),
        (2, 9, 9, &[("alice", 2)], "carol", None),
        (9, 2, 9, &[("alice", 1), ("bob", 1)], "carol", Some("The project holds 2")),
        (9, 2, 9, &[("alice", 2)], "dave", None),
        (9, 9, 2, &[("alice", 1), ("dave", 1)], "carol", Some("All users together hold 2")),
        (9, 9, 2, &[("alice", 2)], "root", None),
        (9, 1, 1, &[("alice", 1), ("root", 3)], "chief", None),
        (2, 9, 9, &[("root", 2)], "root", Some("The user holds 2")),
    ];
    for (per_user, per_project, altogether, holders, asking, refused) in table {
        let service = Service::with(|options| {
            options.streams.per_user = per_user;
            options.streams.per_project = per_project;
            options.streams.altogether = altogether;
        })
        .await;
        let mut clusters = std::collections::BTreeMap::new();
        for owner in ["alice", "dave"] {
            let template = template(&service, owner, "t").await;
            clusters.insert(owner, cluster(&service, owner, "c", &template).await);
        }
        let ask = |user: &str| {
            let uuid = &clusters[if user == "dave" { "dave" } else { "alice" }];
            let path = format!("/v1/clusters/{uuid}/events");
            Ask::new("GET", &path).user(user).header("accept", "text/event-stream").build()
        };
        let mut held = Vec::new();
        for (user, count) in holders {
            for _ in 0..*count {
                let stream = service.open(ask(user)).await;
                assert_eq!(stream.status(), 200, "{user}");
                held.push(stream);
            }
        }
        match refused {
            None => assert_eq!(service.open(ask(asking)).await.status(), 200, "{holders:?} {asking}"),
            Some(why) => {
                let answer = service.send(ask(asking)).await.expect(429);
                assert!(answer.detail().starts_with(why) && answer.detail().contains("Close one"), "{}", answer.text);
                held.clear();
                assert_eq!(service.open(ask(asking)).await.status(), 200, "{holders:?} {asking}");
            }
        }
    }
}
