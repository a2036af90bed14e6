//! Reads a body by its table: types, bounds and spellings, with upstream's words for what is wrong.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use magnum_domain::nodegroup::Taint;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::address::AddressType;
use super::{Access, BodySpec, FieldSpec, FieldType, Null, Preset};
use crate::error::{ApiError, Result};
use crate::options::SizeLimits;
use crate::python;

/// Most entries of one dictionary.
pub(crate) const ENTRIES: usize = 256;
/// Most bytes of one dictionary or list, written as JSON: what a TEXT column of MariaDB holds, with room to spare.
const BYTES: usize = 60_000;
/// Most characters of free text, for the same reason.
pub(crate) const FREE_TEXT: usize = 60_000;
/// Longest value that is repeated in a message.
const QUOTED: usize = 1024;

/// A body that has been read: known fields only, values in the form they are kept in.
#[derive(Debug, Default)]
pub(crate) struct Body(Map<String, Value>);

impl Body {
    /// Whether the field was sent at all, be it as null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Text, if there is one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    /// Number, if there is one.
    pub(crate) fn integer(&self, name: &str) -> Option<i32> {
        self.0.get(name).and_then(as_integer)
    }

    /// Yes or no, if there is one.
    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// Texts by text, if there is a dictionary.
    pub(crate) fn dictionary(&self, name: &str) -> Option<BTreeMap<String, String>> {
        self.0.get(name).and_then(as_dictionary)
    }

    /// Texts; none when there is no list.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.0.get(name).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Has a field by another name.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.0.remove(from) {
            self.0.insert(to.to_owned(), value);
        }
    }

    /// Any value that was sent.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// A number of a column's size.
pub(crate) fn as_integer(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// Texts by text.
pub(crate) fn as_dictionary(value: &Value) -> Option<BTreeMap<String, String>> {
    let entries = value.as_object()?;
    Some(entries.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
}

/// Reads a whole body.
pub(crate) fn read(spec: &BodySpec, value: &Value, sizes: &SizeLimits) -> Result<Body> {
    let Value::Object(sent) = value else {
        return Err(wrong(spec.argument, value, "Value not a valid object. Send a JSON object."));
    };
    let unknown: Vec<&str> = sent.keys().map(String::as_str).filter(|name| spec.field(name).is_none()).collect();
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| shorten(name)).collect();
        return Err(ApiError::invalid(format!(
            "Unknown attribute for argument {}: {}",
            spec.argument,
            names.join(", ")
        )));
    }
    let mut body = Map::new();
    for field in spec.fields {
        match sent.get(field.name) {
            None if field.access == Access::Mandatory => return Err(missing(field.name)),
            None => {}
            Some(value) => {
                let value = one(field, value, &Whole { argument: spec.argument, body: value_of(sent), sizes })?;
                body.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(Body(body))
}

fn value_of(sent: &Map<String, Value>) -> Quoted<'_> {
    Quoted::Body(sent)
}

/// What upstream quotes when a value can't be converted: not the field but the whole argument.
pub(crate) struct Whole<'a> {
    /// Name of the argument.
    pub(crate) argument: &'a str,
    /// Its value.
    pub(crate) body: Quoted<'a>,
    /// How much a request may ask for.
    pub(crate) sizes: &'a SizeLimits,
}

/// A value that a message may have to quote.
pub(crate) enum Quoted<'a> {
    /// A whole body.
    Body(&'a Map<String, Value>),
    /// One value.
    Value(&'a Value),
}

impl Whole<'_> {
    fn unconvertible(&self, reason: &str) -> ApiError {
        let text = match self.body {
            Quoted::Body(entries) => python::repr(&Value::Object(entries.clone())),
            Quoted::Value(value) => python::to_str(value),
        };
        quoted(self.argument, &text, reason)
    }
}

/// Reads one value of a field.
pub(crate) fn one(field: &FieldSpec, value: &Value, whole: &Whole<'_>) -> Result<Value> {
    match field.access {
        Access::ReadOnly if !value.is_null() => return Err(wrong(field.name, value, "Cannot set read only field.")),
        Access::ReadOnly => return Ok(Value::Null),
        Access::Mandatory if value.is_null() => return Err(missing(field.name)),
        _ if value.is_null() => return null(field),
        _ => {}
    }
    match field.kind {
        FieldType::Anything => Ok(Value::Null),
        FieldType::Text { min, max } => text(field.name, value, min, max),
        FieldType::Name { max } => {
            let value = text(field.name, value, 1, max)?;
            if value.as_str().is_some_and(is_name) {
                return Ok(value);
            }
            Err(wrong(field.name, &value, "Value should match the pattern ^[a-zA-Z][a-zA-Z0-9_.-]*$"))
        }
        FieldType::Address(kind) => address(field.name, value, kind),
        FieldType::FreeText => free_text(field, value),
        FieldType::Integer { min, max } => integer(field.name, value, (min, max), "", whole),
        FieldType::Amount { min, of } => {
            let (most, option) = of.most(whole.sizes);
            integer(field.name, value, (min, most), &format!(" ([limits] {option})"), whole)
        }
        FieldType::Boolean => boolean(value)
            .map(Value::Bool)
            .ok_or_else(|| wrong(field.name, value, "Value should be a boolean: true or false")),
        FieldType::Word(words) => word(field.name, value, words),
        FieldType::Uuid => value
            .as_str()
            .and_then(|text| Uuid::try_parse(text).ok())
            .map(|uuid| Value::from(uuid.to_string()))
            .ok_or_else(|| {
                ApiError::invalid(format!("Expected a uuid but received {}.", shorten(&python::to_str(value))))
            }),
        FieldType::Dictionary => dictionary(field.name, value, whole),
        FieldType::Texts => texts(field.name, value, whole),
        FieldType::Taints => taints(value),
        FieldType::NameServers => name_servers(value),
    }
}

fn null(field: &FieldSpec) -> Result<Value> {
    match field.null {
        Null::Nothing => Ok(Value::Null),
        Null::Preset => Ok(preset(field.preset)),
        Null::Refused => Err(wrong(field.name, &Value::Null, "Value should not be null; leave it out for the default")),
    }
}

/// What stands for a field that is not there.
pub(crate) fn preset(preset: Preset) -> Value {
    match preset {
        Preset::Null => Value::Null,
        Preset::Boolean(flag) => Value::Bool(flag),
        Preset::Integer(number) => Value::from(number),
        Preset::Word(word) => Value::from(word),
        Preset::Dictionary => Value::Object(Map::new()),
    }
}

fn text(name: &str, value: &Value, min: usize, max: usize) -> Result<Value> {
    let Some(text) = value.as_str() else { return Err(wrong(name, value, "Value should be string")) };
    let length = text.chars().count();
    if length < min {
        let reason = format!("Value should have a minimum character requirement of {min}");
        return Err(wrong(name, value, &reason));
    }
    if length > max {
        let reason = format!("Value should have a maximum character requirement of {max}");
        return Err(wrong(name, value, &reason));
    }
    if text.chars().any(char::is_control) {
        return Err(control(name, value));
    }
    Ok(value.clone())
}

fn address(name: &str, value: &Value, kind: AddressType) -> Result<Value> {
    let value = text(name, value, kind.fewest(), 255)?;
    match value.as_str().and_then(|text| kind.problem(text)) {
        Some(problem) => Err(wrong(name, &value, &problem)),
        None => Ok(value),
    }
}

fn free_text(field: &FieldSpec, value: &Value) -> Result<Value> {
    let Some(text) = value.as_str() else {
        let reason = format!("Wrong type. Expected '<class 'str'>', got '{}'", python::type_name(value));
        return Err(wrong(field.name, value, &reason));
    };
    if field.access == Access::Mandatory && text.is_empty() {
        return Err(wrong(field.name, value, "Value should have a minimum character requirement of 1"));
    }
    if text.chars().count() > FREE_TEXT {
        let reason = format!("Value should have a maximum character requirement of {FREE_TEXT}");
        return Err(wrong(field.name, value, &reason));
    }
    if text.chars().any(is_unprintable) {
        return Err(control(field.name, value));
    }
    Ok(value.clone())
}

/// Control characters that are no layout. PostgreSQL keeps no NUL, terminals obey the others.
fn is_unprintable(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

fn control(name: &str, value: &Value) -> ApiError {
    quoted(name, &python::repr(value), "Value should not hold control characters")
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// `by` says after the upper bound where it comes from.
fn integer(name: &str, value: &Value, (min, max): (i32, i32), by: &str, whole: &Whole<'_>) -> Result<Value> {
    let number = match value {
        Value::Bool(flag) => i64::from(*flag),
        // A float that no column can hold saturates, and is out of bounds then.
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)).unwrap_or(i64::MAX)
        }
        Value::String(text) => whole_number(text).ok_or_else(|| whole.unconvertible(&invalid_literal(text)))?,
        other => {
            let kind = python::type_name(other).trim_start_matches("<class '").trim_end_matches("'>").to_owned();
            return Err(whole.unconvertible(&format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{kind}'"
            )));
        }
    };
    if number < i64::from(min) {
        return Err(wrong(name, value, &format!("Value should be greater or equal to {min}")));
    }
    if number > i64::from(max) {
        return Err(wrong(name, value, &format!("Value should be lower or equal to {max}{by}")));
    }
    Ok(Value::from(number))
}

/// What Python's `int()` makes of a text, saturating.
pub(crate) fn whole_number(text: &str) -> Option<i64> {
    let digits = text.trim();
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let saturated = if digits.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(digits.parse().unwrap_or(saturated))
}

/// Python's words for a text that is no number.
pub(crate) fn invalid_literal(text: &str) -> String {
    format!("invalid literal for int() with base 10: {}", shorten(&python::repr(&Value::from(text))))
}

/// A boolean in any spelling of §2 of the reference.
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
            "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn word(name: &str, value: &Value, words: &[&str]) -> Result<Value> {
    match value.as_str() {
        Some(text) if words.contains(&text) => Ok(value.clone()),
        _ => Err(wrong(name, value, &format!("Value should be one of: {}", words.join(", ")))),
    }
}

fn dictionary(name: &str, value: &Value, whole: &Whole<'_>) -> Result<Value> {
    let Value::Object(entries) = value else {
        let reason = format!("Value not a valid dict: {}", shorten(&python::to_str(value)));
        return Err(whole.unconvertible(&reason));
    };
    if entries.len() > ENTRIES {
        let text = format!("{} entries", entries.len());
        return Err(quoted(name, &text, &format!("Value should have {ENTRIES} entries at most")));
    }
    let mut kept = Map::new();
    for (key, value) in entries {
        let text = match value {
            Value::Bool(_) | Value::Number(_) => python::repr(value),
            Value::String(text) => text.clone(),
            other => {
                let reason = format!(
                    "Wrong type for '{}'. Expected '(<class 'str'>, <class 'int'>, <class 'bool'>, <class 'float'>)', got '{}'",
                    shorten(key),
                    python::type_name(other)
                );
                return Err(whole.unconvertible(&reason));
            }
        };
        if key.is_empty() {
            return Err(quoted(name, &python::repr(&Value::Object(entries.clone())), "Keys should not be empty"));
        }
        if key.chars().any(char::is_control) || text.chars().any(is_unprintable) {
            return Err(control(name, &Value::Object(entries.clone())));
        }
        kept.insert(key.clone(), Value::String(text));
    }
    fits(name, Value::Object(kept))
}

/// A value that its column has room for.
fn fits(name: &str, value: Value) -> Result<Value> {
    let bytes = value.to_string().len();
    if bytes > BYTES {
        let text = format!("{bytes} bytes");
        return Err(quoted(name, &text, &format!("Value should have {BYTES} bytes at most")));
    }
    Ok(value)
}

fn texts(name: &str, value: &Value, whole: &Whole<'_>) -> Result<Value> {
    let Value::Array(items) = value else {
        let reason = format!("Value not a valid list: {}", shorten(&python::to_str(value)));
        return Err(whole.unconvertible(&reason));
    };
    if items.len() > ENTRIES {
        let text = format!("{} items", items.len());
        return Err(quoted(name, &text, &format!("Value should have {ENTRIES} items at most")));
    }
    for item in items {
        let Some(text) = item.as_str() else {
            let reason = format!("Wrong type. Expected '<class 'str'>', got '{}'", python::type_name(item));
            return Err(wrong(name, item, &reason));
        };
        if text.is_empty() || text.chars().count() > 255 {
            return Err(wrong(name, item, "Items should have 1 to 255 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(control(name, item));
        }
    }
    fits(name, value.clone())
}

/// Taints are checked for their fields only later, with messages (and a status) of their own: see `rules::nodegroup`.
fn taints(value: &Value) -> Result<Value> {
    match value {
        Value::Array(items) if items.len() <= ENTRIES => fits("node_taints", value.clone()),
        Value::Array(_) => Err(quoted("node_taints", "a long list", "Value should have 256 items at most")),
        other => {
            let reason = format!("Value not a valid list: {}", shorten(&python::to_str(other)));
            Err(wrong("node_taints", other, &reason))
        }
    }
}

/// Reads taints that have passed their rules.
pub(crate) fn as_taints(value: &Value) -> Vec<Taint> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn name_servers(value: &Value) -> Result<Value> {
    let refused = |text: &str| {
        ApiError::invalid(format!(
            "Expected a single dns address or comma separated dns list, but received {}.",
            shorten(text)
        ))
    };
    let Some(text) = value.as_str() else { return Err(refused(&python::to_str(value))) };
    if text.len() > 255 || !text.split(',').all(|address| address.trim().parse::<Ipv4Addr>().is_ok()) {
        return Err(refused(text));
    }
    Ok(value.clone())
}

fn missing(name: &str) -> ApiError {
    wrong(name, &Value::Null, "Mandatory field missing.")
}

/// Upstream's words for a value it does not take.
pub(crate) fn wrong(name: &str, value: &Value, reason: &str) -> ApiError {
    quoted(name, &python::to_str(value), reason)
}

fn quoted(name: &str, value: &str, reason: &str) -> ApiError {
    ApiError::invalid(format!("Invalid input for field/attribute {name}. Value: '{}'. {reason}", shorten(value)))
}

/// A value that was sent, short enough to be repeated.
pub(crate) fn shorten(text: &str) -> String {
    magnum_domain::text::shorten(text, QUOTED).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::table;
    use super::*;

    fn message(spec: &BodySpec, body: Value) -> String {
        read(spec, &body, &SizeLimits::default()).unwrap_err().to_string()
    }

    #[test]
    fn spellings_are_taken_as_upstream_takes_them() {
        let body = read(
            &table::CLUSTER,
            &json!({"cluster_template_id": "t", "node_count": "3", "master_count": 1.9, "merge_labels": "YES",
                    "labels": {"a": 5, "b": true, "c": 1.5, "d": "x"}, "keypair": null}),
            &SizeLimits::default(),
        )
        .unwrap();
        assert_eq!(body.integer("node_count"), Some(3));
        assert_eq!(body.integer("master_count"), Some(1));
        assert_eq!(body.boolean("merge_labels"), Some(true));
        let labels = body.dictionary("labels").unwrap();
        assert_eq!(labels["a"], "5");
        assert_eq!(labels["b"], "True");
        assert_eq!(labels["c"], "1.5");
        assert!(body.has("keypair") && body.text("keypair").is_none());
        assert!(!body.has("flavor_id"));
    }

    #[test]
    fn messages_are_upstreams() {
        let table = [
            (
                json!({}),
                "Invalid input for field/attribute cluster_template_id. Value: 'None'. Mandatory field missing.",
            ),
            (json!({"bogus": 1}), "Unknown attribute for argument cluster: bogus"),
            (
                json!({"cluster_template_id": "t", "node_count": -1}),
                "Invalid input for field/attribute node_count. Value: '-1'. Value should be greater or equal to 0",
            ),
            (
                json!({"cluster_template_id": "t", "node_count": "abc"}),
                "Invalid input for field/attribute cluster. Value: '{'cluster_template_id': 't', 'node_count': 'abc'}'. \
                 invalid literal for int() with base 10: 'abc'",
            ),
            (
                json!({"cluster_template_id": "t", "labels": "invalid"}),
                "Invalid input for field/attribute cluster. Value: '{'cluster_template_id': 't', 'labels': 'invalid'}'. \
                 Value not a valid dict: invalid",
            ),
            (
                json!({"cluster_template_id": "t", "name": "1a"}),
                "Invalid input for field/attribute name. Value: '1a'. Value should match the pattern ^[a-zA-Z][a-zA-Z0-9_.-]*$",
            ),
            (
                json!({"cluster_template_id": "t", "api_address": "x"}),
                "Invalid input for field/attribute api_address. Value: 'x'. Cannot set read only field.",
            ),
            (
                json!({"cluster_template_id": "t", "node_count": 1e300}),
                "Invalid input for field/attribute node_count. Value: '1e+300'. Value should be lower or equal to 500 \
                 ([limits] max_nodes_per_nodegroup)",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(message(&table::CLUSTER, body), expected);
        }
    }
}
