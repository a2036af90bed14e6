//! The readers of foreign input with what they promise, for `crates/fuzzing`. No part of the interface.
//!
//! Each takes any bytes at all and panics only if a promise is broken.
#![allow(clippy::panic, reason = "a broken promise is told by a panic")]

use axum::http::{HeaderMap, HeaderValue, Uri};
use serde_json::{Map, Value, json};

use crate::field::read::{ENTRIES, whole_number};
use crate::field::{one, read::Quoted, read::Whole, table};
use crate::link::{BaseUrl, LinkOptions};
use crate::microversion::{MAXIMUM, MINIMUM, Microversion, VERSION_HEADER};
use crate::options::SizeLimits;
use crate::page::{self, Marker};
use crate::patch::{Patch, Rules};
use crate::python;
use crate::query::Query;

const TEMPLATE: Rules = Rules { fields: &table::CLUSTER_TEMPLATE, internal: &[], mandatory: &["coe"] };
/// Most items of a page.
const MOST: u64 = 1000;

fn stored() -> Map<String, Value> {
    let stored = json!({"name": "t", "coe": "swarm", "image_id": "local", "labels": {"a": "b"}, "apiserver_port": null,
        "public": false, "floating_ip_enabled": false, "docker_volume_size": 5, "dns_nameserver": "8.8.8.8"});
    stored.as_object().cloned().unwrap_or_default()
}

/// What a patch changes differs from what was, is a member of the resource, and would be kept as it is if it were sent.
pub fn json_patch(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return };
    let before = stored();
    let Ok(differs) =
        Patch::read(Some(body), &TEMPLATE).and_then(|patch| patch.apply(&before, &TEMPLATE, &SizeLimits::default()))
    else {
        return;
    };
    for (name, value) in &differs {
        assert!(before.get(name).is_some_and(|before| before != value), "{name} does not differ");
        settled(name, value);
    }
}

/// Insists that reading a value that was read changes nothing.
fn settled(name: &str, value: &Value) {
    let Some(field) = table::CLUSTER_TEMPLATE.field(name).filter(|_| !value.is_null()) else { return };
    match one(field, value, &Whole { argument: name, body: Quoted::Value(value), sizes: &SizeLimits::default() }) {
        Ok(again) => assert!(again == *value, "{name}: {value} is read again as {again}"),
        Err(error) => panic!("{name}: {value} was taken and is refused the second time: {error}"),
    }
}

/// Labels are texts, not too many, and the same whether they come as an object, as a literal or as what they became.
pub fn labels(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(labels) = patched(Value::from(&*text)) else { return };
    let entries = labels.as_object().map_or(0, Map::len);
    assert!(entries <= ENTRIES, "{entries} labels");
    assert!(labels.as_object().is_some_and(|labels| labels.values().all(Value::is_string)), "{labels}");
    settled("labels", &labels);
    for again in [labels.clone(), Value::from(python::repr(&labels))] {
        assert!(patched(again.clone()).as_ref() == Some(&labels), "{labels} is something else as {again}");
    }
}

/// Labels as a patch leaves them.
fn patched(value: Value) -> Option<Value> {
    let patch = json!([{"op": "replace", "path": "/labels", "value": value}]);
    let before = json!({"labels": {"": ""}});
    let patch = Patch::read(Some(patch), &TEMPLATE).ok()?;
    patch.apply(before.as_object()?, &TEMPLATE, &SizeLimits::default()).ok()?.remove("labels")
}

/// A literal is the same when it is printed and read again.
pub fn python_literal(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(value) = python::literal(&text) else { return };
    let printed = python::repr(&value);
    assert!(python::literal(&printed).as_ref() == Some(&value), "{printed} is read as something else");
}

/// A page is within its bounds, and the link to a next one leads to the same order.
pub fn paging(data: &[u8]) {
    let Ok(uri) = Uri::try_from(format!("/v1/clusters?{}", String::from_utf8_lossy(data))) else { return };
    for marker in [Marker::Uuid, Marker::Integer] {
        let Ok(page) = Query::of(&uri)
            .and_then(|query| query.only(&page::PARAMETERS))
            .and_then(|query| page::read(&query, marker, MOST))
        else {
            continue;
        };
        assert!((1..=MOST).contains(&page.limit), "{} items", page.limit);
        // Only columns are sorted by, so nothing else ever comes into a link.
        if !page.sort_key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            continue;
        }
        let base = BaseUrl::of(&HeaderMap::new(), &LinkOptions::default());
        let items = usize::try_from(page.limit).unwrap_or_default();
        let last = page.marker.clone().unwrap_or_else(|| "7".to_owned());
        if marker == Marker::Uuid && page.marker.is_none() || marker == Marker::Integer && whole_number(&last).is_none()
        {
            continue;
        }
        let Some(next) = page::next(&base, "/v1/clusters", &page, items, Some(last.clone())) else {
            panic!("a full page has no next one");
        };
        let Ok(uri) = Uri::try_from(&next) else { panic!("{next} is no URL") };
        let again = Query::of(&uri).and_then(|query| page::read(&query, marker, MOST));
        assert!(
            again.as_ref().is_ok_and(|again| (again.limit, &again.sort_key, again.sort_dir)
                == (page.limit, &page.sort_key, page.sort_dir)
                && again.marker == Some(last)),
            "{next} leads to another page: {again:?}"
        );
    }
}

/// A version that is served is one of those that there are, and is told as it was asked for.
pub fn microversion(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let Ok(version) = Microversion::from_headers(&HeaderMap::from_iter([(VERSION_HEADER, value)])) else { return };
    assert!((MINIMUM..=MAXIMUM).contains(&version), "{version}");
    let mut told = HeaderMap::new();
    version.tell(&mut told);
    assert!(Microversion::from_headers(&told) == Ok(version), "{told:?}");
}
