//! What a checkpoint says of itself, and checkpoints that were copied and renamed.

use std::path::{Path, PathBuf};

use flowdsl::checkpoints::Checkpoints;
use flowdsl::runtime::connector::Offset;
use flowdsl::runtime::ids::StageId;
use flowdsl::runtime::protocol::StageKind;
use flowdsl::runtime::storage::Disk as _;
use flowdsl::testing::FaultyDisk;
use flowdsl::{CheckpointLocation, ErrorKind, Outcome, StateBackend};
use flowdsl_tests::backends::{backends, rocksdb};

use super::{open, seen};
use crate::small::Small;

#[test]
fn a_checkpoint_says_what_it_is_and_what_its_sources_have_read() {
    let mut small = Small::new(2, 4);
    small.start();
    for _ in 0..3 {
        small.next_part().expect("no fault");
    }
    small.harness.crash();
    let checkpoints = open(small.harness.disk(), "checkpoints");
    let epochs: Vec<u64> = checkpoints.iter().map(|c| c.summary().epoch.0).collect();
    assert_eq!(epochs, [3, 2, 1], "newest first");
    assert_eq!(checkpoints.damaged_slots(), []);
    let newest = checkpoints.newest().expect("three");
    let summary = newest.summary();
    assert_eq!((summary.job.as_str(), summary.worker_count), ("small", 2));
    let kinds: Vec<(String, StageKind, usize)> = summary
        .stages
        .iter()
        .map(|stage| (stage.stage.to_string(), stage.kind, stage.holds.subtasks))
        .collect();
    let expected = [
        ("rows", StageKind::Source),
        ("windows", StageKind::Keyed),
        ("windows_out", StageKind::TransactionalSink),
        ("counts", StageKind::Keyed),
        ("counts_out", StageKind::TransactionalSink),
    ];
    assert_eq!(kinds.len(), expected.len(), "{kinds:?}");
    for (stage, kind) in expected {
        assert!(kinds.contains(&(stage.to_owned(), kind, 2)), "{kinds:?}");
    }
    let read = newest.source(&StageId::new("rows")).expect("it is whole");
    let splits: Vec<_> = read.into_iter().flat_map(|source| source.splits).collect();
    assert_eq!(splits.len(), 1, "{splits:?}");
    let offset = splits[0].offset.as_ref().map(Offset::decode::<u64>);
    assert_eq!(offset.and_then(Result::ok), Some(900), "three parts of 300");
    let staged = newest.sink(&StageId::new("counts_out"));
    assert_eq!(staged.expect("it is whole").len(), 2, "one of each worker");
    for file in checkpoints.files() {
        assert!(!file.named_by.is_empty(), "{file:?}");
    }
}

/// All files of a directory, by their path in it.
fn files_of(disk: &FaultyDisk, dir: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = disk.paths().into_iter();
    let in_dir = |path: PathBuf| {
        let inside = path.strip_prefix(dir).ok()?.to_owned();
        Some((inside, disk.peek(&path)?))
    };
    paths.filter_map(in_dir).collect()
}

#[test]
fn a_checkpoint_directory_that_was_copied_elsewhere_opens_there_and_the_job_goes_on_from_it() {
    let mut small = Small::new(2, 4);
    small.start();
    for _ in 0..3 {
        small.next_part().expect("no fault");
    }
    small.harness.crash();
    let disk = small.harness.disk().clone();
    let of = |checkpoints: &Checkpoints| {
        let newest = checkpoints.newest().expect("three checkpoints");
        assert_eq!(newest.verify().expect("it answers"), []);
        [seen(&newest, "windows"), seen(&newest, "counts")]
    };
    let before = of(&open(&disk, "checkpoints"));
    assert!(before[0].len() > 30, "{} windows", before[0].len());
    assert!(before[1].len() > 300, "{} counts", before[1].len());

    let moved = files_of(&disk, "checkpoints");
    let elsewhere = tempfile::tempdir().expect("a directory");
    for (path, bytes) in &moved {
        let copy = |root: &Path, write: &dyn Fn(&Path)| write(&root.join(path));
        copy(Path::new("moved/and renamed"), &|path| {
            let dir = path.parent().expect("it is in a directory");
            disk.create_dir_all(dir).expect("no fault");
            let mut file = disk.create(path).expect("no fault");
            file.write_all(bytes).expect("no fault");
        });
        copy(elsewhere.path(), &|path| {
            let dir = path.parent().expect("it is in a directory");
            std::fs::create_dir_all(dir).expect("a directory");
            std::fs::write(path, bytes).expect("a file");
        });
        disk.lose(Path::new("checkpoints").join(path));
    }
    // On another disk, and on this one under another name.
    let location = CheckpointLocation::from(elsewhere.path());
    let real = Checkpoints::open(&location).expect("it is a checkpoint directory");
    assert_eq!(of(&real), before);
    assert_eq!(of(&open(&disk, "moved/and renamed")), before);

    small.options.checkpoint_dir = Some("moved/and renamed".into());
    small.start();
    let report = small.finish().expect("no fault");
    assert_eq!(report.outcome, Outcome::Finished);
    assert_eq!(report.restored_from.map(|epoch| epoch.0), Some(3));
    small.check_complete();
}

#[test]
fn looking_at_checkpoints_changes_no_file() {
    for backend in backends() {
        check_that_looking_changes_nothing(backend);
    }
}

fn check_that_looking_changes_nothing(backend: StateBackend) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut small = Small::new(2, 2);
    small.options = small.options.clone().backend(backend.clone());
    small.start();
    small.next_part().expect("no fault");
    small.harness.crash();
    for (path, bytes) in files_of(small.harness.disk(), "checkpoints") {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory");
        std::fs::write(path, bytes).expect("a file");
    }
    // A job that is running has one at times.
    let unfinished = dir.path().join("tmp/0123456789abcdef-0");
    std::fs::create_dir_all(dir.path().join("tmp")).expect("a directory");
    std::fs::write(&unfinished, b"half a manifest").expect("a file");
    let listed = || {
        let mut found = Vec::new();
        let mut dirs = vec![dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).expect("it is there") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    dirs.push(path.clone());
                }
                // Of a directory there is nothing to read.
                found.push((path.clone(), std::fs::read(path).unwrap_or_default()));
            }
        }
        found.sort();
        found
    };
    let before = listed();
    let work = tempfile::tempdir().expect("a directory");
    let made = || std::fs::read_dir(work.path()).expect("it is there").count();
    let checkpoints = Checkpoints::open(&dir.path().into()).expect("a job has run there");
    let checkpoints = checkpoints.with_work_dir(work.path());
    let newest = checkpoints.newest().expect("one");
    assert!(!seen(&newest, "counts").is_empty());
    assert_eq!(made(), 0, "all is read");
    let mut half_read = newest.state(&StageId::new("counts")).expect("it is whole");
    half_read.next().expect("an entry").expect("it is whole");
    let in_rocksdb = matches!(backend, StateBackend::RocksDb(_));
    assert_eq!(made(), if in_rocksdb { 2 } else { 0 }, "one a subtask");
    assert!(listed() == before);
    drop(half_read);
    assert_eq!(made(), 0, "it is given up");
    assert!(listed() == before);
}

#[test]
fn a_damaged_table_of_rocksdb_is_named_and_nothing_of_it_read_or_left() {
    let Some(backend) = rocksdb(1 << 20) else {
        return;
    };
    let mut small = Small::new(1, 2);
    small.options = small.options.clone().backend(backend);
    small.start();
    small.next_part().expect("no fault");
    small.harness.crash();
    let disk = small.harness.disk();
    let tables = files_of(disk, "checkpoints").into_iter();
    let tables = tables.filter(|(path, _)| path.extension().is_some_and(|kind| kind == "file"));
    let work = tempfile::tempdir().expect("a directory");
    let mut refused = 0;
    for (path, whole) in tables {
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let stored = Path::new("checkpoints").join(&path);
        disk.corrupt(&stored, &bytes);
        let checkpoints = open(disk, "checkpoints").with_work_dir(work.path());
        let newest = checkpoints.newest().expect("its manifest is whole");
        let states = ["windows", "counts"].map(|stage| newest.state(&StageId::new(stage)).err());
        for error in states.into_iter().flatten() {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let name = path.display().to_string();
            assert!(error.to_string().contains(&name), "{name}: {error}");
            refused += 1;
        }
        assert_eq!(std::fs::read_dir(work.path()).expect("there").count(), 0);
        disk.corrupt(&stored, &whole);
    }
    assert!(refused > 0, "a table is damaged");
}
