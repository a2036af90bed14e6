//! The engine's log file: kept small, and its end shown when the engine fails.
//!
//! The engine writes into the file itself, so that it goes on when the agent does not.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::AgentError;

/// Size beyond which the log is put aside; with the one put aside before, twice that is used at most.
const CAP: u64 = 8 * 1024 * 1024;
/// How much of the end is looked at for lines to show.
const TAIL: u64 = 4096;
/// How many lines are shown.
const LINES: usize = 3;

/// Opens the log for an engine that appends to it; also says how long it is before.
pub(super) fn open(path: &Path) -> Result<(fs::File, u64), AgentError> {
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(AgentError::file("open", path))?;
    let length = file.metadata().map_err(AgentError::file("look at", path))?.len();
    Ok((file, length))
}

/// Puts the log aside when it has become too long, and lets the engine begin at the top: since it appends, cutting the
/// file under it does no harm.
pub(super) fn cap(path: &Path) -> Result<(), AgentError> {
    match fs::metadata(path) {
        Ok(about) if about.len() > CAP => {
            let old = path.with_extension("log.1");
            fs::copy(path, &old).map_err(AgentError::file("write", &old))?;
            OpenOptions::new().write(true).truncate(true).open(path).map_err(AgentError::file("cut", path))?;
            Ok(())
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(AgentError::file("look at", path)(error)),
        _ => Ok(()),
    }
}

/// The last lines that were written after the log was `from` bytes long, in one; empty when there is nothing to show.
pub(super) fn last_lines(path: &Path, from: u64) -> String {
    tail(path, from).map(|text| shorten(&text)).unwrap_or_default()
}

fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    // Shorter than it was: put aside since.
    let from = if from > length { 0 } else { from };
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL))))?;
    let mut end = Vec::new();
    file.take(TAIL).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// The last lines of a text, in one, without their times: what fails twice in the same way reads the same.
pub(super) fn shorten(text: &str) -> String {
    let lines = text.lines().map(|line| timeless(line.trim())).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    lines[lines.len().saturating_sub(LINES)..].join(" | ")
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
        assert_eq!(last_lines(&path, 0), "two | level=info msg=\"three\" | failed to start daemon: no room");
        assert_eq!(last_lines(&path, 8), "level=info msg=\"three\" | failed to start daemon: no room");
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
        assert_eq!(fs::metadata(path.with_extension("log.1")).unwrap().len(), 9 * 1024 * 1024);
    }
}
