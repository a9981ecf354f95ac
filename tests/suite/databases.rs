//! What the backend in RocksDB leaves in real directories, and what it takes from them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use flowdsl::prelude::*;
use flowdsl::{Environment, JobHandle, Outcome, RocksDbSettings, StateBackend};
use flowdsl_tests::backends::rocksdb;

const KEYS: u64 = 20_000;

/// Counts each key twice, or up to where `at` stops it. `at` is called with the number of each result of the
/// run, when the databases are open.
///
/// How it ended, and how many keys it counted for the second time.
fn run(options: &Options, at: impl Fn(u64, &JobHandle) + Send + Sync + 'static) -> (Outcome, u64) {
    let environment = Environment::default();
    let (at, handle) = (Arc::new(at), environment.handle.clone());
    let counts = Collect::new();
    let seen = counts.clone();
    let job = Job::new("counts", move |flow| {
        let (at, handle) = (Arc::clone(&at), handle.clone());
        let results = AtomicU64::new(0);
        flow.source("numbers", Generator::new(2 * KEYS, |i| i))
            .key_by(|n| n % KEYS)
            .fold(0_u64, |count, _| *count += 1)
            .inspect(move |_| at(results.fetch_add(1, Ordering::Relaxed) + 1, &handle))
            .map(|count| count.value)
            .sink(counts.clone());
    });
    let report = job.run_in(options, &environment).expect("the job runs");
    let twos = seen.take().into_iter().filter(|count| *count == 2);
    (report.outcome, twos.count() as u64)
}

/// Counts each key once, and stops soon. The number of keys that were counted twice by then.
fn half(options: &Options, at_last: impl Fn() + Send + Sync + 'static) -> u64 {
    let (outcome, twos) = run(options, move |n, handle| {
        if n == KEYS {
            at_last();
            handle.stop();
        }
    });
    assert_eq!(outcome, Outcome::Stopped);
    twos
}

/// The files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The numbers of files of this kind: names of the same file have the same.
fn inodes(files: &[PathBuf], extension: &str) -> BTreeSet<u64> {
    let of_kind = files
        .iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension));
    of_kind
        .map(|path| fs::metadata(path).expect("it is there").ino())
        .collect()
}

#[test]
fn a_database_on_the_disk_of_its_checkpoints_begins_with_links_and_leaves_the_files_as_they_were() {
    // All of it in one file, so that RocksDB has nothing to join when it begins.
    let Some(backend) = rocksdb(64 << 20) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options::new()
        .checkpoint_dir(dir.path())
        .without_checkpoints()
        .backend(backend);
    let counted = half(&options, || {});
    let (work, state) = (dir.path().join("work"), dir.path().join("state"));
    assert_eq!(files(&work), Vec::<PathBuf>::new());
    let stored = files(&state);
    let before: Vec<Vec<u8>> = stored
        .iter()
        .map(|path| fs::read(path).expect("read"))
        .collect();

    let found = Arc::new(Mutex::new(None));
    let at_first = Arc::clone(&found);
    let end = run(&options, move |_, _| {
        let mut found = at_first.lock().expect("nobody panics");
        found.get_or_insert_with(|| inodes(&files(&work), "sst"));
    });
    assert_eq!(end, (Outcome::Finished, KEYS - counted));
    let tables = found.lock().expect("nobody panics").take();
    let tables = tables.expect("there were records left");
    let objects = inodes(&stored, "file");
    assert!(!tables.is_empty());
    assert!(tables.is_subset(&objects), "{tables:?} {objects:?}");
    for (path, bytes) in stored.iter().zip(before) {
        assert!(fs::read(path).expect("read") == bytes, "{}", path.display());
    }
}

/// The only directory in this one.
fn only_dir(dir: &Path) -> PathBuf {
    let mut entries = fs::read_dir(dir).expect("a directory");
    let entry = entries.next().expect("it holds one").expect("an entry");
    assert!(entries.next().is_none(), "only one");
    entry.path()
}

#[test]
fn what_a_killed_run_left_in_the_work_directory_goes_and_what_others_have_there_stays() {
    let Some(StateBackend::RocksDb(settings)) = rocksdb(1 << 20) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let work = dir.path().join("work of all jobs");
    let options_of = |checkpoints: &str| {
        Options::new()
            .checkpoint_dir(dir.path().join(checkpoints))
            .without_checkpoints()
            .backend(StateBackend::RocksDb(RocksDbSettings {
                work_dir: Some(work.clone()),
                ..settings.clone()
            }))
    };
    // The names that runs give their directories, which end with them.
    let name_of = |options: &Options| {
        let name = Arc::new(Mutex::new(None));
        let (seen, place) = (Arc::clone(&name), work.clone());
        let counted = half(options, move || {
            let dir = only_dir(&place);
            assert!(!files(&dir).is_empty(), "the run has a database there");
            *seen.lock().expect("nobody panics") = Some(dir);
        });
        let name = name.lock().expect("nobody panics").take();
        (name.expect("the run has seen it"), counted)
    };
    let (options, others) = (options_of("ours"), options_of("theirs"));
    let ((mine, counted), (theirs, _)) = (name_of(&options), name_of(&others));
    assert!(!mine.exists() && !theirs.exists());
    // `kill -9` leaves them.
    let no_run = work.join("notes");
    for dir in [&mine, &theirs, &no_run] {
        fs::create_dir_all(dir.join("db")).expect("made");
        fs::write(dir.join("db/000001.sst"), b"left").expect("written");
    }
    let (stale, kept) = (mine.clone(), [theirs.clone(), no_run.clone()]);
    let end = run(&options, move |_, _| {
        assert!(!stale.exists(), "before the first result");
        assert!(kept.iter().all(|dir| dir.join("db/000001.sst").exists()));
    });
    assert_eq!(end, (Outcome::Finished, KEYS - counted));
    assert!(theirs.exists() && no_run.exists());
}
