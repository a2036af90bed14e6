//! Database URLs, read as SQLAlchemy reads them: operators have written theirs for it, unescaped passwords and all.
//!
//! `scheme://user:password@host:port/database?name=value`, where the user ends at the first `:` or at the last `@`
//! before a `/`, the password at the first `@`, the host at the first `:`, `/` or `?` (in brackets it may have colons), the
//! port at the next `/` or `?`, and the database at the next `?`. User, password and database are percent-decoded. What
//! this comes to is in `tests/data/urls/recorded.json`, recorded from SQLAlchemy itself.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::connect::Backend;
use crate::{Result, StoreError};

/// A database URL. Its password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// Database and Python driver, such as `mysql+pymysql`.
    pub driver: String,
    /// Who connects.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<String>,
    /// Where; an IPv6 address without its brackets.
    pub host: Option<String>,
    /// The port there.
    pub port: Option<u16>,
    /// The database, or SQLite's file.
    pub database: Option<String>,
    /// The parameters in their order; one name may come several times. Those without a value are left out.
    pub query: Vec<(String, String)>,
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseUrl")
            .field("driver", &self.driver)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// What a URL leads to.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// SQLite: a file, or memory.
    Sqlite(Option<PathBuf>),
    /// PostgreSQL.
    Postgres(Server),
    /// MariaDB or MySQL.
    MySql(Server),
}

/// A database on a server. What is not given is the client library's to decide.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Who connects.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<String>,
    /// Host name or address.
    pub host: Option<String>,
    /// The port there.
    pub port: Option<u16>,
    /// The socket, for MySQL, or the folder that it is in, for PostgreSQL; outweighs the host.
    pub socket: Option<PathBuf>,
    /// The database.
    pub database: Option<String>,
    /// How the server's certificate is checked; nothing: TLS if the server offers it, unchecked.
    pub tls: Option<Tls>,
    /// Authorities to check it with, in PEM; nothing: the usual ones.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, in PEM.
    pub key: Option<PathBuf>,
    /// PostgreSQL: settings of the session.
    pub settings: Vec<(String, String)>,
}

/// How a server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// No TLS.
    Off,
    /// TLS if the server offers it.
    Preferred,
    /// TLS, with any certificate.
    Required,
    /// TLS, with a certificate of the authorities.
    Authority,
    /// The same, for the host's own name.
    Identity,
}

/// Python drivers of MySQL whose parameters are known.
const HARMLESS_MYSQL: [&str; 13] = [
    "autocommit",
    "binary_prefix",
    "charset",
    "collation",
    "compress",
    "connect_timeout",
    "local_infile",
    "max_allowed_packet",
    "plugin",
    "program_name",
    "read_timeout",
    "use_unicode",
    "write_timeout",
];
/// The same of PostgreSQL. A server that does not suit `target_session_attrs` refuses what we write.
const HARMLESS_POSTGRES: [&str; 11] = [
    "application_name",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "plugin",
    "target_session_attrs",
    "tcp_user_timeout",
];

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`], which never holds any of it but names of parameters.
    pub fn parse(text: &str) -> Result<Self> {
        let (driver, rest) = text.split_once("://").ok_or_else(|| invalid("it has no `://`"))?;
        if driver.is_empty() || !driver.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '+')) {
            return Err(invalid("what is before `://` must be a database such as mysql+pymysql or postgresql"));
        }
        let (credentials, rest) = split_credentials(rest);
        let (host, rest) = split_host(rest);
        let (port, rest) = match rest.strip_prefix(':') {
            Some(rest) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        let (database, rest) = match rest.strip_prefix('/') {
            Some(rest) => {
                let end = rest.find('?').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        let query = rest.strip_prefix('?').unwrap_or_default();
        let pairs = form_urlencoded::parse(query.lines().next().unwrap_or_default().as_bytes());
        let (user, password) = credentials.map_or((None, None), |(user, password)| (Some(user), password));
        Ok(Self {
            driver: driver.to_owned(),
            user: user.map(decoded),
            password: password.map(decoded),
            host: host.map(str::to_owned),
            port: port.map(read_port).transpose()?,
            database: database.map(decoded),
            query: pairs.into_owned().filter(|(_, value)| !value.is_empty()).collect(),
        })
    }

    /// Which database it is.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`] if it is none that there is code for.
    pub fn backend(&self) -> Result<Backend> {
        match self.driver.split_once('+').map_or(&*self.driver, |(database, _)| database) {
            "sqlite" => Ok(Backend::Sqlite),
            "postgresql" | "postgres" => Ok(Backend::Postgres),
            "mysql" | "mariadb" => Ok(Backend::MySql),
            _ => Err(invalid("what is before `://` is none of sqlite, postgresql, mysql, mariadb")),
        }
    }

    /// What it leads to. Parameters that would change how it is connected to are honoured or refused.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`] when that can't be.
    pub fn target(&self) -> Result<Target> {
        match self.backend()? {
            Backend::Sqlite => self.file().map(Target::Sqlite),
            Backend::Postgres => self.postgres().map(Target::Postgres),
            Backend::MySql => self.mysql().map(Target::MySql),
        }
    }

    fn file(&self) -> Result<Option<PathBuf>> {
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if given(&self.user) || given(&self.password) || given(&self.host) || self.port.is_some() {
            return Err(invalid(
                "SQLite has no host: sqlite:////absolute/path has four slashes, sqlite:///relative/path three",
            ));
        }
        if self.query.iter().any(|(name, value)| name == "uri" && truth(value) == Some(true)) {
            return Err(invalid("SQLite's own URIs (uri=true) can't be used: write the path of the file"));
        }
        Ok(match self.database.as_deref() {
            None | Some("" | ":memory:") => None,
            Some(path) => Some(PathBuf::from(path)),
        })
    }

    fn server(&self) -> Result<Server> {
        let host = self.host.clone().filter(|host| !host.is_empty());
        if host.as_ref().is_some_and(|host| host.contains('@')) {
            return Err(invalid("its host has an `@`: in a password or a user's name write %40"));
        }
        if host.as_ref().is_some_and(|host| host.contains(',')) {
            return Err(invalid("it names several hosts: only one can be used"));
        }
        Ok(Server {
            user: self.user.clone().filter(|user| !user.is_empty()),
            password: self.password.clone(),
            host,
            port: self.port,
            database: self.database.clone().filter(|database| !database.is_empty()),
            ..Server::default()
        })
    }

    fn postgres(&self) -> Result<Server> {
        let mut server = self.server()?;
        for (name, value) in &self.query {
            match name.as_str() {
                "host" if value.contains(',') || server.socket.is_some() => {
                    return Err(invalid("it names several hosts: only one can be used"));
                }
                "host" if value.starts_with('/') => server.socket = Some(PathBuf::from(value)),
                "host" => match value.split_once(':') {
                    Some((host, port)) if !port.contains(':') => {
                        (server.host, server.port) = (Some(host.to_owned()), Some(read_port(port)?));
                    }
                    _ => server.host = Some(value.clone()),
                },
                "port" => server.port = Some(read_port(value)?),
                "user" => server.user = Some(value.clone()),
                "password" => server.password = Some(value.clone()),
                "dbname" => server.database = Some(value.clone()),
                "sslmode" => server.tls = Some(postgres_tls(value)?),
                "sslrootcert" => server.ca = Some(PathBuf::from(value)),
                "sslcert" => server.certificate = Some(PathBuf::from(value)),
                "sslkey" => server.key = Some(PathBuf::from(value)),
                "options" => server.settings = settings(value)?,
                name if HARMLESS_POSTGRES.contains(&name) => {}
                other => return Err(unknown(other, value)),
            }
        }
        let hosts = self.query.iter().filter(|(name, _)| name == "host").count();
        if hosts > 1 {
            return Err(invalid("it names several hosts: only one can be used"));
        }
        Ok(server)
    }

    fn mysql(&self) -> Result<Server> {
        let mut server = self.server()?;
        if server.user.is_none() {
            return Err(invalid("it names no user: mysql+pymysql://USER:PASSWORD@HOST/DATABASE"));
        }
        let (mut check_name, mut verify, mut identity, mut mode) = (None, None, None, None);
        for (name, value) in &self.query {
            match name.as_str() {
                "unix_socket" | "socket" => server.socket = Some(PathBuf::from(value)),
                "ssl_ca" | "ssl-ca" => server.ca = Some(PathBuf::from(value)),
                "ssl_cert" | "ssl-cert" => server.certificate = Some(PathBuf::from(value)),
                "ssl_key" | "ssl-key" => server.key = Some(PathBuf::from(value)),
                "ssl_mode" | "ssl-mode" => mode = Some(mysql_tls(value)?),
                "ssl_check_hostname" => check_name = Some(flag(name, value)?),
                "ssl_verify_cert" => verify = Some(flag(name, value)?),
                "ssl_verify_identity" => identity = Some(flag(name, value)?),
                name if HARMLESS_MYSQL.contains(&name) => {}
                other => return Err(unknown(other, value)),
            }
        }
        // With an authority, PyMySQL checks the certificate and the name in it, unless told otherwise.
        server.tls = match (mode, &server.ca) {
            (Some(mode), _) => Some(mode),
            _ if identity == Some(true) => Some(Tls::Identity),
            (None, Some(_)) if check_name == Some(false) => Some(Tls::Authority),
            (None, Some(_)) => Some(Tls::Identity),
            (None, None) if verify == Some(true) => Some(Tls::Authority),
            (None, None) if check_name.is_some() || server.certificate.is_some() => Some(Tls::Required),
            (None, None) => None,
        };
        Ok(server)
    }
}

fn invalid(reason: &str) -> StoreError {
    StoreError::InvalidUrl(reason.to_owned())
}

fn unknown(name: &str, value: &str) -> StoreError {
    if name.contains('@') || value.contains('@') {
        // What looks like a parameter may be the rest of a password.
        return invalid("there is an `@` after its `?`: in a password or a user's name write %40 and %3F");
    }
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(40).collect();
    StoreError::InvalidUrl(format!("its parameter {name} is not understood here, and leaving it out might be wrong"))
}

/// User and password, if there are any, and what comes after their `@`.
fn split_credentials(text: &str) -> (Option<(&str, Option<&str>)>, &str) {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (user, rest) = text.split_at(end);
    // With a password there may be slashes and question marks before the `@`.
    if let Some((password, rest)) = rest.strip_prefix(':').and_then(|rest| rest.split_once('@')) {
        return (Some((user, Some(password))), rest);
    }
    match user.rsplit_once('@') {
        Some((user, _)) => (Some((user, None)), &text[user.len() + 1..]),
        None => (None, text),
    }
}

/// The host, if there is one, and what comes after it.
fn split_host(text: &str) -> (Option<&str>, &str) {
    let place = &text[..text.find(['/', '?']).unwrap_or(text.len())];
    if let Some(end) = place.rfind(']').filter(|end| text.starts_with('[') && *end > 1) {
        return (Some(&text[1..end]), &text[end + 1..]);
    }
    let end = place.find(':').unwrap_or(place.len());
    (Some(&text[..end]).filter(|host| !host.is_empty()), &text[end..])
}

fn read_port(text: &str) -> Result<u16> {
    text.parse().map_err(|_| {
        invalid(
            "its port is not a number from 0 to 65535; an IPv6 address needs brackets, and an `@` or `:` in a user's \
             name must be written %40 or %3A",
        )
    })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn flag(name: &str, value: &str) -> Result<bool> {
    truth(value).ok_or_else(|| StoreError::InvalidUrl(format!("its parameter {name} must be true or false")))
}

fn postgres_tls(word: &str) -> Result<Tls> {
    match word {
        "disable" => Ok(Tls::Off),
        "allow" | "prefer" => Ok(Tls::Preferred),
        "require" => Ok(Tls::Required),
        "verify-ca" => Ok(Tls::Authority),
        "verify-full" => Ok(Tls::Identity),
        _ => Err(invalid("its sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full")),
    }
}

fn mysql_tls(word: &str) -> Result<Tls> {
    match word.to_ascii_uppercase().as_str() {
        "DISABLED" => Ok(Tls::Off),
        "PREFERRED" => Ok(Tls::Preferred),
        "REQUIRED" => Ok(Tls::Required),
        "VERIFY_CA" => Ok(Tls::Authority),
        "VERIFY_IDENTITY" => Ok(Tls::Identity),
        _ => Err(invalid("its ssl_mode must be one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY")),
    }
}

/// `-c name=value -c name=value`, as libpq has it.
fn settings(text: &str) -> Result<Vec<(String, String)>> {
    let wrong = || invalid("its options must be `-c name=value`, once or several times");
    let mut words = text.split_whitespace();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next().ok_or_else(wrong)?,
            Some(pair) => pair,
            None => return Err(wrong()),
        };
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}
