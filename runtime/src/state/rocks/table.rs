//! A table in RocksDB, behind a write-back cache.
//!
//! Records meet the cache only. Before a batch is taken in there is room made for it, what is then
//! not in the cache is fetched in one sorted look-up, and from there on a key that is not in the
//! cache is not in the table. So nothing moves while a batch is taken in.
//!
//! While the cache holds all keys of the table (nothing was evicted or restored), a key that it does
//! not hold needs no look-up at all.

mod image;
mod near;
mod pop;
mod room;

use std::cell::Cell;
use std::sync::Arc;

use self::image::Frozen;
use super::aside::Aside;
use super::cache::{Cache, Change, Entry};
use super::encode::{prefix_of, put_key, take};
use super::store::{Store, of_rocksdb};
use crate::error::Result;
use crate::key::{Key, hash_of};
use crate::state::State;
use crate::state::frames::Namespace;
use crate::state::table::Records;
use crate::state::tables::{Begun, Extra, Sought};

pub(crate) use self::image::RocksPiece;
pub(crate) use self::near::RocksCursor;

/// No bucket: a key that was in neither place when the batch began.
const NOWHERE: usize = usize::MAX;

/// Keys with their values, in RocksDB; what was touched last is in memory.
pub(crate) struct RocksTable<K, V> {
    store: Arc<Store>,
    /// What the table's keys in RocksDB begin with.
    prefix: Vec<u8>,
    extra: Option<Extra<V>>,
    cache: Cache<K, V>,
    /// What was read while nothing in the cache could move.
    aside: Aside<K, V>,
    /// Entries in the cache that are not removed.
    live: usize,
    below: Below,
    /// The number of freezes, plus one.
    mark: u32,
    /// Whether anything changed since the last freeze.
    changed: bool,
    frozen: Frozen<K, V>,
    /// Where `pop` goes on.
    popped: pop::Popped,
    /// Whether the hand found nothing to evict, and the window is still open.
    stuck: bool,
    /// Bytes of the cache that the store knows of.
    accounted: usize,
    /// Whether the table was asked for anything since it last gave memory back.
    asked: Cell<bool>,
    /// The round of the store of which it is known that it was.
    asked_in: u32,
    /// Mean bytes of an encoded entry, of samples.
    encoded: usize,
    /// Entries that have come since the last sample, and the bucket that was then looked at.
    unsampled: usize,
    sampled: usize,
    lookup: Lookup,
}

/// What RocksDB may hold of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Below {
    Nothing,
    /// Keys that the cache holds, too.
    Known,
    /// Keys that the cache does not hold.
    More,
}

/// Buffers of a look-up.
#[derive(Default)]
struct Lookup {
    /// The hash of each record, and the bucket of its key.
    found: Vec<(u64, usize)>,
    /// Where in `keys` the key of a record is that is not in the cache, and the record.
    misses: Vec<(std::ops::Range<usize>, usize)>,
    keys: Vec<u8>,
}

impl<K: Key, V: State> RocksTable<K, V> {
    pub(crate) fn new(store: Arc<Store>, namespace: Namespace) -> Self {
        let cache = match namespace {
            // All parts of a key are asked for together.
            Namespace::Map(_) => Cache::ordered(),
            _ => Cache::new(),
        };
        Self {
            store,
            prefix: prefix_of(namespace),
            extra: None,
            cache,
            aside: Aside::new(),
            live: 0,
            below: Below::Nothing,
            mark: 1,
            changed: false,
            frozen: Frozen::nothing(),
            popped: pop::Popped::default(),
            stuck: false,
            accounted: 0,
            asked: Cell::new(false),
            asked_in: 0,
            encoded: 0,
            unsampled: 0,
            sampled: 0,
            lookup: Lookup::default(),
        }
    }

    /// Keeps something beside each value that snapshots of other backends do not have.
    pub(crate) fn keep_extra(&mut self, extra: Extra<V>) {
        self.extra = Some(extra);
    }

    /// Goes on with what RocksDB holds already.
    pub(crate) fn resume(&mut self) -> Result<()> {
        if self.store.holds(&self.prefix)? {
            self.below = Below::More;
        }
        Ok(())
    }

    /// The number of entries in the cache.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn find(&mut self, hash: u64, key: impl Sought<K>) -> Option<usize> {
        self.absorb();
        self.asked.set(true);
        let at = match self.cache.find_by(hash, |other| key.is(other)) {
            Some(at) => at,
            None if self.below == Below::More => self.fetch(hash, key)?,
            None => return None,
        };
        self.look(at)?;
        Some(at)
    }

    /// The value of a bucket, to be read.
    pub(crate) fn look(&self, at: usize) -> Option<&V> {
        self.cache.look(at)?.value.as_ref()
    }

    /// The value of a bucket that [`find`](Self::find) gave.
    pub(crate) fn at(&mut self, at: usize) -> &mut V {
        let value = self.touch(at).value.as_mut();
        value.expect("a place of this table, as it was given")
    }

    pub(crate) fn get(&mut self, hash: u64, key: &K) -> Option<&V> {
        let at = self.find(hash, key)?;
        self.look(at)
    }

    pub(crate) fn change<X, R>(
        &mut self,
        hash: u64,
        key: &K,
        with: X,
        change: impl FnOnce(&mut V, X) -> R,
    ) -> Result<R, X> {
        match self.find(hash, key) {
            Some(at) => Ok(change(self.at(at), with)),
            None => Err(with),
        }
    }

    pub(crate) fn upsert(&mut self, hash: u64, key: &K, init: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(hash, key) {
            Some(at) => at,
            None => self.put(hash, key.clone(), init()),
        };
        self.at(at)
    }

    /// Adds a key that is not in the table.
    pub(crate) fn insert(&mut self, hash: u64, key: K, value: V) -> usize {
        self.absorb();
        self.put(hash, key, value)
    }

    /// Removes a key that is there, without asking RocksDB for its value.
    pub(crate) fn erase(&mut self, hash: u64, key: K) {
        self.absorb();
        if self.cache.find(hash, &key).is_some() || self.below != Below::More {
            self.remove(hash, &key);
        } else {
            self.make_room(1);
            self.add(hash, key, None);
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let at = self.find(hash, key)?;
        let value = self.touch(at).value.take();
        self.live -= 1;
        if self.below == Below::Nothing {
            self.cache.remove(at);
        }
        value
    }

    /// Takes in records; see [`StateTable`](crate::state::StateTable::take_in).
    pub(crate) fn take_in<R, X, D>(
        &mut self,
        records: &mut impl Records<R>,
        open: impl Fn(R) -> (K, X),
        key_of: impl Fn(&R) -> &K,
        change: impl Fn(&mut V, X) -> D,
        begin: impl Fn(K, X) -> Begun<K, V, D>,
        mut done: impl FnMut(K, D),
    ) {
        loop {
            let coming = records.coming();
            let count = coming.len().min(self.block());
            if count == 0 {
                return;
            }
            self.look_up(count, |at| key_of(&coming[at]));
            let found = std::mem::take(&mut self.lookup.found);
            for ((hash, at), record) in found.iter().zip(records.by_ref().take(count)) {
                let (key, with) = open(record);
                // An earlier record of the batch may have begun its key.
                let at = if *at == NOWHERE {
                    self.cache.find(*hash, &key)
                } else {
                    Some(*at)
                };
                let Some(at) = at else {
                    let begun = begin(key, with);
                    self.add(*hash, begun.key, Some(begun.value));
                    if let Some((key, said)) = begun.said {
                        done(key, said);
                    }
                    continue;
                };
                if let Some(value) = &mut self.touch(at).value {
                    let said = change(value, with);
                    done(key, said);
                } else {
                    let begun = begin(key, with);
                    self.revive(at, begun.value);
                    if let Some((key, said)) = begun.said {
                        done(key, said);
                    }
                }
            }
            self.lookup.found = found;
            self.account();
        }
    }

    /// Fetches what the cache does not hold of these keys, as far as there is room for it.
    pub(crate) fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K>) -> usize {
        if self.below != Below::More {
            return self.block();
        }
        let keys: Vec<&K> = keys.take(self.block()).collect();
        self.look_up(keys.len(), |at| keys[at]);
        keys.len()
    }

    /// Finds the buckets of `count` keys, having fetched what was not in the cache.
    fn look_up<'k>(&mut self, count: usize, key: impl Fn(usize) -> &'k K)
    where
        K: 'k,
    {
        self.absorb();
        self.asked.set(true);
        self.make_room(count);
        let Lookup {
            found,
            misses,
            keys,
        } = &mut self.lookup;
        found.clear();
        misses.clear();
        keys.clear();
        for at in 0..count {
            let hash = hash_of(key(at));
            let bucket = self.cache.find(hash, key(at)).unwrap_or(NOWHERE);
            found.push((hash, bucket));
            if bucket == NOWHERE && self.below == Below::More {
                let begin = keys.len();
                if let Err(error) = put_key(&self.prefix, hash, key(at), keys) {
                    self.store.fail(error);
                    return;
                }
                misses.push((begin..keys.len(), at));
            }
        }
        if !misses.is_empty() {
            let fetched = self.fetch_misses(key);
            let store = Arc::clone(&self.store);
            store.keep(fetched);
        }
    }

    /// Fetches the keys of `misses`, all together, in the order in which RocksDB has them.
    fn fetch_misses<'k>(&mut self, key: impl Fn(usize) -> &'k K) -> Result<()>
    where
        K: 'k,
    {
        let Lookup {
            found,
            misses,
            keys,
        } = &mut self.lookup;
        misses.sort_unstable_by(|(a, _), (b, _)| keys[a.clone()].cmp(&keys[b.clone()]));
        let same = |a: &(std::ops::Range<usize>, usize), b: &(std::ops::Range<usize>, usize)| {
            keys[a.0.clone()] == keys[b.0.clone()]
        };
        let groups = || misses.chunk_by(same);
        let store = Arc::clone(&self.store);
        let values = store.get_sorted(groups().map(|group| &keys[group[0].0.clone()]));
        let mut encoded = None;
        for (group, value) in groups().zip(values) {
            let value = value.map_err(of_rocksdb)?;
            if let Some(value) = &value {
                encoded = Some(group[0].0.len() + value.len());
                self.live += 1;
                self.popped.begin_again();
            }
            // A key that is not there has an entry, too: it is not asked for again.
            let value = value.map(|value| decode(&value, self.extra));
            let entry = Entry {
                key: key(group[0].1).clone(),
                value: value.transpose()?,
                change: Change::None,
                recent: true.into(),
            };
            let bucket = self.cache.place(found[group[0].1].0, entry);
            for (_, record) in group {
                found[*record].1 = bucket;
            }
        }
        if let Some(encoded) = encoded {
            self.saw(encoded);
        }
        Ok(())
    }

    /// Fetches a key that is not in the cache.
    fn fetch(&mut self, hash: u64, key: impl Sought<K>) -> Option<usize> {
        let value = self.store.keep(self.read(hash, key))?;
        self.make_room(1);
        Some(self.place(hash, key.to_key(), value, Change::None))
    }

    /// Adds a key that is not in the table, of which RocksDB may not know yet that it was removed.
    fn put(&mut self, hash: u64, key: K, value: V) -> usize {
        if let Some(at) = self.cache.find(hash, &key) {
            self.revive(at, value);
            return at;
        }
        self.asked.set(true);
        self.make_room(1);
        self.add(hash, key, Some(value))
    }

    /// Gives a key that the cache holds, though it is not in the table, a value.
    fn revive(&mut self, at: usize, value: V) {
        self.touch(at).value = Some(value);
        self.live += 1;
        self.popped.begin_again();
    }

    /// Places an entry that RocksDB does not know; there must be room.
    fn add(&mut self, hash: u64, key: K, value: Option<V>) -> usize {
        self.changed = true;
        self.place(hash, key, value, Change::In(self.mark))
    }

    /// Places an entry; there must be room.
    fn place(&mut self, hash: u64, key: K, value: Option<V>, change: Change) -> usize {
        if value.is_some() {
            self.live += 1;
            self.popped.begin_again();
        }
        let entry = Entry {
            key,
            value,
            change,
            recent: true.into(),
        };
        self.cache.place(hash, entry)
    }

    /// Readies an entry for a change: what the frozen image holds of it is copied before.
    #[inline]
    fn touch(&mut self, at: usize) -> &mut Entry<K, V> {
        let entry = self.cache.at(at).expect("the bucket of an entry");
        entry.recent.set(true);
        if entry.change != Change::In(self.mark) {
            if self.frozen.holds(entry.change) {
                self.frozen.copy(entry);
            }
            entry.change = Change::In(self.mark);
            self.changed = true;
        }
        entry
    }

    /// Forgets all entries.
    pub(crate) fn forget(&mut self) {
        if self.below != Below::Nothing {
            let store = Arc::clone(&self.store);
            store.keep(store.delete_all(&self.prefix));
        }
        self.cache.clear();
        self.aside = Aside::new();
        (self.live, self.below) = (0, Below::Nothing);
        self.popped = pop::Popped::default();
        self.account();
    }
}

fn decode<V: State>(bytes: &[u8], extra: Option<Extra<V>>) -> Result<V> {
    let (mut value, rest) = take(bytes)?;
    if let Some(extra) = extra {
        (extra.load)(&mut value, rest);
    }
    Ok(value)
}
