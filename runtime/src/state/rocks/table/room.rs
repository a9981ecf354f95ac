//! The memory of a table: what its cache may take, and who goes when it is full.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::cache::{Change, Entry};
use super::super::changes::Changes;
use super::{Below, RocksTable};
use crate::error::Result;
use crate::key::Key;
use crate::state::State;

/// Bytes of changes that are written to RocksDB at once, about.
const WRITTEN: usize = 1 << 20;
/// Pieces of a frozen image together take about a quarter of the budget, as so many may be on their way.
const PIECES: usize = 64;
/// Where an entry is evicted, this part of the cache is.
const TOGETHER: usize = 128;
/// Buckets that are looked at for a sample.
const SAMPLED: usize = 64;

/// Records that are taken in at once, at most and at least.
const BLOCK: std::ops::RangeInclusive<usize> = 16..=4_096;

impl<K: Key, V: State> RocksTable<K, V> {
    /// How many records are taken in at once: few, where the cache is small.
    pub(super) fn block(&self) -> usize {
        (self.store.budget() / 4 / self.cost()).clamp(*BLOCK.start(), *BLOCK.end())
    }

    /// The entries of a piece of the frozen image: as many as asked for, unless they are large.
    pub(super) fn piece(&self, wanted: usize) -> usize {
        let most = self.store.budget() / PIECES / self.cost();
        wanted.min(most.max(*BLOCK.start()))
    }

    /// Makes room for entries, by evicting others where the budget is used up. What is within the table's
    /// share stays, if other tables hold more than theirs: they are asked for it.
    pub(super) fn make_room(&mut self, count: usize) {
        self.sample(count);
        let cost = self.cost();
        let excess = self.store.excess(count * cost) / cost;
        let beyond = self.beyond(self.store.share(), count);
        if beyond < excess {
            self.store.press();
        }
        self.evict_some(excess.min(beyond));
        if !self.cache.has_room(count) {
            self.cache.make_room(count);
            self.frozen.begin_again();
            self.popped.begin_again();
        }
        self.account();
    }

    /// How many entries the table holds beyond so many bytes, if so many more come.
    fn beyond(&self, bytes: usize, coming: usize) -> usize {
        (self.cache.len() + coming).saturating_sub(bytes / self.cost())
    }

    /// Gives memory back to the other tables of the stage, a little at a time: what is beyond the table's
    /// share, or all of it if nobody has asked the table for anything for a whole round.
    pub(crate) fn give_back(&mut self) {
        let round = self.store.round();
        if self.asked.take() {
            self.asked_in = round;
        }
        let keeps = if self.asked_in == round {
            self.store.share()
        } else {
            0
        };
        let beyond = self.beyond(keeps, 0);
        let most = 4 * self.block();
        self.evict_some(beyond.min(most));
        if beyond > most {
            self.store.press();
        }
        self.account();
    }

    /// Evicts so many entries, or a few more, so that they are written to RocksDB together.
    fn evict_some(&mut self, count: usize) {
        let most = self.cache.len().saturating_sub(*BLOCK.start());
        if count == 0 || most == 0 {
            return;
        }
        let count = count.max(self.cache.len() / TOGETHER).min(most);
        let store = Arc::clone(&self.store);
        store.keep(self.evict(count));
        store.evicted(count * self.cost());
    }

    /// Whether so many entries fit beside all that is there.
    pub(super) fn fits(&self, count: usize) -> bool {
        self.store.excess(count * self.cost()) == 0
    }

    /// Evicts about `count` entries that were not looked at for the longest time.
    fn evict(&mut self, mut count: usize) -> Result<()> {
        let settled = self.store.is_settled();
        self.stuck &= !settled;
        if self.stuck {
            return Ok(());
        }
        let mut changes = Changes::default();
        let mut steps = 2 * self.cache.buckets();
        while count > 0 && steps > 0 {
            steps -= 1;
            let at = self.cache.turn();
            let Some(entry) = self.cache.at(at) else {
                continue;
            };
            if entry.recent.take() {
                continue;
            }
            if !is_known(entry.change, self.mark, settled) {
                if !settled {
                    continue;
                }
                let change = (&entry.key, entry.value.as_ref());
                changes.push(&self.prefix, change, self.extra)?;
                if changes.len() >= WRITTEN {
                    let full = std::mem::take(&mut changes);
                    self.store.write(full.in_order())?;
                }
                self.below = self.below.max(Below::Known);
            }
            let Some(evicted) = self.cache.remove(at) else {
                continue;
            };
            if evicted.value.is_some() {
                self.live -= 1;
                self.below = Below::More;
                self.popped.begin_again_below();
            }
            count -= 1;
        }
        self.stuck = count > 0 && !settled;
        self.store.write(changes.in_order())
    }

    /// Bytes that an entry in the cache takes, about.
    fn cost(&self) -> usize {
        let flat = size_of::<Entry<K, V>>() * 3 / 2;
        if std::mem::needs_drop::<(K, V)>() {
            flat + 32 + 2 * self.encoded
        } else {
            flat
        }
    }

    /// Looks how long some entry is, each time that so many have come as are taken in at once at least.
    /// What is in the cache may have grown since it came, and none of it may ever have been encoded.
    fn sample(&mut self, coming: usize) {
        if !std::mem::needs_drop::<(K, V)>() {
            return;
        }
        self.unsampled += coming;
        if self.unsampled < *BLOCK.start() && self.encoded > 0 {
            return;
        }
        self.unsampled = 0;
        let buckets = self.cache.buckets();
        for _ in 0..SAMPLED.min(buckets) {
            self.sampled = (self.sampled + 1) % buckets;
            if let Some(entry) = self.cache.pass(self.sampled) {
                let mut one = Changes::default();
                let entry = (&entry.key, entry.value.as_ref());
                if one.push(&self.prefix, entry, self.extra).is_ok() {
                    self.saw(one.len());
                }
                return;
            }
        }
    }

    /// Notes the length of an encoded entry.
    pub(super) fn saw(&mut self, encoded: usize) {
        self.encoded = if self.encoded == 0 {
            encoded
        } else {
            (self.encoded * 15 + encoded) / 16
        };
    }

    /// Tells the store how much the cache takes.
    pub(super) fn account(&mut self) {
        let now = self.cache.len() * self.cost();
        let used = &self.store.used;
        let in_use = &self.store.in_use;
        match (self.accounted, now) {
            (0, 1..) => drop(in_use.fetch_add(1, Ordering::Relaxed)),
            (1.., 0) => drop(in_use.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if now >= self.accounted {
            used.fetch_add(now - self.accounted, Ordering::Relaxed);
        } else {
            used.fetch_sub(self.accounted - now, Ordering::Relaxed);
        }
        self.accounted = now;
    }
}

impl<K, V> Drop for RocksTable<K, V> {
    fn drop(&mut self) {
        self.store.used.fetch_sub(self.accounted, Ordering::Relaxed);
        if self.accounted > 0 {
            self.store.in_use.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whether RocksDB has an entry as it is: in the window, what is on its way has not arrived.
fn is_known(change: Change, mark: u32, settled: bool) -> bool {
    match change {
        Change::None => true,
        Change::In(_) => false,
        Change::HandedOver(with) => settled || with + 1 < mark,
    }
}
