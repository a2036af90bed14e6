//! Database URLs are read as SQLAlchemy reads them, by a table that was recorded from it (`data/urls/record.py`). What it
//! reads and we refuse is refused with words; nothing is read otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use magnum_store::DatabaseUrl;
use magnum_store::url::{Server, Target, Tls};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Recorded {
    recorded_from: String,
    urls: Vec<(String, Outcome)>,
}

/// What SQLAlchemy makes of a URL.
#[derive(Deserialize)]
struct Outcome {
    error: Option<String>,
    driver: Option<String>,
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<i64>,
    database: Option<String>,
    #[serde(default)]
    query: BTreeMap<String, Value>,
    connects: Option<Connects>,
}

/// What it would give the driver.
#[derive(Deserialize)]
struct Connects {
    error: Option<String>,
    #[serde(default)]
    positional: Vec<String>,
    #[serde(default)]
    named: BTreeMap<String, Value>,
}

impl Outcome {
    /// A part of what we say instead of reading it, where that is so on purpose.
    fn refused(&self, url: &str) -> Option<&'static str> {
        let database = self.driver.as_deref().unwrap_or_default().split('+').next().unwrap_or_default();
        let host = self.host.as_deref().unwrap_or_default();
        let hosts = self.query.get("host").map(ToString::to_string).unwrap_or_default();
        let is_mysql = matches!(database, "mysql" | "mariadb");
        if self.error.is_some() {
            return Some("");
        }
        if self.port.is_some_and(|port| u16::try_from(port).is_err()) {
            return Some("its port is not a number");
        }
        if !is_mysql && !matches!(database, "postgresql" | "postgres" | "sqlite") {
            return Some("none of sqlite, postgresql");
        }
        if database == "sqlite" && self.connects.as_ref().is_some_and(|connects| connects.error.is_some()) {
            return Some("SQLite has no host");
        }
        if url.contains("uri=true") {
            return Some("SQLite's own URIs");
        }
        if host.contains('@') {
            return Some("write %40");
        }
        if host.contains(',') || hosts.contains(',') {
            return Some("several hosts");
        }
        if is_mysql && self.user.as_deref().unwrap_or_default().is_empty() {
            return Some("it names no user");
        }
        let strange = ["init_command", "read_default_file", "a"];
        if is_mysql && strange.iter().any(|name| self.query.contains_key(*name)) {
            return Some("is not understood here");
        }
        if is_mysql && self.query.contains_key("host") {
            return Some("its parameter host is not understood");
        }
        None
    }
}

#[test]
fn urls_are_read_as_recorded() {
    let recorded: Recorded = serde_json::from_str(include_str!("data/urls/recorded.json")).unwrap();
    assert!(recorded.recorded_from.starts_with("SQLAlchemy 2"));
    assert!(recorded.urls.len() > 250);
    let mut read = 0;
    for (url, outcome) in &recorded.urls {
        let parsed = DatabaseUrl::parse(url);
        let target = parsed.as_ref().ok().map(DatabaseUrl::target);
        if let Some(words) = outcome.refused(url) {
            let error = match (&parsed, target) {
                (Err(error), _) => error.to_string(),
                (_, Some(Err(error))) => error.to_string(),
                _ => panic!("{url} is read, but should be refused ({words})"),
            };
            assert!(error.contains(words), "{url}: {error}");
            continue;
        }
        read += 1;
        let parsed = parsed.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(Some(&parsed.driver), outcome.driver.as_ref(), "{url}");
        assert_eq!(parsed.user, outcome.user, "{url}");
        assert_eq!(parsed.password, outcome.password, "{url}");
        assert_eq!(parsed.host, outcome.host, "{url}");
        assert_eq!(parsed.port.map(i64::from), outcome.port, "{url}");
        assert_eq!(parsed.database, outcome.database, "{url}");
        let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in parsed.query.clone() {
            query.entry(name).or_default().push(value);
        }
        let query: BTreeMap<String, Value> = query
            .into_iter()
            .map(|(name, values)| (name, if values.len() == 1 { values[0].clone().into() } else { values.into() }))
            .collect();
        assert_eq!(query, outcome.query, "{url}");

        let target = target.unwrap().unwrap_or_else(|error| panic!("{url}: {error}"));
        let connects = outcome.connects.as_ref().unwrap();
        if connects.error.is_none() {
            check_target(url, &target, connects);
        }
    }
    assert!(read > 150, "{read}");
}

/// The driver is given the same.
fn check_target(url: &str, target: &Target, connects: &Connects) {
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| connects.named.get(*name));
        found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let not_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    match target {
        Target::Sqlite(None) => assert_eq!(connects.positional, [":memory:"], "{url}"),
        Target::Sqlite(Some(path)) => {
            // It makes relative paths absolute; it was run in the folder `/`.
            let absolute = connects.positional[0].clone();
            let ours = std::path::Path::new("/").join(path).components().collect::<std::path::PathBuf>();
            assert_eq!(ours.display().to_string(), absolute, "{url}");
        }
        Target::Postgres(server) | Target::MySql(server) => {
            assert_eq!(server.user, not_empty(text(&["user"])), "{url}");
            assert_eq!(server.password.clone().filter(|p| !p.is_empty()), text(&["password", "passwd"]), "{url}");
            assert_eq!(server.database, not_empty(text(&["dbname", "database", "db"])), "{url}");
            assert_eq!(server.port.map(|port| port.to_string()), text(&["port"]), "{url}");
            let host = text(&["host"]);
            match host.filter(|host| host.starts_with('/')) {
                Some(folder) => assert_eq!(server.socket.as_ref().unwrap().display().to_string(), folder, "{url}"),
                None => {
                    assert_eq!(server.host, text(&["host"]), "{url}");
                    let socket = server.socket.as_ref().map(|path| path.display().to_string());
                    assert_eq!(socket, text(&["unix_socket"]), "{url}");
                }
            }
            let ca = server.ca.as_ref().map(|path| path.display().to_string());
            let wanted =
                text(&["sslrootcert"]).or_else(|| Some(connects.named.get("ssl")?.get("ca")?.as_str()?.to_owned()));
            assert_eq!(ca, wanted, "{url}");
        }
    }
}

/// What a URL asks for of TLS is never less than what the Python drivers do.
#[test]
fn tls_is_as_asked_for() {
    for (url, expected) in [
        ("mysql+pymysql://u:p@h/m", None),
        ("mysql+pymysql://u:p@h/m?ssl_ca=/ca.pem", Some(Tls::Identity)),
        ("mysql+pymysql://u:p@h/m?ssl_ca=/ca.pem&ssl_check_hostname=false", Some(Tls::Authority)),
        ("mysql+pymysql://u:p@h/m?ssl_ca=/ca.pem&ssl_check_hostname=true", Some(Tls::Identity)),
        ("mysql+pymysql://u:p@h/m?ssl_verify_cert=true", Some(Tls::Authority)),
        ("mysql+pymysql://u:p@h/m?ssl_verify_identity=true&ssl_ca=/ca.pem", Some(Tls::Identity)),
        ("mysql+pymysql://u:p@h/m?ssl_cert=/c.pem&ssl_key=/k.pem", Some(Tls::Required)),
        ("mysql://u:p@h/m?ssl_mode=VERIFY_IDENTITY", Some(Tls::Identity)),
        ("mysql://u:p@h/m?ssl_mode=disabled", Some(Tls::Off)),
        ("postgresql://u:p@h/m", None),
        ("postgresql://u:p@h/m?sslmode=verify-full", Some(Tls::Identity)),
        ("postgresql://u:p@h/m?sslmode=verify-ca", Some(Tls::Authority)),
        ("postgresql://u:p@h/m?sslmode=disable", Some(Tls::Off)),
    ] {
        let target = DatabaseUrl::parse(url).unwrap().target().unwrap();
        let (Target::Postgres(Server { tls, .. }) | Target::MySql(Server { tls, .. })) = target else {
            panic!("{url}")
        };
        assert_eq!(tls, expected, "{url}");
    }
}

/// A URL that can't be used is refused in words, and none of them is from the URL.
#[test]
fn a_refusal_names_what_is_wrong_and_nothing_secret() {
    for (url, words) in [
        ("", "no `://`"),
        ("hunter2", "no `://`"),
        ("u:hunter2@h/m", "no `://`"),
        ("oracle://u:hunter2@h/db", "none of sqlite"),
        ("mysql+pymysql://u:hunter2@h:port/db", "its port"),
        ("mysql+pymysql://u:hunter2@::1/db", "IPv6 address needs brackets"),
        ("mysql+pymysql://u:p@hunter2@h/db", "write %40"),
        ("mysql+pymysql://u:p@hunter2:x@h/db", "its port"),
        ("mysql+pymysql://:hunter2@h/db", "names no user"),
        ("mysql+pymysql://u:hunter2@h/db?ssl_capath=/etc/ssl", "parameter ssl_capath"),
        ("mysql+pymysql://u:hunter2@h/db?ssl_cipher=x", "parameter ssl_cipher"),
        ("mysql+pymysql://u:hunter2@h/db?ssl_check_hostname=perhaps", "ssl_check_hostname must be true or false"),
        ("mysql+pymysql://u:hunter2@h/db?init_command=x", "parameter init_command"),
        ("mysql+pymysql://u:hunter2@h/db?ssl_mode=hunter2", "its ssl_mode must be one of"),
        ("postgresql://u:hunter2@h/db?sslmode=hunter2", "its sslmode must be one of"),
        ("postgresql://u:hunter2@h/db?sslcrl=/crl", "parameter sslcrl"),
        ("postgresql://u:hunter2@h/db?options=hunter2", "its options must be"),
        ("mysql+pymysql://u:p@x?hunter2=y@h/m", "an `@` after its `?`"),
        ("postgresql://u:hunter2@h1,h2/db", "several hosts"),
        ("postgresql://u:hunter2@/db?host=h1&host=h2", "several hosts"),
        ("sqlite://hunter2", "four slashes"),
    ] {
        let error = DatabaseUrl::parse(url).and_then(|url| url.target().map(drop)).expect_err(url).to_string();
        assert!(error.contains(words) && !error.contains("hunter2"), "{url}: {error}");
    }
    let shown = format!("{:?}", DatabaseUrl::parse("mysql://u:hunter2@h/m?ssl_key=hunter2").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
