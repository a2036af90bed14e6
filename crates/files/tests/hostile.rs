//! A folder in which somebody else plants what he likes: nothing outside of it is read or changed, nothing hangs, and
//! all of it can be removed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use magnum_files::Folder;
use rustix::fs::{CWD, IFlags, Mode};

const LIMIT: u64 = 1024;
const SECRET: &str = "the machine's own secret\n";

/// What is planted under a name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Planted {
    Nothing,
    Link,
    LinkToFolder,
    BrokenLink,
    HardLink,
    Pipe,
    Folder,
    Huge,
    Empty,
    Garbage,
}

const ALL: [Planted; 10] = [
    Planted::Nothing,
    Planted::Link,
    Planted::LinkToFolder,
    Planted::BrokenLink,
    Planted::HardLink,
    Planted::Pipe,
    Planted::Folder,
    Planted::Huge,
    Planted::Empty,
    Planted::Garbage,
];

/// A folder of theirs, and one beside it that they have no business with.
struct Place {
    _root: tempfile::TempDir,
    theirs: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (theirs, outside) = (root.path().join("theirs"), root.path().join("outside"));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), SECRET).unwrap();
        Self { _root: root, theirs, outside }
    }

    fn plant(&self, what: Planted, name: &str) {
        let path = self.theirs.join(name);
        match what {
            Planted::Nothing => {}
            Planted::Link => symlink(self.outside.join("secret"), path).unwrap(),
            Planted::LinkToFolder => symlink(&self.outside, path).unwrap(),
            Planted::BrokenLink => symlink(self.outside.join("to be made"), path).unwrap(),
            Planted::HardLink => fs::hard_link(self.outside.join("secret"), path).unwrap(),
            Planted::Pipe => rustix::fs::mkfifoat(CWD, &path, Mode::RWXU).unwrap(),
            Planted::Folder => {
                fs::create_dir(&path).unwrap();
                symlink(&self.outside, path.join("out")).unwrap();
                fs::write(path.join("file"), "x").unwrap();
            }
            Planted::Huge => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
            Planted::Empty => fs::write(path, "").unwrap(),
            Planted::Garbage => fs::write(path, b"\xff\0garbage").unwrap(),
        }
    }

    fn assert_untouched(&self, case: &str) {
        assert_eq!(fs::read_to_string(self.outside.join("secret")).unwrap(), SECRET, "{case}");
        assert_eq!(fs::read_dir(&self.outside).unwrap().count(), 1, "{case}: something was made or removed outside");
    }

    fn assert_empty(&self, case: &str) {
        let left = fs::read_dir(&self.theirs).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert!(left.is_empty(), "{case}: {left:?}");
    }
}

#[test]
fn whatever_is_planted_nothing_outside_is_read_or_changed() {
    for what in ALL {
        let place = Place::new();
        let folder = Folder::open(&place.theirs).unwrap();
        let case = format!("{what:?}");

        // Read: a file of its own, or nothing, or an error; never the other's words.
        place.plant(what, "read");
        for read in [folder.read("read", LIMIT), folder.tail("read", LIMIT)] {
            match (what, read) {
                (Planted::Nothing, Ok(None)) => {}
                (Planted::Empty, Ok(Some(found))) => assert!(found.is_empty()),
                (Planted::Garbage, Ok(Some(found))) => assert_eq!(found, b"\xff\0garbage"),
                (Planted::Huge, Ok(Some(found))) => assert_eq!(found.len() as u64, LIMIT, "the tail"),
                (Planted::Huge, Err(error)) => assert_eq!(error.kind(), ErrorKind::FileTooLarge),
                (Planted::Nothing | Planted::Empty | Planted::Garbage, read) => panic!("{case}: {read:?}"),
                (_, read) => assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidData, "{case}"),
            }
        }

        // Write: the name then stands for the new file, for its owner only.
        place.plant(what, "write");
        folder.write("write", b"new").unwrap();
        let written = place.theirs.join("write");
        let about = fs::symlink_metadata(&written).unwrap();
        assert!(about.is_file() && about.permissions().mode() & 0o7777 == 0o600, "{case}: {about:?}");
        assert_eq!(fs::read(&written).unwrap(), b"new", "{case}");

        // Append: to the file if it is one of its own, otherwise to a new one.
        place.plant(what, "append");
        folder.append("append").unwrap().write_all(b"more").unwrap();
        match what {
            Planted::Garbage => assert_eq!(folder.read("append", LIMIT).unwrap().unwrap(), b"\xff\0garbagemore"),
            Planted::Huge => assert_eq!(folder.tail("append", 4).unwrap().unwrap(), b"more"),
            _ => assert_eq!(folder.read("append", LIMIT).unwrap().unwrap(), b"more", "{case}"),
        }

        // A folder: the one that is there, or a new one in the place of what is not.
        place.plant(what, "folder");
        folder.make_folder("folder").unwrap().write("inner", b"x").unwrap();
        assert!(folder.has_folder("folder"), "{case}");
        assert_eq!(folder.read("folder/inner", LIMIT).unwrap().unwrap(), b"x");

        place.assert_untouched(&case);
        for name in ["read", "write", "append", "folder", "never there"] {
            folder.remove(name).unwrap();
        }
        place.assert_untouched(&case);
        place.assert_empty(&case);
    }
}

#[test]
fn a_link_on_the_way_is_not_followed() {
    let place = Place::new();
    fs::create_dir(place.theirs.join("inner")).unwrap();
    symlink("inner", place.theirs.join("within")).unwrap();
    symlink(&place.outside, place.theirs.join("out")).unwrap();
    fs::write(place.theirs.join("inner/file"), "x").unwrap();
    let folder = Folder::open(&place.theirs).unwrap();
    assert_eq!(folder.read("inner/file", LIMIT).unwrap().unwrap(), b"x");
    for path in ["out/secret", "within/file", "../outside/secret", "inner/../inner/file", "/etc/hostname", "", "."] {
        assert!(folder.read(path, LIMIT).is_err(), "{path}");
        assert!(folder.folder(path).is_err(), "{path}");
    }
    for name in ["", ".", "..", "inner/file", "/etc", "../x"] {
        assert_eq!(folder.remove(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        assert_eq!(folder.write(name, b"x").unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
    }
    assert!(Folder::open(&place.theirs.join("out")).is_err(), "the folder itself is no link either");
    place.assert_untouched("links on the way");
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let place = Place::new();
    let path = place.theirs.join("a b.json");
    for content in ["one", "two, and longer", ""] {
        magnum_files::write_private(&path, content.as_bytes()).unwrap();
        assert_eq!(magnum_files::read(&path, LIMIT).unwrap().unwrap(), content.as_bytes());
    }
    assert_eq!(fs::read_dir(&place.theirs).unwrap().count(), 1, "nothing is left beside it");
    assert_eq!(magnum_files::read(&place.theirs.join("no/such"), LIMIT).unwrap(), None);
    assert!(magnum_files::write_private(&place.theirs.join("no/such"), b"").is_err());
    magnum_files::touch_private(&path).unwrap();
    assert!(magnum_files::create_private(&path).is_err(), "it is there");
    magnum_files::remove(&place.theirs).unwrap();
    magnum_files::remove(&place.theirs.join("gone")).unwrap();
    assert!(!place.theirs.exists());
}

#[test]
fn a_tree_of_any_depth_is_removed() {
    let place = Place::new();
    // Deeper than paths can be long and than folders can be open at a time, and not only in one line.
    let mut at = Folder::open(&place.theirs).unwrap().make_folder("deep").unwrap();
    for level in 0..3000 {
        if level % 100 == 0 {
            for name in [".magnum-removed-1", "file", "link"] {
                match name {
                    "file" => at.write(name, b"x").unwrap(),
                    "link" => drop(at.append(name).unwrap()),
                    _ => drop(at.make_folder(name).unwrap()),
                }
            }
        }
        at = at.make_folder("d").unwrap();
    }
    drop(at);
    Folder::open(&place.theirs).unwrap().remove("deep").unwrap();
    place.assert_empty("deep");
    place.assert_untouched("deep");
}

#[test]
fn what_is_locked_is_removed_and_others_keep_their_locks() {
    let place = Place::new();
    let tree = place.theirs.join("tree");
    fs::create_dir_all(tree.join("inner")).unwrap();
    fs::write(tree.join("inner/file"), "x").unwrap();
    fs::hard_link(place.outside.join("secret"), tree.join("inner/secret")).unwrap();
    let set = |path: &Path, flags| rustix::fs::ioctl_setflags(fs::File::open(path).unwrap(), flags);
    let lock = IFlags::IMMUTABLE;
    let shared = place.outside.join("secret");
    if set(&tree.join("inner/file"), lock).is_err() {
        // Not root, or a file system without such locks: nothing can be locked, so nothing is to be shown.
        return;
    }
    set(&shared, lock).unwrap();
    set(&tree.join("inner"), IFlags::APPEND).unwrap();
    let removed = Folder::open(&place.theirs).unwrap().remove("tree");
    let still = rustix::fs::ioctl_getflags(fs::File::open(&shared).unwrap()).unwrap();
    set(&shared, IFlags::empty()).unwrap();
    removed.unwrap();
    assert!(still.contains(lock), "the other name's lock");
    place.assert_empty("locked");
    place.assert_untouched("locked");
}

#[test]
fn names_of_any_bytes_are_removed() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    for name in [&b"\xff\xfe"[..], b"new\nline", b"\x1b[31m", b"-rf", b" "] {
        fs::create_dir(place.theirs.join(OsStr::from_bytes(name))).unwrap();
    }
    magnum_files::remove(&place.theirs).unwrap();
    place.assert_untouched("odd names");
}
