//! What stands elsewhere for what the data says: tokens, and identifiers that are not ours to choose.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::case::Request;
use crate::subject::Raw;

/// Words of the data, and what they are called where it is asked. Empty: the same.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Translation {
    /// Tokens by name of the person.
    tokens: BTreeMap<String, String>,
    /// Pairs of identifiers: that of the data, that of the place.
    identifiers: Vec<(String, String)>,
}

impl Translation {
    /// Reads what `people.py` has written.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn load(path: &Path) -> Result<Self> {
        serde_json::from_str(&crate::read(path)?).with_context(|| path.display().to_string())
    }

    /// A text of the data as it is said there.
    #[must_use]
    pub fn out(&self, text: &str) -> String {
        self.identifiers.iter().fold(text.to_owned(), |text, (ours, theirs)| text.replace(ours, theirs))
    }

    fn back(&self, text: &str) -> String {
        self.identifiers.iter().fold(text.to_owned(), |text, (ours, theirs)| text.replace(theirs, ours))
    }

    /// A request, with the token in place of the person.
    pub(crate) fn request(&self, request: &Request) -> Request {
        Request {
            method: request.method.clone(),
            path: self.out(&request.path),
            person: self.tokens.get(&request.person).unwrap_or(&request.person).clone(),
            headers: request.headers.iter().map(|(name, value)| (name.clone(), self.out(value))).collect(),
            body: request.body.as_deref().map(|body| self.out(body)),
        }
    }

    /// An answer in the words of the data.
    pub(crate) fn answer(&self, raw: Raw) -> Raw {
        Raw {
            status: raw.status,
            headers: raw.headers.into_iter().map(|(name, value)| (name, self.back(&value))).collect(),
            body: self.back(&raw.body),
        }
    }
}
