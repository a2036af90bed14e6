//! Compiled dependencies, kept for other checkouts.
//!
//! Only what comes from the registry is kept: cargo knows it by version, features, profile and compiler, never by the
//! times of files, so it compiles anew whatever does not fit. The workspace's own crates, which it knows by the times of
//! their sources, are left out, for those of two checkouts say nothing about each other.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::exec;
use crate::workspace::Workspace;

const NAME: &str = "dependencies";
/// How many are kept: each is large, and a branch with other versions may be worked on in between.
const KEPT: usize = 2;
/// Beside what was compiled: of which entry it comes.
const MARKER: &str = "dependencies-from-cache.txt";
/// What cargo keeps of a profile's units, in a folder each.
const FOLDERS: [&str; 3] = [".fingerprint", "build", "deps"];
/// In the environment, what changes how everything is compiled.
const VARIABLES: [&str; 3] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"];

/// Puts kept dependencies into a target folder that has none of them. Whether there were any.
pub(super) fn restore(workspace: &Workspace) -> Result<bool> {
    let made_of = made_of(workspace)?;
    let debug = workspace.in_target("debug");
    let marker = debug.join(MARKER);
    if fs::read_to_string(&marker).is_ok_and(|restored| restored == made_of) {
        return Ok(false);
    }
    let Some(entry) = Cache::of(workspace).find(NAME, &made_of) else { return Ok(false) };
    for folder in FOLDERS {
        copy(&entry.join(folder), &debug.join(folder))?;
    }
    fs::write(&marker, made_of).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(true)
}

/// Keeps the dependencies of a build unless they are kept already. `ours` are names of the workspace's packages and of
/// all that is built of them.
pub(super) fn keep(workspace: &Workspace, ours: &BTreeSet<String>) -> Result<()> {
    let made_of = made_of(workspace)?;
    let debug = workspace.in_target("debug");
    let cache = Cache::of(workspace);
    cache.entry(NAME, &made_of, |entry| {
        for folder in FOLDERS {
            copy(&debug.join(folder), &entry.join(folder))?;
            for unit in fs::read_dir(entry.join(folder))? {
                let unit = unit?;
                if is_of(ours, &unit.file_name().to_string_lossy()) {
                    remove(&unit.path())?;
                }
            }
        }
        Ok(())
    })?;
    // In the order of their last use.
    cache.keep_newest(NAME, KEPT)?;
    let marker = debug.join(MARKER);
    fs::write(&marker, made_of).with_context(|| format!("cannot write {}", marker.display()))
}

/// What decides what dependencies are compiled, and how.
fn made_of(workspace: &Workspace) -> Result<String> {
    let mut made_of = exec::output(Command::new("rustc").arg("-vV").current_dir(workspace.root()))?;
    for file in ["Cargo.lock", "Cargo.toml", ".cargo/config.toml"] {
        let path = workspace.root().join(file);
        made_of += &fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    for name in VARIABLES {
        made_of += &format!("{name}={:?}\n", env::var_os(name).unwrap_or_default());
    }
    Ok(made_of)
}

/// Copies what is not there yet, with the times of files, by which cargo sees what is newer than what.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let mut cp = Command::new("cp");
    cp.args(["--archive", "--no-clobber", "--reflink=auto"]).arg(from.join(".")).arg(to);
    exec::output(&mut cp).map(drop)
}

/// Whether a file or folder of cargo's is of one of these: `libmagnum_store-0123456789abcdef.rlib`.
fn is_of(names: &BTreeSet<String>, file: &str) -> bool {
    let stem = file.split('.').next().unwrap_or_default();
    let Some((name, _hash)) = stem.rsplit_once('-') else { return false };
    let of = |name: &str| names.contains(name) || names.contains(&name.replace('_', "-"));
    of(name) || name.strip_prefix("lib").is_some_and(of)
}

fn remove(path: &Path) -> Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
        .with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_told_from_the_rest() {
        let ours = BTreeSet::from(["magnum-store", "xtask", "lifecycle"].map(str::to_owned));
        for (file, wanted) in [
            ("libmagnum_store-0123456789abcdef.rlib", true),
            ("magnum_store-0123456789abcdef", true),
            ("magnum-store-0123456789abcdef", true),
            ("lifecycle-0123456789abcdef.d", true),
            ("xtask-0123456789abcdef.xtask.1-cgu.0.rcgu.o", true),
            ("libserde-0123456789abcdef.rmeta", false),
            ("serde-0123456789abcdef", false),
            ("libmagnum_store_else-0123456789abcdef.rlib", false),
        ] {
            assert_eq!(is_of(&ours, file), wanted, "{file}");
        }
    }
}
