//! What a user may set about restarts.

use std::time::Duration;

/// How often, and how soon, a run that failed begins again from its last checkpoint.
///
/// Only what a restart can mend is restarted: errors of the kind `Unavailable`, of a run that had
/// begun. See [`may_restart`](crate::protocol::may_restart).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RestartStrategy {
    /// The first failure ends the job.
    None,
    /// A number of restarts, each behind the same delay.
    FixedDelay {
        /// The most restarts of the job.
        attempts: u32,
        /// The delay before each.
        delay: Duration,
    },
    /// Any number of restarts, behind a delay that grows with each failure in a row. The default:
    /// from 1 s to 1 min by the factor 1.5, and from the beginning again behind a healthy hour.
    ExponentialDelay {
        /// The first delay.
        first: Duration,
        /// The longest delay.
        longest: Duration,
        /// By which the delay grows with each failure in a row, at least 1.
        factor: f64,
        /// How long the job has to run without a failure for the delay to begin anew.
        reset_after: Duration,
    },
    /// Restarts behind the same delay, as long as failures are rare.
    FailureRate {
        /// The most failures within the span.
        failures: u32,
        /// The span.
        within: Duration,
        /// The delay before each restart.
        delay: Duration,
    },
}

impl Default for RestartStrategy {
    fn default() -> Self {
        Self::ExponentialDelay {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            factor: 1.5,
            reset_after: Duration::from_secs(3_600),
        }
    }
}

/// Which failures a strategy is applied to, beside `Unavailable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// A panic of a user's closure ends the job: it would most likely panic again.
    #[default]
    End,
    /// A panic is restarted like any other failure.
    Restart,
}

impl RestartStrategy {
    /// Says everything that is wrong, and why.
    pub(super) fn wrong(&self, wrong: &mut Vec<String>) {
        let mut check = |holds: bool, text: &str| {
            if !holds {
                wrong.push(text.to_owned());
            }
        };
        match *self {
            Self::None => {}
            Self::FixedDelay { attempts, .. } => check(
                attempts >= 1,
                "a restart strategy of 0 attempts never restarts: say `RestartStrategy::None`",
            ),
            Self::ExponentialDelay {
                first,
                longest,
                factor,
                ..
            } => {
                check(
                    !first.is_zero(),
                    "the first restart delay is zero: a delay that grows by a factor would stay there",
                );
                check(
                    first <= longest,
                    "the first restart delay is longer than the longest one",
                );
                check(
                    factor.is_finite() && factor >= 1.0,
                    "the factor by which the restart delay grows is less than 1, or no number",
                );
            }
            Self::FailureRate {
                failures, within, ..
            } => {
                check(
                    failures >= 1,
                    "a failure rate of 0 never restarts: say `RestartStrategy::None`",
                );
                check(
                    !within.is_zero(),
                    "the span of the failure rate is zero: no two failures would ever fall into it",
                );
            }
        }
    }
}
