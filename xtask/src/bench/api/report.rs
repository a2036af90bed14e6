//! The one table that comes out, on the terminal and in `docs/performance.md`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bench::figures::Figures;
use crate::say;

/// A comparison with upstream.
pub(super) struct Row {
    pub(super) what: String,
    /// Such as `req/s`; what is not a rate is better when it is less.
    pub(super) unit: &'static str,
    pub(super) upstream: Figures,
    pub(super) ours: Figures,
    /// How many times better ours is, round by round.
    pub(super) ratio: Figures,
    pub(super) goal: f64,
    pub(super) bare: Option<Bare>,
}

/// The bare handler beside ours.
pub(super) struct Bare {
    pub(super) figure: Figures,
    /// Ours as a part of it, or where less is better it as a part of ours, round by round.
    pub(super) share: Figures,
    /// Whether ours is to reach [`SHARE`]: what only reads.
    pub(super) is_goal: bool,
}

/// The part of the bare handler's rate that ours is to reach.
const SHARE: f64 = 0.8;
const HEAD: [&str; 9] =
    ["what", "unit", "upstream", "ours", "times better", "goal", "bare handler", "share of it", "goal"];
/// Between these lines of the document is what the last recorded run has measured.
const MARKS: [&str; 2] = ["<!-- begin of figures -->\n", "<!-- end of figures -->\n"];

/// What was measured, as it is shown.
pub(super) struct Report {
    rows: Vec<[String; 9]>,
    all_met: bool,
}

impl Report {
    /// Judges the rows, and the first page of a long list (`page` times the first page of a short one).
    pub(super) fn new(rows: &[Row], page: &Figures, page_goal: f64) -> Self {
        let mut report = Self { rows: Vec::new(), all_met: true };
        for row in rows {
            let goal = report.judged(format!("≥ {}", row.goal), row.ratio.median() >= row.goal);
            let bare = row.bare.as_ref().map(|bare| {
                let is_met = bare.share.median() >= SHARE;
                let goal = if bare.is_goal { report.judged(format!("≥ {SHARE}"), is_met) } else { String::new() };
                [number(bare.figure.median()), range(&bare.share), goal]
            });
            let [rate, share, share_goal] = bare.unwrap_or_default();
            let (upstream, ours) = (number(row.upstream.median()), number(row.ours.median()));
            let (what, unit) = (row.what.clone(), row.unit.to_owned());
            report.rows.push([what, unit, upstream, ours, range(&row.ratio), goal, rate, share, share_goal]);
        }
        let goal = report.judged(format!("≤ {page_goal}"), page.median() <= page_goal);
        let what = "page 1 of 20,000 clusters to page 1 of 1,000".to_owned();
        let none = String::new;
        report.rows.push([what, "time".to_owned(), none(), range(page), none(), goal, none(), none(), none()]);
        report
    }

    fn judged(&mut self, goal: String, is_met: bool) -> String {
        self.all_met &= is_met;
        format!("{goal} {}", if is_met { "met" } else { "MISSED" })
    }

    /// Whether every goal was met.
    pub(super) fn all_met(&self) -> bool {
        self.all_met
    }

    /// Shows it.
    pub(super) fn print(&self) {
        let mut table = say::table(&HEAD);
        table.add_rows(&self.rows);
        say::line(format_args!("\n{table}"));
    }

    /// Writes it into a document in place of what was there, with a line on how it came about.
    pub(super) fn record(&self, document: &Path, note: &str) -> Result<()> {
        let text = fs::read_to_string(document)?;
        let [begin, end] = MARKS;
        let (before, rest) = text.split_once(begin).context("the document has no place for figures")?;
        let (_, after) = rest.split_once(end).context("the place for figures in the document does not end")?;
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut table = line(&HEAD.map(str::to_owned)) + &"| --- ".repeat(HEAD.len()) + "|\n";
        table.extend(self.rows.iter().map(|row| line(row)));
        Ok(fs::write(document, format!("{before}{begin}\n{table}\n{note}\n\n{end}{after}"))?)
    }
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn range(figures: &Figures) -> String {
    let [least, median, most] = [figures.min(), figures.median(), figures.max()].map(number);
    if least == most { median } else { format!("{median} ({least} .. {most})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_take_the_place_of_older_ones() {
        let of = |value: f64| std::iter::once(value).collect::<Figures>();
        let row = |goal, is_goal| Row {
            what: "show".to_owned(),
            unit: "req/s",
            upstream: of(100.0),
            ours: of(5000.0),
            ratio: of(50.0),
            goal,
            bare: Some(Bare { figure: of(10_000.0), share: of(0.5), is_goal }),
        };
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("performance.md");
        fs::write(&document, "# Speed\n<!-- begin of figures -->\nold\n<!-- end of figures -->\nMore.\n").unwrap();
        let report = Report::new(&[row(40.0, false)], &of(1.0), 1.3);
        assert!(report.all_met());
        for _ in 0..2 {
            report.record(&document, "Two rounds.").unwrap();
        }
        let text = fs::read_to_string(&document).unwrap();
        assert!(text.starts_with("# Speed\n<!--") && text.ends_with("-->\nMore.\n") && !text.contains("old"), "{text}");
        let line = "| show | req/s | 100 | 5000 | 50.0 | ≥ 40 met | 10000 | 0.50 |  |";
        assert_eq!(text.matches(line).count(), 1, "{text}");
        assert!(!Report::new(&[row(40.0, true)], &of(1.0), 1.3).all_met(), "half of the bare handler is too little");
        assert!(!Report::new(&[row(60.0, false)], &of(1.0), 1.3).all_met());
        assert!(!Report::new(&[], &of(1.4), 1.3).all_met());
    }
}
