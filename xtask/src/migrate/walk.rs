//! The walk-through of `docs/migrate.md`: its commands, what they are said to print, and where more is asked.

use anyhow::{Result, bail};

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A heading of the document.
    Heading(String),
    /// A command line, and lines of what it prints. `...` stands for any lines, and at the end of a line for its rest.
    Command { line: String, prints: Vec<String> },
    /// `<!-- also: NAME -->`: the commands of this name in `commands.yaml`.
    Also(String),
}

/// Reads the part of a document that begins with this heading.
pub(crate) fn read(document: &str, heading: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut is_inside = false;
    let mut is_console = false;
    for line in document.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            is_inside = title == heading;
        }
        if !is_inside {
            continue;
        }
        if line.starts_with("```") {
            is_console = !is_console && line == "```console";
        } else if is_console {
            let command = line.strip_prefix("# ").or_else(|| line.strip_prefix("$ "));
            match (command, steps.last_mut()) {
                (Some(line), _) => steps.push(Step::Command { line: line.to_owned(), prints: Vec::new() }),
                (None, Some(Step::Command { prints, .. })) => prints.push(line.trim_end().to_owned()),
                (None, _) => bail!("`{line}` is printed by no command"),
            }
        } else if let Some(title) = line.strip_prefix("### ") {
            steps.push(Step::Heading(title.to_owned()));
        } else if let Some(name) = line.strip_prefix("<!-- also: ").and_then(|rest| rest.strip_suffix(" -->")) {
            steps.push(Step::Also(name.to_owned()));
        }
    }
    if steps.is_empty() {
        bail!("there is no walk-through under `{heading}`");
    }
    Ok(steps)
}

/// The first line that should have been printed and was not, in this order.
pub(crate) fn missing<'a>(prints: &'a [String], output: &str) -> Option<&'a str> {
    let mut lines = output.lines().map(str::trim_end).filter(|line| !line.is_empty());
    for wanted in prints.iter().filter(|line| !line.is_empty() && *line != "...") {
        let is_there = match wanted.strip_suffix("...") {
            Some(beginning) => lines.any(|line| line.starts_with(beginning)),
            None => lines.any(|line| line == wanted),
        };
        if !is_there {
            return Some(wanted);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DOCUMENT: &str = "## Other\n```console\n# no\n```\n## Walk\n### First\n```console\n# one\na\n...\nb...\n$ two\n```\n\
                            ```ini\n# three\n```\n<!-- also: more -->\n## End\n```console\n# four\n```\n";

    #[test]
    fn commands_are_told_from_what_they_print() {
        let command = |line: &str, prints: &[&str]| Step::Command {
            line: line.to_owned(),
            prints: prints.iter().map(|&line| line.to_owned()).collect(),
        };
        let steps = read(DOCUMENT, "Walk").unwrap();
        assert_eq!(
            steps,
            [
                Step::Heading("First".to_owned()),
                command("one", &["a", "...", "b..."]),
                command("two", &[]),
                Step::Also("more".to_owned()),
            ]
        );
        assert!(read(DOCUMENT, "Nothing").is_err());
    }

    #[test]
    fn what_is_not_printed_is_found() {
        let prints = ["a", "...", "b..."].map(str::to_owned);
        for (output, wanted) in
            [("a\nbc\n", None), ("x\na  \n\ny\nb", None), ("a", Some("b...")), ("b\na", Some("b..."))]
        {
            assert_eq!(missing(&prints, output), wanted, "{output}");
        }
    }
}
