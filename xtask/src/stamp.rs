//! Times as the API writes them.

/// Seconds since the beginning of 1970 of `2026-11-22T23:27:46.709318+00:00`; times of the API are UTC.
pub(crate) fn seconds(stamp: &str) -> Option<f64> {
    let (date, time) = stamp.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<u32>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.split(['+', 'Z']).next()?.splitn(3, ':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    Some(f64::from(days(year, month, day)?) * 86400.0 + (hours * 60.0 + minutes) * 60.0 + seconds)
}

/// Days from 1970-01-01 to this date. Years begin in March here, so that the leap day is a year's last.
fn days(year: u32, month: u32, day: u32) -> Option<u32> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    (365 * year + leap_days + (153 * month + 2) / 5 + day).checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn known_times() {
        for (stamp, wanted) in [
            ("1970-01-01T00:00:00+00:00", 0.0),
            ("2000-02-29T12:00:00Z", 951_825_600.0),
            ("2026-11-22T23:27:46.5+00:00", 1_795_390_066.5),
        ] {
            assert!((seconds(stamp).unwrap() - wanted).abs() < 1e-6, "{stamp}: {:?}", seconds(stamp));
        }
        assert_eq!(seconds("yesterday"), None);
    }
}
