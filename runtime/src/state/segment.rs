//! One segment of a keyed table: a small hash table with one dirty bit for each bucket.

use hashbrown::HashTable;

use crate::key::{Key, hash_of};
use crate::state::State;

use super::logic::SnapshotScope;

/// Entries of a segment before it splits: seven eighths of 1,024 buckets.
pub(super) const FULL: usize = 896;
/// Words of dirty bits: one bit for each of 1,024 buckets.
const WORDS: usize = 16;

/// The hash inside a segment: of bits that choose neither the key group (the top ones) nor the
/// segment (bits 23 and up), for the bucket (low 15 bits) and hashbrown's tag (top 7).
#[inline]
pub(super) const fn bucket_hash(hash: u64) -> u64 {
    (hash << 41) | (hash & 0x7FFF)
}

/// A small hash table that knows which of its buckets changed since the last freeze.
///
/// `dirty_in` and `copied_in` are marks of the table, compared with its present one: a freeze
/// moves the table's mark, and by that alone makes every segment frozen and clean.
// Its first cache line holds all that a look-up needs; the dirty bits fill the two behind it.
#[repr(align(64))]
pub(super) struct Segment<K, V> {
    entries: HashTable<(K, V)>,
    /// The last mark in which the segment stood in the list of dirty segments.
    pub(super) dirty_in: u64,
    /// The last mark for whose freeze the segment needs no more copying.
    pub(super) copied_in: u64,
    /// How many directory bits all keys of the segment have in common.
    pub(super) depth: u32,
    /// A table with more buckets than bits (many equal hashes) shares bits, and so copies too much.
    bits: [u64; WORDS],
}

impl<K: Key, V: State> Segment<K, V> {
    /// An empty segment that owes the freeze of `mark` nothing.
    pub(super) fn new(mark: u64, depth: u32, capacity: usize) -> Self {
        let entries = if capacity == 0 {
            HashTable::new()
        } else {
            HashTable::with_capacity(capacity)
        };
        Self {
            entries,
            dirty_in: 0,
            copied_in: mark,
            depth,
            bits: [0; WORDS],
        }
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &K) -> Option<usize> {
        self.entries
            .find_bucket_index(bucket_hash(hash), |entry| entry.0 == *key)
    }

    #[inline]
    pub(super) fn value(&self, bucket: usize) -> Option<&V> {
        self.entries.get_bucket(bucket).map(|entry| &entry.1)
    }

    /// Changes the value of a key with something; `Err` gives it back if the key is not here.
    #[inline]
    pub(super) fn change_key<X, R>(
        &mut self,
        hash: u64,
        key: &K,
        with: X,
        change: impl FnOnce(&mut V, X) -> R,
    ) -> Result<R, X> {
        match self
            .entries
            .find_entry(bucket_hash(hash), |entry| entry.0 == *key)
        {
            Ok(entry) => {
                let bucket = entry.bucket_index();
                self.bits[(bucket / 64) % WORDS] |= 1 << (bucket % 64);
                Ok(change(&mut entry.into_mut().1, with))
            }
            Err(_) => Err(with),
        }
    }

    /// Reads the tags with which a look-up begins, without a branch that would wait for them.
    #[inline]
    pub(super) fn touch_tags(&self, hash: u64) {
        let first = bucket_hash(hash) as usize & (self.entries.num_buckets() - 1);
        std::hint::black_box(self.entries.get_bucket(first).is_some());
    }

    /// Reads the entry that most likely is the key's, without a branch that would wait for it.
    #[inline]
    pub(super) fn touch_entry(&self, hash: u64, key: &K) {
        let likely = self.entries.iter_hash(bucket_hash(hash)).next();
        std::hint::black_box(likely.is_some_and(|entry| entry.0 == *key));
    }

    pub(super) fn key(&self, bucket: usize) -> Option<&K> {
        self.entries.get_bucket(bucket).map(|entry| &entry.0)
    }

    /// The value in an occupied bucket, marked as changed.
    #[inline]
    pub(super) fn change(&mut self, bucket: usize) -> Option<&mut V> {
        self.mark(bucket);
        self.entries
            .get_bucket_mut(bucket)
            .map(|entry| &mut entry.1)
    }

    /// The value in an occupied bucket, changed without a mark: while restoring.
    pub(super) fn overwrite(&mut self, bucket: usize) -> Option<&mut V> {
        self.entries
            .get_bucket_mut(bucket)
            .map(|entry| &mut entry.1)
    }

    /// Places a new entry, unmarked; there must be [room](Self::has_room).
    #[inline]
    pub(super) fn place(&mut self, hash: u64, entry: (K, V)) -> usize {
        // There is room, so that nothing is hashed again and every bucket keeps its index.
        self.entries
            .insert_unique(bucket_hash(hash), entry, |e| bucket_hash(hash_of(&e.0)))
            .bucket_index()
    }

    /// Takes the entry out of a bucket, if it is occupied.
    pub(super) fn take(&mut self, bucket: usize) -> Option<(K, V)> {
        self.entries
            .get_bucket_entry(bucket)
            .ok()
            .map(|entry| entry.remove().0)
    }

    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < self.entries.capacity()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bucket_count(&self) -> usize {
        self.entries.num_buckets()
    }

    #[inline]
    fn mark(&mut self, bucket: usize) {
        self.bits[(bucket / 64) % WORDS] |= 1 << (bucket % 64);
    }

    fn is_marked(&self, bucket: usize) -> bool {
        self.bits[(bucket / 64) % WORDS] & (1 << (bucket % 64)) != 0
    }

    /// Clones what the freeze before holds of this segment, and makes the segment clean.
    pub(super) fn copy(&mut self, scope: SnapshotScope, to: &mut Vec<(K, V)>) {
        match scope {
            SnapshotScope::Full => to.extend(self.entries.iter().cloned()),
            SnapshotScope::Increment => {
                for (at, word) in self.bits.iter().enumerate() {
                    let mut rest = *word;
                    while rest != 0 {
                        let first = at * 64 + rest.trailing_zeros() as usize;
                        rest &= rest - 1;
                        let shared = (first..self.entries.num_buckets()).step_by(WORDS * 64);
                        to.extend(
                            shared
                                .filter_map(|bucket| self.entries.get_bucket(bucket))
                                .cloned(),
                        );
                    }
                }
            }
        }
        self.bits = [0; WORDS];
    }

    /// Moves the entries to a table with room for `capacity`, each with its mark.
    pub(super) fn rebuild(&mut self, capacity: usize) {
        let mut other = Self::new(self.copied_in, self.depth, capacity);
        self.move_to(&mut other, |_| true);
        other.dirty_in = self.dirty_in;
        *self = other;
    }

    /// Splits off the entries whose hash has `bit` set; both halves get room for a full segment.
    pub(super) fn split(&mut self, bit: u64) -> Self {
        self.depth += 1;
        let mut upper = Self::new(self.copied_in, self.depth, FULL);
        upper.dirty_in = self.dirty_in;
        self.move_to(&mut upper, |hash| hash & bit != 0);
        // What stays is moved too: it leaves no deleted buckets behind.
        self.rebuild(FULL);
        upper
    }

    fn move_to(&mut self, other: &mut Self, moves: impl Fn(u64) -> bool) {
        for bucket in 0..self.entries.num_buckets() {
            if let Ok(occupied) = self.entries.get_bucket_entry(bucket) {
                let hash = hash_of(&occupied.get().0);
                if moves(hash) {
                    let (entry, _) = occupied.remove();
                    let placed = other.place(hash, entry);
                    if self.is_marked(bucket) {
                        other.mark(placed);
                    }
                }
            }
        }
    }

    /// Bytes on the heap, for figures.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.entries.allocation_size()
    }
}
