//! Addresses in fields: what can never work is refused where it is said, and not an hour later on a node. Anything that
//! some engine takes passes.

use std::net::IpAddr;
use std::str::FromStr;

use axum::http::Uri;

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressType {
    /// A proxy: a URL, or a host with a port.
    Proxy,
    /// Hosts that are reached without a proxy, separated by commas.
    NoProxy,
    /// Registries that are spoken to without TLS, separated by commas.
    Registries,
    /// The URL of a service.
    Url,
}

impl AddressType {
    /// Fewest characters.
    pub(crate) fn fewest(self) -> usize {
        if self == Self::Url { 0 } else { 1 }
    }

    /// What is wrong with a value, and what would be right; nothing for one that may work.
    pub(crate) fn problem(self, value: &str) -> Option<String> {
        match self {
            Self::Proxy => (!is_proxy(value))
                .then(|| "Value should be the address of a proxy, such as http://proxy.example.com:3128".to_owned()),
            Self::Url => {
                (!is_url(value)).then(|| "Value should be a URL, such as https://discovery.etcd.io/abc".to_owned())
            }
            Self::NoProxy => odd(value, is_exception).map(|part| {
                format!(
                    "'{part}' is not a host, domain, IP address or network. Separate several by commas, such as \
                     localhost,.example.com,10.0.0.0/8"
                )
            }),
            Self::Registries => odd(value, is_registry).map(|part| {
                format!(
                    "'{part}' is not a registry. Value should be a host with or without port, or a network, such as \
                     registry.example.com:5000; separate several by commas"
                )
            }),
        }
    }
}

/// The first part of a list that is not what it should be.
fn odd(list: &str, is_right: fn(&str) -> bool) -> Option<&str> {
    list.split(',').map(str::trim).find(|part| !part.is_empty() && !is_right(part))
}

fn is_proxy(text: &str) -> bool {
    let (scheme, _) = text.split_once("://").unwrap_or(("http", text));
    let known = ["http", "https", "socks5", "socks5h"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    known && has_host(&whole)
}

fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    text.is_empty() || (scheme.is_some_and(is_scheme) && has_host(text))
}

fn has_host(url: &str) -> bool {
    let Ok(uri) = Uri::from_str(url) else { return false };
    let Some(authority) = uri.authority() else { return false };
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    is_place(place)
}

/// A host with or without a port.
fn is_place(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<std::net::Ipv6Addr>().is_ok() && is_port;
    }
    match text.rsplit_once(':') {
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_host(text),
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['-', '.'])
        && text.chars().all(|character| character.is_alphanumeric() || "-._".contains(character))
        // Four numbers are an address, and have to be a right one.
        && (!text.chars().all(|character| character.is_ascii_digit() || character == '.')
            || !text.contains('.')
            || text.parse::<IpAddr>().is_ok())
}

fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

fn is_exception(text: &str) -> bool {
    let domain = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    text == "*" || is_network(text) || text.parse::<IpAddr>().is_ok() || is_place(domain)
}

fn is_registry(text: &str) -> bool {
    // The engine takes the scheme off.
    let place = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    is_network(text) || is_place(place.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::AddressType::{self, NoProxy, Proxy, Registries, Url};

    #[test]
    fn what_can_never_work_is_told_from_what_may() {
        let table: [(AddressType, &[&str], &[&str]); 4] = [
            (
                Proxy,
                &[
                    "http://proxy:3128",
                    "https://user:pass@proxy.example.com:3128/",
                    "proxy:3128",
                    "proxy",
                    "10.0.0.1:3128",
                    "http://[2001:db8::1]:3128",
                    "socks5://proxy:1080",
                ],
                &[
                    "not a url",
                    "http://",
                    "http://pro xy:1",
                    "ftp://proxy",
                    "http://proxy:99999",
                    "http://:3128",
                    "http://1.2.3.400",
                ],
            ),
            (
                NoProxy,
                &[
                    "localhost",
                    "localhost,127.0.0.1",
                    ".example.com, *.svc ,10.0.0.0/8,",
                    "*",
                    "::1",
                    "host:8080",
                    "2001:db8::/32",
                ],
                &["a b", "http://host", "10.0.0.0/99", "host/path", "300.1.1.1", "a,b c"],
            ),
            (
                Registries,
                &[
                    "registry:5000",
                    "registry.example.com",
                    "10.0.0.0/8",
                    "http://registry:5000",
                    "a:1,b:2",
                    "[::1]:5000",
                ],
                &["a b", "registry:port", "registry:99999", "registry/path", "-x", "10.0.0.0/33"],
            ),
            (
                Url,
                &["", "https://x", "https://discovery.etcd.io/abc", "etcd://10.0.0.1:2379/x", "token://abc"],
                &["x", "https://", "://x", "https://a b", "discovery.etcd.io/abc"],
            ),
        ];
        for (kind, right, wrong) in table {
            for value in right {
                assert_eq!(kind.problem(value), None, "{kind:?} {value}");
            }
            for value in wrong {
                assert!(kind.problem(value).is_some(), "{kind:?} {value}");
            }
        }
    }
}
