//! From a written case to requests: every combination of its lists.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::case::{Case, Request, Step, Written, members};
use crate::seed::Seed;

/// A value that takes its member out of the body.
const MISSING: &str = "<missing>";
/// Longest value that a name shows whole.
const SHOWN: usize = 60;

/// What was chosen from each list, by name.
type Chosen<'a> = BTreeMap<&'a str, &'a Value>;

/// All cases of a written one.
pub(crate) fn expand(name: &str, written: &Written, seed: &Seed) -> Result<Vec<Case>> {
    let persons = or(written.persons.as_ref(), "demo");
    let versions = or(written.at.as_ref(), "latest");
    let mut cases = Vec::new();
    for chosen in combinations(&written.with) {
        for person in &persons {
            for version in &versions {
                let mut full = name.to_owned();
                for (list, value) in &chosen {
                    if written.with.get(*list).is_some_and(|values| values.len() > 1) {
                        let _ = write!(full, " {list}={}", shown(value));
                    }
                }
                for (word, value, values) in [("as", person, &persons), ("at", version, &versions)] {
                    if values.len() > 1 {
                        let _ = write!(full, " {word}={value}");
                    }
                }
                if written.fields.is_empty() {
                    cases.push(case(full, written, written.body.as_ref(), &chosen, person, version, seed)?);
                    continue;
                }
                for (field, values) in &written.fields {
                    for value in values {
                        let Some(mut body) = written.body.clone() else { bail!("fields without a body") };
                        let Some(entries) = members(&mut body) else { bail!("fields of a body that is no object") };
                        entries.insert(field.clone(), value.clone());
                        let full = format!("{full} {field}={}", shown(value));
                        cases.push(case(full, written, Some(&body), &chosen, person, version, seed)?);
                    }
                }
            }
        }
    }
    Ok(cases)
}

fn or(list: Option<&Vec<String>>, preset: &str) -> Vec<String> {
    list.cloned().unwrap_or_else(|| vec![preset.to_owned()])
}

fn combinations(with: &BTreeMap<String, Vec<Value>>) -> Vec<Chosen<'_>> {
    let mut all = vec![Chosen::new()];
    for (name, values) in with {
        let mut longer = Vec::with_capacity(all.len() * values.len());
        for chosen in &all {
            for value in values {
                let mut chosen: Chosen<'_> = chosen.clone();
                chosen.insert(name, value);
                longer.push(chosen);
            }
        }
        all = longer;
    }
    all
}

fn case(
    name: String,
    written: &Written,
    body: Option<&Value>,
    chosen: &Chosen<'_>,
    person: &str,
    version: &str,
    seed: &Seed,
) -> Result<Case> {
    let mut headers = Vec::new();
    let body = match (&written.raw, body) {
        (Some(raw), _) => Some(seed.resolve(&repeated(&fill(raw, chosen)))?),
        (None, Some(body)) => filled(body, chosen, seed)?.map(|body| body.to_string()),
        (None, None) => None,
    };
    if body.is_some() && !written.headers.keys().any(|header| header.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    if !written.headers.keys().any(|header| header.eq_ignore_ascii_case("accept")) {
        headers.push(accept());
    }
    headers.extend(version_header(version));
    for (header, value) in &written.headers {
        let value = seed.resolve(&fill(value, chosen))?;
        if value != MISSING {
            headers.push((fill(header, chosen), value));
        }
    }
    let (method, path) = asked(&written.ask, chosen, seed)?;
    let mut requests = vec![Request { method, path, person: person.to_owned(), headers, body }];
    for step in &written.then {
        requests.push(follow(step, chosen, person, version, seed)?);
    }
    Ok(Case { name, requests })
}

fn follow(step: &Step, chosen: &Chosen<'_>, person: &str, version: &str, seed: &Seed) -> Result<Request> {
    let (method, path) = asked(&step.ask, chosen, seed)?;
    let body = match &step.body {
        Some(body) => filled(body, chosen, seed)?.map(|body| body.to_string()),
        None => None,
    };
    let mut headers = vec![accept()];
    headers.extend(version_header(step.at.as_deref().unwrap_or(version)));
    if body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    let person = step.person.as_deref().unwrap_or(person).to_owned();
    Ok(Request { method, path, person, headers, body })
}

fn asked(ask: &str, chosen: &Chosen<'_>, seed: &Seed) -> Result<(String, String)> {
    let ask = seed.resolve(&repeated(&fill(ask, chosen)))?;
    let Some((method, path)) = ask.split_once(' ') else { bail!("`ask` is a method and a path: {ask}") };
    Ok((method.to_owned(), path.to_owned()))
}

/// As every client asks; upstream words its errors otherwise for those that ask for anything.
fn accept() -> (String, String) {
    ("accept".to_owned(), "application/json".to_owned())
}

fn version_header(version: &str) -> Option<(String, String)> {
    let name = "OpenStack-API-Version".to_owned();
    match version {
        "none" => None,
        whole if whole.contains(' ') => Some((name, whole.trim_start_matches('=').trim().to_owned())),
        number => Some((name, format!("container-infra {number}"))),
    }
}

/// A value with all names put in; `None` when it is to be left out.
fn filled(value: &Value, chosen: &Chosen<'_>, seed: &Seed) -> Result<Option<Value>> {
    Ok(Some(match value {
        Value::String(text) if text == MISSING => return Ok(None),
        Value::String(text) => {
            let whole = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match whole.and_then(|name| chosen.get(name)) {
                Some(value) => return filled(value, &Chosen::new(), seed),
                None => Value::String(seed.resolve(&repeated(&fill(text, chosen)))?),
            }
        }
        Value::Array(items) => {
            let mut filled_items = Vec::new();
            for item in items {
                filled_items.extend(filled(item, chosen, seed)?);
            }
            Value::Array(filled_items)
        }
        Value::Object(entries) => {
            let mut object = serde_json::Map::new();
            for (key, value) in entries {
                if let Some(value) = filled(value, chosen, seed)? {
                    object.insert(seed.resolve(&repeated(&fill(key, chosen)))?, value);
                }
            }
            Value::Object(object)
        }
        plain => plain.clone(),
    }))
}

/// Puts chosen values in the place of `{name}`.
fn fill(text: &str, chosen: &Chosen<'_>) -> String {
    let mut filled = text.to_owned();
    for (name, value) in chosen {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        filled = filled.replace(&format!("{{{name}}}"), &value);
    }
    filled
}

/// `<x*256>` is x, 256 times.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once('<') else { return text.to_owned() };
    let parts = rest.split_once('>').and_then(|(inner, after)| {
        let (unit, times) = inner.rsplit_once('*')?;
        Some((unit.repeat(times.parse().ok()?), after))
    });
    match parts {
        Some((middle, after)) => format!("{before}{middle}{after}"),
        None => text.to_owned(),
    }
}

/// A value as a name shows it: whole, or its beginning and a sum over the whole.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.replace(['\n', '\r'], "~");
    if text.chars().count() <= SHOWN {
        return match value {
            Value::String(_) if text.is_empty() => "''".to_owned(),
            Value::String(plain)
                if plain.parse::<f64>().is_ok() || matches!(plain.as_str(), "true" | "false" | "null") =>
            {
                format!("'{text}'")
            }
            _ => text,
        };
    }
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{}#{:08x}", text.chars().take(SHOWN).collect::<String>(), sum & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_combined() {
        let written: Written = serde_json::from_value(json!({
            "name": "n", "ask": "POST /v1/{a}", "as": ["demo", "admin"], "with": {"a": ["x", 1], "b": [[], null]},
            "body": {"q": "{b}", "r": "<x*3>{a}", "s": 1}, "fields": {"s": ["<missing>", 2]}
        }))
        .unwrap();
        let cases = expand("f/n", &written, &Seed::empty()).unwrap();
        assert_eq!(cases.len(), 16);
        assert_eq!(cases[0].name, "f/n a=x b=[] as=demo s=<missing>");
        assert_eq!(cases[0].requests[0].path, "/v1/x");
        assert_eq!(cases[0].requests[0].body.as_deref(), Some(r#"{"q":[],"r":"xxxx"}"#));
        assert_eq!(cases[15].requests[0].body.as_deref(), Some(r#"{"q":null,"r":"xxx1","s":2}"#));
    }
}
