//! When a chain is compacted, and when it has to begin anew: decided from sizes alone.
//!
//! What a chain names beyond the live state is its *excess*: entries that were written again, or are
//! gone. A restore reads it for nothing, so that it is never let grow beyond the live state itself, and
//! one barrier before it would, the next snapshot is a full one, which costs the worker a copy of all it
//! keeps. Compaction is there to make that rare. The whole chain is merged when its excess is half of
//! what it may be, or earlier where compactions take long; before that, increments are merged with others of their size, so that each entry is
//! written again once for each power of [`width`](ChainLimits::width), and few of each size are there.

use std::ops::Range;

/// The bounds of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLimits {
    /// Bytes of excess that never matter, however little state there is.
    pub floor: u64,
    /// Snapshots of about one size that are merged together.
    pub width: usize,
    /// Increments behind the full snapshot: with more of them, the next snapshot is full.
    pub most_increments: usize,
    /// Bytes beyond which the result of a compaction goes on in another object.
    pub part_bytes: usize,
}

impl Default for ChainLimits {
    fn default() -> Self {
        Self {
            floor: 64 << 10,
            width: 4,
            most_increments: 32,
            part_bytes: 64 << 20,
        }
    }
}

/// Sizes below this are alike: each object costs a file or a request, whatever it holds.
const LEAST: u64 = 4 << 10;

/// The snapshots of a chain: the full one first, then increments.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainFacts<'a> {
    pub(super) runs: &'a [RunFacts],
    /// The bytes of the increment that came last, as it came.
    pub(super) last: u64,
    /// About the bytes that a full snapshot would have now.
    pub(super) live: u64,
    /// That of compactions of the whole chain.
    pub(super) pace: Pace,
}

/// A snapshot of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunFacts {
    pub(super) bytes: u64,
    /// Whether it is being compacted.
    pub(super) is_busy: bool,
}

impl ChainFacts<'_> {
    fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }

    fn excess(&self) -> u64 {
        self.bytes().saturating_sub(self.live)
    }

    fn most_excess(&self, limits: &ChainLimits) -> u64 {
        self.live.max(limits.floor)
    }
}

/// Whether the next snapshot must be a full one: with one more increment like the last the chain would
/// break its bounds.
pub(super) fn must_begin_anew(facts: &ChainFacts<'_>, limits: &ChainLimits) -> bool {
    facts.runs.is_empty()
        || facts.runs.len() > limits.most_increments
        || facts.excess() + facts.last > facts.most_excess(limits)
}

/// Which neighbours are to be merged now, if any.
pub(super) fn choose_runs(facts: &ChainFacts<'_>, limits: &ChainLimits) -> Option<Range<usize>> {
    if must_begin_anew(facts, limits) {
        return None;
    }
    let is_idle = |run: &RunFacts| !run.is_busy;
    if facts.runs.len() > 1 && !facts.runs[0].is_busy && is_due(facts, limits) {
        // Those that are being merged are waited for.
        return facts
            .runs
            .iter()
            .all(is_idle)
            .then_some(0..facts.runs.len());
    }
    let alike = || alike(facts.runs, limits.width);
    let crowded = facts.runs.len() > limits.most_increments / 4 * 3;
    alike().or_else(|| crowded.then(|| idle_increments(facts.runs)).flatten())
}

/// Whether the whole chain is to be merged: half of the excess that may be is there, or less where that
/// would be too late. Not where the next full snapshot comes before the result could be of use.
fn is_due(facts: &ChainFacts<'_>, limits: &ChainLimits) -> bool {
    let (excess, most) = (facts.excess(), facts.most_excess(limits));
    let waits = facts.pace.lead(facts.bytes()).saturating_add(1);
    let meanwhile = facts.last.saturating_mul(waits);
    let then = excess.saturating_add(meanwhile);
    let is_late = excess > most / 8 && then.saturating_add(meanwhile / 4) > most;
    (excess > most / 2 || is_late) && then <= most
}

/// The newest increments of about one size, if there are enough of them.
fn alike(runs: &[RunFacts], width: usize) -> Option<Range<usize>> {
    (1..=runs.len()).rev().find_map(|end| {
        let (mut sum, mut start) = (0, end);
        while start > 1 {
            let run = runs[start - 1];
            let (size, count) = (run.bytes.max(LEAST), (end - start) as u64);
            if run.is_busy || count > 0 && size * count > 2 * sum {
                break;
            }
            sum += size;
            start -= 1;
        }
        (end - start >= width).then_some(start..end)
    })
}

/// The newest neighbours among the increments of which none is being merged.
fn idle_increments(runs: &[RunFacts]) -> Option<Range<usize>> {
    let end = (2..=runs.len()).rev().find(|end| !runs[end - 1].is_busy)?;
    let busy = runs[1..end].iter().rposition(|run| run.is_busy);
    let start = busy.map_or(1, |at| at + 2);
    (end - start >= 2).then_some(start..end)
}

/// How many epochs a compaction takes: learnt from how those before went.
///
/// The result is named by an epoch that is chosen before it is begun. If the answer of that epoch has
/// been given when it is ready, it is lost; if it is ready much earlier, the chain stays long for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace(u64);

/// Bytes that a compaction of a good pace reads in one epoch.
const AT_ONCE: u64 = 64 << 20;
/// The most epochs that a result is named ahead. Behind a restart epochs are counted on from there; and before
/// so many have come, a chain that grows has begun anew.
const FURTHEST: u64 = 1_024;

impl Pace {
    pub(super) const FIRST: Self = Self(2);

    /// The epochs from now on in which the result may not be ready.
    pub(super) const fn lead(self, bytes: u64) -> u64 {
        let lead = self.0.saturating_mul(1 + bytes / AT_ONCE);
        if lead < FURTHEST { lead } else { FURTHEST }
    }

    /// One that was begun so many epochs before its time was not ready then.
    pub(super) fn was_late(self) -> Self {
        Self((self.0 * 2).min(FURTHEST))
    }

    /// One that had so many epochs took so many.
    pub(super) fn was_ready(self, had: u64, took: u64) -> Self {
        if took * 4 <= had {
            Self((self.0 / 2).max(1))
        } else {
            self
        }
    }
}
