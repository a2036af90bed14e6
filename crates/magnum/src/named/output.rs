//! What upstream's tools print: tables with frames, JSON, YAML, CSV, bare values.

use clap::ValueEnum;
use serde_json::{Map, Value};

/// A format of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Csv,
    Json,
    Table,
    Value,
    Yaml,
}

/// When CSV has quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Quote {
    All,
    Minimal,
    None,
    Nonnumeric,
}

/// A list: the names of its columns, then its rows, of text.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl List {
    /// Only these columns, in the order of the list. Those that are not there are left out.
    pub(super) fn only(self, wanted: &[String]) -> Self {
        if wanted.is_empty() {
            return self;
        }
        let kept: Vec<usize> =
            (0..self.columns.len()).filter(|at| wanted.iter().any(|name| names(name, self.columns[*at]))).collect();
        Self {
            columns: kept.iter().map(|at| self.columns[*at]).collect(),
            rows: self.rows.iter().map(|row| kept.iter().map(|at| row[*at].clone()).collect()).collect(),
        }
    }

    /// Sorted by these columns, the first counting most.
    pub(super) fn sorted(mut self, by: &[String], descending: bool) -> Self {
        for name in by.iter().rev() {
            if let Some(at) = self.columns.iter().position(|column| names(name, column)) {
                self.rows.sort_by(|a, b| if descending { b[at].cmp(&a[at]) } else { a[at].cmp(&b[at]) });
            }
        }
        self
    }

    pub(super) fn print(&self, format: Format, quote: Quote, indented: bool) -> String {
        match format {
            Format::Table => self.table(),
            Format::Value => self.rows.iter().map(|row| row.join(" ") + "\n").collect(),
            Format::Csv => {
                let header = self.columns.iter().map(|column| (*column).to_owned()).collect();
                let line =
                    |row: &Vec<String>| row.iter().map(|cell| quoted(cell, quote)).collect::<Vec<_>>().join(",") + "\n";
                std::iter::once(&header).chain(&self.rows).map(line).collect()
            }
            Format::Json => {
                let objects = Value::Array(self.rows.iter().map(|row| Value::Object(self.object(row))).collect());
                let text =
                    if indented { serde_json::to_string_pretty(&objects) } else { serde_json::to_string(&objects) };
                text.unwrap_or_default() + "\n"
            }
            Format::Yaml => self.yaml(),
        }
    }

    fn object(&self, row: &[String]) -> Map<String, Value> {
        let cell = |(column, cell): (&&str, &String)| ((*column).to_owned(), Value::String(cell.clone()));
        self.columns.iter().zip(row).map(cell).collect()
    }

    fn yaml(&self) -> String {
        if self.rows.is_empty() {
            return "[]\n".to_owned();
        }
        let mut text = String::new();
        for row in &self.rows {
            for (at, (column, cell)) in self.columns.iter().zip(row).enumerate() {
                let begin = if at == 0 { "- " } else { "  " };
                text.push_str(&format!("{begin}{column}: {cell}\n"));
            }
        }
        text
    }

    fn table(&self) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if self.rows.is_empty() {
            return "\n".to_owned();
        }
        let rule = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect::<String>() + "+\n";
        let line = |cells: &[&str]| {
            cells.iter().zip(&widths).map(|(cell, width)| format!("| {cell:width$} ")).collect::<String>() + "|\n"
        };
        let rows: String =
            self.rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>())).collect();
        format!("{rule}{}{rule}{rows}{rule}", line(&self.columns))
    }
}

/// Names of columns compare without case, and with underscores for blanks.
fn names(name: &str, column: &str) -> bool {
    name.replace('_', " ").eq_ignore_ascii_case(&column.replace('_', " "))
}

fn quoted(cell: &str, quote: Quote) -> String {
    let needs = match quote {
        Quote::All | Quote::Nonnumeric => true,
        Quote::Minimal => cell.contains([',', '"', '\n']),
        Quote::None => false,
    };
    if needs { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// A frame of one column: its title, then blocks of lines.
pub(super) fn framed(title: &str, blocks: &[Vec<String>]) -> String {
    let lines = blocks.iter().flatten().map(String::as_str).chain([title]);
    let width = lines.map(|line| line.chars().count()).max().unwrap_or(0);
    let rule = format!("+{}+\n", "-".repeat(width + 2));
    let mut text = format!("{rule}| {title:width$} |\n{rule}");
    for block in blocks {
        for line in block {
            text.push_str(&format!("| {line:width$} |\n"));
        }
        text.push_str(&rule);
    }
    text
}

/// Lines of at most `width` characters, those after the first indented by two.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        let begun = lines.last().is_some_and(|line| !line.trim().is_empty());
        if begun && last + 1 + word.chars().count() > width {
            lines.push(format!("  {word}"));
        } else if let Some(line) = lines.last_mut() {
            if begun {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> List {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        List { columns: vec!["Name", "Server_Type"], rows: vec![row(["b", "vm"]), row(["a,c", "bm"])] }
    }

    #[test]
    fn formats_are_upstreams() {
        let table = "+------+-------------+\n| Name | Server_Type |\n+------+-------------+\n| b    | vm          |\n\
                     | a,c  | bm          |\n+------+-------------+\n";
        for (format, quote, expected) in [
            (Format::Table, Quote::Nonnumeric, table),
            (Format::Value, Quote::Nonnumeric, "b vm\na,c bm\n"),
            (Format::Csv, Quote::Nonnumeric, "\"Name\",\"Server_Type\"\n\"b\",\"vm\"\n\"a,c\",\"bm\"\n"),
            (Format::Csv, Quote::Minimal, "Name,Server_Type\nb,vm\n\"a,c\",bm\n"),
            (Format::Yaml, Quote::None, "- Name: b\n  Server_Type: vm\n- Name: a,c\n  Server_Type: bm\n"),
        ] {
            assert_eq!(list().print(format, quote, true), expected);
        }
        let json: Value = serde_json::from_str(&list().print(Format::Json, Quote::None, false)).unwrap();
        assert_eq!(json[1], serde_json::json!({"Name": "a,c", "Server_Type": "bm"}));
        let sorted = list().sorted(&["server type".to_owned()], false).only(&["name".to_owned(), "none".to_owned()]);
        assert_eq!(sorted.print(Format::Value, Quote::None, true), "a,c\nb\n");
    }

    #[test]
    fn long_words_wrap_and_are_framed() {
        assert_eq!(wrapped("one two three", 8), ["one two", "  three"]);
        assert_eq!(wrapped("", 8), [""]);
        assert_eq!(framed("T", &[vec!["abc".to_owned()]]), "+-----+\n| T   |\n+-----+\n| abc |\n+-----+\n");
    }
}
