//! Times and sizes as a person reads them.

use std::time::Duration;

/// A time in the unit that fits it, with three digits.
pub(crate) fn time(time: Duration) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    let seconds = time.as_secs_f64();
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length * 1.5);
    let (value, unit) = match unit {
        Some((length, unit)) => (seconds / length, *unit),
        None if seconds >= 1.0 => (seconds, "s"),
        None if seconds >= 1e-3 => (seconds * 1e3, "ms"),
        None => (seconds * 1e6, "us"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A size in the unit that fits it, with three digits.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let size = bytes as f64;
    UNITS.iter().find(|(unit, _)| size >= *unit).map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{} {name}", three_digits(size / unit)),
    )
}

fn three_digits(value: f64) -> String {
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_digits_and_a_unit_that_fits() {
        let cases = [
            (Duration::ZERO, "0.00 us"),
            (Duration::from_micros(15), "15.0 us"),
            (Duration::from_micros(1_234), "1.23 ms"),
            (Duration::from_secs(1), "1.00 s"),
            (Duration::from_millis(89_900), "89.9 s"),
            (Duration::from_secs(90), "1.50 min"),
            (Duration::from_secs(7_200), "2.00 h"),
            (Duration::from_secs(86_400 * 365), "365 d"),
        ];
        for (duration, expected) in cases {
            assert_eq!(time(duration), expected);
        }
    }

    #[test]
    fn a_size_has_three_digits_and_a_unit_that_fits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (12_345_678, "12.3 MB"),
            (u64::MAX, "18446744 TB"),
        ];
        for (size, expected) in cases {
            assert_eq!(bytes(size), expected);
        }
    }
}
