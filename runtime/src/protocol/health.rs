//! Whether a job is well: not whether it runs, but whether it would survive.

use std::time::Duration;

use crate::ids::Epoch;

/// Whether a job takes the checkpoints that it is meant to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing is known to be wrong.
    #[default]
    Healthy,
    /// It runs, or waits for a restart, and somebody should look.
    Unhealthy {
        /// What is wrong, in a sentence.
        why: String,
    },
}

/// All that a job's health depends on. Times are those of one clock.
#[derive(Clone, Copy, Debug)]
pub struct HealthFacts<'a> {
    /// When the run began, if it began from a checkpoint and none of its own is complete.
    pub restored_at: Option<Duration>,
    /// How long the first checkpoint behind a restore may take.
    pub first_window: Option<Duration>,
    /// The checkpoints that failed in a row.
    pub failed: &'a [(Epoch, String)],
    /// The manifest that is being published, and since when.
    pub publishing: Option<(Epoch, Duration)>,
    /// How long it may take.
    pub timeout: Duration,
}

impl HealthFacts<'_> {
    /// The next time behind `now` at which the passing of time alone makes the job unhealthy.
    pub fn worsens_at(&self, now: Duration) -> Option<Duration> {
        let publishing = self
            .publishing
            .map(|(_, since)| since.saturating_add(self.timeout / 2));
        let first = self
            .restored_at
            .zip(self.first_window)
            .map(|(at, window)| at.saturating_add(window));
        [publishing, first]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }
}

/// Judges a job's health at `now`.
pub fn judge_health(now: Duration, facts: &HealthFacts<'_>) -> Health {
    if let Some((epoch, reason)) = facts.failed.last() {
        let n = facts.failed.len();
        let why = format!(
            "{n} {} failed in a row, the last one (epoch {epoch}) because of {reason}",
            if n == 1 {
                "checkpoint has"
            } else {
                "checkpoints have"
            }
        );
        return Health::Unhealthy { why };
    }
    if let Some((epoch, since)) = facts.publishing
        && now >= since.saturating_add(facts.timeout / 2)
    {
        let why = format!(
            "the manifest of epoch {epoch} has been under way for more than {:?}: the storage hangs",
            facts.timeout / 2
        );
        return Health::Unhealthy { why };
    }
    if let (Some(restored_at), Some(window)) = (facts.restored_at, facts.first_window)
        && now >= restored_at.saturating_add(window)
    {
        let why = format!(
            "no checkpoint was completed within {window:?} behind the restore: a crash would bring the same input back"
        );
        return Health::Unhealthy { why };
    }
    Health::Healthy
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn well() -> HealthFacts<'static> {
        HealthFacts {
            restored_at: None,
            first_window: Some(S * 20),
            failed: &[],
            publishing: None,
            timeout: S * 10,
        }
    }

    /// What is said at `now` seconds; an empty text is good health.
    #[track_caller]
    fn check(now: u32, facts: HealthFacts<'_>, expected: &str) {
        let why = match judge_health(S * now, &facts) {
            Health::Healthy => String::new(),
            Health::Unhealthy { why } => why,
        };
        assert_eq!(why.is_empty(), expected.is_empty(), "{why}");
        assert!(why.contains(expected), "{why}");
        // Whoever sleeps until it worsens misses nothing.
        if !why.is_empty() && facts.failed.is_empty() {
            assert!(
                facts
                    .worsens_at(Duration::ZERO)
                    .is_some_and(|at| at <= S * now)
            );
        }
    }

    #[test]
    fn a_job_that_nothing_is_known_of_is_well() {
        check(1_000, well(), "");
        assert_eq!(well().worsens_at(Duration::ZERO), None);
    }

    #[test]
    fn the_first_checkpoint_behind_a_restore_has_its_window() {
        let facts = HealthFacts {
            restored_at: Some(S * 100),
            ..well()
        };
        check(119, facts, "");
        check(120, facts, "no checkpoint was completed within 20s");
        let by_hand = HealthFacts {
            first_window: None,
            ..facts
        };
        check(1_000, by_hand, "");
    }

    #[test]
    fn failed_checkpoints_are_told_with_the_last_cause() {
        let failed = [(Epoch(4), "disk full".to_owned())];
        let facts = HealthFacts {
            failed: &failed,
            ..well()
        };
        check(
            1,
            facts,
            "1 checkpoint has failed in a row, the last one (epoch 4) because of disk full",
        );
    }

    #[test]
    fn a_publication_that_takes_half_its_time_is_told() {
        let facts = HealthFacts {
            publishing: Some((Epoch(4), S * 100)),
            ..well()
        };
        check(104, facts, "");
        check(
            105,
            facts,
            "the manifest of epoch 4 has been under way for more than 5s",
        );
    }
}
