//! Paths as the routes know them, before they are routed.
//!
//! A first segment other than `v1` is read as if `v1` stood before it, which is what makes bookmark links work, and a
//! slash at the end, or a second one within, means nothing.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::response::Response;

/// Paths that are not part of the versioned API.
const OWN: [&str; 3] = ["/healthcheck", "/metrics", "/openapi.json"];

/// Marks a HEAD of a resource, which is routed as a method that no resource has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WasHead;

/// Rewrites the path of a request, where it has to be.
pub(crate) fn request(mut request: Request) -> Request {
    if let Some(uri) = rewritten(request.uri()) {
        *request.uri_mut() = uri;
    }
    // Upstream knows no HEAD, while every GET route here would answer it. Whoever only looks whether the service
    // is there may use it.
    if request.method() == Method::HEAD && request.uri().path().starts_with("/v1/") {
        *request.method_mut() = Method::TRACE;
        request.extensions_mut().insert(WasHead);
    }
    request
}

fn rewritten(uri: &Uri) -> Option<Uri> {
    let single = single_slashes(uri.path());
    let path = single.as_ref();
    let trimmed = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
    let first = trimmed.split('/').nth(1).unwrap_or_default();
    let versioned = matches!(first, "" | "v1" | "v1.json") || is_version(first) || OWN.contains(&trimmed);
    if versioned && trimmed.len() == uri.path().len() {
        return None;
    }
    let mut text = String::with_capacity(path.len() + 3);
    if !versioned {
        text.push_str("/v1");
    }
    text.push_str(trimmed);
    if let Some(query) = uri.query() {
        text.push('?');
        text.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

fn single_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let parts = path.split('/').filter(|part| !part.is_empty());
    Cow::Owned(parts.fold(String::with_capacity(path.len()), |path, part| path + "/" + part))
}

/// `v2` and the like: a version there is none of, rather than a resource of that name.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Puts the `Allow` header into upstream's form: sorted, with blanks, without the HEAD that comes with every GET.
pub(crate) fn response(mut response: Response) -> Response {
    let Some(allowed) = response.headers().get(header::ALLOW).and_then(|value| value.to_str().ok()) else {
        return response;
    };
    let mut methods: Vec<&str> = allowed.split(',').map(str::trim).filter(|method| *method != "HEAD").collect();
    methods.sort_unstable();
    methods.dedup();
    if let Ok(value) = HeaderValue::try_from(methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_brought_into_one_form() {
        let table = [
            ("/", None),
            ("//", Some("/")),
            ("/v1", None),
            ("/v1/", Some("/v1")),
            ("/v1/clusters?limit=1", None),
            ("/v1/clusters/?limit=1", Some("/v1/clusters?limit=1")),
            ("/clusters", Some("/v1/clusters")),
            ("/clusters/a/", Some("/v1/clusters/a")),
            ("/v2", None),
            ("/v2/clusters", None),
            ("/healthcheck", None),
            ("/healthcheck/", Some("/healthcheck")),
            ("/volumes", Some("/v1/volumes")),
        ];
        for (path, expected) in table {
            let found = rewritten(&path.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
