//! When the next epoch is opened.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::seed::fraction;
use crate::settings::{CheckpointSettings, DuringBacklog};

/// All that opening an epoch depends on. Times are those of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerFacts {
    /// How long behind the last trigger the next one is due; `None` takes only the last checkpoint.
    pub interval: Option<Duration>,
    /// When the last epoch was opened, or the job began.
    pub last_trigger: Duration,
    /// By time, no epoch is opened before this: the pause behind the checkpoint before.
    pub pause_until: Duration,
    /// No epoch is opened before this at all: the pause behind a failure.
    pub not_before: Duration,
    /// Checkpoints that are neither complete nor given up, those being published included.
    pub in_flight: usize,
    /// How many may be in flight at once.
    pub max_concurrent: usize,
    /// Whether somebody asked for a checkpoint.
    pub asked: bool,
    /// Whether the job comes to its end.
    pub end: EndOfJob,
}

/// How far a job is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOfJob {
    /// It goes on.
    NotInSight,
    /// It was asked to stop, or every source subtask has read all its input.
    Due,
    /// Its last epoch was opened, and is in flight or complete.
    Opened,
}

/// Whether an epoch is opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Not now.
    No {
        /// When to ask again, if only time is missing.
        until: Option<Duration>,
    },
    /// Now.
    Open,
    /// Now, and no further one after it.
    OpenLast,
}

/// Decides whether to open an epoch at `now`.
pub fn may_trigger(now: Duration, facts: &TriggerFacts) -> Trigger {
    let is_last = match facts.end {
        EndOfJob::NotInSight => false,
        EndOfJob::Due => true,
        EndOfJob::Opened => return Trigger::No { until: None },
    };
    // The last one stands alone, so that everything before it is decided when it completes.
    let room = if is_last { 1 } else { facts.max_concurrent };
    if facts.in_flight >= room {
        return Trigger::No { until: None };
    }
    let due = if is_last || facts.asked {
        facts.not_before
    } else {
        let Some(interval) = facts.interval else {
            return Trigger::No { until: None };
        };
        let due = facts.last_trigger.saturating_add(interval);
        due.max(facts.pause_until).max(facts.not_before)
    };
    if now < due {
        Trigger::No { until: Some(due) }
    } else if is_last {
        Trigger::OpenLast
    } else {
        Trigger::Open
    }
}

/// Whether sources work off input that waited for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backlog {
    /// They read what comes.
    None,
    /// They catch up.
    Some,
}

/// The interval between two triggers.
pub fn interval_of(settings: &CheckpointSettings, backlog: Backlog) -> Option<Duration> {
    match (backlog, settings.during_backlog) {
        (Backlog::None, _) | (Backlog::Some, DuringBacklog::Same) => settings.interval,
        (Backlog::Some, DuringBacklog::Off) => None,
        (Backlog::Some, DuringBacklog::Every(interval)) => Some(interval),
    }
}

/// How long behind a job's beginning its first checkpoint is due: between half an interval and a whole
/// one, so that jobs that were started together do not all reach for their storage at once.
pub fn first_interval(interval: Duration, nonce: u64) -> Duration {
    interval.mul_f64(0.5 + fraction(nonce) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const NEVER: Trigger = Trigger::No { until: None };

    fn idle() -> TriggerFacts {
        TriggerFacts {
            interval: Some(S * 10),
            last_trigger: S * 100,
            pause_until: Duration::ZERO,
            not_before: Duration::ZERO,
            in_flight: 0,
            max_concurrent: 1,
            asked: false,
            end: EndOfJob::NotInSight,
        }
    }

    #[track_caller]
    fn check(now: u32, change: impl FnOnce(&mut TriggerFacts), expected: Trigger) {
        let mut facts = idle();
        change(&mut facts);
        assert_eq!(may_trigger(S * now, &facts), expected);
    }

    fn not_until(at: u32) -> Trigger {
        Trigger::No {
            until: Some(S * at),
        }
    }

    #[test]
    fn an_epoch_is_opened_when_the_interval_is_over() {
        check(109, |_| (), not_until(110));
        check(110, |_| (), Trigger::Open);
        check(500, |_| (), Trigger::Open);
    }

    #[test]
    fn no_epoch_is_opened_while_as_many_are_in_flight_as_may_be() {
        check(500, |f| f.in_flight = 1, NEVER);
        check(
            500,
            |f| (f.in_flight, f.max_concurrent) = (1, 2),
            Trigger::Open,
        );
        check(500, |f| (f.in_flight, f.max_concurrent) = (2, 2), NEVER);
    }

    #[test]
    fn without_an_interval_only_the_last_epoch_is_opened() {
        check(500, |f| f.interval = None, NEVER);
        check(
            500,
            |f| (f.interval, f.end) = (None, EndOfJob::Due),
            Trigger::OpenLast,
        );
    }

    #[test]
    fn a_checkpoint_that_was_asked_for_waits_for_neither_interval_nor_pause() {
        check(101, |f| f.asked = true, Trigger::Open);
        check(101, |f| (f.asked, f.interval) = (true, None), Trigger::Open);
        check(
            101,
            |f| (f.asked, f.pause_until) = (true, S * 200),
            Trigger::Open,
        );
        check(500, |f| (f.asked, f.in_flight) = (true, 1), NEVER);
    }

    #[test]
    fn the_pause_behind_a_checkpoint_delays_those_by_time_only() {
        check(150, |f| f.pause_until = S * 160, not_until(160));
        check(160, |f| f.pause_until = S * 160, Trigger::Open);
        check(105, |f| f.pause_until = S * 105, not_until(110));
        check(
            150,
            |f| (f.pause_until, f.end) = (S * 160, EndOfJob::Due),
            Trigger::OpenLast,
        );
    }

    #[test]
    fn the_pause_behind_a_failure_delays_every_trigger() {
        check(150, |f| f.not_before = S * 151, not_until(151));
        check(
            150,
            |f| (f.not_before, f.asked) = (S * 151, true),
            not_until(151),
        );
        check(
            150,
            |f| (f.not_before, f.end) = (S * 151, EndOfJob::Due),
            not_until(151),
        );
        check(
            151,
            |f| (f.not_before, f.end) = (S * 151, EndOfJob::Due),
            Trigger::OpenLast,
        );
    }

    #[test]
    fn the_last_epoch_is_opened_at_once_when_nothing_else_is_in_flight() {
        check(101, |f| f.end = EndOfJob::Due, Trigger::OpenLast);
        let busy = |f: &mut TriggerFacts| {
            f.end = EndOfJob::Due;
            (f.in_flight, f.max_concurrent) = (1, 2);
        };
        check(500, busy, NEVER);
    }

    #[test]
    fn nothing_is_opened_after_the_last_epoch() {
        check(500, |f| f.end = EndOfJob::Opened, NEVER);
        check(500, |f| (f.asked, f.end) = (true, EndOfJob::Opened), NEVER);
    }

    #[test]
    fn a_backlog_has_an_interval_of_its_own() {
        let interval = |during_backlog, backlog| {
            let settings = CheckpointSettings {
                during_backlog,
                ..CheckpointSettings::default()
            };
            interval_of(&settings, backlog)
        };
        assert_eq!(interval(DuringBacklog::Same, Backlog::Some), Some(S * 10));
        assert_eq!(interval(DuringBacklog::Off, Backlog::Some), None);
        assert_eq!(interval(DuringBacklog::Off, Backlog::None), Some(S * 10));
        let longer = DuringBacklog::Every(S * 60);
        assert_eq!(interval(longer, Backlog::Some), Some(S * 60));
        assert_eq!(interval(longer, Backlog::None), Some(S * 10));
    }

    #[test]
    fn the_first_interval_is_spread_over_the_second_half() {
        let first: Vec<Duration> = (0..1_000)
            .map(|nonce| first_interval(S * 10, nonce))
            .collect();
        assert!(first.iter().all(|i| (S * 5..=S * 10).contains(i)));
        assert!(first.iter().any(|i| *i < S * 6));
        assert!(first.iter().any(|i| *i > S * 9));
        assert_eq!(first_interval(S * 10, 7), first[7]);
    }
}
