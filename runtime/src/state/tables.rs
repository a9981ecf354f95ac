//! The tables that stages keep their state in, whichever backend the job was started with.
//!
//! A stage is written once, against [`StateTable`]. Which backend stands behind it is asked once a
//! batch where it counts ([`take_in`](StateTable::take_in)), so that a table in memory is as fast
//! as if there were no other.

mod piece;

use serde::Serialize;

use crate::error::Result;
use crate::key::Key;

use super::backend::{Home, StageBackend};
use super::frames::Namespace;
use super::logic::SnapshotScope;
#[cfg(feature = "rocksdb")]
use super::rocks::{RocksCursor, RocksTable};
use super::span::HashSpan;
use super::table::{Cursor, KeyedTable, Records, Slot};
use super::types::State;

pub(crate) use self::piece::Piece;

/// Keys with their values, in one of the backends.
///
/// Every method takes the routing hash of the key beside the key: the caller has it at hand.
pub(crate) enum StateTable<K, V> {
    /// All of it in memory.
    Memory(KeyedTable<K, V>),
    /// In RocksDB, behind a write-back cache.
    #[cfg(feature = "rocksdb")]
    Rocks(Box<RocksTable<K, V>>),
}

/// The place of an entry, until the table is next asked for anything else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In memory.
    Memory(Slot),
    /// In the cache before RocksDB.
    #[cfg(feature = "rocksdb")]
    Cached(usize),
}

/// A key that is looked for, owned by somebody else or in parts. It is encoded as the key is.
pub(crate) trait Sought<K>: Serialize + Copy {
    /// Whether it is this one.
    fn is(&self, other: &K) -> bool;

    /// The key.
    fn to_key(&self) -> K;
}

impl<K: Key> Sought<K> for &K {
    #[inline]
    fn is(&self, other: &K) -> bool {
        *self == other
    }

    #[inline]
    fn to_key(&self) -> K {
        (*self).clone()
    }
}

/// Where a walk round a table goes on.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    memory: Cursor,
    #[cfg(feature = "rocksdb")]
    rocks: RocksCursor,
}

/// A new entry for a key, and what is to be said of the record that began it.
pub(crate) struct Begun<K, V, D> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) said: Option<(K, D)>,
}

/// What a stage remembers beside a value that no snapshot holds: saved when the value leaves memory.
pub(crate) struct Extra<V> {
    /// Appends it to the bytes of the value.
    pub(crate) save: fn(&V, &mut Vec<u8>),
    /// Puts it back into the value, from the bytes behind it.
    pub(crate) load: fn(&mut V, &[u8]),
}

impl<V> Clone for Extra<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Extra<V> {}

/// Does the same to either table.
macro_rules! either {
    ($self:expr, $table:ident => $does:expr) => {
        match $self {
            StateTable::Memory($table) => $does,
            #[cfg(feature = "rocksdb")]
            StateTable::Rocks($table) => $does,
        }
    };
}

impl<K: Key, V: State> StateTable<K, V> {
    /// An empty table of a stage.
    pub(crate) fn new(backend: &StageBackend, namespace: Namespace) -> Self {
        match &backend.0 {
            Home::Memory => {
                let _ = namespace;
                Self::Memory(KeyedTable::new())
            }
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => Self::Rocks(Box::new(RocksTable::new(store.clone(), namespace))),
        }
    }

    /// Keeps something beside each value for as long as the run lasts.
    pub(crate) fn keeping(self, extra: Extra<V>) -> Self {
        match self {
            // What is in memory is kept with the value.
            Self::Memory(table) => {
                let _ = extra;
                Self::Memory(table)
            }
            #[cfg(feature = "rocksdb")]
            Self::Rocks(mut table) => {
                table.keep_extra(extra);
                Self::Rocks(table)
            }
        }
    }

    /// Goes on with what the backend holds already.
    pub(crate) fn resume(&mut self) -> Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.resume(),
        }
    }

    /// Goes through what the backend holds already, before anything has changed.
    pub(crate) fn for_each_stored(&self, apply: impl FnMut(K, V)) -> Result<()> {
        match self {
            Self::Memory(_) => {
                drop(apply);
                Ok(())
            }
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.for_each_stored(apply),
        }
    }

    /// The number of entries; of those that were taken over from a snapshot of RocksDB, only what
    /// was looked at counts.
    pub(crate) fn len(&self) -> usize {
        either!(self, table => table.len())
    }

    /// Whether there is no entry.
    pub(crate) fn is_empty(&mut self) -> bool {
        either!(self, table => table.is_empty())
    }

    /// The place of a key, if it is there.
    #[inline]
    pub(crate) fn find(&mut self, hash: u64, key: impl Sought<K>) -> Option<Place> {
        match self {
            Self::Memory(table) => {
                let found = table.find_by(hash, |other| key.is(other));
                found.map(Place::Memory)
            }
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.find(hash, key).map(Place::Cached),
        }
    }

    /// The value at a place, to be read.
    #[inline]
    pub(crate) fn look(&self, place: Place) -> Option<&V> {
        match (self, place) {
            (Self::Memory(table), Place::Memory(slot)) => table.peek(slot),
            #[cfg(feature = "rocksdb")]
            (Self::Rocks(table), Place::Cached(at)) => table.look(at),
            #[cfg(feature = "rocksdb")]
            _ => panic!("a place of another table"),
        }
    }

    /// The value of a key, to be read while others read.
    #[inline]
    pub(crate) fn peek(&self, hash: u64, key: impl Sought<K>) -> Option<&V> {
        match self {
            Self::Memory(table) => table.peek(table.find_by(hash, |other| key.is(other))?),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.peek(hash, key),
        }
    }

    /// The entries whose hashes are in a span, and some of their neighbours, in no order.
    pub(crate) fn near(&self, span: HashSpan) -> impl Iterator<Item = (&K, &V)> {
        #[cfg(not(feature = "rocksdb"))]
        {
            let Self::Memory(table) = self;
            table.near(span)
        }
        #[cfg(feature = "rocksdb")]
        {
            let (memory, rocks) = match self {
                Self::Memory(table) => (Some(table.near(span)), None),
                Self::Rocks(table) => (None, Some(table.near(span))),
            };
            let rocks = rocks.into_iter().flatten();
            memory.into_iter().flatten().chain(rocks)
        }
    }

    /// Goes on round the table by `steps` places, of which some are empty, and shows the entries there.
    ///
    /// An entry that moves meanwhile may be left out of a round, and comes in a later one.
    pub(crate) fn walk(&self, from: &mut Walk, steps: usize, visit: impl FnMut(&K, &V)) {
        match self {
            Self::Memory(table) => table.walk(&mut from.memory, steps, visit),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.walk(&mut from.rocks, steps, visit),
        }
    }

    /// The value at a place, to be changed: the next snapshot holds it.
    ///
    /// # Panics
    ///
    /// If the table was asked for anything since it gave the place.
    #[inline]
    pub(crate) fn at(&mut self, place: Place) -> &mut V {
        match (self, place) {
            (Self::Memory(table), Place::Memory(slot)) => table.at(slot),
            #[cfg(feature = "rocksdb")]
            (Self::Rocks(table), Place::Cached(at)) => table.at(at),
            #[cfg(feature = "rocksdb")]
            _ => panic!("a place of another table"),
        }
    }

    /// The value of a key, to be read.
    #[inline]
    pub(crate) fn get(&mut self, hash: u64, key: &K) -> Option<&V> {
        either!(self, table => table.get(hash, key))
    }

    /// Changes the value of a key with something: `Err` gives it back if the key is not there.
    #[inline]
    pub(crate) fn change<X, R>(
        &mut self,
        hash: u64,
        key: &K,
        with: X,
        change: impl FnOnce(&mut V, X) -> R,
    ) -> Result<R, X> {
        either!(self, table => table.change(hash, key, with, change))
    }

    /// The value of a key, to be changed, made first if the key is new.
    #[inline]
    pub(crate) fn upsert(&mut self, hash: u64, key: &K, init: impl FnOnce() -> V) -> &mut V {
        either!(self, table => table.upsert(hash, key, init))
    }

    /// Takes in records: `change` changes the value of a key that is there, and `begin` makes the
    /// entry of one that is not. What either has to say about the record goes to `done`, with its key.
    #[inline]
    pub(crate) fn take_in<R, X, D>(
        &mut self,
        records: &mut impl Records<R>,
        open: impl Fn(R) -> (K, X),
        key_of: impl Fn(&R) -> &K,
        change: impl Fn(&mut V, X) -> D,
        begin: impl Fn(K, X) -> Begun<K, V, D>,
        done: impl FnMut(K, D),
    ) {
        match self {
            Self::Memory(table) => {
                let begin = |table: &mut KeyedTable<K, V>, hash, key, with| {
                    let begun = begin(key, with);
                    table.insert(hash, begun.key, begun.value);
                    begun.said
                };
                table.take_in(records, open, key_of, change, begin, done);
            }
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.take_in(records, open, key_of, change, begin, done),
        }
    }

    /// Readies the look-ups of these keys, as many as there is room for, all at once. The number of
    /// those that are ready is returned.
    #[inline]
    pub(crate) fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K>) -> usize
    where
        K: 'k,
    {
        match self {
            Self::Memory(_) => {
                drop(keys);
                usize::MAX
            }
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.look_ahead(keys),
        }
    }

    /// Adds a key that is not in the table.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, key: K, value: V) -> Place {
        match self {
            Self::Memory(table) => Place::Memory(table.insert(hash, key, value)),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => Place::Cached(table.insert(hash, key, value)),
        }
    }

    /// Removes a key that is there, whatever its value is.
    pub(crate) fn erase(&mut self, hash: u64, key: K) {
        match self {
            Self::Memory(table) => drop(table.remove(hash, &key)),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.erase(hash, key),
        }
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        either!(self, table => table.remove(hash, key))
    }

    /// Removes any one entry: how a window that is due is emptied, a budget at a time.
    pub(crate) fn pop(&mut self) -> Option<(K, V)> {
        either!(self, table => table.pop())
    }

    /// Gives memory back to the other tables of the stage.
    pub(crate) fn give_back(&mut self) {
        match self {
            Self::Memory(_) => {}
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.give_back(),
        }
    }

    /// Takes the image of the next snapshot. The span is returned if the image replaces what earlier
    /// snapshots hold in it.
    pub(crate) fn freeze(&mut self, scope: SnapshotScope) -> Option<HashSpan> {
        match self {
            Self::Memory(table) => table.freeze(scope),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => {
                table.freeze();
                None
            }
        }
    }

    /// Hands over about `budget` entries of the frozen image; `None` when all were handed over.
    pub(crate) fn copy_frozen(&mut self, budget: usize) -> Option<Piece<K, V>> {
        match self {
            Self::Memory(table) => table.copy_frozen(budget).map(Piece::Memory),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => table.copy_frozen(budget).map(Piece::Rocks),
        }
    }

    /// Whether any of the frozen image is still to be handed over.
    pub(crate) fn is_frozen(&self) -> bool {
        either!(self, table => table.is_frozen())
    }

    /// Forgets what the backend holds of a table that goes. The span is returned if snapshots may
    /// hold entries in it, which the next one has to take back.
    pub(crate) fn forget(&mut self) -> Option<HashSpan> {
        match self {
            Self::Memory(table) => table.stored_span(),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(table) => {
                table.forget();
                None
            }
        }
    }

    /// Puts the entries of a frame in their places.
    pub(crate) fn restore_entries(&mut self, entries: Vec<(u64, K, V)>) {
        either!(self, table => table.restore_entries(entries));
    }

    /// Takes back an entry of an earlier snapshot.
    pub(crate) fn restore_removal(&mut self, hash: u64, key: &K) {
        either!(self, table => table.restore_removal(hash, key));
    }

    /// Takes back all entries of earlier snapshots in a span.
    pub(crate) fn restore_clear(&mut self, span: HashSpan) {
        either!(self, table => table.restore_clear(span));
    }
}
