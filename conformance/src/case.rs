//! One request, or several in a row, and the files they are written in.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::expand::expand;
use crate::run::request_name;
use crate::seed::Seed;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What cases take that do not say otherwise.
    #[serde(default)]
    defaults: Defaults,
    cases: Vec<Written>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    #[serde(rename = "as")]
    persons: Option<Vec<String>>,
    at: Option<Vec<String>>,
}

/// A case as it is written: one for each combination of its lists.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    pub(crate) name: String,
    /// Method and path.
    pub(crate) ask: String,
    /// Who asks; `nobody` has no token, whoever is not in people.yaml a wrong one.
    #[serde(default, rename = "as")]
    pub(crate) persons: Option<Vec<String>>,
    /// Microversions; `none` sends no header, what has a blank is the whole header.
    #[serde(default)]
    pub(crate) at: Option<Vec<String>>,
    /// Lists of values for `{name}` in path, headers and body.
    #[serde(default)]
    pub(crate) with: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Sent as JSON.
    #[serde(default)]
    pub(crate) body: Option<Value>,
    /// Sent as it is.
    #[serde(default)]
    pub(crate) raw: Option<String>,
    /// Members of the body, each replaced in turn by each of its values.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Vec<Value>>,
    /// What is asked afterwards, on the rows as the first request left them. `{uuid}` is that of its answer.
    #[serde(default)]
    pub(crate) then: Vec<Step>,
}

/// A request that follows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) ask: String,
    #[serde(default, rename = "as")]
    pub(crate) person: Option<String>,
    #[serde(default)]
    pub(crate) at: Option<String>,
    #[serde(default)]
    pub(crate) body: Option<Value>,
}

/// A request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Who asks.
    pub person: String,
    /// Headers, but the token.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<String>,
}

impl Request {
    /// Whether it may change rows.
    #[must_use]
    pub fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

/// One case: requests in a row, mostly one.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is known by: `file/name` and what was chosen from each list.
    pub name: String,
    /// The requests, never none.
    pub requests: Vec<Request>,
}

impl Case {
    /// The file it is from.
    #[must_use]
    pub fn file(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// Everything that is asked.
#[derive(Debug)]
pub struct Corpus {
    /// In order of files and of what is in them.
    pub cases: Vec<Case>,
}

impl Corpus {
    /// Reads all files of a folder.
    ///
    /// # Errors
    /// When one can't be read, names a row that is not in the seed, or two cases have the same name.
    pub fn load(folder: &Path, seed: &Seed) -> Result<Self> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .with_context(|| format!("cannot list {}", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
            .collect();
        files.sort();
        let mut cases = Vec::new();
        for path in files {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            let file: File = crate::yaml(&crate::read(&path)?, &stem)?;
            for mut written in file.cases {
                written.persons = written.persons.or_else(|| file.defaults.persons.clone());
                written.at = written.at.or_else(|| file.defaults.at.clone());
                let name = format!("{stem}/{}", written.name);
                cases.extend(expand(&name, &written, seed).with_context(|| name.clone())?);
            }
        }
        let mut names: Vec<&str> = cases.iter().map(|case: &Case| case.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            bail!("two cases are called {}", pair[0]);
        }
        Ok(Self { cases })
    }

    /// The names of all requests.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let of = |case: &Case| -> Vec<String> { (0..case.requests.len()).map(|at| request_name(case, at)).collect() };
        self.cases.iter().flat_map(of).collect()
    }

    /// How many requests there are.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.cases.iter().map(|case| case.requests.len()).sum()
    }
}

/// Members of an object, or none.
pub(crate) fn members(value: &mut Value) -> Option<&mut Map<String, Value>> {
    value.as_object_mut()
}
