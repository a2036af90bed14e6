//! Policy files: which there are, what is in them, and whether they have changed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};
use thiserror::Error;

/// Why policies could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A policy file or folder is there but cannot be read.
    #[error("cannot read the policy file {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A policy file is not a mapping of rule names to rules.
    #[error("the policy file {path} is malformed: {message}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, with the place.
        message: String,
    },
    /// The built-in table is broken.
    #[error("the built-in policy table is malformed: {0}")]
    Defaults(String),
}

/// One file, read.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    pub(crate) path: PathBuf,
    pub(crate) rules: Map<String, Value>,
}

/// State of the files at one look: equal as long as nothing has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<(PathBuf, Stamp)>);

/// Enough to tell a file from what was there before, also when it was moved into its place with an older time on it,
/// or written twice within the clock's resolution.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: (u64, u64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(data: &fs::Metadata) -> Self {
        Self {
            modified: data.modified().ok(),
            length: data.len(),
            inode: (data.dev(), data.ino()),
            changed: (data.ctime(), data.ctime_nsec()),
        }
    }
}

impl Fingerprint {
    /// Looks at the files without reading them.
    pub(crate) fn take(main: Option<&Path>, folders: &[PathBuf]) -> Result<Self, LoadError> {
        present(main, folders).map(Self)
    }

    /// Reads the files that were there at that look.
    pub(crate) fn read(&self) -> Result<Vec<PolicyFile>, LoadError> {
        self.0.iter().map(|(path, _)| read(path)).collect()
    }
}

/// The files that are there, in the order in which later ones override earlier ones: the main file, then those of
/// each folder by name. Hidden files and folders within are left out; what is missing is no error.
fn present(main: Option<&Path>, folders: &[PathBuf]) -> Result<Vec<(PathBuf, Stamp)>, LoadError> {
    let mut found = Vec::new();
    if let Some(main) = main {
        found.extend(stamp(main)?.map(|stamp| (main.to_owned(), stamp)));
    }
    for folder in folders {
        let failed = |source| LoadError::Read { path: folder.clone(), source };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => continue,
            Err(error) => return Err(failed(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden {
                paths.push(path);
            }
        }
        paths.sort();
        for path in paths {
            found.extend(stamp(&path)?.map(|stamp| (path, stamp)));
        }
    }
    Ok(found)
}

fn stamp(path: &Path) -> Result<Option<Stamp>, LoadError> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() => Ok(Some(Stamp::of(&data))),
        Ok(_) => Ok(None),
        Err(error) if is_missing(&error) => Ok(None),
        Err(source) => Err(LoadError::Read { path: path.to_owned(), source }),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read(path: &Path) -> Result<PolicyFile, LoadError> {
    let text = fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let rules = parse(&text).map_err(|message| LoadError::Malformed { path: path.to_owned(), message })?;
    Ok(PolicyFile { path: path.to_owned(), rules })
}

/// YAML, of which JSON is a part. Of a name given twice the last counts. No text at all means no rules.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
    };
    let value: Option<Value> = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(rules)) => Ok(rules),
        Some(_) => Err("it must be a mapping of rule names to rules".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::nothing("", json!({}))]
    #[case::comments("# nothing yet\n", json!({}))]
    #[case::plain("cluster:get: role:admin\n", json!({"cluster:get": "role:admin"}))]
    #[case::quoted("\"cluster:get\": \"\"\n", json!({"cluster:get": ""}))]
    #[case::lists("a: [[role:x, role:y], role:z]\n", json!({"a": [["role:x", "role:y"], "role:z"]}))]
    #[case::json("{\"a\": \"@\", \"b\": []}", json!({"a": "@", "b": []}))]
    #[case::twice("a: role:x\na: role:y\n", json!({"a": "role:y"}))]
    #[case::folded("a: >\n  role:x or\n  role:y\n", json!({"a": "role:x or role:y\n"}))]
    fn reads(#[case] text: &str, #[case] expected: Value) {
        assert_eq!(Value::Object(parse(text).unwrap()), expected);
    }

    #[rstest]
    #[case("- a\n- b\n")]
    #[case("just words")]
    #[case("a: [unclosed")]
    #[case("a: 'unclosed")]
    fn refuses(#[case] text: &str) {
        assert!(parse(text).is_err(), "{text}");
    }
}
