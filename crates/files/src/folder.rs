//! An open folder, and what is beneath it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::tree;

/// Nothing is inherited by programs that are started meanwhile.
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
/// Mode of files: for their owner only.
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Mode of folders: for their owner only.
const PRIVATE_FOLDER: Mode = Mode::RWXU;
/// How often something is tried that another who works in the folder may undo meanwhile.
const ATTEMPTS: u32 = 8;

/// An open folder. Paths are relative to it, have no `..` in them, and lead through no link and no mount.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Folder {
    /// Opens the folder that a path of the machine leads to. The last part of the path must not be a link; those before
    /// it are believed.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS, Mode::empty())?))
    }

    /// Opens a folder beneath this one.
    ///
    /// # Errors
    /// When there is none, or something else of that name.
    pub fn folder(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(beneath(self.0.as_fd(), path.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY)?))
    }

    /// Opens a folder in this one, and makes it (mode 0700) where there is none. What has its name and is no folder is
    /// removed.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn make_folder(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let name = plain_name(name.as_ref())?;
        for _ in 1..ATTEMPTS {
            match rustix::fs::mkdirat(&self.0, name, PRIVATE_FOLDER) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match self.folder(name) {
                Err(error) if is_another_kind(&error) => self.remove(name)?,
                done => return done,
            }
        }
        self.folder(name)
    }

    /// Whether there is a folder of that name.
    #[must_use]
    pub fn has_folder(&self, path: impl AsRef<Path>) -> bool {
        self.folder(path).is_ok()
    }

    /// Reads a file of at most `limit` bytes; `None` when there is none.
    ///
    /// # Errors
    /// When it can't be read, is larger, or is not a regular file with one name.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.regular(path.as_ref(), OFlags::RDONLY)? else { return Ok(None) };
        let mut content = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
        }
        Ok(Some(content))
    }

    /// The last bytes of a file, at most `most`; `None` when there is none.
    ///
    /// # Errors
    /// When it can't be read, or is not a regular file with one name.
    pub fn tail(&self, path: impl AsRef<Path>, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = self.regular(path.as_ref(), OFlags::RDONLY)? else { return Ok(None) };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut content = Vec::new();
        file.take(most).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Opens a file for appending, and makes it (mode 0600) where there is none. What has its name and is not a regular
    /// file with one name is removed.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn append(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let name = plain_name(name.as_ref())?;
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            match self.regular(name, OFlags::WRONLY | OFlags::APPEND) {
                Ok(Some(file)) => return Ok(file),
                Ok(None) => {}
                Err(error) if is_another_kind(&error) => self.remove(name)?,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.remove(name)?,
                Err(error) => return Err(error),
            }
            match self.create(name, OFlags::APPEND) {
                Ok(file) => return Ok(file),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| not_regular("it changes all the time")))
    }

    /// Writes a file that only its owner may read (mode 0600). Whoever reads it sees all of it or what was there
    /// before, also after a loss of power. Whatever else has its name gives way: a link is replaced, not followed.
    ///
    /// # Errors
    /// When it can't be written; what was there before is then still there.
    pub fn write(&self, name: impl AsRef<Path>, content: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = plain_name(name.as_ref())?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let beside = format!(".{}.{}-{number}.new", name.display(), std::process::id());
        let beside = Path::new(&beside);
        // Left by an earlier process of this number.
        self.remove(beside)?;
        let written = self
            .create(beside, OFlags::empty())
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .and_then(|()| self.put(beside, name));
        if written.is_err() {
            // The first error is the one to tell of.
            let _ = self.remove(beside);
        }
        written?;
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Removes a file, or a folder with everything in it; that it is gone already is as good.
    ///
    /// # Errors
    /// When something of it can't be removed; with its name.
    pub fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        tree::remove(self.0.as_fd(), plain_name(name.as_ref())?)
    }

    /// Puts one file in the place of another.
    fn put(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat(&self.0, from, &self.0, to) {
            // A folder, an append-only file or the like is in the way.
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST | Errno::PERM) => {
                self.remove(to)?;
                Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
            }
            done => Ok(done?),
        }
    }

    fn create(&self, name: &Path, more: OFlags) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | ALWAYS | more;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, PRIVATE_FILE)?))
    }

    /// Opens a regular file with one name; `None` when there is nothing of that name.
    fn regular(&self, path: &Path, flags: OFlags) -> io::Result<Option<File>> {
        // First only as a place: merely opening a device may do something, and opening a pipe may take for ever.
        let place = match beneath(self.0.as_fd(), path, OFlags::PATH) {
            Ok(place) => place,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = rustix::fs::fstat(&place)?;
        if kind(&found) != FileType::RegularFile {
            return Err(not_regular("it is not a regular file"));
        }
        let file = reopen(&place, flags | OFlags::NONBLOCK)?;
        if file.metadata()?.nlink() != 1 {
            return Err(not_regular("it has another name somewhere else (a hard link)"));
        }
        Ok(Some(file))
    }
}

/// Opens what was opened as a place only. The same thing, whatever its name means by now.
pub(crate) fn reopen(place: &impl AsFd, flags: OFlags) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    let path = PathBuf::from(format!("/proc/self/fd/{}", place.as_fd().as_raw_fd()));
    Ok(File::from(rustix::fs::openat(CWD, &path, flags | OFlags::CLOEXEC, Mode::empty())?))
}

/// Opens something beneath a folder.
pub(crate) fn beneath(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if path.as_os_str().is_empty() || !path.components().all(is_plain) {
        return Err(crate::odd(path));
    }
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let opened = match rustix::fs::openat2(folder, path, flags | ALWAYS, Mode::empty(), how) {
        // Kernels before 5.6, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => walk(folder, path, flags),
        // Somebody moves things about in there.
        Err(Errno::AGAIN) => walk(folder, path, flags),
        done => done,
    };
    // With `O_NOFOLLOW` and `O_PATH` a link itself is opened where the kernel's own check is not to be had.
    let opened = opened.and_then(|found| match kind(&rustix::fs::fstat(&found)?) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(found),
    });
    opened.map_err(|error| match error {
        Errno::LOOP => not_regular("it is a link, or leads through one"),
        Errno::XDEV => not_regular("something is mounted there"),
        other => other.into(),
    })
}

/// As [`beneath`], one part of the path after another, without the kernel's help.
fn walk(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let device = rustix::fs::fstat(folder)?.st_dev;
    let mut parts = path.components().peekable();
    let mut at: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { OFlags::PATH | OFlags::DIRECTORY } else { flags };
        let above = at.as_ref().map_or(folder, |above| above.as_fd());
        let next = rustix::fs::openat(above, part.as_os_str(), flags | ALWAYS, Mode::empty())?;
        if rustix::fs::fstat(&next)?.st_dev != device {
            return Err(Errno::XDEV);
        }
        at = Some(next);
    }
    at.ok_or(Errno::INVAL)
}

pub(crate) fn kind(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

/// A name without any folder in it.
fn plain_name(name: &Path) -> io::Result<&Path> {
    let mut parts = name.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) => Ok(name),
        _ => Err(crate::odd(name)),
    }
}

fn not_regular(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Whether something could not be opened since there is something else of its name.
fn is_another_kind(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::InvalidData)
}

/// What has this name in the folder, be it a link.
pub(crate) fn stat(folder: BorrowedFd<'_>, name: &Path) -> rustix::io::Result<Stat> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}
