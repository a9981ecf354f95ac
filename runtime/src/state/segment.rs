//! One segment of a keyed table: the entries of an interval of hashes, in one flat slice.
//!
//! Linear probing from a home that grows with the hash, so that entries lie nearly in the order of
//! their hashes, and a look-up mostly reads one cache line. Each entry carries the mark in which it
//! last changed beside it in that line. A removal moves later entries back: nothing is left behind
//! that a probe would have to pass.

mod marks;
mod reach;
mod shape;

use crate::key::{Key, hash_of};
use crate::state::State;

pub(super) use self::marks::Mark;
use self::marks::Marks;

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

/// What became of an entry of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restored {
    /// The key was not there.
    Added,
    /// An earlier entry of the key was.
    Replaced,
}

/// Room for an entry.
enum Bucket<K, V> {
    Empty,
    Full {
        /// The lowest bits of the hash: spares most comparisons of long keys that differ.
        tag: u16,
        /// The mark in which the entry was last changed: so that a further change in it costs one
        /// comparison.
        changed_in: u32,
        key: K,
        value: V,
    },
}

/// The entries whose hashes begin with the same `depth` bits.
#[repr(align(64))]
pub(super) struct Segment<K, V> {
    buckets: Box<[Bucket<K, V>]>,
    len: usize,
    marks: Marks<K, V>,
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
    /// `capacity` entries, of which the freezes up to `mark` hold nothing.
    pub(super) fn new(mark: u32, prefix: u64, depth: u32, capacity: usize) -> Self {
        // The least number of buckets whose room is `capacity`.
        let bucket_count = (capacity * 5).div_ceil(4);
        Self {
            buckets: (0..bucket_count).map(|_| Bucket::Empty).collect(),
            len: 0,
            marks: Marks::new(mark, bucket_count),
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

    /// The last hash that begins with the bits of the segment.
    pub(super) fn last_hash(&self) -> u64 {
        let rest = u64::MAX.checked_shr(self.depth).unwrap_or(0);
        match self.depth {
            0 => rest,
            depth => self.prefix << (64 - depth) | rest,
        }
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
        mark: Mark,
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
                    if *changed_in != mark.number {
                        self.marks.first_change(at, mark, *changed_in, (k, value));
                        *changed_in = mark.number;
                    }
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

    /// The value in an occupied bucket, to be changed.
    #[inline]
    pub(super) fn change(&mut self, bucket: usize, mark: Mark) -> Option<&mut V> {
        match self.buckets.get_mut(bucket)? {
            Bucket::Full {
                changed_in,
                key,
                value,
                ..
            } => {
                if *changed_in != mark.number {
                    self.marks
                        .first_change(bucket, mark, *changed_in, (key, value));
                    *changed_in = mark.number;
                }
                Some(value)
            }
            Bucket::Empty => None,
        }
    }

    /// The value in an occupied bucket, to be replaced by what a later snapshot holds.
    pub(super) fn restored(&mut self, bucket: usize) -> Option<&mut V> {
        match self.buckets.get_mut(bucket)? {
            Bucket::Full { value, .. } => Some(value),
            Bucket::Empty => None,
        }
    }

    /// Puts an entry of a snapshot in its place; gives it back if there is no room, or none near enough.
    #[inline]
    pub(super) fn restore(
        &mut self,
        hash: u64,
        (key, value): (K, V),
        changed_in: u32,
        mark: Mark,
    ) -> Result<Restored, (K, V)> {
        let (mut at, bucket_count) = (self.home(hash), self.buckets.len());
        for _ in 0..CROWD {
            match self.buckets.get_mut(at) {
                Some(Bucket::Full {
                    tag,
                    key: k,
                    value: v,
                    ..
                }) => {
                    if is_key(hash, *tag, &key, k) {
                        *v = value;
                        return Ok(Restored::Replaced);
                    }
                    at += 1;
                }
                Some(bucket @ Bucket::Empty) if self.len < room_of(bucket_count) => {
                    *bucket = Bucket::Full {
                        tag: hash as u16,
                        changed_in,
                        key,
                        value,
                    };
                    self.len += 1;
                    self.marks.turn_to(mark);
                    self.marks.fill(at, changed_in);
                    return Ok(Restored::Added);
                }
                Some(Bucket::Empty) => break,
                None if at == 0 => break,
                None => at = 0,
            }
        }
        Err((key, value))
    }

    /// Places a new entry that last changed in a mark (restored ones: in mark 0); there must be
    /// [room](Self::has_room).
    #[inline]
    pub(super) fn place(&mut self, hash: u64, entry: (K, V), changed_in: u32, mark: Mark) -> usize {
        self.marks.turn_to(mark);
        let at = self.put(hash, entry, changed_in);
        self.marks.fill(at, changed_in);
        at
    }

    #[inline]
    fn put(&mut self, hash: u64, entry: (K, V), changed_in: u32) -> usize {
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
    pub(super) fn take(&mut self, bucket: usize, mark: Mark) -> Option<(K, V)> {
        let Bucket::Full {
            changed_in,
            key,
            value,
            ..
        } = std::mem::replace(self.buckets.get_mut(bucket)?, Bucket::Empty)
        else {
            return None;
        };
        self.len -= 1;
        self.marks.turn_to(mark);
        self.marks.save(bucket, changed_in, (&key, &value));
        let (mut hole, mut at) = (bucket, self.next(bucket));
        while let Some(home) = self.key(at).map(|key| self.home(hash_of(key))) {
            // An entry fills the hole if that lies between its home and its place, around the end.
            let count = self.buckets.len();
            if (at + count - home) % count >= (at + count - hole) % count {
                self.relocate(at, hole);
                hole = at;
            }
            at = self.next(at);
        }
        Some((key, value))
    }

    /// Moves an entry to an empty bucket.
    fn relocate(&mut self, from: usize, to: usize) {
        if let Bucket::Full {
            changed_in,
            key,
            value,
            ..
        } = &mut self.buckets[from]
        {
            *changed_in = self.marks.relocate(from, to, *changed_in, (key, value));
        }
        self.buckets.swap(from, to);
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

    /// Notes the freezes up to a mark.
    pub(super) fn turn_to(&mut self, mark: Mark) {
        self.marks.turn_to(mark);
    }

    /// Copies what the frozen image holds of the segment and was not handed over before, until
    /// `budget` is used up: one for an entry, and a little for buckets passed over.
    pub(super) fn copy_frozen(&mut self, budget: &mut usize) -> Vec<(K, V)> {
        let mut copied = self.marks.take_saved();
        copied.reserve_exact(self.marks.frozen_count().min(*budget).min(self.len));
        let buckets = &self.buckets;
        self.marks.copy_frozen(budget, |group, image| {
            let before = copied.len();
            // The last group may end beyond the last bucket.
            for bucket in &buckets[group.start.min(buckets.len())..group.end.min(buckets.len())] {
                if let Bucket::Full {
                    changed_in,
                    key,
                    value,
                    ..
                } = bucket
                    && image.holds(*changed_in)
                {
                    copied.push((key.clone(), value.clone()));
                }
            }
            copied.len() - before
        });
        copied
    }

    /// Whether all that the frozen image holds of the segment was handed over.
    pub(super) fn is_copied(&self) -> bool {
        self.marks.is_copied()
    }

    /// Counts the marks from `number` again: what changed in `last` has changed in it.
    pub(super) fn restart_marks(&mut self, last: u32, number: u32) {
        self.marks.restart(number);
        for bucket in &mut self.buckets {
            if let Bucket::Full { changed_in, .. } = bucket {
                *changed_in = if *changed_in == last { number } else { 0 };
            }
        }
    }

    /// Bytes on the heap, for figures.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.buckets.len() * size_of::<Bucket<K, V>>() + self.marks.allocated()
    }
}

/// Whether an entry is that of a key. The tag is asked first where comparing keys may cost a look
/// elsewhere in memory.
#[inline]
fn is_key<K: Key>(hash: u64, tag: u16, key: &K, other: &K) -> bool {
    (!std::mem::needs_drop::<K>() || tag == hash as u16) && key == other
}
