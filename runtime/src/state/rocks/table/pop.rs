//! Emptying a table: how a window that is due fires.
//!
//! First goes what is in the cache. Then RocksDB is read in the order of its keys, a little at a time:
//! what was read moves to the cache as changed, and its range is deleted. So at each moment cache
//! and RocksDB together hold what has not been popped, and a snapshot may be taken.

use std::sync::Arc;

use rocksdb::WriteBatch;

use super::super::cache::{Change, Entry};
use super::super::encode::{behind, parse, take};
use super::super::store::of_rocksdb;
use super::{Below, RocksTable, decode};
use crate::error::Result;
use crate::key::Key;
use crate::state::State;

/// Entries that are read from RocksDB at once, at most.
const REFILL: usize = 1_024;

/// Where popping goes on.
#[derive(Default)]
pub(super) struct Popped {
    /// The next bucket to look at.
    next: usize,
    /// Buckets that were just filled.
    refilled: Vec<usize>,
    /// RocksDB holds nothing of the table before this key.
    cursor: Vec<u8>,
}

impl Popped {
    /// Entries have come, or moved.
    pub(super) fn begin_again(&mut self) {
        self.next = 0;
        self.refilled.clear();
    }

    /// Entries have gone to RocksDB, to any place.
    pub(super) fn begin_again_below(&mut self) {
        self.cursor.clear();
    }
}

impl<K: Key, V: State> RocksTable<K, V> {
    /// Removes any one entry. Not in the window.
    pub(crate) fn pop(&mut self) -> Option<(K, V)> {
        loop {
            if let Some(entry) = self.pop_cached() {
                return Some(entry);
            }
            if self.below != Below::More {
                return None;
            }
            let refilled = self.refill();
            self.store.keep(refilled)?;
        }
    }

    /// Whether there is no entry.
    pub(crate) fn is_empty(&mut self) -> bool {
        if self.live > 0 {
            return false;
        }
        let store = Arc::clone(&self.store);
        if self.below == Below::More
            && let Some(false) = store.keep(self.holds_more())
        {
            self.below = Below::Known;
        }
        self.below != Below::More
    }

    /// Whether RocksDB holds a key that the cache does not know.
    fn holds_more(&self) -> Result<bool> {
        let mut entries = self.store.db.raw_iterator();
        entries.seek(self.stored_from());
        while let Some(stored) = entries.key().filter(|key| key.starts_with(&self.prefix)) {
            let (_, hash, key) = parse(stored)?;
            if self.cache.find(hash, &take(key)?.0).is_none() {
                return Ok(true);
            }
            entries.next();
        }
        entries.status().map_err(of_rocksdb)?;
        Ok(false)
    }

    /// Where RocksDB is read from.
    fn stored_from(&self) -> &[u8] {
        if self.popped.cursor.is_empty() {
            &self.prefix
        } else {
            &self.popped.cursor
        }
    }

    fn pop_cached(&mut self) -> Option<(K, V)> {
        if self.live == 0 {
            return None;
        }
        while let Some(at) = self.popped.refilled.pop() {
            if let Some(entry) = self.take_at(at) {
                return Some(entry);
            }
        }
        while self.popped.next < self.cache.buckets() {
            let at = self.popped.next;
            self.popped.next += 1;
            if let Some(entry) = self.take_at(at) {
                return Some(entry);
            }
        }
        None
    }

    /// Takes the entry out of a bucket, if there is one that is not removed.
    fn take_at(&mut self, at: usize) -> Option<(K, V)> {
        self.cache.at(at)?.value.as_ref()?;
        let entry = self.touch(at);
        let (key, value) = (entry.key.clone(), entry.value.take()?);
        self.live -= 1;
        if self.below == Below::Nothing {
            self.cache.remove(at);
        }
        Some((key, value))
    }

    /// Moves the next entries of RocksDB to the cache.
    fn refill(&mut self) -> Result<()> {
        let most = REFILL.min(self.block());
        self.make_room(most);
        let store = Arc::clone(&self.store);
        let begin = self.stored_from().to_vec();
        let mut entries = store.db.raw_iterator();
        entries.seek(&begin);
        let mut refilled = Vec::new();
        let mut end = behind(&self.prefix);
        let mut more = false;
        while let Some((stored, value)) = entries
            .item()
            .filter(|(key, _)| key.starts_with(&self.prefix))
        {
            if refilled.len() == most {
                (end, more) = (stored.to_vec(), true);
                break;
            }
            let (_, hash, key) = parse(stored)?;
            let key = take(key)?.0;
            if let Some(at) = self.cache.find(hash, &key) {
                // The cache knows better; what it has must not count as known to RocksDB.
                self.touch(at);
            } else {
                let entry = Entry {
                    key,
                    value: Some(decode(value, self.extra)?),
                    change: Change::In(self.mark),
                    recent: true.into(),
                };
                refilled.push(self.cache.place(hash, entry));
                self.live += 1;
                self.changed = true;
            }
            entries.next();
        }
        entries.status().map_err(of_rocksdb)?;
        drop(entries);
        let mut batch = WriteBatch::default();
        batch.delete_range(begin, end.clone());
        store.write(batch)?;
        self.popped.refilled = refilled;
        self.popped.cursor = end;
        self.below = if more { Below::More } else { Below::Known };
        self.account();
        Ok(())
    }
}
