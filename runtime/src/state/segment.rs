//! One segment of a keyed table: the entries of an interval of hashes, in one flat slice.
//!
//! Linear probing from a home that grows with the hash, so that entries lie nearly in the order of
//! their hashes, and a look-up mostly reads one cache line. Each entry carries the mark in which it
//! last changed beside it in that line. A removal moves later entries back: nothing is left behind
//! that a probe would have to pass.

mod reach;

use crate::key::{Key, hash_of};
use crate::state::State;

/// The most buckets of a segment before it splits.
const MOST_BUCKETS: usize = 16_384;
/// Entries of a segment before it splits: four fifths of its buckets.
pub(super) const FULL: usize = room_of(MOST_BUCKETS);

/// With fewer entries nothing is known of where their hashes lie.
const FEW: usize = 8;

/// A probe longer than this shows that the hashes of the segment are crowded in a part of its
/// interval, as when they come in order.
const CROWD: usize = 384;

/// How many entries so many buckets take. At least one bucket stays empty, where probes end.
const fn room_of(buckets: usize) -> usize {
    buckets * 4 / 5
}

/// Room for an entry.
enum Bucket<K, V> {
    Empty,
    Full {
        /// The lowest bits of the hash: spares most comparisons of long keys that differ.
        tag: u16,
        /// The lowest bits of the mark in which the entry was last changed. After 2^32 freezes an
        /// old mark looks new, and an entry is copied once too often.
        changed_in: u32,
        key: K,
        value: V,
    },
}

/// The entries whose hashes begin with the same `depth` bits.
///
/// `dirty_in` and `copied_in` are marks of the table, compared with its present one: a freeze
/// moves the table's mark, and by that alone makes every segment frozen and clean.
#[repr(align(64))]
pub(super) struct Segment<K, V> {
    buckets: Box<[Bucket<K, V>]>,
    len: usize,
    /// The last mark in which the segment stood in the list of dirty segments.
    pub(super) dirty_in: u64,
    /// The last mark for whose freeze the segment needs no more copying.
    pub(super) copied_in: u64,
    /// How many bits all hashes of the segment have in common.
    pub(super) depth: u32,
    /// The hash whose home is the first bucket.
    first: u64,
    /// Buckets for each 2^64 hashes from there on.
    scale: u64,
    /// The bits that all hashes of the segment have in common.
    prefix: u64,
}

impl<K: Key, V: State> Segment<K, V> {
    /// An empty segment for the hashes that begin with the `depth` bits of `prefix`, with room for
    /// `capacity` entries, that owes the freeze of `mark` nothing.
    pub(super) fn new(mark: u64, prefix: u64, depth: u32, capacity: usize) -> Self {
        // The least number of buckets whose room is `capacity`.
        let bucket_count = (capacity * 5).div_ceil(4);
        Self {
            buckets: (0..bucket_count).map(|_| Bucket::Empty).collect(),
            len: 0,
            dirty_in: 0,
            copied_in: mark,
            depth,
            first: if depth == 0 {
                0
            } else {
                prefix << (64 - depth)
            },
            scale: (bucket_count as u64) << depth,
            prefix,
        }
    }

    /// Lays the homes of an empty segment over the interval in which its hashes lie, if that is
    /// narrower than what their common bits say: a worker owns some of the key groups, and a
    /// table of one segment would crowd its keys into that part of its buckets.
    fn spread_over(&mut self, entries: &[(u64, (K, V), u32)]) {
        let hashes = || entries.iter().map(|(hash, ..)| *hash);
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
    fn is_narrow(&self, entries: &[(u64, (K, V), u32)]) -> bool {
        let hashes = || entries.iter().map(|(hash, ..)| *hash);
        let (Some(first), Some(last)) = (hashes().min(), hashes().max()) else {
            return false;
        };
        (last - first) < u64::MAX.checked_shr(self.depth + 1).unwrap_or(0)
    }

    /// The bucket where probes for a hash begin.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        let distance = hash.saturating_sub(self.first);
        let bucket = (u128::from(distance) * u128::from(self.scale)) >> 64;
        // Hashes beyond the interval are at home in the last bucket.
        (bucket as usize).min(self.buckets.len().wrapping_sub(1))
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &K) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            match self.buckets.get(at) {
                Some(Bucket::Full { tag, key: k, .. }) if is_key(hash, *tag, key, k) => {
                    return Some(at);
                }
                Some(Bucket::Full { .. }) => at += 1,
                Some(Bucket::Empty) => return None,
                None if at == 0 => return None,
                None => at = 0,
            }
        }
    }

    #[inline]
    pub(super) fn value(&self, bucket: usize) -> Option<&V> {
        match self.buckets.get(bucket)? {
            Bucket::Full { value, .. } => Some(value),
            Bucket::Empty => None,
        }
    }

    /// Changes the value of a key with something; `Err` gives it back if the key is not here.
    #[inline]
    pub(super) fn change_key<X, R>(
        &mut self,
        hash: u64,
        key: &K,
        mark: u64,
        with: X,
        change: impl FnOnce(&mut V, X) -> R,
    ) -> Result<R, X> {
        let mut at = self.home(hash);
        loop {
            match self.buckets.get_mut(at) {
                Some(Bucket::Full {
                    tag,
                    changed_in,
                    key: k,
                    value,
                }) if is_key(hash, *tag, key, k) => {
                    *changed_in = mark as u32;
                    return Ok(change(value, with));
                }
                Some(Bucket::Full { .. }) => at += 1,
                Some(Bucket::Empty) => return Err(with),
                None if at == 0 => return Err(with),
                None => at = 0,
            }
        }
    }

    /// Reads the bucket where probes for a hash begin, without a branch that would wait for it; and
    /// the next, since a bucket may lie across two cache lines.
    #[inline]
    pub(super) fn touch(&self, hash: u64) {
        let home = self.home(hash);
        for bucket in [self.buckets.get(home), self.buckets.get(home + 1)] {
            std::hint::black_box(bucket.is_some_and(|bucket| matches!(bucket, Bucket::Empty)));
        }
    }

    pub(super) fn key(&self, bucket: usize) -> Option<&K> {
        match self.buckets.get(bucket)? {
            Bucket::Full { key, .. } => Some(key),
            Bucket::Empty => None,
        }
    }

    /// The value in an occupied bucket, changed in a mark (while restoring: in mark 0).
    #[inline]
    pub(super) fn change(&mut self, bucket: usize, mark: u64) -> Option<&mut V> {
        match self.buckets.get_mut(bucket)? {
            Bucket::Full {
                changed_in, value, ..
            } => {
                *changed_in = mark as u32;
                Some(value)
            }
            Bucket::Empty => None,
        }
    }

    /// Places a new entry that last changed in a mark; there must be [room](Self::has_room).
    #[inline]
    pub(super) fn place(&mut self, hash: u64, entry: (K, V), changed_in: u32) -> usize {
        let mut at = self.home(hash);
        while matches!(self.buckets[at], Bucket::Full { .. }) {
            at = self.next(at);
        }
        let (key, value) = entry;
        self.buckets[at] = Bucket::Full {
            tag: hash as u16,
            changed_in,
            key,
            value,
        };
        self.len += 1;
        at
    }

    /// Takes the entry out of a bucket, if it is occupied. Entries behind it may move up to it.
    pub(super) fn take(&mut self, bucket: usize) -> Option<(K, V)> {
        let Bucket::Full { key, value, .. } =
            std::mem::replace(self.buckets.get_mut(bucket)?, Bucket::Empty)
        else {
            return None;
        };
        self.len -= 1;
        let (mut hole, mut at) = (bucket, self.next(bucket));
        while let Some(home) = self.key(at).map(|key| self.home(hash_of(key))) {
            // An entry fills the hole if that lies between its home and its place, around the end.
            let count = self.buckets.len();
            if (at + count - home) % count >= (at + count - hole) % count {
                self.buckets.swap(hole, at);
                hole = at;
            }
            at = self.next(at);
        }
        Some((key, value))
    }

    #[inline]
    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() {
            0
        } else {
            bucket + 1
        }
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.len < room_of(self.buckets.len())
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    /// Clones all entries.
    pub(super) fn copy_all(&self) -> Vec<(K, V)> {
        self.cloned(self.len, |_| true)
    }

    /// Clones the entries that last changed in a mark.
    pub(super) fn copy_changed(&self, mark: u64) -> Vec<(K, V)> {
        let is_changed = |changed_in| changed_in == mark as u32;
        let count = |bucket: &&Bucket<K, V>| match bucket {
            Bucket::Full { changed_in, .. } => is_changed(*changed_in),
            Bucket::Empty => false,
        };
        self.cloned(self.buckets.iter().filter(count).count(), is_changed)
    }

    fn cloned(&self, count: usize, is_wanted: impl Fn(u32) -> bool) -> Vec<(K, V)> {
        let mut copied = Vec::with_capacity(count);
        for bucket in &self.buckets {
            if let Bucket::Full {
                changed_in,
                key,
                value,
                ..
            } = bucket
                && is_wanted(*changed_in)
            {
                copied.push((key.clone(), value.clone()));
            }
        }
        copied
    }

    /// Whether the entries around the home of a hash stand too close, for which growing is no help.
    pub(super) fn is_crowded(&self, hash: u64) -> bool {
        let home = self.home(hash);
        self.len > CROWD
            && self.buckets[home..]
                .iter()
                .chain(&self.buckets[..home])
                .take(CROWD)
                .all(|bucket| matches!(bucket, Bucket::Full { .. }))
    }

    /// Makes room for `capacity` entries, if it has less.
    pub(super) fn reserve(&mut self, capacity: usize) {
        if room_of(self.buckets.len()) < capacity {
            self.resize(capacity);
        }
    }

    /// Whether the next entry beyond the room is better off in two segments.
    pub(super) fn is_full(&self) -> bool {
        self.len >= FULL
    }

    /// Moves the entries to more buckets: twice as many while they are few, later a quarter more,
    /// so that a large segment is never less than two thirds as full as it may be.
    pub(super) fn grow(&mut self) {
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
        for (hash, entry, changed_in) in entries {
            grown.place(hash, entry, changed_in);
        }
        *self = grown;
    }

    /// Splits off the entries whose hash goes on with a one behind the common bits.
    pub(super) fn split(&mut self) -> Self {
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
        let (below, above): (Vec<_>, Vec<_>) = self.drain().partition(|(hash, ..)| hash & bit == 0);
        for (half, entries) in [(&mut lower, below), (&mut upper, above)] {
            if half.is_narrow(&entries) {
                half.spread_over(&entries);
            }
            for (hash, entry, changed_in) in entries {
                half.place(hash, entry, changed_in);
            }
        }
        *self = lower;
        upper
    }

    /// An empty segment in the same marks.
    fn like(&self, prefix: u64, depth: u32, capacity: usize) -> Self {
        let mut other = Self::new(self.copied_in, prefix, depth, capacity);
        other.dirty_in = self.dirty_in;
        other
    }

    /// Takes out all entries, each with its hash and mark.
    fn drain(&mut self) -> impl Iterator<Item = (u64, (K, V), u32)> + use<K, V> {
        self.len = 0;
        std::mem::take(&mut self.buckets)
            .into_iter()
            .filter_map(|bucket| match bucket {
                Bucket::Full {
                    changed_in,
                    key,
                    value,
                    ..
                } => Some((hash_of(&key), (key, value), changed_in)),
                Bucket::Empty => None,
            })
    }

    /// Bytes on the heap, for figures.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.buckets.len() * size_of::<Bucket<K, V>>()
    }
}

/// Whether an entry is that of a key. The tag is asked first where comparing keys may cost a look
/// elsewhere in memory.
#[inline]
fn is_key<K: Key>(hash: u64, tag: u16, key: &K, other: &K) -> bool {
    (!std::mem::needs_drop::<K>() || tag == hash as u16) && key == other
}
