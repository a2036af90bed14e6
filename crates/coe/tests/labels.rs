//! The table of labels is sound, and the page made from it is up to date.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;

use magnum_coe::label::{LabelType, catalogue};
use magnum_domain::Labels;

/// Set to anything, it has the page written anew.
const WRITE: &str = "MAGNUM_WRITE_DOCS";

#[test]
fn the_page_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/labels.md");
    let page = catalogue().unwrap().document();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/labels.md is out of date: {WRITE}=1 cargo test -p magnum-coe --test labels");
}

#[test]
fn the_table_is_sound() {
    let catalogue = catalogue().unwrap();
    let groups: BTreeSet<&str> = catalogue.drivers.iter().map(|group| group.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for label in &catalogue.labels {
        assert!(seen.insert(&label.name), "{} is there twice", label.name);
        assert!(label.about.ends_with('.'), "{}", label.name);
        assert!(!label.drivers.is_empty() && label.drivers.iter().all(|name| groups.contains(name.as_str())));
        assert!(label.defaults.keys().all(|name| groups.contains(name.as_str())), "{}", label.name);
        match label.kind {
            LabelType::Enum => assert!(!label.values.is_empty(), "{}", label.name),
            LabelType::Words => {}
            _ => assert!(label.values.is_empty(), "{}", label.name),
        }
        assert!(label.instead.is_none() || label.until.is_some(), "{}", label.name);
        if let Some(instead) = &label.instead {
            assert!(catalogue.label(instead).is_some(), "{}: there is no {instead}", label.name);
        }
    }
    assert!(seen.len() > 150);
}

/// A default that is a value, and not a sentence about one, is of the label's own kind.
#[test]
fn defaults_are_right() {
    let catalogue = catalogue().unwrap();
    for label in &catalogue.labels {
        let engine = catalogue.engines(label).next().unwrap();
        let values = label.default.iter().chain(label.defaults.values()).filter(|value| !value.contains(' '));
        for value in values {
            let labels = Labels::from([(label.name.clone(), value.clone())]);
            let found = catalogue.findings(engine, None, &labels);
            let about_value = found.iter().any(|finding| matches!(finding, magnum_coe::label::Finding::Value { .. }));
            assert!(!about_value, "{found:?}");
            assert_eq!(catalogue.refusal(engine, &labels), None, "{}", label.name);
        }
    }
}
