//! What differs between two answers.

use serde_json::Value;

use crate::record::Answer;

/// One place where two answers differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where: `status`, `headers/<name>`, `body/<path>`.
    pub at: String,
    /// What upstream says there; `None`: nothing.
    pub upstream: Option<Value>,
    /// What ours says there.
    pub ours: Option<Value>,
}

/// All differences of two answers.
#[must_use]
pub fn compare(upstream: &Answer, ours: &Answer) -> Vec<Difference> {
    let mut found = Vec::new();
    if upstream.status != ours.status {
        let (upstream, ours) = (Some(upstream.status.into()), Some(ours.status.into()));
        found.push(Difference { at: "status".to_owned(), upstream, ours });
    }
    let names = upstream.headers.keys().chain(ours.headers.keys().filter(|name| !upstream.headers.contains_key(*name)));
    for name in names {
        let (theirs, our) = (upstream.headers.get(name), ours.headers.get(name));
        if theirs != our {
            let value = |text: Option<&String>| text.map(|text| Value::from(text.as_str()));
            found.push(Difference { at: format!("headers/{name}"), upstream: value(theirs), ours: value(our) });
        }
    }
    values("body", Some(&upstream.body), Some(&ours.body), &mut found);
    found
}

fn values(at: &str, upstream: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    match (upstream, ours) {
        (Some(Value::Object(theirs)), Some(Value::Object(our))) => {
            for key in theirs.keys().chain(our.keys().filter(|key| !theirs.contains_key(*key))) {
                values(&format!("{at}/{key}"), theirs.get(key), our.get(key), found);
            }
        }
        (Some(Value::Array(theirs)), Some(Value::Array(our))) if theirs.len() == our.len() => {
            for (place, (theirs, our)) in theirs.iter().zip(our).enumerate() {
                values(&format!("{at}/{place}"), Some(theirs), Some(our), found);
            }
        }
        (theirs, our) if theirs == our => {}
        (theirs, our) => {
            found.push(Difference { at: at.to_owned(), upstream: theirs.cloned(), ours: our.cloned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_is_named() {
        let answer = |status: u16, body: Value| Answer { status, headers: Default::default(), body };
        let upstream = answer(500, json!({"a": [1, {"b": null}], "c": 1, "d": []}));
        let ours = answer(400, json!({"d": [1], "a": [1, {"b": 2}], "e": 1}));
        let places: Vec<String> = compare(&upstream, &ours).into_iter().map(|difference| difference.at).collect();
        assert_eq!(places, ["status", "body/a/1/b", "body/c", "body/d", "body/e"]);
        assert_eq!(compare(&upstream, &upstream), []);
    }
}
