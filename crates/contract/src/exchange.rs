//! A request and its answer, held against the document.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::Value;

use crate::operation::find;
use crate::{Contract, Violation, escape, shorten};

/// A request and its answer.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// As it was sent.
    pub method: &'a Method,
    /// As it was sent.
    pub uri: &'a Uri,
    /// Headers of the request.
    pub request_headers: &'a HeaderMap,
    /// Body of the request; `None` when it did not arrive whole.
    pub request_body: Option<&'a [u8]>,
    /// Status of the answer.
    pub status: StatusCode,
    /// Headers of the answer.
    pub headers: &'a HeaderMap,
    /// Body of the answer; `None` for a stream that is not read here.
    pub body: Option<&'a [u8]>,
}

/// Headers that belong to the transfer or to CORS rather than to an operation.
fn is_of_transfer(name: &str) -> bool {
    matches!(name, "content-type" | "content-length" | "transfer-encoding" | "connection" | "date")
        || name.starts_with("access-control-")
}

/// The type of content without its parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

impl Contract {
    /// What about an exchange the document does not say, or says otherwise.
    #[must_use]
    pub fn check(&self, exchange: &Exchange<'_>) -> Vec<Violation> {
        let path = (self.canonical)(exchange.uri.path());
        let is_head = exchange.method == Method::HEAD;
        let found = find(&self.operations, exchange.method, &path)
            .or_else(|| is_head.then(|| find(&self.operations, &Method::GET, &path)).flatten());
        let mut faults = Vec::new();
        let (name, responses) = match &found {
            Some((operation, _)) if !is_head || exchange.status.is_success() => {
                (operation.name(), format!("{}/responses", operation.pointer))
            }
            // Asking what is allowed is HTTP's own, and no operation.
            _ if exchange.method == Method::OPTIONS => return Vec::new(),
            _ => (format!("{} {}", exchange.method, exchange.uri.path()), "/x-unrouted".to_owned()),
        };
        self.response(exchange, &responses, is_head, &mut faults);
        if let (Some((operation, parameters)), true) = (&found, exchange.status.is_success()) {
            self.parameters(exchange, &operation.pointer, parameters, &mut faults);
            self.request_body(exchange, &operation.pointer, &mut faults);
        }
        faults.into_iter().map(|what| Violation { operation: name.clone(), what }).collect()
    }

    fn response(&self, exchange: &Exchange<'_>, responses: &str, is_head: bool, faults: &mut Vec<String>) {
        let status = exchange.status.as_u16();
        let Some((pointer, response)) = self.resolve(&format!("{responses}/{status}")) else {
            faults.push(format!("status {status} is not documented: {}", text(exchange.body)));
            return;
        };
        self.headers(exchange.headers, &pointer, response, status, faults);
        if is_head {
            return;
        }
        let content = response.get("content").and_then(Value::as_object);
        let Some(content) = content.filter(|content| !content.is_empty()) else {
            if exchange.body.is_some_and(|body| !body.is_empty()) {
                faults.push(format!("{status} has a body, and is documented without: {}", text(exchange.body)));
            }
            return;
        };
        let kind = media_type(exchange.headers).unwrap_or_else(|| "nothing".to_owned());
        if !content.contains_key(&kind) {
            let known: Vec<&String> = content.keys().collect();
            faults.push(format!("{status} has content of type {kind}, and is documented with {known:?}"));
            return;
        }
        let (Some(body), "application/json") = (exchange.body, kind.as_str()) else { return };
        match serde_json::from_slice(body) {
            Ok(value) => {
                let schema = format!("{pointer}/content/{}/schema", escape(&kind));
                let found = self.faults(&schema, &value);
                faults.extend(found.into_iter().map(|fault| format!("the body of {status} {fault}")));
            }
            Err(error) => faults.push(format!("the body of {status} is not JSON: {error}: {}", text(exchange.body))),
        }
    }

    fn headers(&self, headers: &HeaderMap, pointer: &str, response: &Value, status: u16, faults: &mut Vec<String>) {
        let documented = response.get("headers").and_then(Value::as_object);
        for name in documented.into_iter().flatten().map(|(name, _)| name) {
            let Some((pointer, header)) = self.resolve(&format!("{pointer}/headers/{}", escape(name))) else {
                faults.push(format!("the header {name} of {status} refers to nothing"));
                continue;
            };
            let values: Vec<_> = headers.get_all(name.as_str()).iter().collect();
            if values.is_empty() && header["required"] == true {
                faults.push(format!("{status} lacks the header {name}"));
            }
            for value in values {
                let value = String::from_utf8_lossy(value.as_bytes());
                if !self.fits(&format!("{pointer}/schema"), &value) {
                    faults.push(format!("the header {name} of {status} does not fit its schema: {value}"));
                }
            }
        }
        let is_documented = |name: &str| {
            documented.is_some_and(|known| known.keys().any(|documented| documented.eq_ignore_ascii_case(name)))
        };
        for name in headers.keys().map(axum::http::HeaderName::as_str) {
            if !is_documented(name) && !is_of_transfer(name) {
                faults.push(format!("the header {name} of {status} is not documented"));
            }
        }
    }

    /// Parameters of a request that was served.
    fn parameters(&self, exchange: &Exchange<'_>, pointer: &str, path: &[(&str, &str)], faults: &mut Vec<String>) {
        let query: Vec<(String, String)> = pairs(exchange.uri.query().unwrap_or_default());
        let mut known = Vec::new();
        let count =
            self.document.pointer(&format!("{pointer}/parameters")).and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..count {
            let Some((pointer, parameter)) = self.resolve(&format!("{pointer}/parameters/{index}")) else {
                faults.push(format!("parameter {index} refers to nothing"));
                continue;
            };
            let name = parameter["name"].as_str().unwrap_or_default();
            let values: Vec<String> = match parameter["in"].as_str() {
                Some("query") => {
                    known.push(name);
                    query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
                }
                Some("path") => path.iter().filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect(),
                // Servers read headers more kindly than a schema says it.
                _ => continue,
            };
            if values.is_empty() && parameter["required"] == true {
                faults.push(format!("was served without the parameter {name}"));
            }
            for value in values {
                if !self.fits(&format!("{pointer}/schema"), &value) {
                    faults.push(format!("was served though {name} does not fit its schema: {value:?}"));
                }
            }
        }
        for (name, _) in &query {
            if !known.contains(&name.as_str()) {
                faults.push(format!("was served with the parameter {name}, which is not documented"));
            }
        }
    }

    /// The body of a request that was served.
    fn request_body(&self, exchange: &Exchange<'_>, pointer: &str, faults: &mut Vec<String>) {
        // What is not documented is not read either.
        let Some((pointer, documented)) = self.resolve(&format!("{pointer}/requestBody")) else { return };
        let Some(body) = exchange.request_body else { return };
        if body.is_empty() {
            if documented["required"] == true {
                faults.push("was served without a body, which is documented as required".to_owned());
            }
            return;
        }
        let kind = media_type(exchange.request_headers).unwrap_or_else(|| "nothing".to_owned());
        if documented["content"].get(&kind).is_none() {
            faults.push(format!("was served with content of type {kind}, which is not documented"));
            return;
        }
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            let schema = format!("{pointer}/content/{}/schema", escape(&kind));
            let found = self.faults(&schema, &value);
            faults.extend(found.into_iter().map(|fault| format!("was served though its body does not fit {fault}")));
        }
    }

    /// Whether a text from a URL or header fits a schema, be it as text, as a number or as a boolean.
    fn fits(&self, pointer: &str, text: &str) -> bool {
        let readings = [
            Some(Value::from(text)),
            text.parse::<i64>().ok().map(Value::from),
            text.parse::<bool>().ok().map(Value::from),
        ];
        readings.into_iter().flatten().any(|value| self.faults(pointer, &value).is_empty())
    }
}

fn text(body: Option<&[u8]>) -> String {
    body.map_or_else(|| "(a stream)".to_owned(), |body| shorten(&String::from_utf8_lossy(body)))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Percent-decoding; what can't be decoded stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| bytes[at] == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
