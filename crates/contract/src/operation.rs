//! The operations of a document, and which of them a request is for.

use axum::http::Method;
use serde_json::Value;

use crate::escape;

/// Methods that a path of a document may have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    /// `operationId`; empty when there is none.
    pub id: String,
    /// Documented statuses, sorted.
    pub statuses: Vec<String>,
    /// JSON pointer of the operation.
    pub(crate) pointer: String,
}

impl Operation {
    /// `METHOD path`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The path's parameters with their values, if the path is one of this operation's; and how many segments were
    /// parameters, by which the closest of several is found.
    pub(crate) fn matches<'a>(&'a self, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let (mut ours, mut theirs) = (self.path.split('/'), path.split('/'));
        let mut parameters = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some(parameters),
                (Some(our), Some(their)) => match our.strip_prefix('{').and_then(|our| our.strip_suffix('}')) {
                    Some(name) if !their.is_empty() => parameters.push((name, their)),
                    None if our == their => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}

/// All of a document.
pub(crate) fn all(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let responses = operation["responses"].as_object();
            let mut statuses: Vec<String> = responses.into_iter().flatten().map(|(status, _)| status.clone()).collect();
            statuses.sort();
            found.push(Operation {
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
                statuses,
                pointer: format!("/paths/{}/{method}", escape(path)),
            });
        }
    }
    found
}

/// The operation a request is for, with the parameters of its path. Of several paths it is the one with the fewest
/// parameters, whether it has the method or not: that is how requests are routed.
pub(crate) fn find<'a>(
    operations: &'a [Operation],
    method: &Method,
    path: &'a str,
) -> Option<(&'a Operation, Vec<(&'a str, &'a str)>)> {
    let matching = || operations.iter().filter_map(|operation| Some((operation, operation.matches(path)?)));
    let fewest = matching().map(|(_, parameters)| parameters.len()).min()?;
    matching().find(|(operation, parameters)| parameters.len() == fewest && operation.method == method.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_closest_operation_is_found() {
        let document = json!({"paths": {
            "/": {"get": {}},
            "/things": {"get": {}, "post": {}},
            "/things/{id}": {"get": {}, "delete": {}},
            "/things/detail": {"get": {}},
            "/things/{id}/parts/{part}": {"delete": {}},
        }});
        let operations = all(&document);
        let table = [
            ("GET", "/", Some("GET /")),
            ("GET", "/things", Some("GET /things")),
            ("POST", "/things", Some("POST /things")),
            ("PATCH", "/things", None),
            ("GET", "/things/5", Some("GET /things/{id}")),
            ("GET", "/things/detail", Some("GET /things/detail")),
            ("DELETE", "/things/detail", None),
            ("GET", "/things/", None),
            ("GET", "/things/5/parts", None),
            ("DELETE", "/things/5/parts/a%2Fb", Some("DELETE /things/{id}/parts/{part}")),
        ];
        for (method, path, expected) in table {
            let found = find(&operations, &method.parse().unwrap(), path).map(|(operation, _)| operation.name());
            assert_eq!(found.as_deref(), expected, "{method} {path}");
        }
    }
}
