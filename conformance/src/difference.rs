//! The differences that are meant, from `differences.yaml`: each with its reason, and none that is not there.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use crate::compare::Difference;
use crate::record::Answer;

/// A difference that is meant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meant {
    /// Short name.
    pub name: String,
    /// Which requests: patterns with `*`.
    pub cases: Vec<String>,
    /// Where in the answer: patterns with `*`; none: anywhere.
    #[serde(default)]
    pub at: Vec<String>,
    /// Which releases of upstream; none: all.
    #[serde(default)]
    pub releases: Vec<String>,
    /// What upstream answers.
    #[serde(default)]
    pub upstream: Shape,
    /// What ours answers.
    #[serde(default)]
    pub ours: Shape,
    /// Databases on which there is no such difference: `mysql`, whose comparisons are the recorded upstream's.
    #[serde(default)]
    pub not_on: Vec<String>,
    /// Why.
    pub reason: String,
}

/// What an answer looks like.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Statuses: `404`, `4xx`; none: any.
    #[serde(default)]
    pub status: Vec<String>,
    /// Pattern of the body as JSON, or of an error's detail; none: any.
    #[serde(default)]
    pub says: Option<String>,
}

impl Shape {
    fn fits(&self, answer: &Answer) -> bool {
        let status = answer.status.to_string();
        let same = |wanted: &String| {
            wanted.len() == status.len() && wanted.chars().zip(status.chars()).all(|(a, b)| a == 'x' || a == b)
        };
        if !self.status.is_empty() && !self.status.iter().any(same) {
            return false;
        }
        let Some(says) = &self.says else { return true };
        let detail = answer.body["errors"][0]["detail"].as_str();
        fits(says, detail.unwrap_or(&answer.body.to_string()))
    }
}

/// The table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its rows.
    pub rows: Vec<Meant>,
}

impl Table {
    /// The table that comes with this crate.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn load() -> Result<Self> {
        let rows: Vec<Meant> = crate::data_file("differences.yaml")?;
        Ok(Self { rows })
    }

    /// The row that a difference from a release is meant by.
    #[must_use]
    pub fn explains(
        &self,
        release: &str,
        case: &str,
        difference: &Difference,
        upstream: &Answer,
        ours: &Answer,
    ) -> Option<usize> {
        self.rows.iter().position(|row| {
            (row.releases.is_empty() || row.releases.iter().any(|known| known == release))
                && (row.at.is_empty() || row.at.iter().any(|pattern| fits(pattern, &difference.at)))
                && row.cases.iter().any(|pattern| fits(pattern, case))
                && row.upstream.fits(upstream)
                && row.ours.fits(ours)
        })
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A value in few words.
#[must_use]
pub fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(nothing)".to_owned() };
    let text = value.to_string();
    if text.chars().count() > 300 { format!("{}…", text.chars().take(300).collect::<String>()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let table = [
            ("*", "anything", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c*e", "a b c d e", true),
            ("a*c", "abcd", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*as=demo*", "x/y as=demo at=1.1", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
