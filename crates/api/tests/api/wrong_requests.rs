//! Wrong requests: each is answered with its documented status and a message that says what to change, and nothing in
//! the database is different afterwards.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::fixtures::world;
use crate::support::{Ask, Service};

/// A request of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Method and path. `{name}` stands for something of the world.
    ask: String,
    /// Who asks; `alice` when it is not said, nobody when it is empty.
    #[serde(rename = "as", default = "creator")]
    user: String,
    /// Version; the newest when it is not said.
    version: Option<String>,
    /// Further headers.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Body, sent as JSON.
    body: Option<Value>,
    /// Body, sent as it is, as JSON unless a header says otherwise.
    raw: Option<String>,
    /// Body of so many bytes.
    bytes: Option<usize>,
    /// Body in hexadecimal.
    hex: Option<String>,
    /// Status of the answer.
    status: u16,
    /// What the detail must hold.
    says: String,
}

fn creator() -> String {
    "alice".to_owned()
}

impl Case {
    fn request(&self, world: &BTreeMap<&str, String>) -> axum::http::Request<axum::body::Body> {
        let (method, path) = self.ask.split_once(' ').unwrap();
        let mut ask = Ask::new(method, &fill(path, world)).user(&self.user);
        if let Some(version) = &self.version {
            ask = ask.version(version);
        }
        if let Some(body) = &self.body {
            let text = fill(&serde_json::to_string(body).unwrap(), world);
            ask = ask.header("content-type", "application/json").raw(text.into_bytes());
        }
        let raw = self.raw.clone().map(String::into_bytes);
        let padding = self.bytes.map(|bytes| vec![b' '; bytes]);
        if let Some(raw) = raw.or(padding).or(self.hex.as_deref().map(unhex)) {
            ask = ask.header("content-type", "application/json").raw(raw);
        }
        for (name, value) in &self.headers {
            ask = ask.header(name, value);
        }
        ask.build()
    }
}

fn fill(text: &str, world: &BTreeMap<&str, String>) -> String {
    world.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The message of whichever document the answer has.
fn message(answer: &crate::support::Answer) -> String {
    let error = &answer.json["errors"][0];
    ["detail", "description"]
        .iter()
        .find_map(|key| error[*key].as_str().filter(|text| !text.is_empty()))
        .or(error["title"].as_str())
        .or(answer.json["error"]["message"].as_str())
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn wrong_requests_are_refused_in_words_and_change_nothing() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("data/wrong_requests.yaml")).unwrap();
    let service = Service::start().await;
    let world = world(&service).await;
    let before = service.dump().await;
    assert!(before["cluster"].len() > 5, "the dump sees the rows");
    let (mut failures, mut by_status) = (Vec::new(), BTreeMap::<u16, usize>::new());
    for (number, case) in cases.iter().enumerate() {
        let answer = service.send(case.request(&world)).await;
        let (status, message) = (answer.status.as_u16(), message(&answer));
        *by_status.entry(status).or_default() += 1;
        let says = fill(&case.says, &world);
        let is_json = answer.header("content-type") == "application/json";
        let is_right = status == case.status && message.contains(&says) && (400..500).contains(&status) && is_json;
        if !is_right {
            failures.push(format!(
                "{number} {} {:?}: {status} {message}, wanted {} {says}",
                case.ask, case.body, case.status
            ));
        }
        let after = service.dump().await;
        if after != before {
            let tables: Vec<_> =
                after.iter().filter(|(table, rows)| before.get(*table) != Some(rows)).map(|(table, _)| table).collect();
            panic!("{} {:?} has changed {tables:?}", case.ask, case.body);
        }
    }
    println!("{} wrong requests by status: {by_status:?}; nothing written", cases.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(cases.len() >= 150, "{}", cases.len());
}

/// One detail each that only a bug would let through twice: the same request, named differently.
#[test]
fn no_case_is_there_twice() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("data/wrong_requests.yaml")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for case in &cases {
        let key = format!(
            "{} {} {:?} {:?} {:?} {:?} {:?} {:?}",
            case.ask, case.user, case.version, case.headers, case.body, case.raw, case.bytes, case.hex
        );
        assert!(seen.insert(key), "twice: {case:?}");
    }
}
