//! When the next epoch is opened.

use std::time::Duration;

/// All that opening an epoch depends on. Times are those of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerFacts {
    /// How often to take a checkpoint; `None` takes only the last one.
    pub interval: Option<Duration>,
    /// When the last epoch was opened, or the job began.
    pub last_trigger: Duration,
    /// Checkpoints that are neither complete nor given up, those being published included.
    pub in_flight: usize,
    /// How many may be in flight at once.
    pub max_concurrent: usize,
    /// Whether the job was asked to stop.
    pub stopping: bool,
    /// Whether every source subtask has read all its input.
    pub sources_finished: bool,
    /// Whether the last epoch was opened and is in flight or complete.
    pub last_opened: bool,
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
    if facts.last_opened {
        return Trigger::No { until: None };
    }
    if facts.stopping || facts.sources_finished {
        // The last one stands alone, so that everything before it is decided when it completes.
        return if facts.in_flight == 0 {
            Trigger::OpenLast
        } else {
            Trigger::No { until: None }
        };
    }
    let Some(interval) = facts.interval else {
        return Trigger::No { until: None };
    };
    if facts.in_flight >= facts.max_concurrent {
        return Trigger::No { until: None };
    }
    let due = facts.last_trigger.saturating_add(interval);
    if now >= due {
        Trigger::Open
    } else {
        Trigger::No { until: Some(due) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn idle() -> TriggerFacts {
        TriggerFacts {
            interval: Some(S * 10),
            last_trigger: S * 100,
            in_flight: 0,
            max_concurrent: 1,
            stopping: false,
            sources_finished: false,
            last_opened: false,
        }
    }

    #[track_caller]
    fn check(now: Duration, facts: TriggerFacts, expected: Trigger) {
        assert_eq!(may_trigger(now, &facts), expected);
    }

    #[test]
    fn an_epoch_is_opened_when_the_interval_is_over() {
        check(
            S * 109,
            idle(),
            Trigger::No {
                until: Some(S * 110),
            },
        );
        check(S * 110, idle(), Trigger::Open);
        check(S * 500, idle(), Trigger::Open);
    }

    #[test]
    fn no_epoch_is_opened_while_as_many_are_in_flight_as_may_be() {
        check(
            S * 500,
            TriggerFacts {
                in_flight: 1,
                ..idle()
            },
            Trigger::No { until: None },
        );
        check(
            S * 500,
            TriggerFacts {
                in_flight: 1,
                max_concurrent: 2,
                ..idle()
            },
            Trigger::Open,
        );
    }

    #[test]
    fn without_an_interval_only_the_last_epoch_is_opened() {
        check(
            S * 500,
            TriggerFacts {
                interval: None,
                ..idle()
            },
            Trigger::No { until: None },
        );
        check(
            S * 500,
            TriggerFacts {
                interval: None,
                stopping: true,
                ..idle()
            },
            Trigger::OpenLast,
        );
    }

    #[test]
    fn the_last_epoch_is_opened_at_once_when_nothing_else_is_in_flight() {
        for facts in [
            TriggerFacts {
                stopping: true,
                ..idle()
            },
            TriggerFacts {
                sources_finished: true,
                ..idle()
            },
        ] {
            check(S * 101, facts, Trigger::OpenLast);
            check(
                S * 500,
                TriggerFacts {
                    in_flight: 1,
                    max_concurrent: 2,
                    ..facts
                },
                Trigger::No { until: None },
            );
        }
    }

    #[test]
    fn nothing_is_opened_after_the_last_epoch() {
        let facts = TriggerFacts {
            stopping: true,
            last_opened: true,
            ..idle()
        };
        check(S * 500, facts, Trigger::No { until: None });
    }
}
