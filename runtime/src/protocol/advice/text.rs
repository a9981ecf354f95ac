//! Advice as a person reads it.

use std::fmt;
use std::time::Duration;

use super::{Advice, Bound, Losses};

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Optimum => "least time is lost there",
            Self::Recovery => "the recovery objective allows no longer one",
            Self::OutputDelay => "the output delay allows no longer one",
            Self::Storage => "the storage budget allows no longer one",
            Self::Duration => "at a shorter one each checkpoint would wait for the last",
        })
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        write!(
            f,
            "{:>9}  checkpoints cost {:.3} % of the time, failures {:.3} %",
            time(self.interval),
            percent(self.checkpoints),
            percent(self.failures)
        )
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        writeln!(
            f,
            "take a checkpoint every {}: {}",
            time(self.interval),
            self.bound
        )?;
        if let Some(present) = &self.present {
            writeln!(f, "  at present {present}")?;
        }
        writeln!(f, "  advised    {}", self.advised)?;
        if self.bound != Bound::Optimum {
            writeln!(f, "  least time is lost at {}", time(self.optimum))?;
        }
        for limit in &self.limits {
            let objective = objective(limit.bound);
            if self.unmet.contains(&limit.bound) {
                writeln!(f, "  no interval meets the {objective}")?;
            } else {
                writeln!(f, "  the {objective} allows {}", time(limit.interval))?;
            }
        }
        writeln!(
            f,
            "from {} checkpoints, which keep the busiest worker from records for {} and take {} in the mean,",
            facts.measured,
            time(facts.cost),
            time(facts.took)
        )?;
        write!(
            f,
            "and {} failures in {} of running: one in {} is reckoned with",
            facts.observed.failures,
            time(facts.observed.running),
            time(self.between_failures)
        )
    }
}

fn objective(bound: Bound) -> &'static str {
    match bound {
        Bound::Optimum => "optimum",
        Bound::Recovery => "recovery objective",
        Bound::OutputDelay => "output delay",
        Bound::Storage => "storage budget",
        Bound::Duration => "duration of a checkpoint",
    }
}

/// A time in the unit that fits it, with three digits.
fn time(time: Duration) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    let seconds = time.as_secs_f64();
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length * 1.5);
    let (value, unit) = match unit {
        Some((length, unit)) => (seconds / length, *unit),
        None if seconds >= 1.0 => (seconds, "s"),
        None if seconds >= 1e-3 => (seconds * 1e3, "ms"),
        None => (seconds * 1e6, "us"),
    };
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
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
            (Duration::from_millis(1_000), "1.00 s"),
            (Duration::from_millis(89_900), "89.9 s"),
            (Duration::from_secs(90), "1.50 min"),
            (Duration::from_secs(7_200), "2.00 h"),
            (Duration::from_secs(86_400 * 365), "365 d"),
        ];
        for (duration, expected) in cases {
            assert_eq!(time(duration), expected);
        }
    }
}
