//! The document itself: whether it is a sound one, and says all that a reader needs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Contract, Violation, escape};

impl Contract {
    /// What is missing or wrong in the document:
    ///
    /// - references lead somewhere; schemas are schemas (meta schema of 2020-12)
    /// - operations have an id of their own, a summary, a tag that is explained, described parameters with a schema
    /// - parameters of paths are those of the path
    /// - every answer is described; failures have a body
    /// - JSON bodies have an example, and every example fits its schema
    #[must_use]
    pub fn audit(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut say = |operation: &str, what: String| found.push(Violation { operation: operation.to_owned(), what });
        references(&self.document, &mut |reference| {
            let leads = reference.strip_prefix('#').is_some_and(|pointer| self.document.pointer(pointer).is_some());
            if !leads {
                say("document", format!("{reference} leads nowhere"));
            }
        });
        for (name, schema) in self.document["components"]["schemas"].as_object().into_iter().flatten() {
            if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
                say(name, format!("is no schema: {error}"));
            }
            self.examples(&format!("/components/schemas/{}", escape(name)), schema, &mut |what| say(name, what));
        }
        let tags: BTreeSet<&str> =
            self.document["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str()).collect();
        let mut ids = BTreeSet::new();
        for operation in &self.operations {
            let name = operation.name();
            let Some((_, value)) = self.resolve(&operation.pointer) else { continue };
            if operation.id.is_empty() || !ids.insert(operation.id.clone()) {
                say(&name, format!("`{}` is no operationId of its own", operation.id));
            }
            if value["summary"].as_str().is_none_or(str::is_empty) {
                say(&name, "has no summary".to_owned());
            }
            match value["tags"].as_array().and_then(|tags| tags.first()).and_then(Value::as_str) {
                Some(tag) if tags.contains(tag) => {}
                tag => say(&name, format!("has the tag {tag:?}, which is not explained")),
            }
            self.audit_parameters(&operation.pointer, &operation.path, &mut |what| say(&name, what));
            self.audit_request(&operation.pointer, &mut |what| say(&name, what));
            self.audit_responses(&format!("{}/responses", operation.pointer), &mut |what| say(&name, what));
        }
        self.audit_responses("/x-unrouted", &mut |what| say("x-unrouted", what));
        found
    }

    fn audit_parameters(&self, operation: &str, path: &str, say: &mut dyn FnMut(String)) {
        let mut wanted: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let count =
            self.document.pointer(&format!("{operation}/parameters")).and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..count {
            let Some((pointer, parameter)) = self.resolve(&format!("{operation}/parameters/{index}")) else { continue };
            let name = parameter["name"].as_str().unwrap_or_default();
            if parameter["in"] == "path" && !wanted.remove(name) {
                say(format!("has the parameter {name} twice, or not in its path"));
            }
            if parameter["description"].as_str().is_none_or(str::is_empty) {
                say(format!("the parameter {name} is not described"));
            }
            match parameter.get("schema") {
                Some(schema) => {
                    if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
                        say(format!("the parameter {name} has no schema: {error}"));
                    }
                    self.example_of(&pointer, parameter, false, say);
                }
                None => say(format!("the parameter {name} has no schema")),
            }
        }
        for name in wanted {
            say(format!("the parameter {name} of the path is not documented"));
        }
    }

    fn audit_request(&self, operation: &str, say: &mut dyn FnMut(String)) {
        let Some((pointer, request)) = self.resolve(&format!("{operation}/requestBody")) else { return };
        for (kind, content) in request["content"].as_object().into_iter().flatten() {
            self.example_of(&format!("{pointer}/content/{}", escape(kind)), content, true, say);
        }
    }

    fn audit_responses(&self, responses: &str, say: &mut dyn FnMut(String)) {
        for (status, _) in self.document.pointer(responses).and_then(Value::as_object).into_iter().flatten() {
            let Some((pointer, response)) = self.resolve(&format!("{responses}/{status}")) else { continue };
            if response["description"].as_str().is_none_or(str::is_empty) {
                say(format!("{status} is not described"));
            }
            let content = response["content"].as_object();
            if content.is_none() && status.as_str() >= "400" {
                say(format!("{status} has no body"));
            }
            for (kind, content) in content.into_iter().flatten() {
                self.example_of(
                    &format!("{pointer}/content/{}", escape(kind)),
                    content,
                    kind == "application/json",
                    say,
                );
            }
        }
    }

    /// The examples of something that has a schema: there, if they must be, and fitting.
    fn example_of(&self, pointer: &str, holder: &Value, is_wanted: bool, say: &mut dyn FnMut(String)) {
        let mut examples: Vec<&Value> = holder.get("example").into_iter().collect();
        for (name, example) in holder["examples"].as_object().into_iter().flatten() {
            match example.get("value") {
                Some(value) => examples.push(value),
                None => say(format!("the example {name} of {pointer} has no value")),
            }
        }
        if examples.is_empty() && is_wanted {
            say(format!("{pointer} has no example"));
        }
        for example in examples {
            for fault in self.faults(&format!("{pointer}/schema"), example) {
                say(format!("the example of {pointer} does not fit {fault}"));
            }
        }
    }

    /// The examples within a schema.
    fn examples(&self, pointer: &str, schema: &Value, say: &mut dyn FnMut(String)) {
        for example in schema["examples"].as_array().into_iter().flatten() {
            for fault in self.faults(pointer, example) {
                say(format!("an example does not fit {fault}"));
            }
        }
    }
}

fn references(value: &Value, say: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                say(reference);
            }
            members.values().for_each(|member| references(member, say));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, say)),
        _ => {}
    }
}
