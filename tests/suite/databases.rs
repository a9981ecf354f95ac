//! What the backend in RocksDB leaves in real directories, and what it takes from them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use flowdsl::prelude::*;
use flowdsl::testing::{Harness, Input};
use flowdsl::{Environment, JobHandle, Outcome, RestartStrategy, RocksDbSettings, StateBackend};
use flowdsl_tests::backends::rocksdb;
use serde::{Deserialize, Serialize, Serializer};

const KEYS: u64 = 20_000;

/// Counts how often each key is in the input; `at` is called with the number of each result of the
/// run, when the databases are open. How it ended, and what it counted.
fn run(
    options: &Options,
    input: &Input<u64>,
    at: impl Fn(u64, &JobHandle) + Send + Sync + 'static,
) -> (Outcome, Vec<u64>) {
    run_as("counts", options, input, at)
}

/// The same, as a job and a stage of this name.
fn run_as(
    name: &str,
    options: &Options,
    input: &Input<u64>,
    at: impl Fn(u64, &JobHandle) + Send + Sync + 'static,
) -> (Outcome, Vec<u64>) {
    let environment = Environment::default();
    let (at, handle, input) = (Arc::new(at), environment.handle.clone(), input.clone());
    let counts = Collect::new();
    let seen = counts.clone();
    let stage = name.to_owned();
    let job = Job::new(name, move |flow| {
        let (at, handle) = (Arc::clone(&at), handle.clone());
        let results = AtomicU64::new(0);
        flow.source("numbers", input.clone())
            .key_by(|n| *n)
            .at(&stage)
            .fold(0_u64, |count, _| *count += 1)
            .inspect(move |_| at(results.fetch_add(1, Ordering::Relaxed) + 1, &handle))
            .map(|count| count.value)
            .sink(counts.clone());
    });
    let report = job.run_in(options, &environment).expect("the job runs");
    (report.outcome, seen.take())
}

/// Counts each key once, and stops. The input, which goes on.
fn first_half(options: &Options, at_last: impl Fn() + Send + Sync + 'static) -> Input<u64> {
    let input = Harness::new().input::<u64>();
    input.push_all(0..KEYS);
    let end = run(options, &input, move |n, handle| {
        if n == KEYS {
            at_last();
            handle.stop();
        }
    });
    assert_eq!(end, (Outcome::Stopped, vec![1; KEYS as usize]));
    input
}

/// Counts each key once more.
fn second_half(options: &Options, input: &Input<u64>, at: impl Fn(u64) + Send + Sync + 'static) {
    input.push_all(0..KEYS);
    input.finish();
    let end = run(options, input, move |n, _| at(n));
    assert_eq!(end, (Outcome::Finished, vec![2; KEYS as usize]));
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
    let input = first_half(&options, || {});
    let (work, state) = (dir.path().join("work"), dir.path().join("state"));
    assert_eq!(files(&work), Vec::<PathBuf>::new());
    let stored = files(&state);
    let before: Vec<Vec<u8>> = stored
        .iter()
        .map(|path| fs::read(path).expect("read"))
        .collect();

    let found = Arc::new(Mutex::new(None));
    let at_first = Arc::clone(&found);
    second_half(&options, &input, move |_| {
        let mut found = at_first.lock().expect("nobody panics");
        found.get_or_insert_with(|| inodes(&files(&work), "sst"));
    });
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
        let input = first_half(options, move || {
            let dir = only_dir(&place);
            assert!(!files(&dir).is_empty(), "the run has a database there");
            *seen.lock().expect("nobody panics") = Some(dir);
        });
        let name = name.lock().expect("nobody panics").take();
        (name.expect("the run has seen it"), input)
    };
    let (options, others) = (options_of("ours"), options_of("theirs"));
    let ((mine, input), (theirs, _)) = (name_of(&options), name_of(&others));
    assert!(!mine.exists() && !theirs.exists());
    // `kill -9` leaves them.
    let no_run = work.join("notes");
    let leave = |dir: &Path| {
        fs::create_dir_all(dir.join("db")).expect("made");
        fs::write(dir.join("db/000001.sst"), b"left").expect("written");
    };
    for dir in [&mine, &theirs, &no_run] {
        leave(dir);
    }
    let (stale, kept) = (mine.clone(), [theirs.clone(), no_run.clone()]);
    second_half(&options, &input, move |_| {
        assert!(!stale.exists(), "before the first result");
        assert!(kept.iter().all(|dir| dir.join("db/000001.sst").exists()));
    });
    // The run that has finished the job was killed behind its last checkpoint.
    leave(&mine);
    let end = run(&options, &input, |_, _| ());
    assert_eq!(end, (Outcome::AlreadyFinished, Vec::new()));
    assert!(!mine.exists());
    assert!(theirs.exists() && no_run.exists());
}

/// A stage in memory read a database in a directory with the names of job and stage in one: with long ones, no
/// file system took it, and no restart got any further.
#[test]
fn a_job_and_a_stage_with_long_names_change_their_backend_either_way() {
    let Some(in_rocksdb) = rocksdb(1 << 20) else {
        return;
    };
    // Each letter takes six in the name of a file.
    let name = "счёт".repeat(50);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let input = Harness::new().input::<u64>();
    let backends = [in_rocksdb.clone(), StateBackend::Memory, in_rocksdb];
    for (backend, n) in backends.into_iter().zip(1..) {
        let options = Options::new()
            .checkpoint_dir(dir.path())
            .without_checkpoints()
            .restart(RestartStrategy::None)
            .backend(backend);
        input.push_all(0..KEYS);
        let end = run_as(&name, &options, &input, |n, handle| {
            if n == KEYS {
                handle.stop();
            }
        });
        assert_eq!(end, (Outcome::Stopped, vec![n; KEYS as usize]));
        let left = fs::read_dir(dir.path().join("work")).expect("a directory");
        assert_eq!(left.count(), 0, "the directories of run {n}");
    }
}

/// A text that refuses to be written if it is empty.
#[derive(Clone, Deserialize, State)]
struct Brittle(String);

impl Serialize for Brittle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return Err(serde::ser::Error::custom("it is empty"));
        }
        serializer.serialize_newtype_struct("Brittle", &self.0)
    }
}

/// The checkpoint failed, and the job ran on; the next one, before which no record came, was complete and
/// left out what RocksDB had not taken.
#[test]
fn a_checkpoint_that_rocksdb_has_not_taken_is_followed_by_none() {
    let Some(backend) = rocksdb(1 << 20) else {
        return;
    };
    let mut harness = Harness::new();
    let input = harness.input::<String>();
    let source = input.clone();
    let job = Job::new("last", move |flow| {
        flow.source("texts", source.clone())
            .key_by(|_| ())
            .fold(Brittle("none yet".to_owned()), |last, text| last.0 = text)
            .map(|last| last.value.0)
            .sink(Collect::new());
    });
    harness.start_with(&job, Options::new().without_checkpoints().backend(backend));
    input.push("first".to_owned());
    harness.settle().expect("it can be written");
    input.push(String::new());
    harness.settle().expect_err("it refuses to be written");
    harness.checkpoint().expect_err("it is still not written");
    let error = harness.wait().expect_err("the job has ended");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(
        error.to_string().contains("refuses to be encoded"),
        "{error}"
    );
}
