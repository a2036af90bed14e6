//! Addresses in configuration files, read as upstream's libraries read them: recorded from them in
//! `tests/data/addresses/recorded.json`.

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::Url;

/// Why a text is no address. Holds nothing of it, for there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// There is no scheme before the first colon.
    #[error("has no scheme: it must be as rabbit://USER:PASSWORD@HOST:PORT/VIRTUAL_HOST")]
    NoScheme,
    /// A host has a port that is none, or brackets that don't match.
    #[error(
        "has a host or port that can't be read: in a user's name or a password write `,` as %2C, `/` as %2F, `?` as %3F \
         and `#` as %23; an IPv6 address needs brackets"
    )]
    Host,
    /// It is none of the forms that a memcached server is written in.
    #[error("must be HOST:PORT, inet6:[ADDRESS]:PORT or unix:PATH, each server apart by a comma")]
    Memcached,
    /// It is not an address of the web.
    #[error("must be an address such as https://controller:5000/v3")]
    Web,
    /// It has a user in it.
    #[error("has a user in it: options of their own are for that")]
    WebUser,
}

/// `[DEFAULT] transport_url`: a message broker.
#[derive(Clone, PartialEq, Eq)]
pub struct TransportUrl {
    /// Its kind, such as `rabbit`.
    pub transport: String,
    /// The virtual host; an empty one is not the same as none.
    pub virtual_host: Option<String>,
    /// The servers.
    pub hosts: Vec<TransportHost>,
    /// Parameters.
    pub query: Vec<(String, String)>,
}

/// One of its servers.
#[derive(Clone, PartialEq, Eq)]
pub struct TransportHost {
    /// Name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: Option<i64>,
    /// The user.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<String>,
}

impl std::fmt::Debug for TransportUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(|host| &host.host).collect();
        f.debug_struct("TransportUrl")
            .field("transport", &self.transport)
            .field("hosts", &hosts)
            .finish_non_exhaustive()
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Reads the address of a message broker, of one or several hosts, each with its own user or none.
///
/// # Errors
/// [`AddressError::NoScheme`], [`AddressError::Host`].
pub fn read_transport_url(text: &str) -> Result<TransportUrl, AddressError> {
    let (transport, rest) = text.split_once(':').ok_or(AddressError::NoScheme)?;
    let is_scheme = transport.starts_with(|c: char| c.is_ascii_alphabetic())
        && transport.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme {
        return Err(AddressError::NoScheme);
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (places, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let hosts = places.split(',').filter(|place| !place.is_empty()).map(read_host).collect::<Result<_, _>>()?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => *values = format!("{values},{value}"),
            None => pairs.push((name.into_owned(), value.into_owned())),
        }
    }
    Ok(TransportUrl {
        transport: transport.to_ascii_lowercase(),
        virtual_host: path.strip_prefix('/').map(decoded),
        hosts,
        query: pairs,
    })
}

fn read_host(text: &str) -> Result<TransportHost, AddressError> {
    let (credentials, place) = match text.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, text),
    };
    let (user, password) =
        match credentials.map(|text| text.split_once(':').map_or((text, None), |(u, p)| (u, Some(p)))) {
            Some((user, password)) => (Some(decoded(user)), password.map(decoded)),
            None => (None, None),
        };
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(AddressError::Host)?;
            (host, port.strip_prefix(':'))
        }
        // More than one colon is an IPv6 address without brackets.
        None if place.matches(':').count() == 1 => {
            place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)))
        }
        None => (place, None),
    };
    let port = port.map(|port| port.parse().map_err(|_| AddressError::Host)).transpose()?;
    Ok(TransportHost { host: host.to_owned(), port, user, password })
}

/// A server of `[keystone_authtoken] memcached_servers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemcachedServer {
    /// A host and its port.
    Host(String, u64),
    /// A socket.
    Socket(String),
}

/// Reads a server of `memcached_servers`.
///
/// # Errors
/// [`AddressError::Memcached`].
pub fn read_memcached_server(text: &str) -> Result<MemcachedServer, AddressError> {
    const PORT: u64 = 11211;
    let port = |text: &str| match text.strip_prefix(':') {
        None if text.is_empty() => Ok(PORT),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| AddressError::Memcached)
        }
        _ => Err(AddressError::Memcached),
    };
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(MemcachedServer::Socket(path.to_owned()));
    }
    if let Some((host, rest)) = text.strip_prefix("inet6:[").and_then(|rest| rest.split_once(']')) {
        let fits = !host.is_empty() && !host.contains('[');
        return if fits {
            Ok(MemcachedServer::Host(host.to_owned(), port(rest)?))
        } else {
            Err(AddressError::Memcached)
        };
    }
    let text = text.strip_prefix("inet:").unwrap_or(text);
    let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    if host.is_empty() {
        return Err(AddressError::Memcached);
    }
    Ok(MemcachedServer::Host(host.to_owned(), port(rest)?))
}

/// Reads an address of a web service, such as Keystone's.
///
/// # Errors
/// [`AddressError::Web`], [`AddressError::WebUser`].
pub fn read_web_address(text: &str) -> Result<Url, AddressError> {
    // Browsers read `http:/host` and `http:///host` as well; nothing else does.
    let rest = text.trim().split_once("://").map(|(_, rest)| rest);
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with(['/', '\\'])) {
        return Err(AddressError::Web);
    }
    let url: Url = text.trim().parse().map_err(|_| AddressError::Web)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(AddressError::Web);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::WebUser);
    }
    Ok(url)
}
