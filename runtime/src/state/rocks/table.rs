//! A table in RocksDB, behind a write-back cache.
//!
//! Records meet the cache only. Before a batch is taken in there is room made for it, what is then
//! not in the cache is fetched in one sorted look-up, and from there on a key that is not in the
//! cache is not in the table. So nothing moves while a batch is taken in.
//!
//! While the cache holds all keys of the table (nothing was evicted or restored), a key that it does
//! not hold needs no look-up at all.

mod image;
mod pop;
mod room;

use std::sync::Arc;

use self::image::Frozen;
use super::cache::{Cache, Change, Entry};
use super::encode::{prefix_of, put, put_key, take};
use super::store::{Store, of_rocksdb};
use crate::error::Result;
use crate::key::{Key, hash_of};
use crate::state::State;
use crate::state::frames::Namespace;
use crate::state::table::Records;
use crate::state::tables::{Begun, Extra};

pub(crate) use self::image::RocksPiece;

/// No bucket: a key that was in neither place when the batch began.
const NOWHERE: usize = usize::MAX;

/// Keys with their values, in RocksDB; what was touched last is in memory.
pub(crate) struct RocksTable<K, V> {
    store: Arc<Store>,
    /// What the table's keys in RocksDB begin with.
    prefix: Vec<u8>,
    extra: Option<Extra<V>>,
    cache: Cache<K, V>,
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
    /// Mean bytes of an encoded entry, of those that went in or out.
    encoded: usize,
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
        Self {
            store,
            prefix: prefix_of(namespace),
            extra: None,
            cache: Cache::new(),
            live: 0,
            below: Below::Nothing,
            mark: 1,
            changed: false,
            frozen: Frozen::nothing(),
            popped: pop::Popped::default(),
            stuck: false,
            accounted: 0,
            encoded: 0,
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

    pub(crate) fn find(&mut self, hash: u64, key: &K) -> Option<usize> {
        let at = self.fetch(hash, key)?;
        self.cache.at(at)?.value.as_ref()?;
        Some(at)
    }

    /// The value of a bucket that [`find`](Self::find) gave.
    pub(crate) fn at(&mut self, at: usize) -> &mut V {
        let value = self.touch(at).value.as_mut();
        value.expect("a place of this table, as it was given")
    }

    pub(crate) fn get(&mut self, hash: u64, key: &K) -> Option<&V> {
        let at = self.fetch(hash, key)?;
        self.cache.at(at)?.value.as_ref()
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
    pub(crate) fn insert(&mut self, hash: u64, key: K, value: V) {
        self.put(hash, key, value);
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
                    self.place(*hash, begun.key, Some(begun.value));
                    if let Some((key, said)) = begun.said {
                        done(key, said);
                    }
                    continue;
                };
                let entry = self.touch(at);
                if let Some(value) = &mut entry.value {
                    let said = change(value, with);
                    done(key, said);
                } else {
                    let begun = begin(key, with);
                    entry.value = Some(begun.value);
                    self.live += 1;
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
    pub(crate) fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K>) {
        if self.below == Below::More {
            let keys: Vec<&K> = keys.take(self.block()).collect();
            self.look_up(keys.len(), |at| keys[at]);
        }
    }

    /// Finds the buckets of `count` keys, having fetched what was not in the cache.
    fn look_up<'k>(&mut self, count: usize, key: impl Fn(usize) -> &'k K)
    where
        K: 'k,
    {
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
            let Some(value) = value.map_err(of_rocksdb)? else {
                continue;
            };
            encoded = Some(group[0].0.len() + value.len());
            let entry = Entry {
                key: key(group[0].1).clone(),
                value: Some(decode(&value, self.extra)?),
                change: Change::None,
                recent: true,
            };
            let bucket = self.cache.place(found[group[0].1].0, entry);
            self.live += 1;
            for (_, record) in group {
                found[*record].1 = bucket;
            }
        }
        if let Some(encoded) = encoded {
            self.saw(encoded);
        }
        Ok(())
    }

    /// The bucket of a key, fetched first if need be.
    fn fetch(&mut self, hash: u64, key: &K) -> Option<usize> {
        let at = self.cache.find(hash, key);
        if at.is_some() || self.below != Below::More {
            return at;
        }
        let one = std::slice::from_ref(key);
        self.look_up(1, |at| &one[at]);
        let (_, at) = *self.lookup.found.first()?;
        (at != NOWHERE).then_some(at)
    }

    /// Adds a key that is not in the table, of which RocksDB may not know yet that it was removed.
    fn put(&mut self, hash: u64, key: K, value: V) -> usize {
        if let Some(at) = self.cache.find(hash, &key) {
            self.touch(at).value = Some(value);
            self.live += 1;
            return at;
        }
        self.make_room(1);
        self.place(hash, key, Some(value))
    }

    /// Places a changed entry; there must be room.
    fn place(&mut self, hash: u64, key: K, value: Option<V>) -> usize {
        self.changed = true;
        self.live += usize::from(value.is_some());
        self.popped.begin_again();
        let entry = Entry {
            key,
            value,
            change: Change::In(self.mark),
            recent: true,
        };
        self.cache.place(hash, entry)
    }

    /// Readies an entry for a change: what the frozen image holds of it is copied before.
    #[inline]
    fn touch(&mut self, at: usize) -> &mut Entry<K, V> {
        let entry = self.cache.at(at).expect("the bucket of an entry");
        entry.recent = true;
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
        (self.live, self.below) = (0, Below::Nothing);
        self.popped = pop::Popped::default();
        self.account();
    }
}

/// Encodes an entry: its whole key, and its value if it is not removed.
fn encode<K: Key, V: State>(
    prefix: &[u8],
    entry: &Entry<K, V>,
    extra: Option<Extra<V>>,
    key: &mut Vec<u8>,
    value: &mut Vec<u8>,
) -> Result<()> {
    put_key(prefix, hash_of(&entry.key), &entry.key, key)?;
    entry
        .value
        .as_ref()
        .map_or(Ok(()), |stored| encode_value(stored, extra, value))
}

fn encode_value<V: State>(value: &V, extra: Option<Extra<V>>, bytes: &mut Vec<u8>) -> Result<()> {
    put(value, bytes)?;
    if let Some(extra) = extra {
        (extra.save)(value, bytes);
    }
    Ok(())
}

fn decode<V: State>(bytes: &[u8], extra: Option<Extra<V>>) -> Result<V> {
    let (mut value, rest) = take(bytes)?;
    if let Some(extra) = extra {
        (extra.load)(&mut value, rest);
    }
    Ok(value)
}
