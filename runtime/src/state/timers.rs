//! Timers of keys, in event time and in processing time.
//!
//! A timer is an entry of a table like any state, under its key, its kind and its time: so two equal
//! ones are one, and they stand in snapshots. Beside the table stands an index in the order of time,
//! which is made from it after a restore.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::key::{Key, hash_of};

use super::backend::StageBackend;
use super::cells::Cells;
use super::compaction::TableType;
use super::frames::{Namespace, StoredTable};
use super::logic::{FrozenChunk, SnapshotScope};
use super::part::{Part, part_hash};
use super::span::HashSpan;
use super::ttl::{Forever, Now};

/// The clock of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// It is due when the watermark reaches its time.
    Event,
    /// It is due when the clock reaches its time.
    Processing,
}

/// A timer that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The time for which it was set, in milliseconds since the Unix epoch.
    pub time: i64,
    /// The clock for which it was set.
    pub kind: TimerKind,
}

/// As it stands in the table: false for event time, and the time.
type Place = (bool, i64);

impl Timer {
    const fn place(self) -> Place {
        (matches!(self.kind, TimerKind::Processing), self.time)
    }
}

/// The timers of all keys.
pub(crate) struct Timers<K> {
    cells: Cells<Part<K, Place>, (), Forever>,
    due: Due<K>,
    /// Whether the index is that of the table.
    is_indexed: bool,
}

/// The timers of each kind, by time and then by the hash of their key.
struct Due<K> {
    event_time: Times<K>,
    processing: Times<K>,
}

struct Times<K>(BTreeMap<(i64, u64), Same<K>>);

/// Keys of one hash: one, but for an accident.
enum Same<K> {
    One(K),
    Many(Vec<K>),
}

/// Nothing of timers expires.
const ANY: Now = Now {
    processing: 0,
    watermark: 0,
    event_time: 0,
};

impl<K: Key> Timers<K> {
    pub(crate) fn new() -> Self {
        Self {
            cells: Cells::new(Namespace::Timers, Forever),
            due: Due::new(),
            is_indexed: true,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Sets a timer, unless it is set.
    pub(crate) fn set(&mut self, hash: u64, key: &K, timer: Timer) {
        self.index();
        if self.due.of(timer.kind).add(timer.time, hash, key) {
            let part = Part::new(key.clone(), timer.place());
            self.cells.add(hash_of(&part), part, (), &ANY);
        }
    }

    /// Takes a timer back, if it is set.
    pub(crate) fn delete(&mut self, hash: u64, key: &K, timer: Timer) {
        self.index();
        if self.due.of(timer.kind).take(timer.time, hash, key) {
            self.forget(hash, key.clone(), timer);
        }
    }

    /// Takes the first timer of a kind that is due at `at`, with its key and the key's hash.
    pub(crate) fn pop(&mut self, kind: TimerKind, at: i64) -> Option<(Timer, u64, K)> {
        self.index();
        let (time, hash, key) = self.due.of(kind).pop(at)?;
        let timer = Timer { time, kind };
        self.forget(hash, key.clone(), timer);
        Some((timer, hash, key))
    }

    /// When the first timer of a kind is due.
    pub(crate) fn first(&mut self, kind: TimerKind) -> Option<i64> {
        self.index();
        self.due.of(kind).0.keys().next().map(|(time, _)| *time)
    }

    fn forget(&mut self, hash: u64, key: K, timer: Timer) {
        let place = timer.place();
        let part = Part::new(key, place);
        self.cells.erase(part_hash(hash, &place), part);
    }

    /// Says where the timers are kept, before any is set.
    pub(crate) fn open(&mut self, backend: &StageBackend) {
        self.cells.open(backend);
    }

    /// Goes on with what the backend holds already.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.cells.resume()?;
        self.is_indexed = true;
        let due = &mut self.due;
        self.cells.for_each_stored(|part| due.note(&part))
    }

    /// Makes the index anew after a restore.
    fn index(&mut self) {
        if self.is_indexed {
            return;
        }
        self.is_indexed = true;
        self.due = Due::new();
        for part in self.cells.keys_near(HashSpan::ALL) {
            self.due.note(part);
        }
    }

    pub(crate) fn give_back(&mut self) {
        self.cells.give_back();
    }

    pub(crate) fn freeze(
        &mut self,
        scope: SnapshotScope,
        cleared: &mut Vec<(Namespace, HashSpan)>,
    ) {
        self.cells.freeze(scope, &ANY, cleared);
    }

    pub(crate) fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        self.cells.copy_frozen(budget)
    }

    pub(crate) fn table_type(&self) -> (Namespace, TableType) {
        self.cells.table_type()
    }

    pub(crate) fn restore(&mut self, stored: StoredTable<'_>, owned: HashSpan) -> Result<()> {
        self.is_indexed = false;
        self.cells.restore(stored, owned)
    }
}

impl<K> Due<K> {
    const fn new() -> Self {
        Self {
            event_time: Times(BTreeMap::new()),
            processing: Times(BTreeMap::new()),
        }
    }

    const fn of(&mut self, kind: TimerKind) -> &mut Times<K> {
        match kind {
            TimerKind::Event => &mut self.event_time,
            TimerKind::Processing => &mut self.processing,
        }
    }
}

impl<K: Key> Due<K> {
    /// Adds a timer as it stands in the table.
    fn note(&mut self, timer: &Part<K, Place>) {
        let (processing, time) = *timer.part();
        let kind = if processing {
            TimerKind::Processing
        } else {
            TimerKind::Event
        };
        let key = timer.key();
        self.of(kind).add(time, hash_of(key), key);
    }
}

impl<K: Key> Times<K> {
    /// Adds a timer; false if it is there.
    fn add(&mut self, time: i64, hash: u64, key: &K) -> bool {
        let Some(same) = self.0.get_mut(&(time, hash)) else {
            self.0.insert((time, hash), Same::One(key.clone()));
            return true;
        };
        match same {
            Same::One(other) if other == key => false,
            Same::One(other) => {
                *same = Same::Many(vec![other.clone(), key.clone()]);
                true
            }
            Same::Many(others) if others.contains(key) => false,
            Same::Many(others) => {
                others.push(key.clone());
                true
            }
        }
    }

    /// Takes a timer out; false if it is not there.
    fn take(&mut self, time: i64, hash: u64, key: &K) -> bool {
        let at = (time, hash);
        match self.0.get_mut(&at) {
            None => false,
            Some(Same::One(other)) => {
                let is_it = other == key;
                if is_it {
                    self.0.remove(&at);
                }
                is_it
            }
            Some(Same::Many(others)) => {
                let found = others.iter().position(|other| other == key);
                found.map(|position| others.remove(position));
                if others.is_empty() {
                    self.0.remove(&at);
                }
                found.is_some()
            }
        }
    }

    /// Takes the first timer out, if it is due at `at`.
    fn pop(&mut self, at: i64) -> Option<(i64, u64, K)> {
        let first = self.0.first_entry()?;
        let (time, hash) = *first.key();
        if time > at {
            return None;
        }
        let key = match first.remove() {
            Same::One(key) => key,
            Same::Many(mut keys) => {
                let key = keys.remove(0);
                if !keys.is_empty() {
                    self.0.insert((time, hash), Same::Many(keys));
                }
                key
            }
        };
        Some((time, hash, key))
    }
}
