//! What the reader of the terminal sees: steps, notes, durations.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};

/// Prints a line if somebody reads it. What was brought up has to be taken down even when nobody reads any more, and
/// `println!` would panic then.
pub(crate) fn line(line: impl Display) {
    let _ = writeln!(stdout().lock(), "{line}");
}

/// Prints a line to standard error if somebody reads it.
pub(crate) fn aside(line: impl Display) {
    let _ = writeln!(stderr().lock(), "{line}");
}

/// Announces a step.
pub(crate) fn step(text: &str) {
    if coloured() {
        line(format_args!("\n\x1b[1;36m==>\x1b[0;1m {text}\x1b[0m"));
    } else {
        line(format_args!("\n==> {text}"));
    }
}

/// Says something about the step at hand.
pub(crate) fn note(text: &str) {
    line(format_args!("    {text}"));
}

/// Shows a command line as the reader would type it.
pub(crate) fn command(text: &str) {
    if coloured() {
        line(format_args!("    \x1b[32m$ {text}\x1b[0m"));
    } else {
        line(format_args!("    $ {text}"));
    }
}

/// Shows the output of a command, indented.
pub(crate) fn output(text: &str) {
    for shown in text.trim_end().lines() {
        line(format_args!("      {shown}"));
    }
}

/// Says why it ends here, with all the causes.
pub(crate) fn error(error: &anyhow::Error) {
    aside(format_args!("\nerror: {error:#}"));
}

/// A duration for people: `0.42 s`, `12.3 s`, `3 min 05 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = duration.as_secs();
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// An empty table with a header, in the one style used here.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    table
}

/// Whether colours are wanted: a terminal, and `NO_COLOR` unset.
fn coloured() -> bool {
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
