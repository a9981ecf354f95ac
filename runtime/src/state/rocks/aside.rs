//! Entries that were read while others were being read, so that nothing may move: beside the cache
//! until the table is next changed, and then in it.

use std::array;
use std::cell::{Cell, OnceCell, RefCell};

use hashbrown::HashTable;

/// Slots in the first chunk; each next one has as many as all before it.
const FIRST: usize = 16;
const CHUNKS: usize = 40;

/// What RocksDB says of some keys that the cache does not hold. It grows without anything in it moving.
pub(super) struct Aside<K, V> {
    chunks: [OnceCell<Chunk<K, V>>; CHUNKS],
    len: Cell<usize>,
    index: RefCell<HashTable<(u64, usize)>>,
}

type Chunk<K, V> = Box<[OnceCell<Read<K, V>>]>;

/// A key that was read.
pub(super) struct Read<K, V> {
    pub(super) hash: u64,
    pub(super) key: K,
    /// `None` for a key that is not there.
    pub(super) value: Option<V>,
}

impl<K, V> Aside<K, V> {
    pub(super) fn new() -> Self {
        Self {
            chunks: array::from_fn(|_| OnceCell::new()),
            len: Cell::new(0),
            index: RefCell::default(),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    /// What was read of a key.
    pub(super) fn find(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<&Read<K, V>> {
        let index = self.index.borrow();
        let is_it =
            |(other, at): &(u64, usize)| *other == hash && self.at(*at).is_some_and(|r| is(&r.key));
        let (_, at) = index.find(hash, is_it)?;
        self.at(*at)
    }

    /// Keeps what was read of a key of which nothing was read before.
    pub(super) fn push(&self, read: Read<K, V>) -> &Read<K, V> {
        let at = self.len.replace(self.len.get() + 1);
        let entry = (read.hash, at);
        let mut index = self.index.borrow_mut();
        index.insert_unique(read.hash, entry, |(hash, _)| *hash);
        let (chunk, slot) = place_of(at);
        let slots = self.chunks[chunk]
            .get_or_init(|| (0..slots_in(chunk)).map(|_| OnceCell::new()).collect());
        slots[slot].get_or_init(|| read)
    }

    fn at(&self, at: usize) -> Option<&Read<K, V>> {
        let (chunk, slot) = place_of(at);
        self.chunks[chunk].get()?.get(slot)?.get()
    }

    /// Takes all of it out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Read<K, V>> + use<K, V> {
        let taken = std::mem::replace(self, Self::new());
        let chunks = taken.chunks.into_iter().filter_map(OnceCell::into_inner);
        chunks.flatten().filter_map(OnceCell::into_inner)
    }
}

/// The slots of a chunk: the first two have as many as `FIRST`.
const fn slots_in(chunk: usize) -> usize {
    FIRST << chunk.saturating_sub(1)
}

/// The chunk and the slot of the `at`-th entry.
const fn place_of(at: usize) -> (usize, usize) {
    if at < FIRST {
        return (0, at);
    }
    let chunk = (at / FIRST).ilog2() as usize + 1;
    (chunk, at - slots_in(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_stays_where_it_is_while_more_is_read() {
        let mut aside = Aside::new();
        let mut kept = Vec::new();
        for key in 0..5_000_u64 {
            // Every hash twice: another key may have it.
            let (hash, value) = (key / 2, (key % 3 > 0).then(|| key.to_string()));
            kept.push(aside.push(Read { hash, key, value }));
        }
        for (read, key) in kept.iter().zip(0..) {
            let found = aside
                .find(key / 2, |other| *other == key)
                .expect("it was read");
            assert!(std::ptr::eq(*read, found));
            assert_eq!(found.value.is_some(), key % 3 > 0);
        }
        assert!(aside.find(1, |other| *other == 4).is_none());
        assert_eq!(aside.len(), 5_000);
        let keys: Vec<_> = aside.take().map(|read| read.key).collect();
        assert!(keys.into_iter().eq(0..5_000));
        assert!(aside.is_empty() && aside.take().next().is_none());
    }
}
