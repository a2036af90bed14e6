//! Times as Python's `isoformat` prints them: with offset, microseconds only when there are some.

use std::fmt;

use chrono::{Datelike, Timelike};
use magnum_domain::Timestamp;
use serde::{Serialize, Serializer};

/// A time in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When(pub(crate) Timestamp);

impl When {
    /// A time that may be missing.
    pub(crate) fn maybe(time: Option<Timestamp>) -> Option<Self> {
        time.map(Self)
    }
}

/// Written out by hand: chrono reads its format anew for every time it writes.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.naive_utc();
        write!(f, "{:04}-{:02}-{:02}", time.year(), time.month(), time.day())?;
        write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        match self.0.timestamp_subsec_micros() {
            0 => f.write_str("+00:00"),
            micros => write!(f, ".{micros:06}+00:00"),
        }
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_left_out_when_there_are_none() {
        let table = [
            ("2026-11-22T23:27:46.709318Z", "\"2026-11-22T23:27:46.709318+00:00\""),
            ("2026-11-22T23:27:46.000010Z", "\"2026-11-22T23:27:46.000010+00:00\""),
            ("2017-01-17T17:35:49Z", "\"2017-01-17T17:35:49+00:00\""),
        ];
        for (time, expected) in table {
            assert_eq!(serde_json::to_string(&When(time.parse().unwrap())).unwrap(), expected);
        }
    }
}
