//! The table against a plain hash map, with freezes, copies and restores in between.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::ids::KeyGroupRange;
use crate::state::compaction::TableTypes;
use crate::state::frames::{self, Frame, LogicKind, Namespace, Preamble};
use crate::state::testing::{GROUPS, compacted_somewhere, ranges, share};

type Table = KeyedTable<u64, u64>;

/// So many keys, that a table of them splits when they come in the order of their hashes.
const KEYS: u64 = 4_000;

/// In which order the keys of a step come.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Spread over all hashes.
    ByNumber,
    /// Crowded in a part of them, so that segments split early.
    ByHash,
}

impl Order {
    fn keys(self, first: u64, count: u64) -> impl Iterator<Item = u64> {
        static BY_HASH: LazyLock<Vec<u64>> = LazyLock::new(|| {
            let mut keys: Vec<u64> = (0..KEYS).collect();
            keys.sort_unstable_by_key(hash_of);
            keys
        });
        (first..KEYS.min(first + count)).map(move |at| match self {
            Self::ByNumber => at,
            Self::ByHash => BY_HASH[at as usize],
        })
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Adds one to the values of some keys.
    Add(Order, u64, u64),
    /// Removes some keys.
    Remove(Order, u64, u64),
    /// Pops some entries.
    Pop(usize),
    /// Copies some of the frozen image.
    Copy(usize),
    /// Ends the snapshot before, and begins the next.
    Freeze(SnapshotScope),
    /// Passes over nearly all marks that there are.
    Age,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keys = || {
        let order = prop_oneof![Just(Order::ByNumber), Just(Order::ByHash)];
        let count = prop_oneof![1 => 0_u64..4, 2 => 0_u64..1_500];
        (order, 0..KEYS, count)
    };
    let budget = prop_oneof![0_usize..8, 0_usize..800];
    prop::collection::vec(
        prop_oneof![
            20 => keys().prop_map(|(order, first, n)| Step::Add(order, first, n)),
            8 => keys().prop_map(|(order, first, n)| Step::Remove(order, first, n)),
            4 => (0_usize..300).prop_map(Step::Pop),
            16 => budget.prop_map(Step::Copy),
            8 => Just(Step::Freeze(SnapshotScope::Increment)),
            4 => Just(Step::Freeze(SnapshotScope::Full)),
            1 => Just(Step::Age),
        ],
        1..40,
    )
}

/// A table with the snapshots taken of it.
struct Run {
    table: Table,
    model: HashMap<u64, u64>,
    /// The objects of the chain, and what they must hold.
    chain: Vec<Vec<u8>>,
    frozen_model: HashMap<u64, u64>,
    /// The keys that the present image has handed over.
    copied: HashSet<u64>,
}

impl Run {
    fn copy(&mut self, budget: usize) -> bool {
        let Some(piece) = self.table.copy_frozen(budget) else {
            return false;
        };
        for (key, _) in piece.entries.iter().flatten() {
            assert!(self.copied.insert(*key), "key {key} is copied twice");
        }
        let object = self.chain.last_mut().expect("something was frozen");
        piece
            .encode(Namespace::Whole, object)
            .expect("integers encode");
        true
    }

    fn freeze(&mut self, scope: SnapshotScope) {
        while self.copy(500) {}
        self.copied.clear();
        let scope = if self.chain.is_empty() {
            SnapshotScope::Full
        } else {
            scope
        };
        let cleared = self
            .table
            .freeze(scope)
            .map(|span| (Namespace::Whole, span))
            .into_iter()
            .collect();
        if scope == SnapshotScope::Full {
            self.chain.clear();
        }
        let mut object = Vec::new();
        Preamble {
            kind: LogicKind::Values,
            watermark: 0,
            cleared,
        }
        .encode(&mut object);
        self.chain.push(object);
        self.frozen_model = self.model.clone();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Add(order, first, n) => order.keys(first, n).for_each(|key| {
                *self.table.upsert(hash_of(&key), &key, || 0) += 1;
                *self.model.entry(key).or_default() += 1;
            }),
            Step::Remove(order, first, n) => order.keys(first, n).for_each(|key| {
                assert_eq!(
                    self.table.remove(hash_of(&key), &key),
                    self.model.remove(&key)
                );
            }),
            Step::Pop(n) => (0..n).for_each(|_| match self.table.pop() {
                Some((key, value)) => assert_eq!(self.model.remove(&key), Some(value)),
                None => assert!(self.model.is_empty()),
            }),
            Step::Copy(budget) => {
                self.copy(budget);
            }
            Step::Freeze(scope) => self.freeze(scope),
            Step::Age => {
                while self.copy(500) {}
                self.table.restart_marks_at(Mark::LAST);
            }
        }
        assert_eq!(self.table.len(), self.model.len());
    }
}

fn restored(chain: &[Vec<u8>], range: KeyGroupRange) -> Table {
    let types = TableTypes::alike::<u64, u64>(LogicKind::Values);
    restored_as_it_is(&compacted_somewhere(&types, chain), range)
}

fn restored_as_it_is(chain: &[Vec<u8>], range: KeyGroupRange) -> Table {
    let mut table = Table::new();
    for object in chain {
        frames::read(
            object,
            LogicKind::Values,
            share(range),
            |frame| match frame {
                Frame::Watermark(_) => {}
                Frame::Clear(_, span) => table.restore_clear(span),
                Frame::Removed(_, keys) => keys
                    .iter()
                    .for_each(|(hash, key)| table.restore_removal(*hash, key)),
                Frame::Entries(_, entries) => table.restore_entries(entries),
            },
        )
        .expect("a whole snapshot is restored");
    }
    table
}

fn contents(mut table: Table) -> HashMap<u64, u64> {
    let mut found = HashMap::new();
    while let Some((key, value)) = table.pop() {
        assert_eq!(found.insert(key, value), None, "key {key} twice");
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_chain_of_snapshots_holds_what_the_table_held_at_the_last_freeze(steps in steps(), workers in 1_usize..4) {
        let mut run = Run { table: Table::new(), model: HashMap::new(), chain: Vec::new(), frozen_model: HashMap::new(), copied: HashSet::new() };
        for step in &steps {
            run.step(step);
        }
        while run.copy(500) {}
        let mut found = HashMap::new();
        for range in ranges(workers) {
            for (key, value) in contents(restored(&run.chain, range)) {
                prop_assert!(range.contains(GROUPS.group_of(hash_of(&key))));
                prop_assert_eq!(found.insert(key, value), None);
            }
        }
        prop_assert_eq!(found, run.frozen_model);
        prop_assert_eq!(contents(run.table), run.model);
    }

    #[test]
    fn a_restored_table_goes_on_with_increments(before in steps(), after in steps()) {
        let mut run = Run { table: Table::new(), model: HashMap::new(), chain: Vec::new(), frozen_model: HashMap::new(), copied: HashSet::new() };
        for step in &before {
            run.step(step);
        }
        run.freeze(SnapshotScope::Increment);
        while run.copy(500) {}
        run.table = restored(&run.chain, ranges(1)[0]);
        for step in &after {
            run.step(step);
        }
        run.freeze(SnapshotScope::Increment);
        while run.copy(500) {}
        prop_assert_eq!(contents(restored(&run.chain, ranges(1)[0])), run.frozen_model);
    }
}

/// A table of counts with `n` keys, whose full snapshot was taken.
fn stored(n: u64) -> Table {
    let mut table = Table::new();
    for key in 0..n {
        table.upsert(hash_of(&key), &key, || key);
    }
    table.freeze(SnapshotScope::Full);
    while table.copy_frozen(usize::MAX).is_some() {}
    table
}

/// The rest of the frozen image.
fn entries_of(table: &mut Table) -> Vec<(u64, u64)> {
    let pieces = std::iter::from_fn(|| table.copy_frozen(usize::MAX));
    let mut entries: Vec<_> = pieces.flat_map(|piece| piece.entries.concat()).collect();
    entries.sort_unstable();
    entries
}

#[test]
fn an_increment_holds_only_what_changed() {
    let mut table = stored(100_000);
    for key in [5, 77_777, 5] {
        *table.upsert(hash_of(&key), &key, || 0) += 1;
    }
    table.freeze(SnapshotScope::Increment);
    assert_eq!(entries_of(&mut table), [(5, 7), (77_777, 77_778)]);
    table.freeze(SnapshotScope::Increment);
    assert_eq!(entries_of(&mut table), [], "nothing changed since");
}

#[test]
fn a_piece_is_about_as_large_as_its_budget_and_pieces_come_in_the_order_of_the_hashes() {
    let mut table = stored(50_000);
    table.freeze(SnapshotScope::Full);
    let mut found = Vec::new();
    while let Some(piece) = table.copy_frozen(100) {
        let entries = piece.entries.concat();
        assert!(entries.len() <= 163, "{} entries at once", entries.len());
        found.extend(entries.iter().map(|(key, _)| hash_of(key)));
    }
    assert_eq!(found.len(), 50_000);
    // Nearly: within a segment as near as probing leaves them.
    let behind = |pair: &[u64]| pair[0] >> 52 > pair[1] >> 52;
    let disorder = found.windows(2).filter(|pair| behind(pair)).count();
    assert!(
        disorder < 500,
        "{disorder} entries stand far behind their places"
    );
}

#[test]
fn looking_for_what_changed_in_a_large_table_counts_against_the_budget() {
    let mut table = stored(300_000);
    let key = 7;
    *table.upsert(hash_of(&key), &key, || 0) += 1;
    table.freeze(SnapshotScope::Increment);
    let mut calls = 0;
    while let Some(piece) = table.copy_frozen(16) {
        assert!(piece.cost <= 16 + 8);
        calls += 1;
    }
    assert!(calls > table.segments.len() / 4, "{calls} calls");
}

thread_local! {
    static CLONES: Cell<usize> = const { Cell::new(0) };
}

/// A value that counts how often it is cloned.
#[derive(serde::Serialize, serde::Deserialize)]
struct Counted;

impl Clone for Counted {
    fn clone(&self) -> Self {
        CLONES.set(CLONES.get() + 1);
        Self
    }
}

impl State for Counted {
    fn schema() -> crate::schema::Schema {
        <()>::schema()
    }
}

#[test]
fn a_change_behind_a_freeze_clones_one_entry_and_only_the_first_time() {
    let mut table = KeyedTable::<u64, Counted>::new();
    for key in 0..30_000_u64 {
        table.insert(hash_of(&key), key, Counted);
    }
    let change = |table: &mut KeyedTable<u64, Counted>, key: u64| {
        let changed = table.change(hash_of(&key), &key, (), |_, ()| ());
        assert_eq!(changed, Ok(()));
        CLONES.take()
    };
    table.freeze(SnapshotScope::Full);
    assert_eq!(CLONES.take(), 0, "a freeze copies nothing");
    assert_eq!([change(&mut table, 5), change(&mut table, 5)], [1, 0]);
    while table.copy_frozen(1_000).is_some() {}
    assert_eq!(
        CLONES.take(),
        29_999,
        "what was cloned before is not copied again"
    );
    assert_eq!(change(&mut table, 6), 0);
    table.freeze(SnapshotScope::Increment);
    assert_eq!(change(&mut table, 5), 1);
    assert_eq!(change(&mut table, 7), 0, "it is not of this increment");
    while table.copy_frozen(1_000).is_some() {}
    assert_eq!(CLONES.take(), 1);
}

#[test]
fn many_removals_are_not_remembered_one_by_one() {
    let mut table = stored(100_000);
    for key in 0..100_000 {
        table.remove(hash_of(&key), &key);
    }
    assert!(table.removed.len() <= 60_000);
    assert!(
        table.freeze(SnapshotScope::Increment).is_some(),
        "the next increment replaces what was stored"
    );
    assert_eq!(entries_of(&mut table), []);
}

#[test]
fn a_table_takes_at_most_twice_the_memory_of_a_plain_hash_map() {
    let mut worst = 0.0_f64;
    let (mut table, mut plain) = (Table::new(), hashbrown::HashTable::<(u64, u64)>::new());
    for key in 0..150_000_u64 {
        table.upsert(hash_of(&key), &key, || key);
        plain.insert_unique(hash_of(&key), (key, key), |entry| hash_of(&entry.0));
        if key > 2_000 && key % 1_000 == 0 {
            let segments: usize = table.segments.iter().map(Segment::allocated).sum();
            let fixed =
                table.segments.len() * size_of::<Segment<u64, u64>>() + table.directory.len() * 4;
            worst = worst.max((segments + fixed) as f64 / plain.allocation_size() as f64);
        }
    }
    // Both sway by a factor of two between two growths; ours grows segment by segment.
    assert!(worst < 2.0, "{worst}");
    assert!(size_of::<Segment<u64, u64>>() <= 192);
}

/// Keys that all have one hash.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Same(u64);

impl State for Same {
    fn schema() -> crate::schema::Schema {
        u64::schema()
    }
}

impl Key for Same {
    fn hash_key(&self, hasher: &mut crate::key::KeyHasher) {
        hasher.word(7);
    }
}

#[test]
fn equal_hashes_and_skewed_ones_neither_loop_nor_fill_the_memory() {
    let mut table = KeyedTable::<Same, u64>::new();
    for key in 0..5_000_u64 {
        table.insert(hash_of(&Same(key)), Same(key), key);
    }
    let last = Same(4_999);
    assert_eq!(table.get(hash_of(&last), &last), Some(&4_999));
    assert!(
        table.directory.len() <= 4 * table.len(),
        "{}",
        table.directory.len()
    );
}

#[test]
fn keys_in_the_order_of_their_hashes_are_taken_in_without_long_probes() {
    let mut keys: Vec<u64> = (0..300_000).collect();
    keys.sort_unstable_by_key(hash_of);
    let mut table = Table::new();
    for key in &keys {
        table.insert(hash_of(key), *key, *key);
    }
    let mean = keys.len() / table.segments.len();
    assert!(mean > 200, "{mean} entries in a segment");
    assert_eq!(contents(table).len(), keys.len());
}
