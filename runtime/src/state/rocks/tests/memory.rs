//! The tables of one store, which share its memory.

use super::*;

/// A world in which the caches of a store hold about 5,000 entries of a short text.
fn world() -> World {
    World::with(2 << 20, |_| {})
}

/// What the caches may hold of such a table.
const ROOM: u64 = 5_000;

/// Adds to the values of these keys, as a batch does, and lets the tables give back what they are asked for.
fn batch(store: &Store, tables: &mut [Table], to: usize, keys: std::ops::Range<u64>) {
    let mut keys: Vec<u64> = keys.collect();
    tables[to].take_in(
        &mut keys.drain(..),
        |key| (key, ()),
        |key| key,
        |value: &mut String, ()| *value = "y".repeat(value.len()),
        |key, ()| Begun {
            key,
            value: "x".repeat(40),
            said: None::<(u64, ())>,
        },
        |_, ()| {},
    );
    if store.is_pressed() {
        tables.iter_mut().for_each(Table::give_back);
    }
    store.check().expect("the database works");
}

/// Goes over all keys below `keys`, a batch at a time.
fn rounds(store: &Store, tables: &mut [Table], to: usize, keys: u64, rounds: usize) {
    for first in (0..rounds).flat_map(|_| (0..keys).step_by(256)) {
        batch(store, tables, to, first..keys.min(first + 256));
    }
}

fn tables(store: &Arc<Store>, n: i64) -> Vec<Table> {
    let table = |end| Table::new(Arc::clone(store), Namespace::Waiting(end));
    (0..n).map(table).collect()
}

/// A window that had fired, and was kept for late records, held the whole cache; the next one had room for 16
/// entries, and each of its batches read and wrote RocksDB.
#[test]
fn a_table_that_fills_the_cache_leaves_its_share_to_the_next_one() {
    let mut world = world();
    let store = world.open(Vec::new());
    let mut tables = tables(&store, 2);
    rounds(&store, &mut tables, 0, 2 * ROOM, 1);
    let before = tables[0].len() as u64;
    assert!(before > ROOM / 2, "{before} entries: the cache is larger");
    rounds(&store, &mut tables, 1, ROOM / 3, 2);
    assert_eq!(tables[1].len() as u64, ROOM / 3);
    let left = tables[0].len() as u64;
    assert!((before / 4..before).contains(&left), "{left} of {before}");
    assert!(store.excess(0) == 0, "{} bytes too much", store.excess(0));
}

#[test]
fn a_table_that_nobody_asks_leaves_all_of_it() {
    let mut world = world();
    let store = world.open(Vec::new());
    let mut tables = tables(&store, 2);
    rounds(&store, &mut tables, 0, 2 * ROOM, 1);
    let most = tables[0].len() as u64;
    // More than its share, so that what it has is replaced again and again.
    rounds(&store, &mut tables, 1, 2 * ROOM, 4);
    let (idle, busy) = (tables[0].len() as u64, tables[1].len() as u64);
    assert!(idle <= 16, "{idle} of {most} entries are idle");
    assert!(busy > most * 3 / 4, "{busy} entries, of {most}");
    // What has left the cache is where it was.
    assert!(contents(tables.remove(0)).len() as u64 == 2 * ROOM);
}

/// The share of each was less than a batch takes in.
#[test]
fn more_tables_than_the_cache_has_room_for_lose_nothing() {
    let mut world = World::new();
    let store = world.open(Vec::new());
    let mut tables = tables(&store, 40);
    for round in 0..3 {
        for table in 0..tables.len() {
            batch(&store, &mut tables, table, 100 * round..100 * round + 150);
        }
    }
    for table in tables {
        assert_eq!(contents(table).len(), 350);
    }
}
