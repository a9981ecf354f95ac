//! One window with its keys: what has not fired, and what has fired and may fire again.
//!
//! Firing takes entries out of `waiting`, so that what is left there is exactly what has still to
//! fire, also in a snapshot taken in the middle. With allowed lateness they go on in `fired`.

use std::collections::BTreeMap;

use crate::key::{Key, hash_of};
use crate::record::{Rec, Timed, Unkeyed, Windowed};
use crate::state::frames::Namespace;
use crate::state::span::HashSpan;
use crate::state::{StageBackend, State, StateTable};

use super::aggregator::Aggregator;

/// A window on the grid, and its keys.
pub(super) struct Pane<K, A> {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) waiting: StateTable<K, A>,
    pub(super) fired: StateTable<K, A>,
}

impl<K: Key, A: State> Pane<K, A> {
    fn new(backend: &StageBackend, start: i64, end: i64) -> Self {
        Self {
            start,
            end,
            waiting: StateTable::new(backend, Namespace::Waiting(end)),
            fired: StateTable::new(backend, Namespace::Fired(end)),
        }
    }

    /// What a slot holds while no window has it.
    fn vacant() -> Self {
        Self::new(&StageBackend::default(), 0, 0)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.fired.len()
    }

    fn is_empty(&mut self) -> bool {
        self.waiting.is_empty() && self.fired.is_empty()
    }

    /// Adds a record to a window that is not due.
    pub(super) fn add<T, G: Aggregator<T, Acc = A>>(&mut self, aggregator: &G, key: &K, value: &T) {
        let hash = hash_of(key);
        if let Some(place) = self.waiting.find(hash, key) {
            aggregator.add_shared(self.waiting.at(place), value);
        } else {
            self.waiting
                .insert(hash, key.clone(), aggregator.first_shared(value));
        }
    }

    /// Adds a late but allowed record. Its window fires again at once, unless it is still to fire.
    pub(super) fn add_due<T, G: Aggregator<T, Acc = A>>(
        &mut self,
        aggregator: &G,
        key: &K,
        value: &T,
    ) -> Option<Rec<Unkeyed, Timed, Windowed<K, G::Out>>> {
        let hash = hash_of(key);
        if let Some(place) = self.fired.find(hash, key) {
            aggregator.add_shared(self.fired.at(place), value);
        } else if self.waiting.is_empty() {
            self.fired
                .insert(hash, key.clone(), aggregator.first_shared(value));
        } else {
            // The rest of the window is about to fire, and so is this.
            self.add(aggregator, key, value);
            return None;
        }
        let acc = self.fired.get(hash, key);
        let value = aggregator.finish(acc.expect("it was found or inserted above"));
        Some(self.result(key.clone(), value))
    }

    /// The record that says what the window made of a key's records.
    pub(super) fn result<V>(&self, key: K, value: V) -> Rec<Unkeyed, Timed, Windowed<K, V>> {
        let windowed = Windowed {
            key,
            start: self.start,
            end: self.end,
            value,
        };
        Rec {
            key: Unkeyed,
            time: Timed(self.end.saturating_sub(1)),
            value: windowed,
        }
    }

    /// The two tables, each with its name in snapshots.
    pub(super) fn tables(&mut self) -> [(Namespace, &mut StateTable<K, A>); 2] {
        [
            (Namespace::Waiting(self.end), &mut self.waiting),
            (Namespace::Fired(self.end), &mut self.fired),
        ]
    }
}

/// The open windows, by their ends; each has a slot for as long as it is open.
pub(super) struct Panes<K, A> {
    backend: StageBackend,
    slots: Vec<Pane<K, A>>,
    vacant: Vec<usize>,
    by_end: BTreeMap<i64, usize>,
    /// Tables of closed windows of which a frozen image holds something not yet copied.
    closed: Vec<(Namespace, StateTable<K, A>)>,
    /// What the next increment has to take back of closed windows.
    cleared: Vec<(Namespace, HashSpan)>,
}

impl<K: Key, A: State> Panes<K, A> {
    pub(super) fn new(backend: StageBackend) -> Self {
        Self {
            backend,
            slots: Vec::new(),
            vacant: Vec::new(),
            by_end: BTreeMap::new(),
            closed: Vec::new(),
            cleared: Vec::new(),
        }
    }

    pub(super) fn backend(&self) -> &StageBackend {
        &self.backend
    }

    pub(super) fn len(&self) -> usize {
        self.iter().map(Pane::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pane<K, A>> {
        self.by_end.values().map(|slot| &self.slots[*slot])
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pane<K, A>> {
        // Vacant slots hold empty tables, of which nothing is written.
        self.slots.iter_mut()
    }

    /// The least end of an open window from `first` to `last`.
    pub(super) fn first_end(&self, first: i64, last: i64) -> Option<i64> {
        self.by_end
            .range(first..)
            .next()
            .map(|(end, _)| *end)
            .filter(|end| *end <= last)
    }

    #[inline]
    pub(super) fn at(&mut self, slot: usize) -> &mut Pane<K, A> {
        &mut self.slots[slot]
    }

    pub(super) fn get(&mut self, end: i64) -> Option<&mut Pane<K, A>> {
        self.by_end.get(&end).map(|slot| &mut self.slots[*slot])
    }

    /// The slot of the window that ends at `end`, opened first if need be.
    pub(super) fn open(&mut self, start: i64, end: i64) -> usize {
        *self.by_end.entry(end).or_insert_with(|| {
            let pane = Pane::new(&self.backend, start, end);
            if let Some(slot) = self.vacant.pop() {
                self.slots[slot] = pane;
                return slot;
            }
            self.slots.push(pane);
            self.slots.len() - 1
        })
    }

    /// Closes a window for good: no record comes to it any more.
    pub(super) fn close(&mut self, end: i64) {
        let Some(slot) = self.by_end.remove(&end) else {
            return;
        };
        self.vacant.push(slot);
        let pane = std::mem::replace(&mut self.slots[slot], Pane::vacant());
        for (namespace, mut table) in [
            (Namespace::Waiting(end), pane.waiting),
            (Namespace::Fired(end), pane.fired),
        ] {
            self.cleared
                .extend(table.forget().map(|span| (namespace, span)));
            if table.is_frozen() {
                self.closed.push((namespace, table));
            }
        }
    }

    /// What the next increment has to take back of the windows closed since the last.
    pub(super) fn take_cleared(&mut self) -> Vec<(Namespace, HashSpan)> {
        std::mem::take(&mut self.cleared)
    }

    /// The tables of closed windows of which something is still to be copied.
    pub(super) fn closed(&mut self) -> &mut Vec<(Namespace, StateTable<K, A>)> {
        &mut self.closed
    }

    /// Forgets a window that a restore has left empty.
    pub(super) fn forget_if_empty(&mut self, end: i64) {
        if self.get(end).is_some_and(Pane::is_empty)
            && let Some(slot) = self.by_end.remove(&end)
        {
            self.slots[slot] = Pane::vacant();
            self.vacant.push(slot);
        }
    }
}
