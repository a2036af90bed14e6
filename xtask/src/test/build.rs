//! The one build: every program and every test program, with lints and documentation, all in the same form.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::lints;
use crate::workspace::Workspace;
use crate::{exec, say};

/// How long compiling may take.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// What a test program is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The tests beneath the code of a library or of a program.
    Unit,
    /// A file or folder of `tests`.
    Integration,
}

/// A test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) package: String,
    /// Name of the file or folder in `tests`, or of the library or program.
    pub(super) target: String,
    pub(super) kind: Kind,
    pub(super) executable: PathBuf,
    /// The package's folder, in which it runs.
    pub(super) folder: PathBuf,
}

/// What came of the build.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) programs: Vec<Program>,
    /// How many crates were compiled, and how many were there already.
    pub(super) compiled: usize,
    pub(super) fresh: usize,
    /// Names of the workspace's packages, and of all that is built of them.
    pub(super) ours: BTreeSet<String>,
    /// What the compiler, clippy and rustdoc complain about, each once.
    warnings: BTreeSet<String>,
}

/// Cargo, so that whatever it does shares what was compiled.
pub(super) fn cargo(workspace: &Workspace) -> Result<Command> {
    let mut cargo = workspace.cargo();
    lints::wrap(workspace, &mut cargo)?;
    // What only a debugger reads takes long to write and to link; a panic names its place without.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
    if env::var_os("CI").is_some() {
        // What only a second build would read.
        cargo.env("CARGO_INCREMENTAL", "0");
    }
    Ok(cargo)
}

/// Builds everything. Lints do not end it, so that all of them are told, and the tests can run: see [`Built::check`].
pub(super) fn build(workspace: &Workspace) -> Result<Built> {
    let mut command = cargo(workspace)?;
    command
        .args(["build", "--locked", "--workspace", "--all-targets", "--all-features", "--keep-going"])
        .args(["--message-format", "json"]);
    let mut built = Built::default();
    let status = exec::lines(&mut command, LIMIT, |line| {
        if let Some(message) = built.read(line) {
            say::aside(message.trim_end());
        }
    })?;
    if !status.success() {
        bail!("the workspace does not compile");
    }
    Ok(built)
}

impl Built {
    /// Takes up one message of cargo; answers what has to be shown.
    fn read(&mut self, line: &str) -> Option<String> {
        let message: Value = serde_json::from_str(line).ok()?;
        match message["reason"].as_str()? {
            "compiler-artifact" => {
                let fresh = message["fresh"].as_bool().unwrap_or_default();
                *(if fresh { &mut self.fresh } else { &mut self.compiled }) += 1;
                self.programs.extend(Program::read(&message));
                if message["package_id"].as_str().is_some_and(|id| id.starts_with("path+")) {
                    self.ours.extend(package(&message));
                    self.ours.extend(message["target"]["name"].as_str().map(str::to_owned));
                }
                None
            }
            "compiler-message" => {
                let text = message["message"]["rendered"].as_str()?;
                let counted = message["message"]["spans"].as_array().is_some_and(Vec::is_empty)
                    && text.trim_end().ends_with("emitted");
                match message["message"]["level"].as_str()? {
                    "warning" if counted => None,
                    // The same crate is compiled with and without its tests.
                    "warning" => self.warnings.insert(text.to_owned()).then(|| text.to_owned()),
                    _ => Some(text.to_owned()),
                }
            }
            _ => None,
        }
    }

    /// Fails when there was something to complain about.
    pub(super) fn check(&self) -> Result<()> {
        match self.warnings.len() {
            0 => Ok(()),
            count => bail!("{count} warnings of the compiler, clippy or rustdoc"),
        }
    }
}

impl Program {
    /// The test program that a message of cargo tells of.
    fn read(artifact: &Value) -> Option<Self> {
        if !artifact["profile"]["test"].as_bool()? {
            return None;
        }
        let folder = Path::new(artifact["manifest_path"].as_str()?).parent()?.to_path_buf();
        let kind = artifact["target"]["kind"].as_array()?.iter().any(|kind| kind == "test");
        Some(Self {
            package: package(artifact)?,
            target: artifact["target"]["name"].as_str()?.to_owned(),
            kind: if kind { Kind::Integration } else { Kind::Unit },
            executable: PathBuf::from(artifact["executable"].as_str()?),
            folder,
        })
    }

    /// What it is called in tables: `magnum-store lifecycle`, `magnum-store (lib)`.
    pub(super) fn name(&self) -> String {
        match self.kind {
            Kind::Integration => format!("{} {}", self.package, self.target),
            Kind::Unit if self.package.replace('-', "_") == self.target => format!("{} (unit)", self.package),
            Kind::Unit => format!("{} ({}, unit)", self.package, self.target),
        }
    }
}

/// The name of an artifact's package: `path+file:///checkout/crates/store#magnum-store@0.1.0`, or where the folder has the
/// same name `path+file:///checkout/xtask#0.1.0`.
fn package(artifact: &Value) -> Option<String> {
    let (path, id) = artifact["package_id"].as_str()?.rsplit_once('#')?;
    Some(id.split_once('@').map_or_else(|| path.rsplit('/').next(), |(name, _)| Some(name))?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn artifact(id: &str, kind: &str, name: &str, test: bool) -> String {
        json!({"reason": "compiler-artifact", "package_id": id, "manifest_path": "/checkout/crates/store/Cargo.toml",
            "target": {"kind": [kind], "name": name}, "profile": {"test": test}, "executable": "/target/debug/deps/x-1",
            "fresh": false})
        .to_string()
    }

    fn warning(text: &str, spans: &Value) -> String {
        let message = json!({"level": "warning", "rendered": text, "spans": spans});
        json!({"reason": "compiler-message", "message": message}).to_string()
    }

    #[test]
    fn test_programs_are_found_among_what_is_built() {
        let mut built = Built::default();
        for (id, kind, name, test) in [
            ("path+file:///checkout/crates/store#magnum-store@0.1.0", "lib", "magnum_store", false),
            ("path+file:///checkout/crates/store#magnum-store@0.1.0", "lib", "magnum_store", true),
            ("path+file:///checkout/crates/store#magnum-store@0.1.0", "test", "lifecycle", true),
            ("path+file:///checkout/xtask#0.1.0", "bin", "tool", true),
        ] {
            built.read(&artifact(id, kind, name, test));
        }
        let names: Vec<String> = built.programs.iter().map(Program::name).collect();
        assert_eq!(names, ["magnum-store (unit)", "magnum-store lifecycle", "xtask (tool, unit)"]);
        assert_eq!((built.compiled, built.fresh), (4, 0));
        built.read(&artifact("registry+https://example.org/index#serde@1.0.0", "lib", "serde", false));
        assert_eq!(
            built.ours,
            ["lifecycle", "magnum-store", "magnum_store", "tool", "xtask"].map(str::to_owned).into()
        );
        assert_eq!(built.programs[0].folder, Path::new("/checkout/crates/store"));
    }

    #[test]
    fn what_is_complained_about_is_told_once_and_fails() {
        let mut built = Built::default();
        assert!(built.check().is_ok());
        let lint = warning("warning: used `unwrap()`\n", &json!([{}]));
        assert!(built.read(&warning("warning: 1 warning emitted\n\n", &json!([]))).is_none());
        assert!(built.check().is_ok());
        assert_eq!(built.read(&lint).as_deref(), Some("warning: used `unwrap()`\n"));
        assert_eq!(built.read(&lint), None);
        assert!(built.check().unwrap_err().to_string().starts_with("1 warning"));
    }
}
