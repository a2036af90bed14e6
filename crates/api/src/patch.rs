//! The dialect of JSON Patch that upstream speaks (§2.3 of the reference).
//!
//! Narrower than RFC 6902: add, replace and remove only, paths of words, values that are texts or numbers.
//! Dictionaries travel as literals in a text. Wider where known clients need it: numbers and booleans as text, labels
//! as `k=v,k2=v2`, and JSON objects and arrays for dictionaries and lists.

use serde_json::{Map, Value, json};

use crate::error::{ApiError, Result};
use crate::field::read::{Quoted, Whole, preset, shorten, wrong};
use crate::field::{BodySpec, FieldType, one};
use crate::options::SizeLimits;
use crate::python;

/// Most changes in one patch.
const CHANGES: usize = 512;
/// Refused for every resource.
const INTERNAL: &[&str] = &["created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id"];

/// What a patch may touch.
pub(crate) struct Rules {
    /// The fields.
    pub(crate) fields: &'static BodySpec,
    /// Refused with any operation, beyond those refused for every resource.
    pub(crate) internal: &'static [&'static str],
    /// Not to be removed.
    pub(crate) mandatory: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// One change, checked for its form.
#[derive(Debug)]
struct Change {
    verb: Verb,
    path: String,
    value: Value,
}

/// A patch, checked for its form.
#[derive(Debug)]
pub(crate) struct Patch(Vec<Change>);

impl Patch {
    /// Reads a patch.
    pub(crate) fn read(body: Option<Value>, rules: &Rules) -> Result<Self> {
        let Some(body) = body else { return Err(ApiError::invalid("Missing argument: \"patch\"")) };
        let Value::Array(items) = &body else {
            let reason = format!("Value not a valid list: {}", shorten(&python::to_str(&body)));
            return Err(wrong("patch", &body, &reason));
        };
        if items.len() > CHANGES {
            return Err(wrong(
                "patch",
                &Value::from(items.len()),
                &format!("Value should have {CHANGES} items at most"),
            ));
        }
        items.iter().map(|item| change(item, rules)).collect::<Result<_>>().map(Self)
    }

    /// Applies the patch to what is stored, and answers what differs afterwards, by field.
    ///
    /// `stored` has every member of the resource; a member that is removed takes its preset.
    pub(crate) fn apply(
        &self,
        stored: &Map<String, Value>,
        rules: &Rules,
        sizes: &SizeLimits,
    ) -> Result<Map<String, Value>> {
        let mut patched = stored.clone();
        for change in &self.0 {
            self.apply_one(change, &mut patched, stored, (rules, sizes))?;
        }
        let mut differs = Map::new();
        for (name, before) in stored {
            let after = match patched.get(name) {
                Some(value) => value.clone(),
                None => rules.fields.field(name).map_or(Value::Null, |field| preset(field.preset)),
            };
            if after != *before {
                differs.insert(name.clone(), after);
            }
        }
        Ok(differs)
    }

    fn apply_one(
        &self,
        change: &Change,
        patched: &mut Map<String, Value>,
        stored: &Map<String, Value>,
        bounds: (&Rules, &SizeLimits),
    ) -> Result<()> {
        let root = change.root();
        let (inner, deeper) = change.inner();
        if inner.is_none() {
            match change.verb {
                Verb::Add if !stored.contains_key(root) => {
                    return Err(ApiError::invalid(format!(
                        "Adding a new attribute {} to the root of the resource is not allowed.",
                        change.path
                    )));
                }
                Verb::Add if patched.get(root).is_some_and(|value| !value.is_null() && !is_empty(value)) => {
                    return Err(ApiError::invalid(format!(
                        "The attribute {} has existed, please use 'replace' operation instead.",
                        change.path
                    )));
                }
                Verb::Replace if !patched.contains_key(root) => {
                    return Err(self.failed(&format!("can't replace a non-existent object '{root}'")));
                }
                Verb::Remove => {
                    return match patched.remove(root) {
                        Some(_) => Ok(()),
                        None => Err(self.failed(&format!("can't remove a non-existent object '{root}'"))),
                    };
                }
                Verb::Add | Verb::Replace => {}
            }
            let value = self.typed(root, &change.value, bounds)?;
            patched.insert(root.to_owned(), value);
            return Ok(());
        }
        let key = inner.unwrap_or_default();
        let verb = if change.verb == Verb::Remove { "remove" } else { "replace" };
        let Some(Value::Object(entries)) = patched.get_mut(root).filter(|_| !deeper) else {
            return Err(self.failed(&format!("can't {verb} a non-existent object '{key}'")));
        };
        if change.verb != Verb::Add && !entries.contains_key(key) {
            return Err(self.failed(&format!("can't {verb} a non-existent object '{key}'")));
        }
        if change.verb == Verb::Remove {
            entries.remove(key);
            return Ok(());
        }
        entries.insert(key.to_owned(), change.value.clone());
        // The whole is read again: the new entry must be of the right type, and leave it within bounds.
        let whole = Value::Object(entries.clone());
        let value = self.typed(root, &whole, bounds)?;
        patched.insert(root.to_owned(), value);
        Ok(())
    }

    /// Reads a new value by the table of fields, after the spellings that only patches have.
    fn typed(&self, root: &str, value: &Value, (rules, sizes): (&Rules, &SizeLimits)) -> Result<Value> {
        let Some(field) = rules.fields.field(root) else { return Ok(value.clone()) };
        let literal = match (field.kind, value) {
            (FieldType::Dictionary, Value::String(text)) => Some(self.dictionary(text)?),
            (FieldType::Taints | FieldType::Texts, Value::String(text)) => {
                Some(python::literal(text).ok_or_else(|| self.malformed(text))?)
            }
            (
                FieldType::Text { .. } | FieldType::Address(_) | FieldType::FreeText | FieldType::NameServers,
                Value::Number(_),
            ) => Some(Value::String(python::to_str(value))),
            _ => None,
        };
        let value = literal.as_ref().unwrap_or(value);
        one(field, value, &Whole { argument: root, body: Quoted::Value(value), sizes })
    }

    /// A literal, or `k=v,k2=v2`, which is how Terraform sends labels.
    fn dictionary(&self, text: &str) -> Result<Value> {
        if let Some(value) = python::literal(text) {
            return Ok(value);
        }
        if text.trim().is_empty() {
            return Ok(json!({}));
        }
        let mut entries = Map::new();
        for pair in text.split(',') {
            match pair.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() && !text.trim_start().starts_with('{') => {
                    entries.insert(key.trim().to_owned(), Value::from(value.trim()));
                }
                _ => return Err(self.malformed(text)),
            }
        }
        Ok(Value::Object(entries))
    }

    fn malformed(&self, text: &str) -> ApiError {
        self.failed(&format!("malformed node or string on line 1: {}", shorten(text)))
    }

    fn failed(&self, reason: &str) -> ApiError {
        let changes: Vec<Value> = self.0.iter().map(Change::to_value).collect();
        ApiError::invalid(format!(
            "Couldn't apply patch '{}'. Reason: {reason}",
            shorten(&python::repr(&Value::Array(changes)))
        ))
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

impl Change {
    /// The member of the resource it is about.
    fn root(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// The member of that member, if it is about one, and whether the path goes on.
    fn inner(&self) -> (Option<&str>, bool) {
        let mut parts = self.path.split('/').skip(2);
        (parts.next(), parts.next().is_some())
    }

    fn to_value(&self) -> Value {
        let op = match self.verb {
            Verb::Add => "add",
            Verb::Replace => "replace",
            Verb::Remove => "remove",
        };
        let mut value = json!({"path": self.path, "op": op});
        if let (false, Some(entries)) = (self.value.is_null(), value.as_object_mut()) {
            entries.insert("value".to_owned(), self.value.clone());
        }
        value
    }
}

fn change(item: &Value, rules: &Rules) -> Result<Change> {
    let Value::Object(item) = item else {
        return Err(wrong("patch", item, "Value not a valid object. Send objects with op, path and value."));
    };
    if let Some(unknown) = item.keys().find(|key| !matches!(key.as_str(), "op" | "path" | "value")) {
        return Err(ApiError::invalid(format!("Unknown attribute for argument patch: {}", shorten(unknown))));
    }
    let member = |name: &str| match item.get(name) {
        None | Some(Value::Null) => Err(wrong(name, &Value::Null, "Mandatory field missing.")),
        Some(value) => Ok(value.clone()),
    };
    let (path, op) = (member("path")?, member("op")?);
    let verb = match op.as_str() {
        Some("add") => Verb::Add,
        Some("replace") => Verb::Replace,
        Some("remove") => Verb::Remove,
        _ => return Err(wrong("op", &op, "Value should be one of: replace, add, remove")),
    };
    let path = match path.as_str() {
        Some(text) if is_path(text) => text.to_owned(),
        _ => return Err(wrong("path", &path, "Value should match the pattern ^(/[\\w-]+)+$")),
    };
    let change = Change { verb, path, value: item.get("value").cloned().unwrap_or(Value::Null) };
    allowed(&change, rules)?;
    Ok(change)
}

fn allowed(change: &Change, rules: &Rules) -> Result<()> {
    let (root, path) = (change.root(), &change.path);
    if INTERNAL.contains(&root) || rules.internal.contains(&root) {
        return Err(ApiError::invalid(format!("'{path}' is an internal attribute and can not be updated")));
    }
    if change.verb == Verb::Remove {
        if rules.mandatory.contains(&root) && change.inner().0.is_none() {
            return Err(ApiError::invalid(format!("'{path}' is a mandatory attribute and can not be removed")));
        }
        return Ok(());
    }
    if change.value.is_null() {
        return Err(ApiError::invalid("'add' and 'replace' operations needs value"));
    }
    let structured = rules.fields.field(root).is_some_and(|field| {
        matches!(field.kind, FieldType::Dictionary | FieldType::Taints | FieldType::Texts) && change.inner().0.is_none()
    });
    let acceptable = match &change.value {
        Value::String(_) | Value::Bool(_) => true,
        Value::Number(number) => !number.is_f64(),
        Value::Array(_) | Value::Object(_) => structured,
        Value::Null => false,
    };
    if !acceptable {
        let reason = format!(
            "Wrong type. Expected '(<class 'str'>, <class 'int'>)', got '{}'",
            python::type_name(&change.value)
        );
        return Err(wrong("value", &change.value, &reason));
    }
    Ok(())
}

/// `^(/[\w-]+)+$`, where `\w` is a letter, digit or underscore of any script.
fn is_path(text: &str) -> bool {
    text.len() <= 1024
        && text.strip_prefix('/').is_some_and(|rest| {
            rest.split('/')
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::table;

    const RULES: Rules = Rules { fields: &table::CLUSTER_TEMPLATE, internal: &[], mandatory: &["coe"] };

    fn stored() -> Map<String, Value> {
        let stored = json!({"name": "t", "coe": "swarm", "labels": {"a": "b"}, "apiserver_port": null, "public": false,
                            "floating_ip_enabled": false});
        stored.as_object().cloned().unwrap()
    }

    fn applied(patch: Value) -> Result<Value> {
        Patch::read(Some(patch), &RULES)?.apply(&stored(), &RULES, &SizeLimits::default()).map(Value::Object)
    }

    #[test]
    fn changes_are_applied() {
        let table = [
            (json!([]), json!({})),
            (json!([{"op": "replace", "path": "/name", "value": "u"}]), json!({"name": "u"})),
            (json!([{"op": "replace", "path": "/name", "value": "t"}]), json!({})),
            (json!([{"op": "replace", "path": "/name", "value": 5}]), json!({"name": "5"})),
            (json!([{"op": "remove", "path": "/name"}]), json!({"name": null})),
            (json!([{"op": "add", "path": "/apiserver_port", "value": "8080"}]), json!({"apiserver_port": 8080})),
            (json!([{"op": "replace", "path": "/public", "value": "true"}]), json!({"public": true})),
            (json!([{"op": "remove", "path": "/floating_ip_enabled"}]), json!({"floating_ip_enabled": true})),
            (json!([{"op": "add", "path": "/labels/c", "value": true}]), json!({"labels": {"a": "b", "c": "True"}})),
            (json!([{"op": "remove", "path": "/labels/a"}]), json!({"labels": {}})),
            (json!([{"op": "replace", "path": "/labels", "value": "{'x': 1}"}]), json!({"labels": {"x": "1"}})),
            (
                json!([{"op": "replace", "path": "/labels", "value": "x=1, y=2"}]),
                json!({"labels": {"x": "1", "y": "2"}}),
            ),
            (json!([{"op": "replace", "path": "/labels", "value": {"x": "1"}}]), json!({"labels": {"x": "1"}})),
        ];
        for (patch, expected) in table {
            assert_eq!(applied(patch.clone()).unwrap(), expected, "{patch}");
        }
    }

    #[test]
    fn refusals_are_upstreams() {
        let table = [
            (json!({"op": "add"}), "Value not a valid list"),
            (json!([{"op": "test", "path": "/name", "value": "x"}]), "Value should be one of: replace, add, remove"),
            (json!([{"op": "add", "path": "name", "value": "x"}]), "Value should match the pattern ^(/[\\w-]+)+$"),
            (json!([{"path": "/name", "value": "x"}]), "attribute op. Value: 'None'. Mandatory field missing."),
            (json!([{"op": "add", "path": "/a", "from": "/b"}]), "Unknown attribute for argument patch: from"),
            (json!([{"op": "replace", "path": "/name", "value": {}}]), "got '<class 'dict'>'"),
            (json!([{"op": "replace", "path": "/name"}]), "'add' and 'replace' operations needs value"),
            (json!([{"op": "replace", "path": "/uuid", "value": "x"}]), "'/uuid' is an internal attribute"),
            (json!([{"op": "remove", "path": "/coe"}]), "'/coe' is a mandatory attribute and can not be removed"),
            (json!([{"op": "add", "path": "/bogus", "value": "x"}]), "Adding a new attribute /bogus to the root"),
            (json!([{"op": "add", "path": "/name", "value": "x"}]), "The attribute /name has existed"),
            (
                json!([{"op": "replace", "path": "/bogus", "value": "x"}]),
                "Couldn't apply patch '[{'path': '/bogus', 'op': 'replace', 'value': 'x'}]'. \
                 Reason: can't replace a non-existent object 'bogus'",
            ),
            (json!([{"op": "remove", "path": "/labels/nope"}]), "can't remove a non-existent object 'nope'"),
            (json!([{"op": "replace", "path": "/labels", "value": "{"}]), "malformed node or string on line 1"),
            (json!([{"op": "add", "path": "/labels/a/b", "value": "x"}]), "non-existent object 'a'"),
            (json!([{"op": "replace", "path": "/coe", "value": "nomad"}]), "Value should be one of: kubernetes"),
        ];
        for (patch, expected) in table {
            let message = applied(patch.clone()).unwrap_err().to_string();
            assert!(message.contains(expected), "{patch}: {message}");
        }
    }
}
