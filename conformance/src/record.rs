//! Upstream's answers, as they are kept: one line for each request, headers and long bodies said once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A comparable answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers that are compared.
    pub headers: BTreeMap<String, String>,
    /// JSON, or the text as a string, or null when there was nothing.
    pub body: Value,
}

/// Bodies longer than this are kept once.
const LONG: usize = 200;

/// Answers by the name of the request.
#[derive(Debug, Clone, Default)]
pub struct Record {
    answers: BTreeMap<String, Answer>,
}

impl Record {
    /// Reads all files of a folder; none where there is no folder.
    ///
    /// # Errors
    /// When a line can't be read.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut record = Self::default();
        let Ok(files) = std::fs::read_dir(folder) else { return Ok(record) };
        for path in files.filter_map(|entry| Some(entry.ok()?.path())) {
            record.read(&crate::read(&path)?).with_context(|| path.display().to_string())?;
        }
        Ok(record)
    }

    fn read(&mut self, text: &str) -> Result<()> {
        let mut lines = text.lines();
        let heads: Vec<BTreeMap<String, String>> =
            serde_json::from_str(lines.next().unwrap_or("[]")).context("the list of headers")?;
        for line in lines {
            let mut line: Value = serde_json::from_str(line).context("a line")?;
            let name = line["case"].as_str().context("a line without a name")?.to_owned();
            let head = line["headers"].as_u64().and_then(|at| usize::try_from(at).ok()).and_then(|at| heads.get(at));
            let body = match line["same"].as_str() {
                Some(other) => {
                    self.answers.get(other).with_context(|| format!("no {other} before {name}"))?.body.clone()
                }
                None => line["body"].take(),
            };
            let status = line["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            let answer = Answer {
                status: status.with_context(|| format!("{name} has no status"))?,
                headers: head.with_context(|| format!("{name} has no headers"))?.clone(),
                body,
            };
            if self.answers.insert(name.clone(), answer).is_some() {
                bail!("{name} is there twice");
            }
        }
        Ok(())
    }

    /// Takes up an answer.
    pub fn insert(&mut self, name: &str, answer: Answer) {
        self.answers.insert(name.to_owned(), answer);
    }

    /// Takes up all answers of another record, over what is there.
    pub fn merge(&mut self, other: Self) {
        self.answers.extend(other.answers);
    }

    /// Names of those answers of another record that are not the same here.
    #[must_use]
    pub fn changed_by(&self, other: &Self) -> Vec<String> {
        let changed = other.answers.iter().filter(|(name, answer)| self.get(name) != Some(answer));
        changed.map(|(name, _)| name.clone()).collect()
    }

    /// Keeps only what is wanted.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.answers.retain(|name, _| wanted(name));
    }

    /// An answer.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Answer> {
        self.answers.get(name)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Writes one file for each file of cases.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut files: BTreeMap<&str, Vec<(&String, &Answer)>> = BTreeMap::new();
        for (name, answer) in &self.answers {
            files.entry(name.split('/').next().unwrap_or_default()).or_default().push((name, answer));
        }
        for (file, answers) in files {
            let path = folder.join(format!("{file}.jsonl"));
            std::fs::write(&path, written(&answers)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

fn written(answers: &[(&String, &Answer)]) -> String {
    let mut heads: Vec<&BTreeMap<String, String>> = Vec::new();
    let mut bodies: BTreeMap<String, &str> = BTreeMap::new();
    let mut lines = String::new();
    for (name, answer) in answers {
        let head = heads.iter().position(|known| **known == answer.headers).unwrap_or_else(|| {
            heads.push(&answer.headers);
            heads.len() - 1
        });
        let body = answer.body.to_string();
        let line = match bodies.get(&body) {
            Some(same) => json!({"case": name, "status": answer.status, "headers": head, "same": same}),
            None => {
                if body.len() > LONG {
                    bodies.insert(body, name);
                }
                json!({"case": name, "status": answer.status, "headers": head, "body": answer.body})
            }
        };
        let _ = writeln!(lines, "{line}");
    }
    format!("{}\n{lines}", json!(heads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let long = json!({"text": "x".repeat(500)});
        let mut record = Record::default();
        for name in ["a/1", "a/2", "b/1"] {
            let headers = BTreeMap::from([("vary".to_owned(), name.to_owned())]);
            record.insert(name, Answer { status: 200, headers, body: long.clone() });
        }
        record.save(folder.path()).unwrap();
        let read = Record::load(folder.path()).unwrap();
        assert_eq!(read.answers, record.answers);
        assert!(std::fs::read_to_string(folder.path().join("a.jsonl")).unwrap().len() < 900);
    }
}
