//! One of the tables of a stage that has several: its entries, its frames, and what expires in it.
//!
//! All that named states and timers ask of a table stands here.

use std::marker::PhantomData;

use crate::error::Result;
use crate::key::{Key, hash_of};

use super::compaction::TableType;
use super::frames::{Frame, Namespace, StoredTable};
use super::logic::{FrozenChunk, SnapshotScope};
use super::span::HashSpan;
use super::table::{Cursor, KeyedTable, Slot};
use super::ttl::{Lifetime, Now};
use super::types::State;

/// Places looked at for each step of cleaning up.
const STEP: usize = 128;

/// A table whose entries live as long as `L` says.
pub(crate) struct Cells<K, V: State, L: Lifetime> {
    table: KeyedTable<K, L::Cell<V>>,
    namespace: Namespace,
    pub(crate) lifetime: L,
    /// Where cleaning up goes on.
    cleaned: Cursor,
    expired: Vec<K>,
    /// When the image was frozen, if it may leave out what had expired.
    frozen_full: Option<Now>,
    values: PhantomData<fn(V)>,
}

impl<K: Key, V: State, L: Lifetime> Cells<K, V, L> {
    pub(crate) fn new(namespace: Namespace, lifetime: L) -> Self {
        Self {
            table: KeyedTable::new(),
            namespace,
            lifetime,
            cleaned: Cursor::default(),
            expired: Vec::new(),
            frozen_full: None,
            values: PhantomData,
        }
    }

    pub(crate) fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// The number of entries, with those that have expired and are not cleaned up.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The value of the key with this hash for which `is` holds.
    #[inline]
    pub(crate) fn get(&self, hash: u64, is: impl Fn(&K) -> bool, now: &Now) -> Option<&V> {
        let slot = self.table.find_by(hash, is)?;
        self.lifetime.live(self.table.peek(slot)?, now)
    }

    /// As [`get`](Self::get), to be changed.
    #[inline]
    pub(crate) fn get_mut(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        now: &Now,
    ) -> Option<&mut V> {
        let slot = self.table.find_by(hash, is)?;
        self.lifetime.live(self.table.peek(slot)?, now)?;
        Some(self.lifetime.write(self.table.at(slot), now))
    }

    /// The value of a key, to be changed, made first if there is none.
    #[inline]
    pub(crate) fn upsert(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        init: impl FnOnce() -> V,
        now: &Now,
    ) -> &mut V {
        let lifetime = self.lifetime;
        lifetime.write(self.cell(hash, is, key, init, now), now)
    }

    /// As [`upsert`](Self::upsert); it lives as long as if it had been made now.
    #[inline]
    pub(crate) fn prolong(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        init: impl FnOnce() -> V,
        now: &Now,
    ) -> &mut V {
        let lifetime = self.lifetime;
        lifetime.renew(self.cell(hash, is, key, init, now), now)
    }

    #[inline]
    fn cell(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        init: impl FnOnce() -> V,
        now: &Now,
    ) -> &mut L::Cell<V> {
        let lifetime = self.lifetime;
        let Some(slot) = self.table.find_by(hash, is) else {
            let slot = self.table.insert(hash, key(), lifetime.cell(init(), now));
            return self.table.at(slot);
        };
        let is_live = self.is_live(slot, now);
        let cell = self.table.at(slot);
        if !is_live {
            *cell = lifetime.cell(init(), now);
        }
        cell
    }

    #[inline]
    fn is_live(&self, slot: Slot, now: &Now) -> bool {
        let cell = self.table.peek(slot);
        cell.is_some_and(|cell| self.lifetime.live(cell, now).is_some())
    }

    /// Sets the value of a key, as if there had been none; returns the one before.
    #[inline]
    pub(crate) fn set(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        value: V,
        now: &Now,
    ) -> Option<V> {
        let lifetime = self.lifetime;
        let Some(slot) = self.table.find_by(hash, is) else {
            self.table.insert(hash, key(), lifetime.cell(value, now));
            return None;
        };
        let is_live = self.is_live(slot, now);
        let cell = self.table.at(slot);
        if is_live {
            return Some(std::mem::replace(lifetime.write(cell, now), value));
        }
        *cell = lifetime.cell(value, now);
        None
    }

    /// Sets the value of a key; its time begins anew.
    #[inline]
    pub(crate) fn put(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        value: V,
        now: &Now,
    ) {
        let cell = self.lifetime.cell(value, now);
        match self.table.find_by(hash, is) {
            Some(slot) => *self.table.at(slot) = cell,
            None => {
                self.table.insert(hash, key(), cell);
            }
        }
    }

    /// The value of a key, expired or not, to be changed without giving it a longer life.
    pub(crate) fn touch(&mut self, hash: u64, is: impl Fn(&K) -> bool) -> Option<&mut V> {
        let slot = self.table.find_by(hash, is)?;
        Some(L::inner(self.table.at(slot)))
    }

    /// Removes a key; returns its value unless that had expired.
    pub(crate) fn remove(&mut self, hash: u64, key: &K, now: &Now) -> Option<V> {
        let cell = self.table.remove(hash, key)?;
        self.lifetime
            .live(&cell, now)
            .is_some()
            .then(|| L::open(cell))
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
        if !L::EXPIRES || self.table.is_empty() {
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
        Some(FrozenChunk::new(move |bytes| {
            // A full snapshot replaces all before it, so that what it leaves out is gone.
            if let Some(now) = frozen_full {
                for entries in &mut piece.entries {
                    entries.retain(|(_, cell)| lifetime.live(cell, &now).is_some());
                }
            }
            piece.encode(namespace, bytes)
        }))
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
