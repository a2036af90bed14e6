//! Files, folders, environment variables and command-line values, from the weakest to the strongest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::ConfigError;
use crate::ini::read_ini;
use crate::report::{Finding, FindingKind, Origin, Severity};

/// Name that files and folders are looked for under.
const PROJECT: &str = "magnum";

/// Where values come from. A stronger source overrides a weaker one: files in their order, then the files of folders
/// by name, then the environment, then the command line.
#[derive(Clone, Default)]
pub struct Sources {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// Where files that options name are looked for, besides next to `files` and in `folders`.
    usual: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    overrides: Vec<(String, String, String)>,
    /// What holds where no other source says anything.
    defaults: Vec<(String, String, String)>,
}

/// Without values, which may be secret.
impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("files", &self.files).field("folders", &self.folders).finish_non_exhaustive()
    }
}

/// One source, read.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) sections: Vec<(String, Origin)>,
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) findings: Vec<Finding>,
}

pub(crate) struct Assignment {
    pub(crate) group: String,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

impl Sources {
    /// Nothing but defaults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These files and nothing else.
    #[must_use]
    pub fn files(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { files: files.into_iter().collect(), ..Self::default() }
    }

    /// What the program called `program` reads: `files` and `folders` from its command line, or where there are
    /// none the usual ones that exist, and the environment.
    ///
    /// Usual are `magnum.conf` and `<program>.conf`, `magnum.conf.d` and `<program>.conf.d`, each at the first of
    /// `~/.magnum`, `~`, `/etc/magnum`, `/etc` and the folders of a snap that has it.
    #[must_use]
    pub fn discover(
        program: &str,
        files: &[PathBuf],
        folders: &[PathBuf],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let environment: Vec<_> = environment.into_iter().collect();
        let usual = usual_folders(&environment);
        Self::discover_in(usual, program, files, folders, environment)
    }

    fn discover_in(
        usual: Vec<PathBuf>,
        program: &str,
        files: &[PathBuf],
        folders: &[PathBuf],
        environment: Vec<(String, String)>,
    ) -> Self {
        let names: &[&str] = if program == PROJECT { &[PROJECT] } else { &[PROJECT, program] };
        let find = |given: &[PathBuf], extension: &str, is_folder: bool| {
            if !given.is_empty() {
                return given.to_vec();
            }
            let first = |name: &&str| {
                usual
                    .iter()
                    .map(|folder| folder.join(format!("{name}{extension}")))
                    .find(|path| is_there(path, is_folder))
            };
            names.iter().filter_map(first).collect()
        };
        let files = find(files, ".conf", false);
        let folders = find(folders, ".conf.d", true);
        Self { files, folders, usual, environment, ..Self::default() }
    }

    /// The same with a value for where no other source has one.
    #[must_use]
    pub fn with_default(mut self, group: &str, name: &str, value: impl Into<String>) -> Self {
        self.defaults.push((group.to_owned(), name.to_owned(), value.into()));
        self
    }

    /// The same with a value from the command line.
    #[must_use]
    pub fn with(mut self, group: &str, name: &str, value: impl Into<String>) -> Self {
        self.overrides.push((group.to_owned(), name.to_owned(), value.into()));
        self
    }

    /// The files that are read, in their order: those that are named, then those of folders.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn file_names(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let mut names = self.files.clone();
        for folder in &self.folders {
            names.extend(files_of(folder)?);
        }
        Ok(names)
    }

    /// Where a file that an option names without a folder is looked for, in this order.
    pub(crate) fn search_folders(&self) -> Vec<PathBuf> {
        let beside = self.files.iter().rev().filter_map(|file| file.parent()).map(Path::to_owned);
        self.folders.iter().cloned().chain(beside).chain(self.usual.iter().cloned()).collect()
    }

    /// Where such a file belongs if it is nowhere yet: next to the last file, or in `/etc/magnum`.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        let beside = self.files.last().and_then(|file| file.parent()).map(Path::to_owned);
        beside.or_else(|| self.usual.iter().find(|folder| folder.ends_with(format!("etc/{PROJECT}"))).cloned())
    }

    /// Reads everything, from the weakest to the strongest.
    pub(crate) fn read(&self) -> Result<Vec<Layer>, ConfigError> {
        let from = |values: &[(String, String, String)], origin: &Origin| -> Vec<Assignment> {
            let assignment = |(group, key, value): &(String, String, String)| Assignment {
                group: group.clone(),
                key: key.clone(),
                value: value.clone(),
                origin: origin.clone(),
            };
            values.iter().map(assignment).collect()
        };
        let mut layers = vec![Layer { assignments: from(&self.defaults, &Origin::Default), ..Layer::default() }];
        for file in self.file_names()? {
            layers.push(read_file(&file)?);
        }
        layers.push(Layer { assignments: self.environment_values(), ..Layer::default() });
        layers.push(Layer { assignments: from(&self.overrides, &Origin::CommandLine), ..Layer::default() });
        Ok(layers)
    }

    /// The variables called `OS_<GROUP>__<OPTION>`, in capitals.
    fn environment_values(&self) -> Vec<Assignment> {
        let assignment = |(variable, value): &(String, String)| {
            let (group, key) = variable.strip_prefix("OS_")?.split_once("__")?;
            let group = if group == "DEFAULT" { group.to_owned() } else { group.to_lowercase() };
            let origin = Origin::Environment(variable.clone());
            Some(Assignment { group, key: key.to_lowercase(), value: value.clone(), origin })
        };
        self.environment.iter().filter_map(assignment).collect()
    }
}

fn usual_folders(environment: &[(String, String)]) -> Vec<PathBuf> {
    let variable = |wanted: &str| {
        environment
            .iter()
            .find(|(name, value)| name == wanted && !value.is_empty())
            .map(|(_, value)| PathBuf::from(value))
    };
    let home = variable("HOME");
    let snap = |name| variable(name).map(|snap| snap.join("etc").join(PROJECT));
    [
        home.as_ref().map(|home| home.join(format!(".{PROJECT}"))),
        home,
        Some(Path::new("/etc").join(PROJECT)),
        Some(PathBuf::from("/etc")),
        snap("SNAP_COMMON"),
        snap("SNAP"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a file or folder is there to be read. One that is and can't be read counts: going on without it would be to
/// run on defaults that nobody has chosen. Only in somebody's home, which may be another's (`su`, `sudo`), it does not.
fn is_there(path: &Path, is_folder: bool) -> bool {
    match fs::metadata(path) {
        Ok(metadata) => metadata.is_dir() == is_folder,
        // A link to nothing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => !is_folder && path.symlink_metadata().is_ok(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => path.starts_with("/etc"),
        Err(_) => false,
    }
}

/// The `*.conf` files of a folder, by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "conf") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Layer, ConfigError> {
    let bytes = fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::Read {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"),
    })?;
    Ok(read_text(path, &text))
}

/// Reads the text of a file; `path` is what findings say.
pub(crate) fn read_text(path: &Path, text: &str) -> Layer {
    let path: Arc<Path> = path.into();
    let at = |line| Origin::File { path: Arc::clone(&path), line };
    let document = read_ini(text);
    let findings = document.errors.iter().map(|error| Finding {
        severity: Severity::Error,
        kind: FindingKind::Syntax,
        origin: at(error.line),
        group: String::new(),
        name: None,
        message: error.problem.to_owned(),
    });
    Layer {
        findings: findings.collect(),
        sections: document.sections.into_iter().map(|section| (section.name, at(section.line))).collect(),
        assignments: document
            .entries
            .into_iter()
            .map(|entry| Assignment {
                group: entry.section,
                key: entry.key,
                value: entry.value,
                origin: at(entry.line),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn finds_the_first_of_the_usual_files() {
        let root = tempfile::tempdir().unwrap();
        let (home, etc) = (root.path().join("home"), root.path().join("etc/magnum"));
        write(&home.join("magnum.conf"), "");
        write(&etc.join("magnum.conf"), "");
        write(&etc.join("magnum-api.conf"), "");
        write(&etc.join("magnum.conf.d/10.conf"), "[api]\nport=1\n");
        write(&etc.join("magnum.conf.d/05.conf"), "[api]\nport=2\n");
        write(&etc.join("magnum.conf.d/note.txt"), "not read");
        let discover = |program, files: &[PathBuf]| {
            Sources::discover_in(vec![home.clone(), etc.clone()], program, files, &[], Vec::new())
        };
        let found = discover("magnum-api", &[]);
        assert_eq!(found.files, [home.join("magnum.conf"), etc.join("magnum-api.conf")]);
        assert_eq!(found.folders, [etc.join("magnum.conf.d")]);
        assert_eq!(found.home(), Some(etc.clone()), "next to the last file");
        let ports: Vec<_> =
            found.read().unwrap().iter().flat_map(|layer| &layer.assignments).map(|a| a.value.clone()).collect();
        assert_eq!(ports, ["2", "1"]);
        assert_eq!(discover("magnum", &[]).files, [home.join("magnum.conf")]);
        let given = discover("magnum", &[root.path().join("mine.conf")]);
        assert_eq!(given.files, [root.path().join("mine.conf")]);
        assert!(given.read().is_err(), "a file that was asked for must be there");
    }

    #[test]
    fn knows_the_usual_folders() {
        let environment =
            [("HOME", "/home/me"), ("SNAP", "/snap/x"), ("OTHER", "/y")].map(|(a, b)| (a.into(), b.into()));
        let expected = ["/home/me/.magnum", "/home/me", "/etc/magnum", "/etc", "/snap/x/etc/magnum"].map(PathBuf::from);
        assert_eq!(usual_folders(&environment), expected);
    }

    #[test]
    fn reads_the_environment() {
        let environment =
            [("OS_API__MAX_LIMIT", "5"), ("OS_DEFAULT__DEBUG", "true"), ("OS_AUTH_URL", "x"), ("PATH", "y")];
        let sources =
            Sources { environment: environment.map(|(a, b)| (a.into(), b.into())).to_vec(), ..Sources::none() };
        let found: Vec<_> = sources
            .environment_values()
            .into_iter()
            .map(|a| format!("[{}] {} = {}", a.group, a.key, a.value))
            .collect();
        assert_eq!(found, ["[api] max_limit = 5", "[DEFAULT] debug = true"]);
    }
}
