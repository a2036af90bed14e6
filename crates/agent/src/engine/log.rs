//! The engine's log file: kept small, and its end shown when the engine fails.
//!
//! The engine writes into the file itself, so that it goes on when the agent does not.

use std::fs;
use std::io;
use std::path::Path;

use magnum_domain::text;
use magnum_files::Folder;

use crate::error::AgentError;

/// Size beyond which the log is put aside; with the one put aside before, twice that is used at most.
const CAP: u64 = 8 * 1024 * 1024;
/// How much of the end is looked at for lines to show.
const TAIL: u64 = 4096;
/// How many lines are shown.
const LINES: usize = 3;

/// Opens the log for an engine that appends to it; also says how long it is before.
pub(super) fn open(path: &Path) -> Result<(fs::File, u64), AgentError> {
    let (folder, name) = place(path)?;
    let file = folder.append(name).map_err(AgentError::file("open", path))?;
    let length = file.metadata().map_err(AgentError::file("look at", path))?.len();
    Ok((file, length))
}

/// Puts the log aside when it has become too long, and lets the engine begin at the top: since it appends, cutting the
/// file under it does no harm.
pub(super) fn cap(path: &Path) -> Result<(), AgentError> {
    if !fs::symlink_metadata(path).is_ok_and(|about| about.len() > CAP) {
        return Ok(());
    }
    let (folder, name) = place(path)?;
    let old = format!("{name}.1");
    let end = folder.tail(name, CAP).map_err(AgentError::file("read", path))?.unwrap_or_default();
    folder.write(&old, &end).map_err(AgentError::file("write", &path.with_file_name(old)))?;
    let emptied = folder.append(name).and_then(|file| file.set_len(0));
    emptied.map_err(AgentError::file("cut", path))
}

/// The last lines that were written after the log was `from` bytes long, in one; empty when there is nothing to show.
pub(super) fn last_lines(path: &Path, from: u64) -> String {
    tail(path, from).map(|text| shorten(&text)).unwrap_or_default()
}

fn tail(path: &Path, from: u64) -> Result<Vec<u8>, AgentError> {
    let length = fs::symlink_metadata(path).map_err(AgentError::file("look at", path))?.len();
    // Shorter than it was: put aside since.
    let new = if from > length { length } else { length - from };
    let (folder, name) = place(path)?;
    let end = folder.tail(name, new.min(TAIL)).map_err(AgentError::file("read", path))?;
    Ok(end.unwrap_or_default())
}

/// The folder that the log is in, and its name there.
fn place(path: &Path) -> Result<(Folder, &str), AgentError> {
    let odd = || AgentError::file("open", path)(io::Error::from(io::ErrorKind::InvalidInput));
    let (folder, name) = path.parent().zip(path.file_name().and_then(|name| name.to_str())).ok_or_else(odd)?;
    Ok((Folder::open(folder).map_err(AgentError::file("open", folder))?, name))
}

/// The last lines of a text, in one, without their times: what fails twice in the same way reads the same.
pub(super) fn shorten(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(|line| timeless(line.trim())).collect::<Vec<_>>().join("\n");
    text::last_lines(lines.as_bytes(), LINES, text::MESSAGE)
}

/// Cuts off the `time="2026-01-02T03:04:05Z" ` that an engine begins its lines with.
fn timeless(line: &str) -> &str {
    line.strip_prefix("time=\"").and_then(|rest| rest.split_once("\" ")).map_or(line, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.log");
        assert_eq!(last_lines(&path, 0), "");
        let text =
            "one\ntwo\n\ntime=\"2026-01-02T03:04:05Z\" level=info msg=\"three\"\nfailed to start daemon: no room\n";
        fs::write(&path, text).unwrap();
        assert_eq!(last_lines(&path, 0), "two; level=info msg=\"three\"; failed to start daemon: no room");
        assert_eq!(last_lines(&path, 8), "level=info msg=\"three\"; failed to start daemon: no room");
        assert_eq!(last_lines(&path, text.len() as u64), "");
        assert!(last_lines(&path, 10_000).starts_with("two"), "the log has begun anew");
    }

    #[test]
    fn a_long_log_is_put_aside_under_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.log");
        let (mut writer, length) = open(&path).unwrap();
        assert_eq!(length, 0);
        let block = vec![b'x'; 1024 * 1024];
        for _ in 0..=8 {
            cap(&path).unwrap();
            writer.write_all(&block).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), 9 * 1024 * 1024);
        cap(&path).unwrap();
        writer.write_all(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(fs::metadata(path.with_extension("log.1")).unwrap().len(), CAP, "the end of it");
    }
}
