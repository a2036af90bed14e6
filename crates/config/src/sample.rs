//! A commented `magnum.conf`.

use std::fmt::Write as _;

use crate::error::ConfigError;
use crate::table::{Group, OptionSpec, Table};

/// Longest line of a comment.
const WIDTH: usize = 79;

/// A `magnum.conf` with every option commented out: what is commented out is the default.
///
/// # Errors
/// If the built-in table is broken, which the tests of this crate rule out.
pub fn sample() -> Result<String, ConfigError> {
    let mut text = String::from("# Uncomment a line to change its option. What is commented out is the default.\n");
    for group in Table::built_in()?.groups().iter().filter(|group| !group.open) {
        write_group(&mut text, group);
    }
    Ok(text)
}

fn write_group(text: &mut String, group: &Group) {
    text.push_str("\n\n");
    comment(text, &group.help);
    if let Some(reason) = &group.ignored {
        comment(text, &format!("Nothing in this group has an effect here: {reason}."));
    }
    // Writing to a String does not fail.
    let _ = match group.name.strip_suffix('*') {
        Some(beginning) => writeln!(text, "#[{beginning}NAME]"),
        None => writeln!(text, "[{}]", group.name),
    };
    for option in &group.options {
        write_option(text, option, group.ignored.is_some());
    }
}

fn write_option(text: &mut String, option: &OptionSpec, group_is_ignored: bool) {
    text.push('\n');
    comment(text, &format!("{} ({})", option.help, option.kind.describe()));
    match (option.min, option.max) {
        (Some(min), Some(max)) => comment(text, &format!("From {min} to {max}.")),
        (Some(min), None) => comment(text, &format!("At least {min}.")),
        (None, Some(max)) => comment(text, &format!("At most {max}.")),
        (None, None) => {}
    }
    if !option.choices.is_empty() {
        comment(text, &format!("One of: {}.", option.choices.join(", ")));
    }
    if !option.deprecated.is_empty() {
        comment(text, &format!("Formerly: {}.", option.deprecated.join(", ")));
    }
    if option.mutable {
        comment(text, "Taken over on SIGHUP.");
    }
    if let Some(reason) = option.ignored.as_ref().filter(|_| !group_is_ignored) {
        comment(text, &format!("Has no effect here: {reason}."));
    }
    match &option.default {
        Some(default) => {
            let _ = writeln!(text, "#{}", format!("{} = {default}", option.name).trim_end());
        }
        None => {
            let _ = writeln!(text, "#{} = <not set>", option.name);
        }
    }
}

/// Writes lines of whole words.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() > 1 && line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
