//! Advice as a person reads it.

use std::fmt;

use super::{Advice, Bound, Losses};
use crate::protocol::units::time;

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
