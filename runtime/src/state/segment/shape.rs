//! How a segment grows and splits.

use crate::key::{Key, hash_of};
use crate::state::State;

use super::{Bucket, CROWD, FEW, FULL, Marks, Segment, room_of};

/// An entry on its way to another bucket.
struct Moved<K, V> {
    hash: u64,
    entry: (K, V),
    changed_in: u32,
}

impl<K: Key, V: State> Segment<K, V> {
    /// Lays the homes of an empty segment over the interval in which its hashes lie, if that is
    /// narrower than what their common bits say: a worker owns some of the key groups, and a
    /// table of one segment would crowd its keys into that part of its buckets.
    fn spread_over(&mut self, entries: &[Moved<K, V>]) {
        let hashes = || entries.iter().map(|moved| moved.hash);
        let (Some(first), Some(last)) = (hashes().min(), hashes().max()) else {
            return;
        };
        let buckets = self.buckets.len() as u128;
        let width = u128::from(last - first) + 1;
        if entries.len() >= FEW && width > buckets {
            self.first = first;
            self.scale = u64::try_from((buckets << 64) / width).unwrap_or(u64::MAX);
        }
    }

    /// Whether entries take up less than half of the segment's interval, as those of one key do: each
    /// would have to pass most others on its way to a bucket.
    fn is_narrow(&self, entries: &[Moved<K, V>]) -> bool {
        let hashes = || entries.iter().map(|moved| moved.hash);
        let (Some(first), Some(last)) = (hashes().min(), hashes().max()) else {
            return false;
        };
        (last - first) < u64::MAX.checked_shr(self.depth + 1).unwrap_or(0)
    }

    /// Whether the entries around the home of a hash stand too close, for which growing is no help.
    pub(in crate::state) fn is_crowded(&self, hash: u64) -> bool {
        let home = self.home(hash);
        self.len > CROWD
            && self.buckets[home..]
                .iter()
                .chain(&self.buckets[..home])
                .take(CROWD)
                .all(|bucket| matches!(bucket, Bucket::Full { .. }))
    }

    /// Makes room for `capacity` entries, if it has none yet, or less than half of that. The room that was
    /// made: all of it, or none.
    pub(in crate::state) fn reserve(&mut self, capacity: usize) -> usize {
        if room_of(self.buckets.len()) * 2 < capacity {
            self.resize(capacity);
            capacity
        } else {
            0
        }
    }

    /// Lets go of room of which less than half is used.
    pub(in crate::state) fn give_back(&mut self) {
        if self.len * 2 < room_of(self.buckets.len()) {
            self.resize(self.len * 5 / 4);
        }
    }

    /// Whether the next entry beyond the room is better off in two segments.
    pub(in crate::state) fn is_full(&self) -> bool {
        self.len >= FULL
    }

    /// Moves the entries to more buckets: twice as many while they are few, later a quarter more,
    /// so that a large segment is never less than two thirds as full as it may be.
    pub(in crate::state) fn grow(&mut self) {
        let capacity = if self.len < 64 {
            (self.len * 2).max(3)
        } else {
            // Not beyond what it will hold before it splits.
            let quarter = self.len * 5 / 4;
            if self.len < FULL {
                quarter.min(FULL)
            } else {
                quarter
            }
        };
        self.resize(capacity);
    }

    fn resize(&mut self, capacity: usize) {
        let mut grown = self.like(self.prefix, self.depth, capacity);
        let entries: Vec<_> = self.drain().collect();
        grown.spread_over(&entries);
        for moved in entries {
            grown.move_in(moved);
        }
        self.replace_by(grown);
    }

    /// Splits off the entries whose hash goes on with a one behind the common bits.
    pub(in crate::state) fn split(&mut self) -> Self {
        let bit = 1 << (63 - self.depth);
        let (depth, prefix) = (self.depth + 1, self.prefix << 1);
        let roomy = |len: usize| (len * 5 / 4).min(FULL.max(len));
        let upper_len = self
            .buckets
            .iter()
            .filter(|bucket| match bucket {
                Bucket::Full { key, .. } => hash_of(key) & bit != 0,
                Bucket::Empty => false,
            })
            .count();
        let mut upper = self.like(prefix | 1, depth, roomy(upper_len));
        let mut lower = self.like(prefix, depth, roomy(self.len - upper_len));
        let (below, above): (Vec<_>, Vec<_>) =
            self.drain().partition(|moved| moved.hash & bit == 0);
        for (half, entries) in [(&mut lower, below), (&mut upper, above)] {
            if half.is_narrow(&entries) {
                half.spread_over(&entries);
            }
            for moved in entries {
                half.move_in(moved);
            }
        }
        self.replace_by(lower);
        upper
    }

    /// An empty segment in the same mark.
    fn like(&self, prefix: u64, depth: u32, capacity: usize) -> Self {
        let mut other = Self::new(0, prefix, depth, capacity);
        other.marks = self.marks.like(other.buckets.len());
        other
    }

    /// Becomes the segment that took in its entries; what was saved of them stays.
    fn replace_by(&mut self, mut other: Self) {
        other.marks.keep(self.marks.take_saved());
        *self = other;
    }

    fn move_in(&mut self, moved: Moved<K, V>) {
        let at = self.put(moved.hash, moved.entry, moved.changed_in);
        self.marks.fill(at, moved.changed_in);
    }

    /// Takes out all entries, each with its hash and marks.
    fn drain(&mut self) -> impl Iterator<Item = Moved<K, V>> {
        self.len = 0;
        let marks: &Marks<K, V> = &self.marks;
        std::mem::take(&mut self.buckets)
            .into_iter()
            .enumerate()
            .filter_map(|(at, bucket)| match bucket {
                Bucket::Full {
                    changed_in,
                    key,
                    value,
                    ..
                } => Some(Moved {
                    hash: hash_of(&key),
                    entry: (key, value),
                    changed_in: marks.lifted(at, changed_in),
                }),
                Bucket::Empty => None,
            })
    }
}
