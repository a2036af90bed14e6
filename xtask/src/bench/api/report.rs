//! The one table that comes out.

use crate::bench::figures::Figures;
use crate::say;

/// A comparison with the original.
pub(super) struct Row {
    pub(super) what: String,
    /// Such as `req/s`; what is not a rate is better when it is less.
    pub(super) unit: &'static str,
    pub(super) original: Figures,
    pub(super) ours: Figures,
    /// How many times better ours is, round by round.
    pub(super) ratio: Figures,
    pub(super) goal: f64,
    /// The bare handler, and ours as a part of it.
    pub(super) bare: Option<(Figures, Figures)>,
}

/// The part of the bare handler's rate that ours is to reach.
const SHARE: f64 = 0.8;

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn range(figures: &Figures) -> String {
    format!("{} ({} .. {})", number(figures.median()), number(figures.min()), number(figures.max()))
}

fn judged(goal: String, met: bool) -> String {
    format!("{goal} {}", if met { "met" } else { "MISSED" })
}

/// Prints the table; answers whether every goal was met.
pub(super) fn print(rows: &[Row], page: &Figures, page_goal: f64) -> bool {
    let head = ["what", "unit", "original", "ours", "times better", "goal", "bare handler", "share of it", "goal"];
    let mut table = say::table(&head);
    let mut all_met = true;
    for row in rows {
        let met = row.ratio.median() >= row.goal;
        let (bare, share, share_goal) = match &row.bare {
            Some((bare, share)) => {
                let met = share.median() >= SHARE;
                all_met &= met;
                (number(bare.median()), range(share), judged(format!(">= {SHARE}"), met))
            }
            None => Default::default(),
        };
        all_met &= met;
        table.add_row([
            row.what.clone(),
            row.unit.to_owned(),
            number(row.original.median()),
            number(row.ours.median()),
            range(&row.ratio),
            judged(format!(">= {}", row.goal), met),
            bare,
            share,
            share_goal,
        ]);
    }
    let met = page.median() <= page_goal;
    all_met &= met;
    table.add_row([
        "page 1 of 20,000 clusters to page 1 of 1,000".to_owned(),
        "time".to_owned(),
        String::new(),
        range(page),
        String::new(),
        judged(format!("<= {page_goal}"), met),
    ]);
    println!("\n{table}");
    all_met
}
