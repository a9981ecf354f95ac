//! Reading a table while others read it, by an interval of hashes, and round the table a little at a time.
//!
//! Nothing in the cache moves here: what RocksDB is asked for stands beside it, until the table is next
//! changed.

use super::super::aside::Read;
use super::super::cache::Change;
use super::super::encode::{parse, put_key, range_of, take};
use super::super::store::of_rocksdb;
use super::{Below, RocksTable, decode};
use crate::error::Result;
use crate::key::Key;
use crate::state::State;
use crate::state::span::HashSpan;
use crate::state::tables::Sought;

/// Entries of RocksDB that a walk looks at together: finding the first one costs more than the others.
const WALKED: usize = 512;
/// How many places of memory one entry in RocksDB is worth.
const WORTH: usize = 8;

/// Where a walk round a table goes on: first through the cache, then through RocksDB.
#[derive(Debug, Default)]
pub(crate) struct RocksCursor {
    bucket: usize,
    /// The key in RocksDB that was looked at last, if any was.
    stored: Vec<u8>,
    /// Steps that were asked for and not made.
    owed: usize,
}

impl<K: Key, V: State> RocksTable<K, V> {
    /// The value of a key, to be read while others read.
    pub(crate) fn peek(&self, hash: u64, sought: impl Sought<K>) -> Option<&V> {
        self.asked.set(true);
        if let Some(at) = self.cache.find_by(hash, |key| sought.is(key)) {
            return self.cache.look(at)?.value.as_ref();
        }
        if self.below != Below::More {
            return None;
        }
        if let Some(read) = self.aside.find(hash, |key| sought.is(key)) {
            return read.value.as_ref();
        }
        let value = self.store.keep(self.read(hash, sought))?;
        let read = Read {
            hash,
            key: sought.to_key(),
            value,
        };
        self.aside.push(read).value.as_ref()
    }

    /// What RocksDB has of a key.
    pub(super) fn read(&self, hash: u64, sought: impl Sought<K>) -> Result<Option<V>> {
        let mut key = Vec::new();
        put_key(&self.prefix, hash, &sought, &mut key)?;
        let value = self.store.db.get_pinned(&key).map_err(of_rocksdb)?;
        value.map(|value| decode(&value, self.extra)).transpose()
    }

    /// The entries whose hashes are in a span, in no order.
    pub(crate) fn near(&self, span: HashSpan) -> impl Iterator<Item = (&K, &V)> {
        self.asked.set(true);
        let mut near: Vec<(&K, &V)> = self
            .cache
            .near(span)
            .filter_map(|entry| Some((&entry.key, entry.value.as_ref()?)))
            .collect();
        if self.below == Below::More {
            self.store.keep(self.read_near(span, &mut near));
        }
        near.into_iter()
    }

    /// Adds what only RocksDB has in a span.
    fn read_near<'a>(&'a self, span: HashSpan, near: &mut Vec<(&'a K, &'a V)>) -> Result<()> {
        let (first, end) = range_of(&self.prefix, span);
        let mut entries = self.store.db.raw_iterator();
        entries.seek(first);
        while let Some((stored, value)) = entries.item().filter(|(key, _)| **key < end[..]) {
            let (_, hash, key) = parse(stored)?;
            let key: K = take(key)?.0;
            if self.cache.find(hash, &key).is_none() {
                let read = match self.aside.find(hash, |other| *other == key) {
                    Some(read) => read,
                    None => self.aside.push(Read {
                        hash,
                        key,
                        value: Some(decode(value, self.extra)?),
                    }),
                };
                near.extend(read.value.as_ref().map(|value| (&read.key, value)));
            }
            entries.next();
        }
        entries.status().map_err(of_rocksdb)
    }

    /// Goes on round the table, and shows the entries there.
    pub(crate) fn walk(&self, from: &mut RocksCursor, steps: usize, mut visit: impl FnMut(&K, &V)) {
        let buckets = self.cache.buckets();
        if from.bucket < buckets {
            let end = buckets.min(from.bucket + steps);
            for entry in (from.bucket..end).filter_map(|at| self.cache.pass(at)) {
                if let Some(value) = &entry.value {
                    visit(&entry.key, value);
                }
            }
            from.bucket = end;
            return;
        }
        if self.below != Below::More {
            *from = RocksCursor::default();
            return;
        }
        from.owed += steps;
        if from.owed >= WALKED * WORTH {
            from.owed = 0;
            self.store.keep(self.walk_stored(from, visit));
        }
    }

    fn walk_stored(&self, from: &mut RocksCursor, mut visit: impl FnMut(&K, &V)) -> Result<()> {
        let mut entries = self.store.db.raw_iterator();
        if from.stored.is_empty() {
            entries.seek(&self.prefix);
        } else {
            entries.seek(&from.stored);
            if entries.key() == Some(&from.stored) {
                entries.next();
            }
        }
        for _ in 0..WALKED {
            let stored = entries
                .item()
                .filter(|(key, _)| key.starts_with(&self.prefix));
            let Some((stored, value)) = stored else {
                *from = RocksCursor::default();
                break;
            };
            let (_, hash, key) = parse(stored)?;
            let key: K = take(key)?.0;
            if self.cache.find(hash, &key).is_none() {
                visit(&key, &decode(value, self.extra)?);
            }
            from.stored.clear();
            from.stored.extend_from_slice(stored);
            entries.next();
        }
        entries.status().map_err(of_rocksdb)
    }

    /// Moves what stands beside the cache into it, as far as there is room.
    #[inline]
    pub(super) fn absorb(&mut self) {
        if !self.aside.is_empty() {
            self.absorb_some();
        }
    }

    #[cold]
    fn absorb_some(&mut self) {
        let count = self.aside.len().min(self.block());
        let reads = self.aside.take();
        if !self.store.is_settled() && !self.fits(count) {
            return;
        }
        self.make_room(count);
        for Read { hash, key, value } in reads.take(count) {
            self.place(hash, key, value, Change::None);
        }
        self.account();
    }
}
