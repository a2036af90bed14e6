//! Requests of pages of other origins, answered as oslo.middleware answers them.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::options::CorsRule;

/// Headers that every page may send.
const SIMPLE: [&str; 8] = [
    "accept",
    "accept-language",
    "content-type",
    "cache-control",
    "content-language",
    "expires",
    "last-modified",
    "pragma",
];
/// Stands for every origin that is not named.
const ANY: &str = "*";

/// The answer to an OPTIONS, always 200, allowed origin or not: no resource knows the method.
pub(super) fn preflight(rules: &[CorsRule], request: &Request) -> Option<Response> {
    if request.method() != Method::OPTIONS {
        return None;
    }
    let mut response = StatusCode::OK.into_response();
    allow_preflight(rules, request.headers(), response.headers_mut());
    Some(response)
}

/// The origin of a request, where origins matter.
pub(super) fn origin(rules: &[CorsRule], request: &Request) -> Option<HeaderValue> {
    if rules.is_empty() { None } else { request.headers().get(ORIGIN).cloned() }
}

/// Tells the browser that a page of that origin may read the answer.
pub(super) fn tell(rules: &[CorsRule], origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
    if let Some((origin, rule)) = origin.and_then(|origin| Some((origin, allowed(rules, origin)?))) {
        actual(rule, origin, answer);
    }
}

/// The rule for an origin. Origins are compared letter by letter.
fn allowed<'a>(rules: &'a [CorsRule], origin: &HeaderValue) -> Option<&'a CorsRule> {
    let rule = |origin: &[u8]| rules.iter().find(|rule| names(rule, origin));
    rule(origin.as_bytes()).or_else(|| rule(ANY.as_bytes()))
}

fn names(rule: &CorsRule, origin: &[u8]) -> bool {
    rule.origins.iter().any(|name| name.as_bytes() == origin)
}

/// What is told of an allowed origin in both kinds of answer.
fn allow(rule: &CorsRule, origin: &HeaderValue, answer: &mut HeaderMap) {
    let told = if names(rule, origin.as_bytes()) { origin.clone() } else { HeaderValue::from_static(ANY) };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, told);
    if rule.allow_credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

fn allow_preflight(rules: &[CorsRule], asked: &HeaderMap, answer: &mut HeaderMap) {
    let Some(origin) = asked.get(ORIGIN) else { return };
    let Some(rule) = allowed(rules, origin) else { return };
    let Some(method) = asked.get(ACCESS_CONTROL_REQUEST_METHOD) else { return };
    if !rule.allow_methods.iter().any(|allowed| allowed.as_bytes() == method.as_bytes()) {
        return;
    }
    let text = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).map_or(Ok(""), |value| value.to_str());
    let Ok(text) = text else { return };
    let headers: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let may_send = |name: &&str| {
        let mut known = rule.allow_headers.iter().map(String::as_str).chain(SIMPLE);
        known.any(|known| known.eq_ignore_ascii_case(name))
    };
    if !headers.iter().all(may_send) {
        return;
    }
    answer.insert(VARY, HeaderValue::from_static("Origin"));
    allow(rule, origin, answer);
    let seconds = rule.max_age.as_secs();
    if seconds > 0 {
        answer.insert(ACCESS_CONTROL_MAX_AGE, seconds.into());
    }
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    join(answer, ACCESS_CONTROL_ALLOW_HEADERS, &headers);
}

fn actual(rule: &CorsRule, origin: &HeaderValue, answer: &mut HeaderMap) {
    let before = answer.get(VARY).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let varies: Vec<&str> = before.as_deref().into_iter().chain(["Origin"]).collect();
    join(answer, VARY, &varies);
    allow(rule, origin, answer);
    let exposed: Vec<&str> = rule.expose_headers.iter().map(String::as_str).collect();
    join(answer, ACCESS_CONTROL_EXPOSE_HEADERS, &exposed);
}

/// Sets a header to names separated by commas, if there are some.
fn join(answer: &mut HeaderMap, name: HeaderName, words: &[&str]) {
    if let Ok(value) = HeaderValue::try_from(words.join(","))
        && !words.is_empty()
    {
        answer.insert(name, value);
    }
}
