//! What is kept of past checkpoints and runs, and what it says of how often the job fails.
//!
//! Entries are best effort: each may be missing, since its write failed or a power loss took it, and old
//! ones are removed. So nothing is concluded from an entry that is not there but one thing: a run that
//! began, has no end, and was followed by another one, was killed.

#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;
use crate::ids::{Epoch, Generation};
use crate::protocol::CheckpointCost;
use crate::protocol::cost::micros;

/// Which entry of the history: in the order in which things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryKey {
    /// The run.
    pub generation: Generation,
    /// What of it.
    pub event: HistoryEvent,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HistoryEvent {
    /// The beginning of a run.
    Began,
    /// The checkpoint of an epoch, complete or failed.
    Checkpoint(Epoch),
    /// The end of a run.
    Ended,
}

/// An entry of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryEntry {
    /// A run has recovered and begins to work.
    Began(RunBegan),
    /// A checkpoint is complete, or has failed.
    Checkpoint(Box<CheckpointRecord>),
    /// A run has ended.
    Ended(RunEnded),
}

/// How a run began; a restart behind a failure is a run of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunBegan {
    /// When, in milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    /// The checkpoint that it goes on from.
    pub from: Option<Epoch>,
    /// How often the process had restarted the job before.
    pub restarts: u32,
    /// From the claim of the log to the chosen checkpoint, sinks in order.
    #[serde(rename = "recovery_us", with = "micros")]
    pub recovery: Duration,
    /// The number of workers.
    pub worker_count: u32,
    /// The cores that the process may use.
    pub cores: u32,
    /// Time between two triggers; `None` takes a checkpoint at the end only.
    #[serde(rename = "interval_us", with = "micros::option")]
    pub interval: Option<Duration>,
    /// How many completed checkpoints are kept.
    pub retained: u64,
    /// The last sign of life of the run before, as the log had it.
    pub before: Option<SignOfLife>,
}

/// When a run was last known to be alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignOfLife {
    /// The run.
    pub generation: Generation,
    /// In milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
}

/// A checkpoint that is complete, or has failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckpointRecord {
    /// The run that took it.
    pub generation: Generation,
    /// The epoch that it closed.
    pub epoch: Epoch,
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// The longest that a subtask of the run took to restore its state.
    #[serde(rename = "restore_us", with = "micros")]
    pub restore: Duration,
    /// What it cost.
    pub cost: CheckpointCost,
}

/// The end of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunEnded {
    /// When, in milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    /// How.
    pub how: RunEnd,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// All input was read.
    Finished,
    /// It was asked to stop.
    Stopped,
    /// It failed, whether it was restarted or not.
    Failed {
        /// What kind of error it was, as its name.
        kind: String,
        /// The error.
        reason: String,
    },
    /// It began, and another run followed that found no end of it: its process was killed, or its machine.
    Killed,
    /// It has no end: it is running, or was killed and nobody has started it again.
    #[default]
    Open,
}

impl RunEnd {
    /// A failure with this error.
    pub fn failed(kind: ErrorKind, reason: String) -> Self {
        Self::Failed {
            kind: kind.as_str().to_owned(),
            reason,
        }
    }

    /// Whether what the run did behind its last checkpoint was lost.
    pub const fn is_failure(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Killed => true,
            Self::Finished | Self::Stopped | Self::Open => false,
        }
    }
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRecord {
    /// Its number.
    pub generation: Generation,
    /// When it claimed the log, in milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// The last sign of life, or its end, in milliseconds since the Unix epoch.
    pub last_seen_unix_ms: u64,
    /// How it began; `None` if that was not kept.
    pub began: Option<RunBegan>,
    /// How it ended.
    pub end: RunEnd,
}

impl RunRecord {
    /// How long it is known to have run.
    pub fn ran(&self) -> Duration {
        let from = self
            .began
            .as_ref()
            .map_or(self.started_unix_ms, |began| began.at_unix_ms);
        Duration::from_millis(self.last_seen_unix_ms.saturating_sub(from))
    }
}

/// How often a job failed in how much time of running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Runs that failed or were killed.
    pub failures: u64,
    /// The time of all runs together.
    #[serde(rename = "running_us", with = "micros")]
    pub running: Duration,
}

impl Observed {
    /// Counts runs.
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a RunRecord>) -> Self {
        let mut observed = Self::default();
        for run in runs {
            observed.failures += u64::from(run.end.is_failure());
            observed.running += run.ran();
        }
        observed
    }
}

/// Puts together what is known of the runs of a job, oldest first.
///
/// `claims` are those of the log, which are kept for ever; a run that only claimed, and left nothing
/// else, has not worked, and is left out. `seen` are other signs of life: manifests.
pub fn runs_of(
    claims: &BTreeMap<Generation, u64>,
    entries: &[(Generation, HistoryEntry)],
    seen: &[SignOfLife],
) -> Vec<RunRecord> {
    let newest = claims.keys().next_back().copied().unwrap_or_default();
    let mut runs: BTreeMap<Generation, RunRecord> = BTreeMap::new();
    let record = |generation| RunRecord {
        generation,
        started_unix_ms: claims.get(&generation).copied().unwrap_or_default(),
        last_seen_unix_ms: 0,
        began: None,
        end: if generation < newest {
            RunEnd::Killed
        } else {
            RunEnd::Open
        },
    };
    let mut signs = seen.to_vec();
    for (generation, entry) in entries {
        let run = runs
            .entry(*generation)
            .or_insert_with(|| record(*generation));
        let at_unix_ms = match entry {
            HistoryEntry::Began(began) => {
                run.began = Some(began.clone());
                signs.extend(began.before);
                began.at_unix_ms
            }
            HistoryEntry::Checkpoint(checkpoint) => checkpoint.at_unix_ms,
            HistoryEntry::Ended(ended) => {
                run.end = ended.how.clone();
                ended.at_unix_ms
            }
        };
        signs.push(SignOfLife {
            generation: *generation,
            at_unix_ms,
        });
    }
    for sign in signs {
        if let Some(run) = runs.get_mut(&sign.generation) {
            run.last_seen_unix_ms = run.last_seen_unix_ms.max(sign.at_unix_ms);
            // Without its claim it is not known since when: since the first sign of it.
            if !claims.contains_key(&sign.generation) {
                run.started_unix_ms = match run.started_unix_ms {
                    0 => sign.at_unix_ms,
                    since => since.min(sign.at_unix_ms),
                };
            }
        }
    }
    runs.into_values().collect()
}

/// Which entries are to be removed, of those that are there: the oldest ones, where there are more
/// checkpoints than `keep`, or beginnings and ends of more runs.
pub fn surplus(mut keys: Vec<HistoryKey>, keep: usize) -> Vec<HistoryKey> {
    keys.sort_unstable();
    let (checkpoints, runs): (Vec<_>, Vec<_>) = keys
        .into_iter()
        .partition(|key| matches!(key.event, HistoryEvent::Checkpoint(_)));
    let mut surplus = oldest_of(checkpoints, keep);
    surplus.extend(oldest_of(runs, keep.saturating_mul(2)));
    surplus
}

fn oldest_of(mut keys: Vec<HistoryKey>, keep: usize) -> Vec<HistoryKey> {
    let more = keys.len().saturating_sub(keep);
    keys.truncate(more);
    keys
}
