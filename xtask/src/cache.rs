//! What outlives a checkout: programs from PyPI and compiled dependencies, in the user's cache folder, each made once.
//!
//! An entry is known by its name and by what it is made of (versions, requirements). It is complete or absent: what is
//! half made when we are killed is made anew, and two runs never make the same entry at the same time.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::fcntl::{Flock, FlockArg};

use crate::workspace::Workspace;
use crate::{say, stop};

/// Inside an entry: what it is made of. Written last, so that an entry without it is not complete.
const COMPLETE: &str = "made-of.txt";
/// How long another run may take to make an entry.
const PATIENCE: Duration = Duration::from_secs(900);
/// An entry that nobody has used for so long is removed when another is made.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// How `cargo xtask cache` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Removes everything in it.
    #[arg(long)]
    empty: bool,
}

/// Shows what is in the cache, or empties it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let cache = Cache::of(workspace);
    say::note(&format!("{}", cache.folder.display()));
    if options.empty {
        return cache.remove(|_| true);
    }
    let mut rows = say::table(&["entry", "MiB", "last used"]);
    for entry in cache.entries()? {
        let size = size(&entry) / (1024 * 1024);
        let days = idle(&entry).map_or_else(
            || "incomplete".to_owned(),
            |idle| match idle.as_secs() / (24 * 3600) {
                0 => "today".to_owned(),
                days => format!("{days} days ago"),
            },
        );
        rows.add_row([entry.file_name().unwrap_or_default().to_string_lossy().into_owned(), size.to_string(), days]);
    }
    say::line(rows);
    Ok(())
}

/// The folder with the entries.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/magnum-xtask` or `~/.cache/magnum-xtask`; without a home, a folder beside what is built.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
        Self { folder: base.map_or_else(|| workspace.in_target("cache"), |base| base.join("magnum-xtask")) }
    }

    /// The folder of the entry with this name that is made of this; `None` if it is not there.
    pub(crate) fn find(&self, name: &str, made_of: &str) -> Option<PathBuf> {
        let entry = self.path(name, made_of);
        let marker = entry.join(COMPLETE);
        if fs::read_to_string(&marker).ok()? != made_of {
            return None;
        }
        // Its time says when it was last used. One that can't be written to is found all the same.
        if let Ok(file) = File::options().append(true).open(&marker) {
            drop(file.set_modified(SystemTime::now()));
        }
        Some(entry)
    }

    /// The folder of the entry with this name that is made of this; `make` fills an empty folder if it is not there.
    pub(crate) fn entry(&self, name: &str, made_of: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        if let Some(found) = self.find(name, made_of) {
            return Ok(found);
        }
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let entry = self.path(name, made_of);
        let _lock =
            lock(&entry)?.with_context(|| format!("another run has been making {} for long", entry.display()))?;
        if let Some(found) = self.find(name, made_of) {
            return Ok(found);
        }
        // What an earlier run has not completed.
        remove_folder(&entry)?;
        fs::create_dir(&entry).with_context(|| format!("cannot make {}", entry.display()))?;
        if let Err(error) = make(&entry) {
            drop(remove_folder(&entry));
            return Err(error);
        }
        let new = entry.join("made-of.new");
        fs::write(&new, made_of).with_context(|| format!("cannot write {}", new.display()))?;
        fs::rename(&new, entry.join(COMPLETE)).with_context(|| format!("cannot complete {}", entry.display()))?;
        self.remove(|other| idle(other).is_some_and(|idle| idle > OLD))?;
        Ok(entry)
    }

    /// Removes all but the entries of this name that were used last.
    pub(crate) fn keep_newest(&self, name: &str, count: usize) -> Result<()> {
        let is_named = |entry: &PathBuf| {
            let file = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            file.rsplit_once('-').is_some_and(|(of, _hash)| of == name)
        };
        let mut entries: Vec<PathBuf> = self.entries()?.into_iter().filter(is_named).collect();
        entries.sort_by_key(|entry| idle(entry).unwrap_or(Duration::MAX));
        let old = entries.get(count..).unwrap_or_default();
        self.remove(|entry| old.iter().any(|other| other == entry))
    }

    fn path(&self, name: &str, made_of: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        made_of.hash(&mut hasher);
        self.folder.join(format!("{name}-{:016x}", hasher.finish()))
    }

    fn entries(&self) -> Result<Vec<PathBuf>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let read = fs::read_dir(&self.folder).with_context(|| format!("cannot read {}", self.folder.display()))?;
        let mut entries: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
        entries.retain(|path| path.is_dir());
        entries.sort();
        Ok(entries)
    }

    /// Removes entries, but not those that somebody is making.
    fn remove(&self, which: impl Fn(&Path) -> bool) -> Result<()> {
        for entry in self.entries()?.into_iter().filter(|entry| which(entry)) {
            let Ok(lock) = Flock::lock(lock_file(&entry)?, FlockArg::LockExclusiveNonblock) else { continue };
            // The marker first: whoever looks now finds no entry.
            drop(fs::remove_file(entry.join(COMPLETE)));
            remove_folder(&entry)?;
            drop(lock);
        }
        Ok(())
    }
}

fn lock_file(entry: &Path) -> Result<File> {
    let mut path = entry.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    File::create(&path).with_context(|| format!("cannot write {}", path.display()))
}

/// Waits until nobody else makes this entry.
fn lock(entry: &Path) -> Result<Option<Flock<File>>> {
    stop::poll(PATIENCE, Duration::from_millis(50), || {
        Ok(Flock::lock(lock_file(entry)?, FlockArg::LockExclusiveNonblock).ok())
    })
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot remove {}: {error}", folder.display())
        }
        _ => Ok(()),
    }
}

/// How long ago a complete entry was used.
fn idle(entry: &Path) -> Option<Duration> {
    let used = fs::metadata(entry.join(COMPLETE)).ok()?.modified().ok()?;
    Some(used.elapsed().unwrap_or_default())
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size(&entry.path()),
            _ => entry.metadata().map_or(0, |metadata| metadata.len()),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { folder: folder.path().join("cache") };
        (folder, cache)
    }

    #[test]
    fn an_entry_is_made_once_for_each_thing_it_is_made_of() {
        let (_folder, cache) = cache();
        let made = Cell::new(0);
        let entry = |made_of: &str| {
            cache
                .entry("tool", made_of, |folder| {
                    made.set(made.get() + 1);
                    Ok(fs::write(folder.join("program"), made_of)?)
                })
                .unwrap()
        };
        let (first, again, other) = (entry("1.0"), entry("1.0"), entry("1.1"));
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(made.get(), 2);
        assert_eq!(fs::read_to_string(other.join("program")).unwrap(), "1.1");
    }

    #[test]
    fn what_was_not_completed_is_made_anew() {
        let (_folder, cache) = cache();
        assert!(cache.entry("tool", "1.0", |folder| Ok(fs::write(folder, "no folder")?)).is_err());
        assert_eq!(cache.find("tool", "1.0"), None);
        // As if the machine had stopped while it was made.
        let half = cache.path("tool", "1.0");
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join("left"), "").unwrap();
        assert_eq!(cache.find("tool", "1.0"), None);
        let entry = cache.entry("tool", "1.0", |_| Ok(())).unwrap();
        assert!(!entry.join("left").exists(), "it was not begun anew");
        assert_eq!(cache.find("tool", "1.0"), Some(entry));
    }

    #[test]
    fn two_runs_make_it_once() {
        let (_folder, cache) = cache();
        let made = AtomicU32::new(0);
        thread::scope(|scope| {
            for _run in 0..4 {
                scope.spawn(|| {
                    cache.entry("tool", "1.0", |_| {
                        made.fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    })
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn of_what_is_large_only_the_newest_are_kept() {
        let (_folder, cache) = cache();
        for (minutes, version) in [(3, "1"), (1, "2"), (2, "3")] {
            let entry = cache.entry("large", version, |_| Ok(())).unwrap();
            let marker = File::options().append(true).open(entry.join(COMPLETE)).unwrap();
            marker.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
        }
        cache.entry("large-other", "1", |_| Ok(())).unwrap();
        cache.keep_newest("large", 2).unwrap();
        let left = ["1", "2", "3"].map(|version| cache.find("large", version).is_some());
        assert_eq!(left, [false, true, true]);
        assert!(cache.find("large-other", "1").is_some());
    }

    #[test]
    fn what_nobody_uses_is_removed_when_another_is_made() {
        let (_folder, cache) = cache();
        let old = cache.entry("tool", "1.0", |_| Ok(())).unwrap();
        let recent = cache.entry("tool", "1.1", |_| Ok(())).unwrap();
        let marker = File::options().append(true).open(old.join(COMPLETE)).unwrap();
        marker.set_modified(SystemTime::now() - OLD - Duration::from_secs(60)).unwrap();
        let newest = cache.entry("tool", "1.2", |_| Ok(())).unwrap();
        assert_eq!(cache.entries().unwrap().len(), 2);
        assert!(!old.exists() && recent.exists() && newest.exists());
        cache.remove(|_| true).unwrap();
        assert_eq!(cache.entries().unwrap(), Vec::<PathBuf>::new());
    }
}
