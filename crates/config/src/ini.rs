//! The INI dialect of oslo.config.
//!
//! Comments are whole lines that start with `#` or `;`. A line that starts with white space continues the value
//! before it, until an empty line or a comment. The first `=` or `:` ends the key. Quotes around a whole value are
//! taken off. Reading goes on after an error, so that all of them can be reported at once.

use thiserror::Error;

/// A file, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The headers in their order; one name may come several times.
    pub sections: Vec<Section>,
    /// The assignments in their order; one key may come several times.
    pub entries: Vec<Entry>,
    /// What is wrong, in the order of lines.
    pub errors: Vec<SyntaxError>,
}

/// A `[name]` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// As written.
    pub name: String,
    /// From 1.
    pub line: usize,
}

/// A `key = value`.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the section, as written.
    pub section: String,
    /// As written.
    pub key: String,
    /// The value without quotes, its lines joined by line feeds.
    pub value: String,
    /// Line of the key, from 1.
    pub line: usize,
}

/// Without the value, which may be secret.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("section", &self.section)
            .field("key", &self.key)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// A line that means nothing. The line itself is not shown, for it may be half of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct SyntaxError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Reads a whole file.
#[must_use]
pub fn read_ini(text: &str) -> Document {
    let mut reader = Reader::default();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        reader.line(index + 1, line.trim_end());
    }
    reader.end_value();
    reader.document
}

#[derive(Default)]
struct Reader {
    document: Document,
    section: Option<String>,
    /// The assignment whose value may go on.
    open: Option<Entry>,
    /// Whether lines that would continue a value belong to one that was not understood.
    skipping: bool,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) {
        if line.is_empty() {
            self.end_value();
        } else if line.starts_with([' ', '\t']) {
            self.continuation(number, line.trim_start());
        } else {
            self.end_value();
            match line.chars().next() {
                Some('#' | ';') => {}
                Some('[') => self.header(number, line),
                _ => self.assignment(number, line),
            }
        }
    }

    fn continuation(&mut self, number: usize, line: &str) {
        if let Some(entry) = &mut self.open {
            entry.value.push('\n');
            entry.value.push_str(line);
        } else if !self.skipping {
            self.error(number, "it is indented, as if it continued a value, but there is none before it");
        }
    }

    fn header(&mut self, number: usize, line: &str) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            None => self.error(number, "a section header must end with `]`"),
            Some("") => self.error(number, "a section header must have a name"),
            Some(name) => {
                self.section = Some(name.to_owned());
                self.document.sections.push(Section { name: name.to_owned(), line: number });
            }
        }
    }

    fn assignment(&mut self, number: usize, line: &str) {
        self.skipping = true;
        let Some((key, value)) = line.split_once(['=', ':']) else {
            return self.error(number, "it is neither a comment, nor a [section], nor `key = value`");
        };
        let key = key.trim();
        if key.is_empty() {
            return self.error(number, "there is nothing before the `=` or `:`");
        }
        let Some(section) = self.section.clone() else {
            return self.error(number, "an option must come after a [section]");
        };
        self.skipping = false;
        let value = unquote(value.trim()).to_owned();
        self.open = Some(Entry { section, key: key.to_owned(), value, line: number });
    }

    fn end_value(&mut self) {
        self.document.entries.extend(self.open.take());
        self.skipping = false;
    }

    fn error(&mut self, line: usize, problem: &'static str) {
        self.document.errors.push(SyntaxError { line, problem });
    }
}

/// Takes off quotes that are the same at both ends; a lone one counts as both.
fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            if rest.is_empty() {
                return "";
            }
            return rest.strip_suffix(quote).unwrap_or(value);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::equals("[g]\na=1", &[("g", "a", "1")])]
    #[case::colon("[g]\na: b=c", &[("g", "a", "b=c")])]
    #[case::first_separator("[g]\na = b:c", &[("g", "a", "b:c")])]
    #[case::empty("[g]\na =", &[("g", "a", "")])]
    #[case::comments("# x\n[g]\n; y\na=1\n#a=2", &[("g", "a", "1")])]
    #[case::not_a_comment("[g]\na = x # y ; z", &[("g", "a", "x # y ; z")])]
    #[case::continued("[g]\na=1\n  2\n\t3\nb=4", &[("g", "a", "1\n2\n3"), ("g", "b", "4")])]
    #[case::comment_within("[g]\na=1\n  # 2\n", &[("g", "a", "1\n# 2")])]
    #[case::quotes("[g]\na = \"x y \"\nb = 'z'", &[("g", "a", "x y "), ("g", "b", "z")])]
    #[case::half_quoted("[g]\na = \"x\nb = x\"\nc='", &[("g", "a", "\"x"), ("g", "b", "x\""), ("g", "c", "")])]
    #[case::repeated("[g]\na=1\na=2\n[h]\n[g]\na=3", &[("g", "a", "1"), ("g", "a", "2"), ("g", "a", "3")])]
    #[case::case_kept("[G]\nA=1", &[("G", "A", "1")])]
    #[case::spaces_in_header("[ g ] \na=1", &[(" g ", "a", "1")])]
    #[case::line_ends("[g]\r\na=1\r\n 2\r\n", &[("g", "a", "1\n2")])]
    #[case::byte_order_mark("\u{feff}[g]\na=1", &[("g", "a", "1")])]
    #[case::nothing("", &[])]
    fn reads(#[case] text: &str, #[case] expected: &[(&str, &str, &str)]) {
        let document = read_ini(text);
        assert_eq!(document.errors, []);
        let entries: Vec<_> =
            document.entries.iter().map(|entry| (&*entry.section, &*entry.key, &*entry.value)).collect();
        assert_eq!(entries, expected);
    }

    #[rstest]
    #[case::no_section("a=1", &[1])]
    #[case::indented("[g]\n a=1", &[2])]
    #[case::after_empty_line("[g]\na=1\n\n  2", &[4])]
    #[case::after_comment("[g]\na=1\n# c\n  2", &[4])]
    #[case::no_separator("[g]\na", &[2])]
    #[case::no_key("[g]\n=1\n: 2", &[2, 3])]
    #[case::open_header("[g\na=1", &[1, 2])]
    #[case::no_name("[]", &[1])]
    #[case::goes_on("[g]\na\n more of it\nb=1\nc", &[2, 5])]
    fn reports(#[case] text: &str, #[case] lines: &[usize]) {
        let found: Vec<_> = read_ini(text).errors.iter().map(|error| error.line).collect();
        assert_eq!(found, lines);
    }

    #[test]
    fn counts_lines_and_hides_values() {
        let document = read_ini("\n[g]\n\n# c\npassword = hunter2\n");
        assert_eq!(document.sections, [Section { name: "g".into(), line: 2 }]);
        assert_eq!(document.entries[0].line, 5);
        assert!(!format!("{document:?}").contains("hunter2"));
    }
}
