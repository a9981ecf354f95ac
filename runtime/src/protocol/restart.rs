//! Whether a run that failed begins again, and when.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::ErrorKind;
use crate::protocol::seed::fraction;
use crate::settings::{OnPanic, RestartStrategy};

/// How much longer a growing delay may get by chance, so that jobs that lost the same thing do not
/// all come back to it at once.
const JITTER: f64 = 0.1;

/// What was decided about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restart {
    /// The run begins again behind this delay.
    After(Duration),
    /// The job ends.
    End {
        /// What to add to the error; nothing where the error says it all.
        why: Option<String>,
    },
}

/// A failure, as far as a restart depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// What the job was doing.
    pub during: During,
    /// When, by the job's clock.
    pub at: Duration,
}

/// What a job was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// Nothing had begun: it looked for its checkpoint the first time. Whoever has mistyped a
    /// directory wants to hear of it, and not of restarts.
    Beginning,
    /// It ran, or recovered for a restart.
    Running,
    /// It was asked to stop, and took its last checkpoint.
    Stopping,
    /// It was told to crash.
    Crashing,
}

/// The failures of a job so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailureHistory {
    /// All failures that the strategy was asked about.
    count: u32,
    /// Failures without a healthy span between them.
    in_a_row: u32,
    /// The last one, and the delay behind it.
    last: Option<(Duration, Duration)>,
    /// Those that a failure rate counts, oldest first.
    recent: VecDeque<Duration>,
}

/// Decides about a failure, and notes it in the history.
///
/// `seed` decides the chance in a delay.
pub fn may_restart(
    failure: Failure,
    (strategy, on_panic): (RestartStrategy, OnPanic),
    history: &mut FailureHistory,
    seed: u64,
) -> Restart {
    if !can_be_mended(failure, on_panic) {
        return Restart::End { why: None };
    }
    let before = history.count;
    history.note(failure.at, strategy);
    let delay = match strategy {
        RestartStrategy::None => return Restart::End { why: None },
        RestartStrategy::FixedDelay { attempts, delay } => {
            if before >= attempts {
                let why = format!("{attempts} restarts did not help");
                return Restart::End { why: Some(why) };
            }
            delay
        }
        RestartStrategy::ExponentialDelay {
            first,
            longest,
            factor,
            ..
        } => {
            let grown = factor.powi((history.in_a_row - 1).min(1_000) as i32);
            let chance = 1.0 + JITTER * fraction(seed ^ u64::from(history.count));
            let seconds = (first.as_secs_f64() * grown * chance).min(longest.as_secs_f64());
            Duration::try_from_secs_f64(seconds).unwrap_or(longest)
        }
        RestartStrategy::FailureRate {
            failures,
            within,
            delay,
        } => {
            if history.recent.len() > failures as usize {
                let why = format!("more than {failures} failures within {within:?}");
                return Restart::End { why: Some(why) };
            }
            delay
        }
    };
    history.last = Some((failure.at, delay));
    Restart::After(delay)
}

/// Whether a later attempt may meet another world than this one.
fn can_be_mended(failure: Failure, on_panic: OnPanic) -> bool {
    let by_kind = match failure.kind {
        ErrorKind::Unavailable => true,
        ErrorKind::Panicked => on_panic == OnPanic::Restart,
        // The same program meets the same input, state or newer run again.
        ErrorKind::Invalid
        | ErrorKind::Incompatible
        | ErrorKind::Corrupt
        | ErrorKind::Fenced
        | ErrorKind::Internal => false,
    };
    by_kind
        && match failure.during {
            During::Running => true,
            During::Beginning | During::Stopping | During::Crashing => false,
        }
}

impl FailureHistory {
    /// How many failures were noted.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn note(&mut self, at: Duration, strategy: RestartStrategy) {
        self.count = self.count.saturating_add(1);
        let healthy_behind = |reset_after: Duration| {
            self.last.is_some_and(|(failed, delay)| {
                at >= failed.saturating_add(delay).saturating_add(reset_after)
            })
        };
        match strategy {
            RestartStrategy::None | RestartStrategy::FixedDelay { .. } => {}
            RestartStrategy::ExponentialDelay { reset_after, .. } => {
                self.in_a_row = if healthy_behind(reset_after) {
                    1
                } else {
                    self.in_a_row.saturating_add(1)
                };
            }
            RestartStrategy::FailureRate {
                failures, within, ..
            } => {
                self.recent.push_back(at);
                while self.recent.len() > failures as usize + 1
                    || self
                        .recent
                        .front()
                        .is_some_and(|oldest| at >= oldest.saturating_add(within))
                {
                    self.recent.pop_front();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const FIXED: RestartStrategy = RestartStrategy::FixedDelay {
        attempts: 2,
        delay: S,
    };

    fn at(seconds: u32) -> Failure {
        Failure {
            kind: ErrorKind::Unavailable,
            during: During::Running,
            at: S * seconds,
        }
    }

    /// Checks the delays behind failures at these seconds, in seconds and up to the jitter; `None`
    /// where the job ends.
    #[track_caller]
    fn check(strategy: RestartStrategy, failures: &[u32], expected: &[Option<u32>]) {
        let mut history = FailureHistory::default();
        for (second, expected) in failures.iter().zip(expected) {
            let decision = may_restart(at(*second), (strategy, OnPanic::End), &mut history, 1);
            let is_right = match (&decision, expected) {
                (Restart::After(delay), Some(seconds)) => {
                    *delay >= S * *seconds && *delay <= (S * *seconds).mul_f64(1.0 + JITTER)
                }
                (Restart::End { .. }, None) => true,
                (Restart::After(_), None) | (Restart::End { .. }, Some(_)) => false,
            };
            assert!(
                is_right,
                "at {second}: {decision:?} instead of {expected:?}"
            );
        }
    }

    #[test]
    fn without_a_strategy_the_first_failure_ends_the_job() {
        check(RestartStrategy::None, &[5], &[None]);
    }

    #[test]
    fn a_fixed_delay_has_so_many_attempts_however_far_apart() {
        check(FIXED, &[5, 50_000, 100_000], &[Some(1), Some(1), None]);
    }

    #[test]
    fn an_exponential_delay_grows_to_the_longest_and_begins_anew_behind_a_healthy_span() {
        let strategy = RestartStrategy::ExponentialDelay {
            first: S * 10,
            longest: S * 60,
            factor: 2.0,
            reset_after: S * 100,
        };
        check(
            strategy,
            &[0, 10, 40, 90, 91, 250, 252],
            &[
                Some(10),
                Some(20),
                Some(40),
                Some(60),
                Some(60),
                // The span begins when the run does: 91 + 60 + 100 is later than 250.
                Some(60),
                Some(60),
            ],
        );
        check(strategy, &[0, 10, 151], &[Some(10), Some(20), Some(10)]);
    }

    #[test]
    fn the_delay_grows_without_overflow() {
        let mut history = FailureHistory::default();
        let mut delay = Restart::After(S);
        for second in 0..5_000 {
            let options = (RestartStrategy::default(), OnPanic::End);
            delay = may_restart(at(second), options, &mut history, 1);
        }
        assert_eq!(delay, Restart::After(S * 60));
    }

    #[test]
    fn a_failure_rate_counts_the_failures_of_the_span_only() {
        let strategy = RestartStrategy::FailureRate {
            failures: 2,
            within: S * 10,
            delay: S,
        };
        check(strategy, &[0, 5, 9], &[Some(1), Some(1), None]);
        check(
            strategy,
            &[0, 5, 10, 15, 19],
            &[Some(1), Some(1), Some(1), Some(1), None],
        );
    }

    #[test]
    fn only_what_a_restart_can_mend_is_restarted() {
        let decide = |kind, during, on_panic| {
            let failure = Failure {
                kind,
                during,
                at: S,
            };
            let decision = may_restart(
                failure,
                (FIXED, on_panic),
                &mut FailureHistory::default(),
                1,
            );
            decision == Restart::After(S)
        };
        for kind in [
            ErrorKind::Invalid,
            ErrorKind::Incompatible,
            ErrorKind::Corrupt,
            ErrorKind::Fenced,
            ErrorKind::Panicked,
            ErrorKind::Internal,
        ] {
            assert!(!decide(kind, During::Running, OnPanic::End), "{kind:?}");
        }
        assert!(decide(
            ErrorKind::Unavailable,
            During::Running,
            OnPanic::End
        ));
        assert!(decide(
            ErrorKind::Panicked,
            During::Running,
            OnPanic::Restart
        ));
        for during in [During::Beginning, During::Stopping, During::Crashing] {
            assert!(
                !decide(ErrorKind::Unavailable, during, OnPanic::Restart),
                "{during:?}"
            );
        }
    }

    #[test]
    fn the_end_says_how_often_it_was_tried() {
        let mut history = FailureHistory::default();
        let ends: Vec<Restart> = (0..3)
            .map(|second| may_restart(at(second), (FIXED, OnPanic::End), &mut history, 1))
            .collect();
        let why = Some("2 restarts did not help".to_owned());
        assert_eq!(ends[2], Restart::End { why });
        assert_eq!(history.count(), 3);
    }
}
