//! What this program prints: the one place for standard output and standard error.
//!
//! `println!` panics when nobody reads any more (`magnum policy list | head`) and when a disk is full. Commands print
//! with [`line()`] and [`text`] and hand the error on; `main` turns it into an exit code. What a server says beside its
//! log goes through [`attempt`] and [`aside`]: it goes on whether anybody reads or not.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context;

/// Exit code when whoever read the output has gone: what a shell shows for a program that SIGPIPE ended.
pub(crate) const READER_GONE: u8 = 141;

/// Whoever read standard output has gone. Nothing is wrong, and nobody is left to tell.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
pub(crate) struct ReaderGone;

/// Prints text as it is.
///
/// # Errors
/// [`ReaderGone`]; any other error of the file that standard output is.
pub(crate) fn text(text: impl Display) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => written.context("standard output can't be written"),
    }
}

/// Prints a line.
///
/// # Errors
/// As [`text`].
pub(crate) fn line(line: impl Display) -> anyhow::Result<()> {
    text(format_args!("{line}\n"))
}

/// Prints a line if somebody reads it.
pub(crate) fn attempt(line: impl Display) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Prints a line to standard error if somebody reads it: there is nowhere else to say that it failed.
pub(crate) fn aside(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
