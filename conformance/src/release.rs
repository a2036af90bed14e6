//! The releases of upstream, from `releases.yaml`, and what each has answered.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::case::{Case, Corpus};
use crate::difference::fits;
use crate::record::Record;

/// A release of upstream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its number.
    #[serde(rename = "release")]
    pub number: String,
    /// Which requests it is asked: patterns with `*`.
    cases: Vec<String>,
}

impl Release {
    /// All of them.
    ///
    /// # Errors
    /// When the table can't be read or is empty.
    pub fn all() -> Result<Vec<Self>> {
        let all: Vec<Self> = crate::data_file("releases.yaml")?;
        ensure!(!all.is_empty(), "releases.yaml names no release");
        Ok(all)
    }

    /// Whether it is asked this.
    #[must_use]
    pub fn is_asked(&self, case: &Case) -> bool {
        self.cases.iter().any(|pattern| fits(pattern, &case.name))
    }

    /// What it is asked of a corpus.
    #[must_use]
    pub fn part(&self, corpus: &Corpus) -> Vec<Case> {
        corpus.cases.iter().filter(|case| self.is_asked(case)).cloned().collect()
    }

    /// The folder of its answers.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        crate::data().join("answers").join(&self.number)
    }

    /// Its answers that are kept.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn answers(self) -> Result<Upstream> {
        let answers = Record::load(&self.folder())?;
        Ok(Upstream { release: self, answers })
    }
}

/// A release, and what it answered.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Which one.
    pub release: Release,
    /// Its answers.
    pub answers: Record,
}
