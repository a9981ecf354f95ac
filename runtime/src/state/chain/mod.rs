//! The references that make up a subtask's keyed state: when the next snapshot is a full one, which of
//! them are compacted, and from when on the result stands in their place.
//!
//! An object that a compaction has made carries an epoch in its name, as every object does: no manifest
//! of an earlier epoch names it, and cleanup takes it for an orphan when a manifest of that epoch or a
//! later one does not. So the epoch is chosen ahead, *due*; the result takes its place in the first
//! answer from then on; and one that is not there when that answer is given is never used.

mod policy;
mod taking;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use self::policy::ChainLimits;
use self::policy::{ChainFacts, Pace, RunFacts, choose_runs, must_begin_anew};
use super::SnapshotScope;
use super::compaction::{Compacted, CompactionOrder, Stop};
use crate::error::Result;
use crate::ids::Epoch;
use crate::protocol::{Location, SnapshotKind, SnapshotRef};
use crate::storage::names;

/// Compactions that may fail in a row before a full snapshot takes their place.
const MOST_FAILURES: u32 = 3;

/// The references of one subtask's keyed state, oldest first: a full snapshot and increments.
#[derive(Debug)]
pub(crate) struct Chain {
    runs: Vec<Run>,
    /// Whether a frozen image was not stored: what it held is in no object.
    broken: bool,
    limits: ChainLimits,
    /// The last epoch that was answered.
    answered: Option<Epoch>,
    /// Entries in the state at the last barrier.
    entries: u64,
    /// Entries in the full snapshot, as far as known.
    entries_in_full: Option<u64>,
    /// The bytes of the last increment.
    last: u64,
    under_way: Vec<UnderWay>,
    /// Whether anything has changed since it was last asked what is to be compacted.
    changed: bool,
    /// Of compactions of the whole chain, and of those of increments.
    paces: (Pace, Pace),
    failures: u32,
    /// Counts runs and compactions.
    numbers: u32,
}

/// The references of one snapshot, or of what several were merged to.
#[derive(Debug)]
struct Run {
    number: u32,
    refs: Vec<SnapshotRef>,
}

/// A compaction that was ordered, and whose result has not taken its place.
#[derive(Debug)]
struct UnderWay {
    number: u32,
    /// The numbers of the first and the last run.
    runs: (u32, u32),
    ordered: Epoch,
    due: Epoch,
    kind: SnapshotKind,
    ready: Option<Compacted>,
    stop: Stop,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new(ChainLimits::default())
    }
}

impl Chain {
    /// A chain of nothing.
    pub(crate) fn new(limits: ChainLimits) -> Self {
        Self {
            runs: Vec::new(),
            broken: false,
            limits,
            answered: None,
            entries: 0,
            entries_in_full: None,
            last: 0,
            under_way: Vec::new(),
            changed: false,
            paces: (Pace::FIRST, Pace::FIRST),
            failures: 0,
            numbers: 0,
        }
    }

    /// The chain that a restored subtask goes on with.
    pub(crate) fn restored(refs: Vec<SnapshotRef>, limits: ChainLimits) -> Self {
        let mut chain = Self::new(limits);
        let is_increment = |reference: &SnapshotRef| reference.kind == SnapshotKind::KeyedIncrement;
        let full = refs.iter().take_while(|reference| !is_increment(reference));
        let full: Vec<SnapshotRef> = full.cloned().collect();
        let increments = refs[full.len()..].to_vec();
        if !full.is_empty() {
            chain.push(full);
        }
        for increment in increments.chunk_by(are_of_one_snapshot) {
            chain.push(increment.to_vec());
        }
        chain
    }

    /// What the next snapshot has to hold, of a state with so many entries.
    pub(crate) fn next_scope(&mut self, entries: usize) -> SnapshotScope {
        self.entries = entries as u64;
        // Of what was restored, nobody has counted the entries; there are about as many as then.
        self.entries_in_full.get_or_insert(self.entries);
        let runs = self.run_facts();
        let begins_anew = self.broken
            || self.failures >= MOST_FAILURES
            || must_begin_anew(&self.facts(&runs), &self.limits);
        if begins_anew {
            SnapshotScope::Full
        } else {
            SnapshotScope::Increment
        }
    }

    /// Whether a snapshot can follow what is there: an increment cannot, behind an image that was
    /// not stored.
    pub(crate) fn takes(&self, scope: SnapshotScope) -> bool {
        match scope {
            SnapshotScope::Full => true,
            SnapshotScope::Increment => !self.broken,
        }
    }

    /// Adds the references of a snapshot that is durable.
    pub(crate) fn extend(&mut self, scope: SnapshotScope, refs: Vec<SnapshotRef>) {
        match scope {
            SnapshotScope::Full => {
                self.runs.clear();
                self.under_way.clear();
                self.broken = false;
                self.failures = 0;
                self.last = 0;
                self.entries_in_full = Some(self.entries);
            }
            SnapshotScope::Increment => self.last = bytes_of(&refs),
        }
        self.push(refs);
    }

    /// Notes that a frozen image was not stored: what it held is in no object.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    /// The references for the answer of an epoch. From now on those of earlier ones are not asked for.
    pub(crate) fn answer(&mut self, epoch: Epoch) -> Vec<SnapshotRef> {
        self.answered = Some(epoch);
        self.changed = true;
        let is_due = |compaction: &mut UnderWay| compaction.due <= epoch;
        let due: Vec<UnderWay> = self.under_way.extract_if(.., is_due).collect();
        for mut compaction in due {
            match compaction.ready.take() {
                Some(compacted) => self.replace(&compaction, compacted),
                None => self.learn(compaction.kind, Pace::was_late),
            }
        }
        self.runs
            .iter()
            .flat_map(|run| run.refs.iter().cloned())
            .collect()
    }

    /// The next compaction to be begun, if one is due.
    pub(crate) fn next_order(&mut self) -> Option<CompactionOrder> {
        // Before the first answer nothing is known of the epoch, and a chain that begins anew needs none.
        let answered = self.answered?;
        if !self.changed || self.broken || self.failures >= MOST_FAILURES {
            return None;
        }
        let runs = self.run_facts();
        let chosen = choose_runs(&self.facts(&runs), &self.limits);
        self.changed = chosen.is_some();
        let range = chosen?;
        let bytes = runs[range.clone()].iter().map(|run| run.bytes).sum();
        let kind = if range.start == 0 {
            SnapshotKind::KeyedFull
        } else {
            SnapshotKind::KeyedIncrement
        };
        self.numbers += 1;
        let order = CompactionOrder {
            number: self.numbers,
            refs: self.runs[range.clone()]
                .iter()
                .flat_map(|run| run.refs.iter().cloned())
                .collect(),
            bytes,
            kind,
            due: Epoch(answered.0 + self.pace_of(kind).lead(bytes)),
            part_bytes: self.limits.part_bytes,
            stop: Stop::default(),
        };
        self.under_way.push(UnderWay {
            number: order.number,
            runs: (
                self.runs[range.start].number,
                self.runs[range.end - 1].number,
            ),
            ordered: answered,
            due: order.due,
            kind: order.kind,
            ready: None,
            stop: order.stop.clone(),
        });
        Some(order)
    }

    /// Takes in what has come of an order. The result waits for its epoch; a failure is made up for by a
    /// later compaction, and by a full snapshot when there are several.
    pub(crate) fn compacted(&mut self, number: u32, outcome: Result<Compacted>) {
        let Some(at) = self.under_way.iter().position(|c| c.number == number) else {
            return;
        };
        match outcome {
            Ok(compacted) => {
                let compaction = &mut self.under_way[at];
                compaction.ready = Some(compacted);
                let UnderWay {
                    ordered, due, kind, ..
                } = *compaction;
                let now = self.answered.unwrap_or(ordered);
                self.learn(kind, |pace| {
                    pace.was_ready(due.0 - ordered.0, now.0 - ordered.0)
                });
                self.failures = 0;
                self.changed = true;
            }
            Err(error) => {
                // Tried again behind the next answer, and not at once.
                tracing::warn!(%error, "snapshots could not be compacted");
                self.under_way.remove(at);
                self.changed = false;
                self.failures += 1;
            }
        }
    }

    fn replace(&mut self, compaction: &UnderWay, compacted: Compacted) {
        let Some(range) = self.range_of(compaction) else {
            return;
        };
        if compaction.kind == SnapshotKind::KeyedFull {
            self.entries_in_full = Some(compacted.entries);
        }
        self.numbers += 1;
        let run = Run {
            number: self.numbers,
            refs: compacted.refs,
        };
        self.runs.splice(range, [run]);
    }

    /// Where the runs of a compaction are.
    fn range_of(&self, compaction: &UnderWay) -> Option<Range<usize>> {
        let at = |number| self.runs.iter().position(|run| run.number == number);
        let (first, last) = compaction.runs;
        Some(at(first)?..at(last)? + 1)
    }

    fn pace_of(&mut self, kind: SnapshotKind) -> &mut Pace {
        if kind == SnapshotKind::KeyedFull {
            &mut self.paces.0
        } else {
            &mut self.paces.1
        }
    }

    fn learn(&mut self, kind: SnapshotKind, how: impl FnOnce(Pace) -> Pace) {
        let pace = self.pace_of(kind);
        *pace = how(*pace);
    }

    fn push(&mut self, refs: Vec<SnapshotRef>) {
        self.numbers += 1;
        let number = self.numbers;
        self.runs.push(Run { number, refs });
    }

    fn run_facts(&self) -> Vec<RunFacts> {
        let run = |run: &Run| RunFacts {
            bytes: bytes_of(&run.refs),
            is_busy: false,
        };
        let mut runs: Vec<RunFacts> = self.runs.iter().map(run).collect();
        for range in self.under_way.iter().filter_map(|c| self.range_of(c)) {
            runs[range].iter_mut().for_each(|run| run.is_busy = true);
        }
        runs
    }

    fn facts<'a>(&self, runs: &'a [RunFacts]) -> ChainFacts<'a> {
        let full = runs.first().map_or(0, |run| run.bytes);
        // An entry has about as many bytes as those of the full snapshot.
        let live = match self.entries_in_full {
            None | Some(0) => full,
            Some(counted) => {
                let live = u128::from(full) * u128::from(self.entries) / u128::from(counted);
                u64::try_from(live).unwrap_or(u64::MAX)
            }
        };
        ChainFacts {
            runs,
            last: self.last,
            live,
            pace: self.paces.0,
        }
    }
}

/// Whether two references are to parts of one snapshot.
fn are_of_one_snapshot(a: &SnapshotRef, b: &SnapshotRef) -> bool {
    common_to_parts(a).is_some_and(|common| common_to_parts(b) == Some(common))
}

fn common_to_parts(reference: &SnapshotRef) -> Option<&str> {
    match &reference.location {
        // So short a snapshot has one part.
        Location::Inline(_) => None,
        Location::Object { name, .. } => names::common_to_parts(name),
    }
}

fn bytes_of(refs: &[SnapshotRef]) -> u64 {
    refs.iter().map(SnapshotRef::len).sum()
}
