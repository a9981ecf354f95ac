//! One of the tables of a stage that has several: its entries, its frames, and what expires in it.
//!
//! All that named states and timers ask of a table stands here.

use std::marker::PhantomData;

use crate::error::Result;
use crate::key::{Key, hash_of};

use super::accessors::Known;
use super::backend::StageBackend;
use super::compaction::TableType;
use super::frames::{Frame, Namespace, StoredTable};
use super::logic::{FrozenChunk, SnapshotScope};
use super::span::HashSpan;
use super::tables::{Place, Sought, StateTable, Walk};
use super::ttl::{Lifetime, Now};
use super::types::State;

/// Places looked at for each step of cleaning up.
const STEP: usize = 128;

/// A table whose entries live as long as `L` says.
pub(crate) struct Cells<K, V: State, L: Lifetime> {
    table: StateTable<K, L::Cell<V>>,
    namespace: Namespace,
    pub(crate) lifetime: L,
    /// Where cleaning up goes on.
    cleaned: Walk,
    expired: Vec<K>,
    /// When the image was frozen, if it may leave out what had expired.
    frozen_full: Option<Now>,
    values: PhantomData<fn(V)>,
}

impl<K: Key, V: State, L: Lifetime> Cells<K, V, L> {
    pub(crate) fn new(namespace: Namespace, lifetime: L) -> Self {
        Self {
            table: StateTable::new(&StageBackend::default(), namespace),
            namespace,
            lifetime,
            cleaned: Walk::default(),
            expired: Vec::new(),
            frozen_full: None,
            values: PhantomData,
        }
    }

    /// Says where the table is kept, before anything else.
    pub(crate) fn open(&mut self, backend: &StageBackend) {
        self.table = StateTable::new(backend, self.namespace);
    }

    /// Goes on with what the backend holds already.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.table.resume()
    }

    /// As [`resume`](Self::resume), if this is the table.
    pub(crate) fn resume_if(&mut self, namespace: Namespace) -> Result<Known> {
        if namespace != self.namespace {
            return Ok(Known::No);
        }
        self.resume().map(|()| Known::Yes)
    }

    /// Goes through the keys that the backend holds already, before anything has changed.
    pub(crate) fn for_each_stored(&self, mut apply: impl FnMut(K)) -> Result<()> {
        self.table.for_each_stored(|key, _| apply(key))
    }

    /// Readies the look-ups of these keys; returns of how many.
    #[inline]
    pub(crate) fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K>) -> usize
    where
        K: 'k,
    {
        self.table.look_ahead(keys)
    }

    pub(crate) fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// The number of entries, with those that have expired and are not cleaned up.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn get(&self, hash: u64, key: impl Sought<K>, now: &Now) -> Option<&V> {
        self.lifetime.live(self.table.peek(hash, key)?, now)
    }

    /// As [`get`](Self::get), to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, hash: u64, key: impl Sought<K>, now: &Now) -> Option<&mut V> {
        let place = self.table.find(hash, key)?;
        self.lifetime.live(self.table.look(place)?, now)?;
        Some(self.lifetime.write(self.table.at(place), now))
    }

    /// The value of a key, to be changed, made first if there is none.
    #[inline]
    pub(crate) fn upsert(
        &mut self,
        hash: u64,
        key: impl Sought<K>,
        init: impl FnOnce() -> V,
        now: &Now,
    ) -> &mut V {
        let lifetime = self.lifetime;
        lifetime.write(self.cell(hash, key, init, now), now)
    }

    /// As [`upsert`](Self::upsert); it lives as long as if it had been made now.
    #[inline]
    pub(crate) fn prolong(
        &mut self,
        hash: u64,
        key: impl Sought<K>,
        init: impl FnOnce() -> V,
        now: &Now,
    ) -> &mut V {
        let lifetime = self.lifetime;
        lifetime.renew(self.cell(hash, key, init, now), now)
    }

    #[inline]
    fn cell(
        &mut self,
        hash: u64,
        key: impl Sought<K>,
        init: impl FnOnce() -> V,
        now: &Now,
    ) -> &mut L::Cell<V> {
        let lifetime = self.lifetime;
        let Some(place) = self.table.find(hash, key) else {
            let cell = lifetime.cell(init(), now);
            let place = self.table.insert(hash, key.to_key(), cell);
            return self.table.at(place);
        };
        let is_live = self.is_live(place, now);
        let cell = self.table.at(place);
        if !is_live {
            *cell = lifetime.cell(init(), now);
        }
        cell
    }

    #[inline]
    fn is_live(&self, place: Place, now: &Now) -> bool {
        let cell = self.table.look(place);
        cell.is_some_and(|cell| self.lifetime.live(cell, now).is_some())
    }

    /// Sets the value of a key, as if there had been none; returns the one before.
    #[inline]
    pub(crate) fn set(&mut self, hash: u64, key: impl Sought<K>, value: V, now: &Now) -> Option<V> {
        let lifetime = self.lifetime;
        let Some(place) = self.table.find(hash, key) else {
            self.add(hash, key.to_key(), value, now);
            return None;
        };
        let is_live = self.is_live(place, now);
        let cell = self.table.at(place);
        if is_live {
            return Some(std::mem::replace(lifetime.write(cell, now), value));
        }
        *cell = lifetime.cell(value, now);
        None
    }

    /// Sets the value of a key; its time begins anew.
    #[inline]
    pub(crate) fn put(&mut self, hash: u64, key: impl Sought<K>, value: V, now: &Now) {
        match self.table.find(hash, key) {
            Some(place) => *self.table.at(place) = self.lifetime.cell(value, now),
            None => self.add(hash, key.to_key(), value, now),
        }
    }

    /// Adds a key that is not in the table.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, key: K, value: V, now: &Now) {
        self.table.insert(hash, key, self.lifetime.cell(value, now));
    }

    /// The value of a key, expired or not, to be changed without giving it a longer life.
    pub(crate) fn touch(&mut self, hash: u64, key: impl Sought<K>) -> Option<&mut V> {
        let place = self.table.find(hash, key)?;
        Some(L::inner(self.table.at(place)))
    }

    /// Removes a key; returns its value unless that had expired.
    pub(crate) fn remove(&mut self, hash: u64, key: &K, now: &Now) -> Option<V> {
        let cell = self.table.remove(hash, key)?;
        self.lifetime
            .live(&cell, now)
            .is_some()
            .then(|| L::open(cell))
    }

    /// Removes a key that is there, whatever its value is.
    pub(crate) fn erase(&mut self, hash: u64, key: K) {
        self.table.erase(hash, key);
    }

    /// The keys and values in a span of hashes, with some of their neighbours.
    pub(crate) fn near(&self, span: HashSpan, now: &Now) -> impl Iterator<Item = (&K, &V)> {
        let (lifetime, now) = (self.lifetime, *now);
        self.table
            .near(span)
            .filter_map(move |(key, cell)| Some((key, lifetime.live(cell, &now)?)))
    }

    /// The keys in a span of hashes, also of what has expired, with some of their neighbours.
    pub(crate) fn keys_near(&self, span: HashSpan) -> impl Iterator<Item = &K> {
        self.table.near(span).map(|(key, _)| key)
    }

    /// Removes what has expired from a few places, and goes on behind them next time.
    pub(crate) fn clean_up(&mut self, now: &Now) {
        if !L::EXPIRES {
            return;
        }
        let (lifetime, expired) = (self.lifetime, &mut self.expired);
        self.table.walk(&mut self.cleaned, STEP, |key, cell| {
            if lifetime.live(cell, now).is_none() {
                expired.push(key.clone());
            }
        });
        for key in self.expired.drain(..) {
            self.table.remove(hash_of(&key), &key);
        }
    }

    /// Gives memory back to the other tables of the stage.
    pub(crate) fn give_back(&mut self) {
        self.table.give_back();
    }

    pub(crate) fn freeze(
        &mut self,
        scope: SnapshotScope,
        now: &Now,
        cleared: &mut Vec<(Namespace, HashSpan)>,
    ) {
        self.frozen_full = (L::EXPIRES && scope == SnapshotScope::Full).then_some(*now);
        let span = self.table.freeze(scope);
        cleared.extend(span.map(|span| (self.namespace, span)));
    }

    pub(crate) fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        let mut piece = self.table.copy_frozen(budget)?;
        let (namespace, lifetime, frozen_full) = (self.namespace, self.lifetime, self.frozen_full);
        let size = piece.size();
        let chunk = FrozenChunk::new(move |bytes| {
            // A full snapshot replaces all before it, so that what it leaves out is gone.
            if let Some(now) = frozen_full {
                piece.retain(|cell| lifetime.live(cell, &now).is_some());
            }
            piece.encode(namespace, bytes)
        });
        Some(chunk.of_size(size))
    }

    /// The table, with the types that its snapshots hold.
    pub(crate) fn table_type(&self) -> (Namespace, TableType) {
        (self.namespace, TableType::of::<K, L::Cell<V>>())
    }

    /// Takes in a frame of this table.
    pub(crate) fn restore(&mut self, stored: StoredTable<'_>, owned: HashSpan) -> Result<()> {
        match stored.decode(owned)? {
            Frame::Watermark(_) => {}
            Frame::Clear(_, span) => self.table.restore_clear(span),
            Frame::Removed(_, keys) => keys
                .iter()
                .for_each(|(hash, key)| self.table.restore_removal(*hash, key)),
            Frame::Entries(_, entries) => self.table.restore_entries(entries),
        }
        Ok(())
    }
}
