//! A bound on how many records a source reads per second.

use std::time::Duration;

/// A bucket of records that fills with time, and holds at most 50 ms of them.
pub(crate) struct Rate {
    per_second: f64,
    have: f64,
    at: Duration,
}

const FULL: Duration = Duration::from_millis(50);

impl Rate {
    pub(crate) fn new(per_second: f64, now: Duration) -> Self {
        Self {
            per_second,
            have: 0.0,
            at: now,
        }
    }

    /// How many records may be read now; if none, how long to wait.
    pub(crate) fn allows(&mut self, now: Duration) -> Result<usize, Duration> {
        let most = (self.per_second * FULL.as_secs_f64()).max(1.0);
        self.have =
            (self.have + self.per_second * now.saturating_sub(self.at).as_secs_f64()).min(most);
        self.at = now;
        if self.have >= 1.0 {
            return Ok(self.have as usize);
        }
        Err(Duration::from_secs_f64(
            ((1.0 - self.have) / self.per_second).max(0.001),
        ))
    }

    pub(crate) fn took(&mut self, records: usize) {
        self.have -= records as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_at_any_step_lets_the_rate_through() {
        for step_ms in [1, 7, 20] {
            let mut rate = Rate::new(1_000.0, Duration::ZERO);
            let mut read = 0;
            for ms in (step_ms..=1_000).step_by(step_ms as usize) {
                if let Ok(n) = rate.allows(Duration::from_millis(ms)) {
                    rate.took(n);
                    read += n;
                }
            }
            assert!(
                (985..=1_000).contains(&read),
                "{read} records in a second with steps of {step_ms} ms"
            );
        }
    }

    #[test]
    fn a_long_pause_allows_no_burst() {
        let mut rate = Rate::new(1_000.0, Duration::ZERO);
        assert_eq!(rate.allows(Duration::from_secs(60)), Ok(50));
    }
}
