//! Intervals of routing hashes: what a key group range is to a snapshot.
//!
//! Key groups are the top bits of the routing hash, so that a contiguous range of groups is a
//! contiguous interval of hashes. Snapshots are written in hashes, and so do not depend on the
//! number of groups.

use crate::ids::{KeyGroupCount, KeyGroupRange};

/// An inclusive, never empty interval of routing hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashSpan {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl HashSpan {
    /// All hashes.
    pub(crate) const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// The span of one hash.
    pub(crate) const fn of(hash: u64) -> Self {
        Self {
            first: hash,
            last: hash,
        }
    }

    /// The hashes of a range of key groups; `None` for an empty range.
    pub(crate) fn of_groups(groups: KeyGroupCount, range: KeyGroupRange) -> Option<Self> {
        let bits = groups.get().trailing_zeros();
        let first_of = |group: u32| (u128::from(group) << 64) >> bits;
        let (first, behind) = (first_of(range.start), first_of(range.end.min(groups.get())));
        // Both fit: `first < behind <= 2^64`.
        (first < behind).then(|| Self {
            first: first as u64,
            last: (behind - 1) as u64,
        })
    }

    /// The least span that holds this one and `hash`.
    #[inline]
    pub(crate) fn with(self, hash: u64) -> Self {
        Self {
            first: self.first.min(hash),
            last: self.last.max(hash),
        }
    }

    /// Whether the span holds `hash`.
    #[inline]
    pub(crate) const fn contains(self, hash: u64) -> bool {
        self.first <= hash && hash <= self.last
    }

    /// What the two spans have in common.
    pub(crate) fn common(self, other: Self) -> Option<Self> {
        self.overlaps(other).then(|| Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        })
    }

    /// Whether the two spans have a hash in common.
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WorkerIndex;

    #[test]
    fn the_span_of_a_worker_holds_exactly_the_hashes_of_its_groups() {
        for count in [1, 2, 256, 32_768] {
            let groups = KeyGroupCount::new(count).expect("a power of two");
            for worker_count in 1..=3 {
                for worker in 0..worker_count {
                    let range = groups.range_of(WorkerIndex(worker as u32), worker_count);
                    let span = HashSpan::of_groups(groups, range);
                    for hash in [
                        0,
                        1,
                        u64::MAX,
                        u64::MAX / 2,
                        u64::MAX / 2 + 1,
                        u64::MAX / 3,
                        1 << 56,
                        (1 << 56) - 1,
                    ] {
                        let holds = range.contains(groups.group_of(hash));
                        assert_eq!(
                            span.is_some_and(|s| s.contains(hash)),
                            holds,
                            "{hash} in {range:?} of {count}"
                        );
                    }
                }
            }
        }
    }
}
