//! The URL that this service is reached by, for the links it answers with.

use axum::http::{HeaderMap, header};

/// Scheme, host and mount point, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl(String);

/// How the URL is found out.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Whether this process itself serves TLS.
    pub tls: bool,
    /// `[oslo_middleware] enable_proxy_headers_parsing`: whether `Forwarded` and `X-Forwarded-*` are believed. Default no.
    pub proxy_headers: bool,
    /// Host and port when a request names none.
    pub fallback_host: String,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self { tls: false, proxy_headers: false, fallback_host: "localhost".to_owned() }
    }
}

impl BaseUrl {
    /// The URL by which the sender of a request came here.
    pub(crate) fn of(headers: &HeaderMap, options: &LinkOptions) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut scheme = if options.tls { "https" } else { "http" };
        let mut host = text(header::HOST.as_str()).filter(|host| is_host(host)).unwrap_or(&options.fallback_host);
        let mut prefix = "";
        if options.proxy_headers {
            let first = |name: &str| text(name).and_then(|value| value.split(',').next()).map(str::trim);
            // Where there is the standard's header, the older ones are not looked at.
            let forwarded = first("forwarded").filter(|value| !value.is_empty());
            let told = |key: &str, older: &str| match forwarded {
                Some(element) => pair(element, key),
                None => first(older),
            };
            let proto = told("proto", "x-forwarded-proto");
            scheme = match proto {
                Some(proto) if proto.eq_ignore_ascii_case("https") => "https",
                Some(proto) if proto.eq_ignore_ascii_case("http") => "http",
                _ => scheme,
            };
            host = told("host", "x-forwarded-host").filter(|host| is_host(host)).unwrap_or(host);
            prefix = first("x-forwarded-prefix").filter(|prefix| is_prefix(prefix)).unwrap_or_default();
        }
        // The port of `X-Forwarded-Port` is not looked at, as upstream has it: it belongs to the host.
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(usual).unwrap_or(host);
        Self(format!("{scheme}://{host}{}", prefix.trim_end_matches('/')))
    }

    /// The URL itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a path below it.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of `key=value` or `key="value"` in an element of `Forwarded`.
fn pair<'a>(element: &'a str, key: &str) -> Option<&'a str> {
    element.split(';').find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case(key).then(|| value.trim_matches('"'))
    })
}

/// A host with perhaps a port, and nothing that could be taken for more.
fn is_host(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
}

fn is_prefix(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/.-_~".contains(&b))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn proxies_are_believed_only_when_told_so() {
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let table: [(Pairs<'_>, bool, &str); 18] = [
            (&[], false, "http://localhost"),
            (&[("host", "api:9511")], false, "http://api:9511"),
            (&[("host", "a b\"c")], false, "http://localhost"),
            (&[("host", "api"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil")], false, "http://api"),
            (&[("host", "api"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "pub, x")], true, "https://pub"),
            (&[("host", "api"), ("forwarded", "for=1;proto=https;host=\"pub:1\"")], true, "https://pub:1"),
            (&[("host", "api"), ("x-forwarded-prefix", "/infra/")], true, "http://api/infra"),
            (&[("host", "api"), ("x-forwarded-proto", "gopher")], true, "http://api"),
            (&[("host", "api:80")], false, "http://api"),
            (&[("host", "api:443")], false, "http://api:443"),
            (&[("host", "api:443"), ("x-forwarded-proto", "https")], true, "https://api"),
            (&[("host", "api"), ("x-forwarded-port", "8443")], true, "http://api"),
            (&[("host", "api"), ("x-forwarded-host", "pub"), ("x-forwarded-port", "8443")], true, "http://pub"),
            (&[("forwarded", "host=a"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "b")], true, "http://a"),
            (&[("forwarded", "proto=https;host=a, proto=http;host=b")], true, "https://a"),
            (&[("forwarded", "Proto=https; Host=a")], true, "https://a"),
            (&[("host", "api"), ("forwarded", "nonsense"), ("x-forwarded-proto", "https")], true, "http://api"),
            (&[("host", "api"), ("forwarded", "host=a"), ("x-forwarded-prefix", "/infra")], true, "http://a/infra"),
        ];
        for (pairs, proxy_headers, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
            }
            let options = LinkOptions { proxy_headers, ..LinkOptions::default() };
            assert_eq!(BaseUrl::of(&headers, &options).to_string(), expected, "{pairs:?}");
        }
    }
}
