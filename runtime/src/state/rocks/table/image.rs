//! The frozen image of a table on its way to RocksDB, and what is restored into one.

use std::sync::Arc;

use rocksdb::WriteBatch;

use super::super::cache::{Change, Entry};
use super::super::changes::Changes;
use super::super::encode::{parse, put_key, range_of, take};
use super::super::store::{Store, of_rocksdb};
use super::{Below, RocksTable, decode};
use crate::error::Result;
use crate::key::Key;
use crate::state::State;
use crate::state::span::HashSpan;
use crate::state::tables::Extra;

/// Buckets that are looked at for each entry of the budget.
const LOOKS: usize = 16;

/// What of a frozen image is still to be handed over.
pub(super) struct Frozen<K, V> {
    /// The mark whose changes are the image.
    mark: u32,
    /// The next bucket to look at; `None` if all were.
    next: Option<usize>,
    /// Copied before a change, not yet handed over.
    copied: Vec<(K, Option<V>)>,
}

impl<K: Key, V: State> Frozen<K, V> {
    pub(super) const fn nothing() -> Self {
        Self {
            mark: 0,
            next: None,
            copied: Vec::new(),
        }
    }

    /// Whether an entry that changed then has still to be handed over.
    pub(super) fn holds(&self, change: Change) -> bool {
        self.next.is_some() && change == Change::In(self.mark)
    }

    /// Copies an entry that is about to change.
    pub(super) fn copy(&mut self, entry: &Entry<K, V>) {
        self.copied.push((entry.key.clone(), entry.value.clone()));
    }

    /// Entries have moved; those that were handed over say so themselves.
    pub(super) fn begin_again(&mut self) {
        self.next = self.next.map(|_| 0);
    }

    fn is_done(&self) -> bool {
        self.next.is_none() && self.copied.is_empty()
    }
}

/// Some of a frozen table, to be written to RocksDB on another thread.
pub(crate) struct RocksPiece<K, V> {
    store: Arc<Store>,
    prefix: Vec<u8>,
    extra: Option<Extra<V>>,
    entries: Vec<(K, Option<V>)>,
}

impl<K: Key, V: State> RocksPiece<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Writes the piece. The cache takes it for written from here on: an error ends the job.
    pub(crate) fn write(self) -> Result<()> {
        let written = self.try_write();
        if let Err(error) = &written {
            self.store.fail(error.clone());
        }
        written
    }

    fn try_write(&self) -> Result<()> {
        let mut changes = Changes::default();
        for (key, value) in &self.entries {
            changes.push(&self.prefix, (key, value.as_ref()), self.extra)?;
        }
        self.store.write(changes.in_order())
    }
}

impl<K: Key, V: State> RocksTable<K, V> {
    /// Takes the image of the next snapshot: all that RocksDB does not know.
    pub(crate) fn freeze(&mut self) {
        assert!(
            !self.is_frozen(),
            "frozen again before the image before was handed over"
        );
        if std::mem::take(&mut self.changed) {
            self.frozen.mark = self.mark;
            self.frozen.next = Some(0);
            self.below = self.below.max(Below::Known);
        }
        self.mark += 1;
    }

    /// Hands over about `budget` entries of the frozen image; `None` when all were handed over.
    pub(crate) fn copy_frozen(&mut self, budget: usize) -> Option<RocksPiece<K, V>> {
        if self.frozen.is_done() {
            return None;
        }
        let budget = self.piece(budget.max(1));
        let mut entries = std::mem::take(&mut self.frozen.copied);
        let buckets = self.cache.buckets();
        let mut looks = budget.saturating_mul(LOOKS);
        while let Some(at) = self.frozen.next
            && entries.len() < budget
            && looks > 0
        {
            self.frozen.next = (at + 1 < buckets).then_some(at + 1);
            looks -= 1;
            if let Some(entry) = self.cache.at(at)
                && entry.change == Change::In(self.frozen.mark)
            {
                entries.push((entry.key.clone(), entry.value.clone()));
                entry.change = Change::HandedOver(self.frozen.mark);
            }
        }
        Some(RocksPiece {
            store: Arc::clone(&self.store),
            prefix: self.prefix.clone(),
            extra: self.extra,
            entries,
        })
    }

    /// Whether any of the frozen image is still to be handed over.
    pub(crate) fn is_frozen(&self) -> bool {
        !self.frozen.is_done()
    }

    /// Puts entries of a snapshot in their places.
    pub(crate) fn restore_entries(&mut self, entries: Vec<(u64, K, V)>) {
        self.below = Below::More;
        let piece = RocksPiece {
            store: Arc::clone(&self.store),
            prefix: self.prefix.clone(),
            extra: self.extra,
            entries: entries
                .into_iter()
                .map(|(_, key, value)| (key, Some(value)))
                .collect(),
        };
        // An error is kept by the store.
        let _ = piece.write();
    }

    /// Takes back an entry of an earlier snapshot.
    pub(crate) fn restore_removal(&mut self, hash: u64, key: &K) {
        let mut bytes = Vec::new();
        let mut batch = WriteBatch::default();
        let encoded = put_key(&self.prefix, hash, key, &mut bytes);
        batch.delete(&bytes);
        self.store
            .keep(encoded.and_then(|()| self.store.write(batch)));
    }

    /// Takes back all entries of earlier snapshots in a span.
    pub(crate) fn restore_clear(&mut self, span: HashSpan) {
        let (first, end) = range_of(&self.prefix, span);
        let mut batch = WriteBatch::default();
        batch.delete_range(first, end);
        self.store.keep(self.store.write(batch));
    }

    /// Goes through all that RocksDB holds of the table; before anything is in the cache.
    pub(crate) fn for_each_stored(&self, mut apply: impl FnMut(K, V)) -> Result<()> {
        let mut entries = self.store.db.raw_iterator();
        entries.seek(&self.prefix);
        while let Some((key, value)) = entries
            .item()
            .filter(|(key, _)| key.starts_with(&self.prefix))
        {
            let (_, _, key) = parse(key)?;
            apply(take(key)?.0, decode(value, self.extra)?);
            entries.next();
        }
        entries.status().map_err(of_rocksdb)
    }
}
