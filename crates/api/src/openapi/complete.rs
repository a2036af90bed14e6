//! What the routes don't say by themselves: failures, headers, examples, and schemas closed to what is not in them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::microversion::{HISTORY, MAXIMUM};

/// Contents of `data/openapi.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Additions {
    description: String,
    tags: Vec<Value>,
    /// By name.
    headers: Map<String, Value>,
    /// Headers of requests, by name.
    request_headers: Map<String, Value>,
    /// Schemas of parameters, by name.
    parameters: Map<String, Value>,
    /// By status.
    failures: BTreeMap<String, Failure>,
    schemas: BTreeMap<String, SchemaAdditions>,
    /// By `operationId`.
    operations: BTreeMap<String, OperationAdditions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Failure {
    description: String,
    schemas: Vec<String>,
    headers: Vec<String>,
    example: Value,
    /// Which operations it may befall.
    of: Vec<OperationClass>,
}

/// What operations have in common as to how they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OperationClass {
    /// Every operation.
    All,
    /// Below `/v1/`.
    Resource,
    /// Has a parameter in its path.
    Named,
    /// Has a body.
    Body,
    /// Has a marker, which names a thing too.
    Paged,
    /// Not an operation at all: no such path, or not that method.
    None,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SchemaAdditions {
    /// Members that are not always there.
    sometimes: BTreeSet<String>,
    /// Schemas of members, in place of those that their types have.
    properties: Map<String, Value>,
    example: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OperationAdditions {
    /// Follows what the handler says.
    description: String,
    /// Schemas of parameters, by name.
    parameters: Map<String, Value>,
    /// Parameters by status and by whether they are always there.
    headers: BTreeMap<String, Vec<String>>,
    /// Further failures.
    failures: Vec<String>,
    /// Of the request; of the answer, where the request has no body.
    example: Option<Value>,
}

/// Adds what is true of every operation, and what the table says of some.
///
/// A table that can't be read adds nothing; the audit of the document in the tests would find hundreds of things missing.
pub(super) fn complete(document: OpenApi) -> Value {
    let additions: Additions =
        serde_saphyr::from_str(include_str!("../../data/openapi.yaml")).unwrap_or_else(|error| {
            tracing::error!(%error, "the additions to the OpenAPI document can't be read");
            Additions::default()
        });
    let mut document = serde_json::to_value(document).unwrap_or_default();
    describe(&mut document, &additions);
    let requests = of_requests(&document);
    schemas(&mut document, &additions, &requests);
    failures(&mut document, &additions);
    let known = document["components"]["schemas"].clone();
    let paths = document["paths"].as_object_mut();
    for (path, methods) in paths.into_iter().flatten().map(|(path, item)| (path.clone(), item)) {
        for (_, operation) in methods.as_object_mut().into_iter().flatten() {
            complete_operation(&path, operation, &additions, &known);
        }
    }
    document
}

fn describe(document: &mut Value, additions: &Additions) {
    let history: Vec<String> = HISTORY.iter().map(|(version, what)| format!("- {version}: {what}")).collect();
    document["info"]["version"] = MAXIMUM.to_string().into();
    document["info"]["description"] = format!("{}\n\n{}", additions.description.trim(), history.join("\n")).into();
    document["tags"] = additions.tags.clone().into();
    document["servers"] = json!([{"url": "/", "description": "Where this document is."}]);
}

/// Schemas that requests have, whose members are the client's to leave out.
fn of_requests(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in document["paths"].as_object().into_iter().flatten().flat_map(|(_, item)| item.as_object()).flatten() {
        collect(&item.1["requestBody"], &mut found);
    }
    found
}

fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(name_of).map(str::to_owned));
            members.values().for_each(|member| collect(member, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}

fn name_of(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix("#/components/schemas/")
}

/// Closes the schemas: no member that is not there, and in answers every member, but for those that the table names.
fn schemas(document: &mut Value, additions: &Additions, requests: &BTreeSet<String>) {
    let before = document["components"]["schemas"].clone();
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        flatten(schema, &before);
        let nothing = SchemaAdditions::default();
        // Generic schemas have the name of their argument behind their own.
        let own = additions.schemas.get(name).unwrap_or(&nothing);
        let of_parts: BTreeSet<&String> = parts(&before[name.as_str()])
            .filter_map(|part| additions.schemas.get(part))
            .chain(name.split_once('_').and_then(|(generic, _)| additions.schemas.get(generic)))
            .flat_map(|part| &part.sometimes)
            .collect();
        let argument =
            name.split_once('_').map(|(_, argument)| argument).filter(|argument| before.get(argument).is_some());
        let Some(schema) = schema.as_object_mut() else { continue };
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            // Arguments of generic schemas are written out in them; they have a place of their own.
            let inline = properties.values_mut().filter_map(|member| member.get_mut("items"));
            for items in
                inline.filter(|items| items.get("$ref").is_none() && items.get("type") != Some(&"string".into()))
            {
                if let Some(argument) = argument {
                    *items = json!({"$ref": format!("#/components/schemas/{argument}")});
                }
            }
            for (member, replacement) in &own.properties {
                if let (Some(target), Some(replacement)) =
                    (properties.get_mut(member).and_then(Value::as_object_mut), replacement.as_object())
                {
                    target.retain(|key, _| key == "description");
                    target.extend(replacement.clone());
                }
            }
            let all: Vec<String> = properties
                .keys()
                .filter(|member| !own.sometimes.contains(*member) && !of_parts.contains(member))
                .cloned()
                .collect();
            if !requests.contains(name) {
                schema.insert("required".to_owned(), all.into());
            }
            schema.entry("additionalProperties").or_insert(Value::Bool(false));
        }
        if let Some(example) = &own.example {
            schema.insert("examples".to_owned(), json!([example]));
        }
    }
}

/// The schemas that a schema is made of.
fn parts(schema: &Value) -> impl Iterator<Item = &str> {
    schema["allOf"].as_array().into_iter().flatten().filter_map(|part| name_of(&part["$ref"]))
}

/// Makes one object of an object that is made of several: only a single one can be closed.
fn flatten(schema: &mut Value, all: &Value) {
    let Some(of) = schema.get("allOf").and_then(Value::as_array).cloned() else { return };
    let mut whole = Map::new();
    for part in &of {
        let part = part.get("$ref").and_then(name_of).map_or(part, |name| &all[name]);
        let mut part = part.clone();
        flatten(&mut part, all);
        whole.extend(part["properties"].as_object().cloned().unwrap_or_default());
    }
    let description = schema.get("description").cloned().unwrap_or_default();
    *schema = json!({"type": "object", "description": description, "properties": whole});
}

/// The answers to what fails, by status, for operations to refer to; and those to what is no operation.
fn failures(document: &mut Value, additions: &Additions) {
    let mut responses = Map::new();
    let mut unrouted = Map::new();
    for (status, failure) in &additions.failures {
        let mut schemas: Vec<Value> =
            failure.schemas.iter().map(|name| json!({"$ref": format!("#/components/schemas/{name}")})).collect();
        let schema = if schemas.len() == 1 { schemas.remove(0) } else { json!({"anyOf": schemas}) };
        let names = failure.headers.iter().map(String::as_str).chain(VERSIONS).chain(["Vary"]);
        let mut headers = headers(additions, names, false);
        headers.extend(self::headers(additions, [REQUEST_ID], true));
        let response = json!({
            "description": failure.description,
            "headers": headers,
            "content": {"application/json": {"schema": schema, "example": failure.example}},
        });
        responses.insert(status.clone(), response);
        if failure
            .of
            .iter()
            .any(|kind| matches!(kind, OperationClass::None | OperationClass::All | OperationClass::Resource))
        {
            unrouted.insert(status.clone(), reference(status));
        }
    }
    document["components"]["responses"] = responses.into();
    document["x-unrouted"] = unrouted.into();
}

fn reference(status: &str) -> Value {
    json!({"$ref": format!("#/components/responses/{status}")})
}

/// Headers of every answer below `/v1`.
const VERSIONS: [&str; 3] = ["OpenStack-API-Version", "OpenStack-API-Minimum-Version", "OpenStack-API-Maximum-Version"];
/// Header of every answer.
const REQUEST_ID: &str = "X-OpenStack-Request-Id";

fn headers<'a>(
    additions: &Additions,
    names: impl IntoIterator<Item = &'a str>,
    is_required: bool,
) -> Map<String, Value> {
    let mut found = Map::new();
    for name in names {
        let Some(mut header) = additions.headers.get(name).cloned() else { continue };
        if is_required {
            header["required"] = true.into();
        }
        found.insert(name.to_owned(), header);
    }
    found
}

fn complete_operation(path: &str, operation: &mut Value, additions: &Additions, schemas: &Value) {
    let is_resource = path.starts_with("/v1/");
    let id = identifier(path, operation["operationId"].as_str().unwrap_or_default());
    let nothing = OperationAdditions::default();
    let own = additions.operations.get(&id).unwrap_or(&nothing);
    operation["operationId"] = id.into();
    if !own.description.is_empty() {
        let said = operation["description"].as_str().map(|text| format!("{text}\n\n")).unwrap_or_default();
        operation["description"] = format!("{said}{}", own.description.trim()).into();
    }
    parameters(path, operation, own, additions);
    if let Some(content) = operation.pointer_mut("/requestBody/content/application~1json") {
        let example = own.example.clone().or_else(|| example(&content["schema"], schemas));
        content["example"] = example.unwrap_or_default();
    }
    answers(path, operation, own, additions, schemas);
    let has_body = operation.get("requestBody").is_some();
    let is_paged = operation["parameters"].as_array().into_iter().flatten().any(|one| one["name"] == "marker");
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, failure) in &additions.failures {
        let befalls = failure.of.iter().any(|kind| match kind {
            OperationClass::All => true,
            OperationClass::Resource => is_resource,
            OperationClass::Named => is_resource && path.contains('{'),
            OperationClass::Body => is_resource && has_body,
            OperationClass::Paged => is_paged,
            OperationClass::None => false,
        });
        let has_content = responses.get(status).is_some_and(|response| response.get("content").is_some());
        if !has_content && (befalls || responses.contains_key(status) || own.failures.contains(status)) {
            responses.insert(status.clone(), reference(status));
        }
    }
    responses.sort_keys();
}

/// `clusters.nodegroups.list`: the fixed parts of the path and what the handler is called.
fn identifier(path: &str, handler: &str) -> String {
    let mut parts: Vec<&str> = path
        .strip_prefix("/v1/")
        .unwrap_or_default()
        .split('/')
        .filter(|part| !part.is_empty() && !part.starts_with('{'))
        .collect();
    if parts.last() != Some(&handler) {
        parts.push(handler);
    }
    parts.join(".")
}

fn parameters(path: &str, operation: &mut Value, own: &OperationAdditions, additions: &Additions) {
    let is_versioned = path == "/v1" || path.starts_with("/v1/");
    let mut all = operation["parameters"].as_array().cloned().unwrap_or_default();
    for parameter in &mut all {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let known = own.parameters.get(&name).or_else(|| additions.parameters.get(&name)).and_then(Value::as_object);
        for (key, value) in known.into_iter().flatten() {
            let is_said =
                key == "description" && parameter["description"].as_str().is_some_and(|text| !text.is_empty());
            if !is_said {
                parameter[key] = value.clone();
            }
        }
    }
    for (name, header) in &additions.request_headers {
        if is_versioned || name == REQUEST_ID {
            let mut header = header.clone();
            header["name"] = name.as_str().into();
            header["in"] = "header".into();
            all.push(header);
        }
    }
    operation["parameters"] = all.into();
}

/// Headers and examples of the answers that are no failures.
fn answers(path: &str, operation: &mut Value, own: &OperationAdditions, additions: &Additions, schemas: &Value) {
    let is_resource = path.starts_with("/v1/");
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let mut all = headers(additions, [REQUEST_ID], true);
        if status.starts_with('2') && path.starts_with("/v1") {
            all.extend(headers(additions, VERSIONS, is_resource));
        }
        all.extend(headers(additions, ["Vary"], false));
        let further = own.headers.get(status).into_iter().flatten().map(String::as_str);
        all.extend(headers(additions, further, false));
        response["headers"] = all.into();
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = meaning(status).into();
        }
        if let Some(content) = response.pointer_mut("/content/application~1json")
            && let Some(example) = example(&content["schema"], schemas).or_else(|| own.example.clone())
        {
            content["example"] = example;
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "What was asked for.",
        "201" => "It was made; this is what it became.",
        "202" => "Accepted; it goes on after the answer.",
        "204" => "Done, or accepted: there is nothing to say.",
        _ => "The request failed.",
    }
}

/// An example of a schema: its own, or one put together from those of its members.
fn example(schema: &Value, all: &Value) -> Option<Value> {
    if let Some(name) = schema.get("$ref").and_then(name_of) {
        return example(&all[name], all);
    }
    if let Some(own) = schema["examples"].as_array().and_then(|examples| examples.first()) {
        return Some(own.clone());
    }
    match schema["type"].as_str()? {
        "array" => Some(Value::Array(vec![example(&schema["items"], all)?])),
        "object" => {
            let members = schema["required"].as_array()?.iter().filter_map(Value::as_str);
            let members = members.map(|name| Some((name.to_owned(), example(&schema["properties"][name], all)?)));
            members.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        _ => None,
    }
}
