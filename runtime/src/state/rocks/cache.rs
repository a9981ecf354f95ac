//! The entries of a table that are in memory: a hash table in which entries can be found again by the
//! number of their bucket, for as long as nobody makes room.

use std::cell::Cell;
use std::collections::BTreeSet;

use hashbrown::HashTable;

use crate::key::{Key, hash_of};
use crate::state::span::HashSpan;

/// An entry in memory.
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    /// `None` for a key that was removed, of which RocksDB does not know yet.
    pub(super) value: Option<V>,
    pub(super) change: Change,
    /// Whether the entry was looked at since the hand last came by.
    pub(super) recent: Cell<bool>,
}

/// When an entry last changed, and whether RocksDB knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// RocksDB has it.
    None,
    /// It changed in this mark.
    In(u32),
    /// It changed in this mark, and is on its way to RocksDB with the image of that mark.
    HandedOver(u32),
}

pub(super) struct Cache<K, V> {
    entries: HashTable<Entry<K, V>>,
    /// Where the search for something to evict goes on.
    hand: usize,
    /// The hashes of all entries, in order, where the table is asked for those in a span.
    order: Option<BTreeSet<u64>>,
}

/// Spreads the bits of a routing hash, whose top bits are much the same on one worker.
#[inline]
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26)
}

impl<K: Key, V> Cache<K, V> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashTable::new(),
            hand: 0,
            order: None,
        }
    }

    /// A cache that finds the entries in a span quickly.
    pub(super) fn ordered() -> Self {
        Self {
            order: Some(BTreeSet::new()),
            ..Self::new()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn buckets(&self) -> usize {
        self.entries.num_buckets()
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &K) -> Option<usize> {
        self.find_by(hash, |other| other == key)
    }

    #[inline]
    pub(super) fn find_by(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<usize> {
        self.entries
            .find_bucket_index(spread(hash), |entry| is(&entry.key))
    }

    /// The entry in a bucket, to be read; it was looked at.
    #[inline]
    pub(super) fn look(&self, bucket: usize) -> Option<&Entry<K, V>> {
        let entry = self.entries.get_bucket(bucket)?;
        entry.recent.set(true);
        Some(entry)
    }

    /// The entry in a bucket, if there is one, whether anybody asked for it or not.
    pub(super) fn pass(&self, bucket: usize) -> Option<&Entry<K, V>> {
        self.entries.get_bucket(bucket)
    }

    /// The entries whose hashes are in a span.
    pub(super) fn near(&self, span: HashSpan) -> impl Iterator<Item = &Entry<K, V>> {
        let is_in = move |entry: &&Entry<K, V>| span.contains(hash_of(&entry.key));
        let (ordered, all) = match &self.order {
            Some(order) => (Some(order.range(span.first..=span.last)), None),
            None => (None, Some(self.entries.iter().filter(is_in))),
        };
        let of_hash = |hash: &u64| {
            let hash = *hash;
            let same = self.entries.iter_hash(spread(hash));
            same.filter(move |entry| hash_of(&entry.key) == hash)
        };
        let ordered = ordered.into_iter().flatten().flat_map(of_hash);
        ordered.chain(all.into_iter().flatten())
    }

    #[inline]
    pub(super) fn at(&mut self, bucket: usize) -> Option<&mut Entry<K, V>> {
        self.entries.get_bucket_mut(bucket)
    }

    /// Whether `count` entries can be placed while all others stay in their buckets.
    pub(super) fn has_room(&self, count: usize) -> bool {
        self.entries.capacity() - self.entries.len() >= count
    }

    /// Makes room for `count` entries: all entries may move.
    pub(super) fn make_room(&mut self, count: usize) {
        self.entries
            .reserve(count, |entry| spread(hash_of(&entry.key)));
    }

    /// Places an entry that is not there; there must be room.
    #[inline]
    pub(super) fn place(&mut self, hash: u64, entry: Entry<K, V>) -> usize {
        if let Some(order) = &mut self.order {
            order.insert(hash);
        }
        self.entries
            .insert_unique(spread(hash), entry, |entry| spread(hash_of(&entry.key)))
            .bucket_index()
    }

    pub(super) fn remove(&mut self, bucket: usize) -> Option<Entry<K, V>> {
        let (entry, _) = self.entries.get_bucket_entry(bucket).ok()?.remove();
        if let Some(order) = &mut self.order {
            let hash = hash_of(&entry.key);
            let mut others = self.entries.iter_hash(spread(hash));
            // But for an accident, nobody else has it.
            if others.all(|other| hash_of(&other.key) != hash) {
                order.remove(&hash);
            }
        }
        Some(entry)
    }

    /// The next bucket of the hand.
    pub(super) fn turn(&mut self) -> usize {
        self.hand += 1;
        if self.hand >= self.entries.num_buckets() {
            self.hand = 0;
        }
        self.hand
    }

    /// Forgets all entries, and gives their memory back.
    pub(super) fn clear(&mut self) {
        *self = match self.order {
            Some(_) => Self::ordered(),
            None => Self::new(),
        };
    }
}
