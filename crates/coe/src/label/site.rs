//! Labels that a site declares itself, for what its own drivers and tools read: files in the form of `data/labels.yaml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Deserialize;

use super::{Drivers, Label, LabelCatalogue, LabelType, built_in};

/// A file of a site.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteFile {
    /// Groups of drivers beside those of the built-in table.
    #[serde(default)]
    drivers: Vec<Drivers>,
    labels: Vec<Label>,
}

/// Why a site's labels can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SiteLabelError {
    /// A file can't be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not of the form.
    #[error("{} is not a file of labels: {message}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, with the place.
        message: String,
    },
    /// A label or a group of drivers does not make sense.
    #[error("{}: {name} {problem}", path.display())]
    Senseless {
        /// In which file.
        path: PathBuf,
        /// Which label or group.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The built-in table is broken, which the tests of this crate rule out.
    #[error("the built-in table of labels is malformed: {0}")]
    BuiltIn(&'static str),
    /// Another catalogue is in use already.
    #[error("the labels of this process have been settled already")]
    Settled,
}

pub(super) static WITH_SITES: OnceLock<LabelCatalogue> = OnceLock::new();

/// The built-in table with the labels of these files.
///
/// # Errors
/// If a file can't be read, is malformed, declares what is there already, or is for drivers that nobody has declared.
pub fn with_files(files: &[PathBuf]) -> Result<LabelCatalogue, SiteLabelError> {
    let mut catalogue = built_in().map_err(SiteLabelError::BuiltIn)?.clone();
    for path in files {
        let text = fs::read_to_string(path).map_err(|source| SiteLabelError::Read { path: path.clone(), source })?;
        let site: SiteFile = serde_saphyr::from_str(&text)
            .map_err(|error| SiteLabelError::Malformed { path: path.clone(), message: error.to_string() })?;
        add(&mut catalogue, path, site)?;
    }
    Ok(catalogue)
}

/// Has [`super::catalogue`] hold the labels of these files from now on. Once in a process, before anything asks.
///
/// # Errors
/// As [`with_files`]; [`SiteLabelError::Settled`] the second time.
pub fn install(files: &[PathBuf]) -> Result<(), SiteLabelError> {
    if files.is_empty() {
        return Ok(());
    }
    WITH_SITES.set(with_files(files)?).map_err(|_| SiteLabelError::Settled)
}

fn add(catalogue: &mut LabelCatalogue, path: &Path, site: SiteFile) -> Result<(), SiteLabelError> {
    let senseless = |name: &str, problem: String| SiteLabelError::Senseless {
        path: path.to_owned(),
        name: name.to_owned(),
        problem,
    };
    for group in site.drivers {
        if catalogue.drivers.iter().any(|known| known.name == group.name) {
            return Err(senseless(&group.name, "is a group of drivers already".to_owned()));
        }
        if group.engines.is_empty() {
            return Err(senseless(&group.name, "names no engines".to_owned()));
        }
        catalogue.drivers.push(group);
    }
    let groups: BTreeSet<&str> = catalogue.drivers.iter().map(|group| group.name.as_str()).collect();
    for label in &site.labels {
        let name = &label.name;
        if catalogue.label(name).is_some() || site.labels.iter().filter(|other| other.name == *name).count() > 1 {
            return Err(senseless(name, "is declared already".to_owned()));
        }
        if name.trim().is_empty() {
            return Err(senseless("a label", "has no name".to_owned()));
        }
        if let Some(strange) =
            label.drivers.iter().chain(label.defaults.keys()).find(|it| !groups.contains(it.as_str()))
        {
            let known = groups.iter().copied().collect::<Vec<_>>().join(", ");
            return Err(senseless(name, format!("is for {strange}, which is no group of drivers: there are {known}")));
        }
        if label.drivers.is_empty() {
            return Err(senseless(name, "is for no drivers".to_owned()));
        }
        let has_words = !label.values.is_empty();
        match label.kind {
            LabelType::Enum if !has_words => return Err(senseless(name, "is an enum and has no values".to_owned())),
            LabelType::Enum | LabelType::Words => {}
            _ if has_words => return Err(senseless(name, "has values, and is neither enum nor words".to_owned())),
            _ => {}
        }
        if label.instead.is_some() != label.until.is_some() {
            return Err(senseless(name, "needs both of until and instead, or neither".to_owned()));
        }
    }
    catalogue.labels.extend(site.labels);
    Ok(())
}
