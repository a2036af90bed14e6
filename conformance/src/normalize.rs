//! Makes answers comparable: what is new each time becomes a word.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::certificate;
use crate::record::Answer;
use crate::seed::Seed;
use crate::subject::Raw;

#[allow(clippy::expect_used, reason = "constant, and a test compiles it")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern that can be read")
}

static UUID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
/// Times of the seed are of the first January of 2026; what is later is of now.
static TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"20(2[6-9]|[3-9]\d)-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?"));
static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[a-z]+-\d{1,2}-(template|cluster|federation|model|bay)$"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"0x[0-9a-f]{6,}"));
static KEYSTONE: LazyLock<Regex> = LazyLock::new(|| pattern("uri=\"[^\"]+\""));
/// Upstream's moments in messages of its database, numbers of its messages, and where the cloud's services listen.
static MOMENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"datetime\.datetime\([\d, ]+\)"));
static MESSAGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bmessage ID [0-9a-f]{32}\b"));
static SERVICE: LazyLock<Regex> = LazyLock::new(|| pattern(r"http://127\.0\.0\.1:\d+"));
/// Lists in messages whose order is a hash table's.
static SETS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:one of: |property\(ies\) )([\w-]+(?:, [\w-]+)+)"));

/// An answer with new things replaced by words. New UUIDs are numbered through the answers of a case: `uuids`.
pub(crate) fn normalize(raw: Raw, seed: &Seed, uuids: &mut Vec<String>) -> Answer {
    let mut texts = Texts { seed, uuids };
    let headers = raw.headers.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "allow" => sorted(&value, ','),
            "www-authenticate" => KEYSTONE.replace(&value, "uri=\"<keystone>\"").into_owned(),
            "vary" => sorted(&value.to_ascii_lowercase(), ','),
            _ => texts.text(&value),
        };
        (name, value)
    });
    let headers = headers.collect();
    let body = match serde_json::from_str::<Value>(&raw.body) {
        Ok(mut body) => {
            texts.value(&mut body);
            body
        }
        Err(_) if raw.body.is_empty() => Value::Null,
        Err(_) => Value::String(texts.text(&raw.body)),
    };
    Answer { status: raw.status, headers, body }
}

fn sorted(list: &str, separator: char) -> String {
    let mut items: Vec<&str> = list.split(separator).map(str::trim).filter(|item| !item.is_empty()).collect();
    items.sort_unstable();
    items.dedup();
    items.join(", ")
}

struct Texts<'a> {
    seed: &'a Seed,
    uuids: &'a mut Vec<String>,
}

impl Texts<'_> {
    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(entries) => {
                let table = if entries.contains_key("hard_limit") {
                    "quotas"
                } else if entries.contains_key("binary") {
                    "magnum_service"
                } else {
                    "nodegroup"
                };
                if let Some(id) = entries.get_mut("id")
                    && id.as_i64().is_some_and(|id| id > self.seed.highest(table))
                {
                    *id = Value::from("<id>");
                }
                entries.values_mut().for_each(|value| self.value(value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str) -> String {
        if text.starts_with("-----BEGIN CERTIFICATE-----")
            && let Some(summary) = certificate::summary(text)
        {
            let clean = text.trim() == text;
            return if clean { summary } else { format!("{summary} with blanks around") };
        }
        if let Some(kind) = NAME.captures(text).and_then(|found| found.get(1)) {
            return format!("<name>-{}", kind.as_str());
        }
        let text = TIME.replace_all(text, |found: &regex::Captures<'_>| {
            let whole = &found[0];
            if whole.starts_with("2026-01-01T") { whole.to_owned() } else { "<time>".to_owned() }
        });
        let text = ADDRESS.replace_all(&text, "<address>");
        let text = MOMENT.replace_all(&text, "<time>");
        let text = MESSAGE.replace_all(&text, "message ID <message>");
        let text = SERVICE.replace_all(&text, "<service>");
        let text =
            SETS.replace_all(&text, |found: &regex::Captures<'_>| found[0].replace(&found[1], &sorted(&found[1], ',')));
        let text = UUID.replace_all(&text, |found: &regex::Captures<'_>| self.uuid(&found[0]));
        text.into_owned()
    }

    fn uuid(&mut self, uuid: &str) -> String {
        // Whatever people wrote into the data has this version and variant, and zeros before it.
        if self.seed.knows(uuid) || uuid.contains("-0000-4000-8000-") {
            return uuid.to_owned();
        }
        let at = self.uuids.iter().position(|known| known == uuid).unwrap_or_else(|| {
            self.uuids.push(uuid.to_owned());
            self.uuids.len() - 1
        });
        format!("<uuid-{}>", at + 1)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn new_things_become_words() {
        let body = json!({
            "uuid": "68385192-a47b-4ccc-ab39-3adf6f52b34f", "created_at": "2026-11-23T05:25:25.974771+00:00", "name": "pi-3-cluster",
            "href": "http://magnum.test/v1/clusters/68385192-a47b-4ccc-ab39-3adf6f52b34f", "updated_at": "2026-01-01T00:01:00+00:00",
            "detail": "Value should be one of: replace, add, remove", "id": 7,
            "fault": "at http://127.0.0.1:5000/v3: message ID 68a069a841a84be68fb0b808eaa2baba of datetime.datetime(2026, 11, 23, 9, 5)"
        });
        let mut raw = Raw { status: 200, body: body.to_string(), ..Raw::default() };
        raw.header("Allow", "POST, GET");
        let answer = normalize(raw, &Seed::empty(), &mut Vec::new());
        assert_eq!(answer.headers["allow"], "GET, POST");
        let expected = json!({
            "uuid": "<uuid-1>", "created_at": "<time>", "name": "<name>-cluster",
            "href": "http://magnum.test/v1/clusters/<uuid-1>", "updated_at": "2026-01-01T00:01:00+00:00",
            "detail": "Value should be one of: add, remove, replace", "id": "<id>",
            "fault": "at <service>/v3: message ID <message> of <time>"
        });
        assert_eq!(answer.body, expected);
    }
}
