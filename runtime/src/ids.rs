//! The names and numbers that every part of the runtime shares, one newtype for each meaning.
//!
//! Nothing here reads, writes or decides.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The span of input between two barriers; also the number of the checkpoint that closes it.
///
/// The first epoch of a fresh job is 1. Epoch 0 is never closed by a checkpoint.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The n-th incarnation of a job; a newer one fences all older ones.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Index of one worker (one timely thread) among all workers of the job.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct WorkerIndex(pub u32);

impl WorkerIndex {
    /// The index as a position in a slice.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for WorkerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The stable name of a stage: the key of its state across restarts and edits of the flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StageId(Arc<str>);

impl StageId {
    /// A stage id with this text.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for StageId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

/// One stage on one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubtaskId {
    /// The stage.
    pub stage: StageId,
    /// The worker that runs this part of it.
    pub worker: WorkerIndex,
}

impl fmt::Display for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stage, self.worker)
    }
}

/// The name of a split: a unit of reading that a source can hand to a subtask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SplitId(Arc<str>);

impl SplitId {
    /// A split id with this text.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The smallest unit of keyed state that moves when a job is rescaled.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct KeyGroup(pub u16);

/// The number of key groups of a job: a power of two, fixed for the job's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct KeyGroupCount(u32);

impl TryFrom<u32> for KeyGroupCount {
    type Error = String;

    /// A number of key groups in a manifest is a number that anybody may have written.
    fn try_from(count: u32) -> Result<Self, String> {
        Self::new(count).ok_or_else(|| format!("{count} is no number of key groups"))
    }
}

impl KeyGroupCount {
    /// The number used unless the settings say otherwise.
    pub const DEFAULT: Self = Self(256);

    /// A count of key groups, if `count` is a power of two of at most 32,768.
    pub const fn new(count: u32) -> Option<Self> {
        if count.is_power_of_two() && count <= 32_768 {
            Some(Self(count))
        } else {
            None
        }
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The key group of a key with this routing hash: its top bits.
    #[inline]
    pub const fn group_of(self, hash: u64) -> KeyGroup {
        // `>> 1 >> (63 - bits)` avoids the overflow of `>> 64` for a single group.
        KeyGroup((hash >> 1 >> (63 - self.0.trailing_zeros())) as u16)
    }

    /// The worker that owns a key group, with `worker_count` workers.
    #[inline]
    pub const fn worker_of(self, group: KeyGroup, worker_count: usize) -> WorkerIndex {
        // A shift: the number of groups is a power of two, and this runs once a record.
        WorkerIndex(((group.0 as usize * worker_count) >> self.0.trailing_zeros()) as u32)
    }

    /// The contiguous range of key groups that `worker` owns, with `worker_count` workers.
    pub fn range_of(self, worker: WorkerIndex, worker_count: usize) -> KeyGroupRange {
        let bound = |w: usize| (w * self.0 as usize).div_ceil(worker_count) as u32;
        KeyGroupRange {
            start: bound(worker.index()),
            end: bound(worker.index() + 1),
        }
    }
}

impl Default for KeyGroupCount {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A half-open range `[start, end)` of key groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGroupRange {
    /// The first group in the range.
    pub start: u32,
    /// The first group behind the range.
    pub end: u32,
}

impl KeyGroupRange {
    /// Whether the range holds `group`.
    pub const fn contains(self, group: KeyGroup) -> bool {
        self.start <= group.0 as u32 && (group.0 as u32) < self.end
    }

    /// Whether the two ranges have a group in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_group_belongs_to_the_worker_whose_range_holds_it() {
        for bits in 0..=8 {
            let groups = KeyGroupCount::new(1 << bits).expect("a power of two");
            for worker_count in 1..=groups.get() as usize {
                for group in (0..groups.get()).map(|g| KeyGroup(g as u16)) {
                    let owner = groups.worker_of(group, worker_count);
                    for w in 0..worker_count {
                        let holds = groups
                            .range_of(WorkerIndex(w as u32), worker_count)
                            .contains(group);
                        assert_eq!(
                            holds,
                            w == owner.index(),
                            "{group:?} of {groups:?} on {worker_count} workers"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_key_group_is_the_top_bits_of_the_hash() {
        let groups = KeyGroupCount::DEFAULT;
        assert_eq!(groups.group_of(0), KeyGroup(0));
        assert_eq!(groups.group_of(u64::MAX), KeyGroup(255));
        assert_eq!(groups.group_of(1 << 56), KeyGroup(1));
        assert_eq!(
            KeyGroupCount::new(1).map(|g| g.group_of(u64::MAX)),
            Some(KeyGroup(0))
        );
        assert_eq!(KeyGroupCount::new(3), None);
    }

    #[test]
    fn a_stored_number_of_key_groups_that_can_be_none_is_refused() {
        for count in [0_u32, 3, 65_536, u32::MAX] {
            let bytes = bitcode::serialize(&count).expect("a number encodes");
            assert!(
                bitcode::deserialize::<KeyGroupCount>(&bytes).is_err(),
                "{count}"
            );
        }
        let bytes = bitcode::serialize(&KeyGroupCount::DEFAULT).expect("it encodes");
        let read = bitcode::deserialize::<KeyGroupCount>(&bytes);
        assert_eq!(read.expect("it is one"), KeyGroupCount::DEFAULT);
    }
}
