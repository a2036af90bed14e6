//! How labels differ from those they were derived from.

use std::collections::BTreeMap;

use magnum_domain::Labels;
use magnum_store::LabelsText;
use serde::Serialize;

/// Labels in an answer: those of a row that was worked with, or in a list the text they are kept as.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Shown<'a> {
    Map(&'a Labels),
    Text(&'a LabelsText),
}

impl<'a> From<&'a Labels> for Shown<'a> {
    fn from(labels: &'a Labels) -> Self {
        Self::Map(labels)
    }
}

impl<'a> From<&'a LabelsText> for Shown<'a> {
    fn from(labels: &'a LabelsText) -> Self {
        Self::Text(labels)
    }
}

/// Labels by how they came about. The values shown are the parent's where it has one.
#[derive(Debug, Default)]
pub(crate) struct Differences<'a> {
    /// In both, with different values.
    pub(crate) overridden: BTreeMap<&'a str, &'a str>,
    /// Not in the parent.
    pub(crate) added: BTreeMap<&'a str, &'a str>,
    /// In the parent only.
    pub(crate) skipped: BTreeMap<&'a str, &'a str>,
}

impl<'a> Differences<'a> {
    /// Compares labels with their parent's.
    pub(crate) fn new(own: &'a Labels, parent: &'a Labels) -> Self {
        let mut found = Self::default();
        for (key, value) in own {
            match parent.get(key) {
                None => drop(found.added.insert(key, value)),
                Some(theirs) if theirs != value => drop(found.overridden.insert(key, theirs)),
                Some(_) => {}
            }
        }
        for (key, value) in parent {
            if !own.contains_key(key) {
                found.skipped.insert(key, value);
            }
        }
        found
    }
}
