//! Clients that can't run in a test (Terraform's provider, the cluster autoscaler, the auto healer, Horizon): what they
//! ask, one request after the other, of a running server with a real cluster. The requests are `data/sequences.yaml`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use support::{Client, Server, engines_wanted, leftovers};

const SEQUENCES: &str = include_str!("data/sequences.yaml");
/// How long a cluster may take for a change.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sequence {
    client: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    ask: String,
    version: Option<String>,
    body: Option<Value>,
    status: u16,
    until: Option<Until>,
    #[serde(default)]
    has: BTreeMap<String, Value>,
    #[serde(default)]
    keep: BTreeMap<String, String>,
    members: Option<Members>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Until {
    at: String,
    /// Without it, the end is the status of the answer.
    is: Option<String>,
    pending: String,
}

#[derive(Deserialize)]
struct Members {
    at: String,
    count: usize,
    /// What they have.
    #[serde(flatten)]
    has: BTreeMap<String, String>,
}

/// What was kept of answers.
#[derive(Default)]
struct Kept(BTreeMap<String, String>);

impl Kept {
    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(values) => values.iter().map(|value| self.fill_value(value)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.fill_value(value))).collect()
            }
            other => other.clone(),
        }
    }
}

impl Step {
    async fn send(&self, client: &Client, kept: &Kept) -> (u16, Value) {
        let (method, path) = self.ask.split_once(' ').unwrap();
        let url = format!("{}{}", client.url, kept.fill(path));
        let mut request = client.http.request(method.parse().unwrap(), url).header("X-Auth-Token", &client.token);
        if let Some(version) = &self.version {
            request = request.header("OpenStack-API-Version", format!("container-infra {version}"));
        }
        if let Some(body) = &self.body {
            request = request.json(&kept.fill_value(body));
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// Asks until nothing is pending any more.
    async fn settle(&self, client: &Client, kept: &Kept, who: &str) -> (u16, Value) {
        let began = Instant::now();
        loop {
            let (status, body) = self.send(client, kept).await;
            let Some(until) = &self.until else { return (status, body) };
            let now = body.pointer(&until.at).and_then(Value::as_str);
            if now.is_none() || now == until.is.as_deref() {
                return (status, body);
            }
            assert_eq!(now, Some(until.pending.as_str()), "{who} takes this for a failure: {body:#}");
            assert!(began.elapsed() < PATIENCE, "{who}: nothing comes of {}: {body:#}", self.ask);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_programs_ask_is_answered_as_they_expect() {
    if !engines_wanted() {
        return;
    }
    let sequences: Vec<Sequence> = serde_saphyr::from_str(SEQUENCES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.start(&[]).await;
    let client = server.login("demo").await;
    let mut kept = Kept::default();
    for sequence in &sequences {
        for step in &sequence.steps {
            let who = format!("{}: {}", sequence.client, step.ask);
            let (status, body) = step.settle(&client, &kept, &sequence.client).await;
            assert_eq!(status, step.status, "{who}: {body:#}\n{}", server.log_text());
            for (place, value) in &step.has {
                assert_eq!(body.pointer(place), Some(&kept.fill_value(value)), "{who}, {place}: {body:#}");
            }
            for (name, place) in &step.keep {
                let value = body.pointer(place).and_then(Value::as_str);
                let value = value.unwrap_or_else(|| panic!("{who}: nothing at {place}: {body:#}"));
                kept.0.insert(name.clone(), value.to_owned());
            }
            if let Some(wanted) = &step.members {
                let list = body.pointer(&wanted.at).and_then(Value::as_array).unwrap();
                let is_wanted = |row: &&Value| wanted.has.iter().all(|(name, text)| row[name] == kept.fill(text));
                assert_eq!(list.iter().filter(is_wanted).count(), wanted.count, "{who}: {body:#}");
            }
        }
    }
    let status = server.terminate();
    assert!(status.success(), "{}", server.log_text());
    assert_eq!(leftovers(&server.state_dir), Vec::<String>::new());
}
