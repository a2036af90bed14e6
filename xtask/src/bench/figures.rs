//! Figures of several runs, and the table they are shown in.

use crate::say;

/// Values of one thing, measured several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures(Vec<f64>);

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl Figures {
    pub(super) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn median(&self) -> f64 {
        let middle = |index: usize| self.0.get(index).copied().unwrap_or(f64::NAN);
        let half = self.0.len() / 2;
        if self.0.len() % 2 == 1 { middle(half) } else { f64::midpoint(middle(half.wrapping_sub(1)), middle(half)) }
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    /// Shown for comparison.
    Nothing,
}

impl Wanted {
    fn judge(self, median: f64) -> String {
        let (sign, limit, met) = match self {
            Self::AtMost(limit) => ("<=", limit, median <= limit),
            Self::AtLeast(limit) => (">=", limit, median >= limit),
            Self::Nothing => return String::new(),
        };
        format!("{sign} {limit} {}", if met { "met" } else { "MISSED" })
    }
}

/// The results, row by row.
#[derive(Debug, Default)]
pub(super) struct Results(Vec<[String; 7]>);

impl Results {
    pub(super) fn add(&mut self, what: &str, unit: &str, figures: &Figures, wanted: Wanted) {
        let median = figures.median();
        let number = |value: f64| if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        self.0.push([
            what.to_owned(),
            unit.to_owned(),
            number(figures.min()),
            number(median),
            number(figures.max()),
            figures.0.len().to_string(),
            wanted.judge(median),
        ]);
    }

    pub(super) fn print(self) {
        let mut rows = say::table(&["what", "unit", "min", "median", "max", "runs", "wanted (median)"]);
        rows.add_rows(self.0);
        say::line(format_args!("\n{rows}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_values_lies_between_two() {
        for (values, median) in [(vec![3.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 3.0], 2.5), (vec![7.0], 7.0)] {
            let figures: Figures = values.into_iter().collect();
            assert!((figures.median() - median).abs() < f64::EPSILON);
        }
        assert!(Figures::default().median().is_nan());
    }

    #[test]
    fn a_target_is_met_or_missed() {
        assert_eq!(Wanted::AtMost(100.0).judge(100.0), "<= 100 met");
        assert_eq!(Wanted::AtLeast(0.7).judge(0.69), ">= 0.7 MISSED");
        assert_eq!(Wanted::AtLeast(0.7).judge(f64::NAN), ">= 0.7 MISSED");
    }
}
