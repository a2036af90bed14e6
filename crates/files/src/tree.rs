//! Removing a tree that somebody else has made: of any depth, with links, devices and locked files in it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, IFlags, OFlags};
use rustix::io::Errno;

use crate::folder::{beneath, kind, reopen, stat};

/// Folders within folders that are held open at a time; what is deeper is moved up first.
const DEPTH: u32 = 24;
/// How often a folder is gone through that should have been empty.
const ROUNDS: u32 = 16;
/// What keeps even root from changing a file.
const LOCKS: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// Removes what has this name in the folder.
pub(crate) fn remove(folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match unlink(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => remove_folder(folder, name),
        // What the kernel says of a folder is not the same everywhere.
        Err(_) if stat(folder, name).is_ok_and(|found| kind(&found) == FileType::Directory) => {
            remove_folder(folder, name)
        }
        Err(error) => Err(named(name, error.into())),
    }
}

fn remove_folder(folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    let top = open(folder, name)?;
    let mut tree = Tree { top, moved: 0 };
    let mut round = 0;
    loop {
        let moved = tree.moved;
        let top = tree.top.try_clone()?;
        tree.empty(&top, 0).map_err(|error| named(name, error))?;
        match unlink(folder, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Every round that has moved something up makes the tree less deep, so there is an end to them.
            Err(Errno::NOTEMPTY | Errno::EXIST) if tree.moved > moved || round < ROUNDS => round += 1,
            Err(error) => return Err(named(name, error.into())),
        }
    }
}

struct Tree {
    top: OwnedFd,
    /// Folders that were moved up so far.
    moved: u64,
}

impl Tree {
    /// Removes all that is in a folder of the tree, or moves it to the top.
    fn empty(&mut self, folder: &OwnedFd, depth: u32) -> io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
            if name == Path::new(".") || name == Path::new("..") {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Unknown => kind(&stat(folder.as_fd(), name)?) == FileType::Directory,
                kind => kind == FileType::Directory,
            };
            let removed = match is_folder {
                false => unlink(folder.as_fd(), name, AtFlags::empty()).map_err(io::Error::from),
                true if depth < DEPTH => self.remove_below(folder, name, depth),
                true => self.move_up(folder, name),
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(name, error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn remove_below(&mut self, folder: &OwnedFd, name: &Path, depth: u32) -> io::Result<()> {
        let below = open(folder.as_fd(), name)?;
        for _ in 0..ROUNDS {
            self.empty(&below, depth + 1)?;
            match unlink(folder.as_fd(), name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                done => return Ok(done?),
            }
        }
        Err(Errno::NOTEMPTY.into())
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &Path) -> io::Result<()> {
        loop {
            self.moved += 1;
            let place = PathBuf::from(format!(".magnum-removed-{}", self.moved));
            let moved = unlocked(folder.as_fd(), name, || rustix::fs::renameat(folder, name, &self.top, &place));
            match moved {
                // Something has this name already; the next one may be free.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                done => return Ok(done?),
            }
        }
    }
}

fn open(folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
    beneath(folder, name, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|error| named(name, error))
}

fn unlink(folder: BorrowedFd<'_>, name: &Path, flags: AtFlags) -> rustix::io::Result<()> {
    unlocked(folder, name, || rustix::fs::unlinkat(folder, name, flags))
}

/// Does something to an entry of a folder; if that is not permitted, takes locks (`chattr +i`, `+a`) off both first.
fn unlocked(
    folder: BorrowedFd<'_>,
    name: &Path,
    mut act: impl FnMut() -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    match act() {
        Err(Errno::PERM | Errno::ACCESS) => {}
        done => return done,
    }
    let locks = rustix::fs::ioctl_getflags(folder).unwrap_or(IFlags::empty());
    if locks.intersects(LOCKS) {
        // That it can't be set shows in what is done next.
        let _ = rustix::fs::ioctl_setflags(folder, locks.difference(LOCKS));
    }
    let entry = beneath(folder, name, OFlags::PATH).ok().filter(|place| {
        let is_one = |kind| matches!(kind, FileType::RegularFile | FileType::Directory);
        rustix::fs::fstat(place).is_ok_and(|found| is_one(kind(&found)))
    });
    let entry = entry.and_then(|place| reopen(&place, OFlags::RDONLY | OFlags::NONBLOCK).ok());
    let before = entry.as_ref().and_then(|entry| rustix::fs::ioctl_getflags(entry).ok());
    if let (Some(entry), Some(before)) = (&entry, before)
        && before.intersects(LOCKS)
    {
        let _ = rustix::fs::ioctl_setflags(entry, before.difference(LOCKS));
        let done = act();
        // Under another name, it is somebody else's file, and stays as it was.
        if rustix::fs::fstat(entry).is_ok_and(|left| kind(&left) == FileType::RegularFile && left.st_nlink > 0) {
            let _ = rustix::fs::ioctl_setflags(entry, before);
        }
        return done;
    }
    act()
}

/// Names what failed, from the outside in.
fn named(name: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", name.display()))
}
