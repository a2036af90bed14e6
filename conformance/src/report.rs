//! What a comparison found, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use magnum_store::Backend;

use crate::case::{Case, Corpus, Request};
use crate::compare::{Difference, compare};
use crate::difference::{Table, shown};
use crate::record::Record;
use crate::release::Upstream;
use crate::run::request_name;

/// Counts of one file of cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub requests: usize,
    /// Answered alike.
    pub identical: usize,
    /// Answered otherwise, as is meant.
    pub meant: usize,
    /// Answered otherwise.
    pub unexplained: usize,
}

/// A request that is answered otherwise without a reason.
#[derive(Debug)]
pub struct Unexplained {
    /// The release, and its name.
    pub name: String,
    /// What was asked.
    pub asked: String,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Report {
    /// By release and file.
    pub files: BTreeMap<(String, String), Counts>,
    /// Without a reason.
    pub unexplained: Vec<Unexplained>,
    /// How many requests each row of the table stands for.
    pub used: Vec<usize>,
    /// Requests of which no answer of upstream is kept.
    pub unrecorded: Vec<String>,
}

impl Report {
    /// Compares all answers with those of each release that was asked.
    #[must_use]
    pub fn new(corpus: &Corpus, upstreams: &[Upstream], ours: &Record, table: &Table) -> Self {
        let mut report = Self { used: vec![0; table.rows.len()], ..Self::default() };
        for upstream in upstreams {
            for case in corpus.cases.iter().filter(|case| upstream.release.is_asked(case)) {
                for (at, request) in case.requests.iter().enumerate() {
                    report.compare(case, at, request, upstream, ours, table);
                }
            }
        }
        report
    }

    fn compare(
        &mut self,
        case: &Case,
        at: usize,
        request: &Request,
        upstream: &Upstream,
        ours: &Record,
        table: &Table,
    ) {
        let name = request_name(case, at);
        let release = upstream.release.number.as_str();
        let Some(our) = ours.get(&name) else { return };
        let Some(theirs) = upstream.answers.get(&name) else {
            self.unrecorded.push(format!("{release} {name}"));
            return;
        };
        let counts = self.files.entry((release.to_owned(), case.file().to_owned())).or_default();
        counts.requests += 1;
        let differences = compare(theirs, our);
        if differences.is_empty() {
            counts.identical += 1;
            return;
        }
        let mut rows = BTreeSet::new();
        let mut open = Vec::new();
        for difference in differences {
            match table.explains(release, &name, &difference, theirs, our) {
                Some(row) => drop(rows.insert(row)),
                None => open.push(difference),
            }
        }
        for row in rows {
            if let Some(used) = self.used.get_mut(row) {
                *used += 1;
            }
        }
        if open.is_empty() {
            counts.meant += 1;
        } else {
            counts.unexplained += 1;
            let body = request.body.as_deref().unwrap_or_default();
            let asked = format!("{} {} {body}", request.method, request.path);
            self.unexplained.push(Unexplained { name: format!("{release} {name}"), asked, differences: open });
        }
    }

    /// Sums.
    #[must_use]
    pub fn totals(&self) -> Counts {
        self.files.values().fold(Counts::default(), |sum, counts| Counts {
            requests: sum.requests + counts.requests,
            identical: sum.identical + counts.identical,
            meant: sum.meant + counts.meant,
            unexplained: sum.unexplained + counts.unexplained,
        })
    }

    /// Why this is no success, in words; `None` when it is one. `whole`: on this database everything was asked, so that
    /// each row of the table must have been needed.
    #[must_use]
    pub fn failure(&self, table: &Table, whole: Option<Backend>) -> Option<String> {
        let mut text = String::new();
        for found in &self.unexplained {
            let _ = writeln!(text, "{}\n    {}", found.name, found.asked.chars().take(400).collect::<String>());
            for difference in &found.differences {
                let _ = writeln!(
                    text,
                    "    {}: upstream {}, ours {}",
                    difference.at,
                    shown(difference.upstream.as_ref()),
                    shown(difference.ours.as_ref())
                );
            }
        }
        for name in &self.unrecorded {
            let _ = writeln!(text, "no answer of upstream is kept for {name}");
        }
        if let Some(backend) = whole {
            let unused = table.rows.iter().zip(&self.used).filter(|(_, used)| **used == 0);
            for (row, _) in unused.filter(|(row, _)| !row.not_on.iter().any(|name| name == backend.as_str())) {
                let _ = writeln!(text, "differences.yaml: {} explains nothing", row.name);
            }
        }
        (!text.is_empty()).then_some(text)
    }

    /// The totals as a table.
    #[must_use]
    pub fn table(&self) -> comfy_table::Table {
        let mut rows = comfy_table::Table::new();
        rows.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
        rows.set_header(["upstream", "cases", "requests", "identical", "different, meant", "unexplained"]);
        let line = |release: &str, name: &str, counts: &Counts| {
            [
                release.to_owned(),
                name.to_owned(),
                counts.requests.to_string(),
                counts.identical.to_string(),
                counts.meant.to_string(),
                counts.unexplained.to_string(),
            ]
        };
        for ((release, name), counts) in &self.files {
            rows.add_row(line(release, name, counts));
        }
        rows.add_row(line("all", "all", &self.totals()));
        rows
    }

    /// The differences that are meant, with how many requests show them.
    #[must_use]
    pub fn differences(&self, table: &Table) -> comfy_table::Table {
        let mut rows = comfy_table::Table::new();
        rows.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
        rows.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        rows.set_header(["difference", "requests", "reason"]);
        for (row, used) in table.rows.iter().zip(&self.used) {
            rows.add_row([row.name.clone(), used.to_string(), row.reason.clone()]);
        }
        rows
    }
}
