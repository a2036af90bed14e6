//! Addresses are read as upstream's libraries read them, by a table that was recorded from them
//! (`data/addresses/record.py`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use magnum_config::address::{
    MemcachedServer, TransportHost, read_memcached_server, read_transport_url, read_web_address,
};
use magnum_config::{OptionType, Parsed};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Recorded {
    transports: Vec<(String, Value)>,
    memcached: Vec<(String, Value)>,
    web: Vec<(String, Value)>,
    bind: Vec<(String, Value)>,
    ports: Vec<(String, Value)>,
}

fn recorded() -> Recorded {
    serde_json::from_str(include_str!("data/addresses/recorded.json")).unwrap()
}

fn compare(table: &[(String, Value)], read: impl Fn(&str) -> Value) {
    assert!(table.len() > 10);
    for (text, expected) in table {
        assert_eq!(read(text), *expected, "{text:?}");
    }
}

#[test]
fn message_brokers() {
    compare(&recorded().transports, |text| {
        let Ok(url) = read_transport_url(text) else { return json!("error") };
        let host = |host: &TransportHost| json!([host.host, host.port, host.user, host.password]);
        let hosts: Vec<Value> = url.hosts.iter().map(host).collect();
        let query: BTreeMap<String, String> = url.query.iter().cloned().collect();
        json!({"transport": url.transport, "virtual_host": url.virtual_host, "hosts": hosts, "query": query})
    });
}

#[test]
fn memcached_servers() {
    compare(&recorded().memcached, |text| match read_memcached_server(text) {
        Ok(MemcachedServer::Host(host, port)) => json!([host, port]),
        Ok(MemcachedServer::Socket(path)) => json!(path),
        Err(_) => json!("error"),
    });
}

#[test]
fn web_services() {
    compare(&recorded().web, |text| {
        let Ok(url) = read_web_address(text) else { return json!("error") };
        let host = url.host_str().unwrap().trim_matches(['[', ']']).to_owned();
        // A blank at the end of the file's line is no part of a path here.
        let path = if text.ends_with(' ') { format!("{}%20", url.path()) } else { url.path().to_owned() };
        json!({"scheme": url.scheme(), "host": host, "port": url.port(), "path": path})
    });
    assert!(read_web_address("https://u:p@controller/v3").is_err());
}

#[test]
fn addresses_and_ports_to_listen_on() {
    compare(&recorded().bind, |text| match OptionType::Ip.parse(text) {
        // Blanks around it are left out here.
        Ok(Some(Parsed::Text(address))) if address == text => json!(address),
        _ => json!("error"),
    });
    compare(&recorded().ports, |text| match OptionType::Port.parse(text) {
        Ok(Some(Parsed::Integer(port))) => json!(port),
        Ok(None) => Value::Null,
        _ => json!("error"),
    });
}

#[test]
fn what_is_wrong_is_said_without_the_address() {
    for text in ["rabbit://u:hunter2@h:port/", "rabbit://u:hun/ter2@h/", "rabbit://u:hunter2@[::1/", "hunter2"] {
        let error = read_transport_url(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let shown = format!("{:?}", read_transport_url("rabbit://u:hunter2@h/hunter2").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
