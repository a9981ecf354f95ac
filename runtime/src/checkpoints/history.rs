//! What is kept of past checkpoints and runs, for whoever looks at it, and the advice that comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Checkpoints, DamagedFile};
use crate::error::{Error, Result};
use crate::ids::Generation;
use crate::protocol::{
    Advice, AdviceFacts, CheckpointRecord, HistoryEntry, Objectives, Observed, RunBegan, RunRecord,
    SignOfLife, SlotContent, advise, contention, runs_of,
};
use crate::storage::history::read_history;

/// The past of a job, as far as it is kept: the setting `history` says how far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// Runs, oldest first; a restart behind a failure is a run of its own.
    pub runs: Vec<RunRecord>,
    /// Checkpoints, complete or failed, in the order of their ends.
    pub checkpoints: Vec<CheckpointRecord>,
    /// Entries that do not read.
    pub damaged: Vec<DamagedFile>,
}

impl Checkpoints {
    /// What is kept of past checkpoints and runs.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the storage does not answer. Damaged entries are told, and left out.
    pub fn history(&self) -> Result<History> {
        let stored = read_history(&*self.storage)?;
        let (mut claims, mut seen) = (BTreeMap::new(), Vec::new());
        for slot in &self.log.slots {
            match &slot.content {
                SlotContent::Claim(claim) => {
                    claims.insert(claim.generation, claim.started_unix_ms);
                }
                SlotContent::Manifest(manifest) => seen.push(SignOfLife {
                    generation: manifest.generation,
                    at_unix_ms: manifest.written_unix_ms,
                }),
                SlotContent::Damaged { .. } | SlotContent::OtherVersion { .. } => {}
            }
        }
        let runs = runs_of(&claims, &stored.entries, &seen);
        let checkpoints = stored
            .entries
            .into_iter()
            .filter_map(|(_, entry)| match entry {
                HistoryEntry::Checkpoint(checkpoint) => Some(*checkpoint),
                HistoryEntry::Began(_) | HistoryEntry::Ended(_) => None,
            });
        let damaged = stored.damaged.into_iter().map(|entry| DamagedFile {
            name: entry.name,
            reason: entry.reason,
        });
        Ok(History {
            runs,
            checkpoints: checkpoints.collect(),
            damaged: damaged.collect(),
        })
    }

    /// How often the job should take checkpoints, from what they cost and how often it failed.
    ///
    /// # Errors
    ///
    /// `Invalid` if no completed checkpoint has told what it cost; `Unavailable` if the storage does not answer.
    pub fn advise(&self, objectives: &Objectives) -> Result<Advice> {
        let history = self.history()?;
        let facts = history.facts().ok_or_else(|| {
            Error::invalid(format!(
                "no checkpoint in {} has told what it cost: let the job take some, with `history` above 0",
                self.storage.place()
            ))
        })?;
        Ok(advise(&facts, objectives))
    }
}

impl History {
    /// How often the job failed.
    pub fn observed(&self) -> Observed {
        Observed::of(&self.runs)
    }

    /// What advice is made from; `None` if no checkpoint is complete.
    ///
    /// Of the checkpoints, those count that were taken with the present number of workers. The pause is
    /// that of the busiest worker, and of the encoding beside the workers the part that is taken from them.
    pub fn facts(&self) -> Option<AdviceFacts> {
        let began = |generation: Generation| self.began(generation);
        let completed = || self.checkpoints.iter().filter(|c| c.failure.is_none());
        let newest = completed().next_back()?;
        let present = began(newest.generation);
        let workers = |began: Option<&RunBegan>| began.map(|began| began.worker_count);
        let counted: Vec<&CheckpointRecord> = completed()
            .filter(|c| workers(began(c.generation)) == workers(present))
            .collect();
        let contended = present.map_or(1.0, |run| contention(run.worker_count, run.cores));
        let costs = counted
            .iter()
            .map(|checkpoint| checkpoint.cost.kept_from_records(contended));
        let count = counted.len() as u64;
        let new_bytes = counted.iter().map(|c| u128::from(c.cost.weight.new_bytes));
        Some(AdviceFacts {
            measured: count,
            cost: mean(costs, count),
            took: mean(counted.iter().map(|c| c.cost.took), count),
            restore: self.longest_restore(),
            new_bytes: (new_bytes.sum::<u128>() / u128::from(count.max(1))) as u64,
            total_bytes: newest.cost.weight.total_bytes,
            retained: present.map_or(1, |run| run.retained),
            interval: present.and_then(|run| run.interval),
            observed: self.observed(),
        })
    }

    fn began(&self, generation: Generation) -> Option<&RunBegan> {
        let run = self.runs.iter().find(|run| run.generation == generation)?;
        run.began.as_ref()
    }

    /// The longest that a run took to go on from a checkpoint.
    fn longest_restore(&self) -> Duration {
        let restored = self.runs.iter().filter_map(|run| {
            let began = run.began.as_ref().filter(|began| began.from.is_some())?;
            let of_run = |c: &&CheckpointRecord| c.generation == run.generation;
            let state = self.checkpoints.iter().filter(of_run).map(|c| c.restore);
            Some(began.recovery + state.max().unwrap_or_default())
        });
        restored.max().unwrap_or_default()
    }
}

fn mean(times: impl Iterator<Item = Duration>, count: u64) -> Duration {
    let sum: Duration = times.sum();
    sum.div_f64(count.max(1) as f64)
}
