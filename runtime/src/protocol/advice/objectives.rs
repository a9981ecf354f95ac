//! What else is wanted of the interval, and which of it binds.

use std::time::Duration;

use serde::Serialize;

use super::{AdviceFacts, seconds};
use crate::protocol::cost::micros;

/// What is wanted beside losing little time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objectives {
    /// How long behind a failure the job may take to be where it was.
    pub recovery: Option<Duration>,
    /// How long transactional output may take to become visible.
    pub output_delay: Option<Duration>,
    /// How many bytes the state in the checkpoint directory may have.
    pub storage_bytes: Option<u64>,
    /// How much faster than it came the job reads input again. By default 1: no faster.
    pub replay_speed: f64,
}

impl Default for Objectives {
    fn default() -> Self {
        Self {
            recovery: None,
            output_delay: None,
            storage_bytes: None,
            replay_speed: 1.0,
        }
    }
}

/// What decides on an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Least time is lost there.
    Optimum,
    /// A longer one has the job recover for too long.
    Recovery,
    /// A longer one has output become visible too late.
    OutputDelay,
    /// A longer one has checkpoints hold too much.
    Storage,
    /// At a shorter one each checkpoint would wait for the last.
    Duration,
}

/// The longest interval that an objective allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The objective.
    pub bound: Bound,
    /// The interval; zero if the objective is beyond reach.
    #[serde(rename = "interval_us", with = "micros")]
    pub interval: Duration,
}

impl Objectives {
    /// The longest interval that each objective allows.
    ///
    /// | objective | at an interval of `T` |
    /// |---|---|
    /// | recovery | the restore, and `T` and the checkpoint under way, read again |
    /// | output delay | `T` and the checkpoint that makes it visible |
    /// | storage | the newest checkpoint, and what each of the kept ones wrote; that grows with `T` |
    pub(super) fn limits(&self, facts: &AdviceFacts) -> Vec<Limit> {
        let recovery = self.recovery.map(|objective| {
            let again = objective.saturating_sub(facts.restore);
            if again.is_zero() {
                // However fast.
                return Duration::ZERO;
            }
            let again = again.as_secs_f64() * self.replay_speed.max(0.0);
            seconds(again).saturating_sub(facts.took)
        });
        let output_delay = self
            .output_delay
            .map(|objective| objective.saturating_sub(facts.took));
        let storage = self
            .storage_bytes
            .and_then(|budget| interval_within(budget, facts));
        let limit = |bound| move |interval| Limit { bound, interval };
        [
            recovery.map(limit(Bound::Recovery)),
            output_delay.map(limit(Bound::OutputDelay)),
            storage.map(limit(Bound::Storage)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What changes in a longer time is more, in proportion at most; so is what a checkpoint writes.
fn interval_within(budget: u64, facts: &AdviceFacts) -> Option<Duration> {
    let Some(room) = budget.checked_sub(facts.total_bytes) else {
        // What is there is too much, however little is new in each.
        return Some(Duration::ZERO);
    };
    let kept = facts.new_bytes.saturating_mul(facts.retained.max(1));
    let interval = facts.interval.filter(|_| kept > 0)?;
    Some(seconds(
        interval.as_secs_f64() * (room as f64 / kept as f64),
    ))
}

/// The shortest interval that means anything.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) struct Chosen {
    pub(super) interval: Duration,
    pub(super) bound: Bound,
    pub(super) unmet: Vec<Bound>,
}

/// The optimum, where nothing else binds. No interval is shorter than a checkpoint takes: what would need
/// that is not met.
pub(super) fn choose(optimum: Duration, facts: &AdviceFacts, limits: &[Limit]) -> Chosen {
    let shortest = facts.took.max(SHORTEST);
    let unmet: Vec<Bound> = limits
        .iter()
        .filter(|limit| limit.interval < shortest)
        .map(|limit| limit.bound)
        .collect();
    let least = limits.iter().min_by_key(|limit| limit.interval);
    let (interval, bound) = match least {
        Some(limit) if limit.interval < optimum => (limit.interval, limit.bound),
        Some(_) | None => (optimum, Bound::Optimum),
    };
    if interval < shortest {
        Chosen {
            interval: shortest,
            bound: Bound::Duration,
            unmet,
        }
    } else {
        Chosen {
            interval,
            bound,
            unmet,
        }
    }
}
