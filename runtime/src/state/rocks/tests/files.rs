//! The files of a database: how many are open, and what no checkpoint may be made of.

use std::fs;

use serde::{Deserialize, Serialize, Serializer};

use super::*;
use crate::schema::Schema;
use crate::state::State;

/// What the program has open of a database, where the system tells.
fn open_files(store: &Store) -> usize {
    let fds = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let targets = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    targets
        .filter(|path| path.starts_with(store.dir.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "sst"))
        .count()
}

/// A large state was in thousands of tables, and each stayed open: a process that may open 1,024 files ended,
/// and every restart of it as well.
#[test]
fn a_database_of_many_tables_keeps_few_of_them_open() {
    const OPEN: i32 = 20;
    let world = World::with(256 << 10, |sizes| {
        (sizes.table, sizes.level) = (4 << 10, 64 << 10);
        sizes.open_files = Some(OPEN);
    });
    let mut run = Run::within(world);
    for first in (0..16_000).step_by(1_000) {
        run.append(first, 1_000);
    }
    run.step(&Step::Freeze);
    run.settle();
    run.store.db.compact_range::<&[u8], &[u8]>(None, None);
    let tables = fs::read_dir(run.store.dir.path().join("db"))
        .expect("a directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| super::super::files::is_table(name))
        .count();
    assert!(tables > 2 * OPEN as usize, "{tables} tables");
    let check = |run: &mut Run, what: &str| {
        run.step(&Step::Read(0, 16_000));
        let open = open_files(&run.store);
        assert!(open <= OPEN as usize, "{what}: {open} of {tables}");
    };
    check(&mut run, "a database that was written");
    run.step(&Step::Restore);
    check(&mut run, "one that was restored");
}

/// A text that refuses to be encoded if it is empty.
#[derive(Clone, Deserialize)]
struct Brittle(String);

impl Serialize for Brittle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return Err(serde::ser::Error::custom("it is empty"));
        }
        self.0.serialize(serializer)
    }
}

impl State for Brittle {
    fn schema() -> Schema {
        Schema::plain("Brittle")
    }
}

/// What was handed over counts as known to RocksDB, which had not taken it: the snapshot failed, but the
/// next one, of a stage to which nothing came meanwhile, was one of a state without those entries.
#[test]
fn no_checkpoint_is_taken_behind_a_piece_that_rocksdb_has_not_taken() {
    let mut world = World::new();
    let store = world.open(Vec::new());
    let mut table = RocksTable::new(Arc::clone(&store), NAMESPACE);
    table.insert(hash_of(&1_u64), 1_u64, Brittle("whole".to_owned()));
    table.insert(hash_of(&2_u64), 2_u64, Brittle(String::new()));
    for epoch in 1..3 {
        store.open_window();
        table.freeze();
        let mut failed = 0;
        while let Some(piece) = table.copy_frozen(100) {
            failed += usize::from(piece.write().is_err());
        }
        assert_eq!(failed, usize::from(epoch == 1), "the next image is empty");
        let error = store.take(Epoch(epoch)).expect_err("entries are missing");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(store.is_settled(), "the stage goes on, to hear of it");
        assert!(store.check().is_err(), "and ends the job");
    }
}
