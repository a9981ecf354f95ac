//! A run that another process has overtaken, and that its restart strategy would begin anew: it ends, and takes
//! nothing back. Two runs of one job on one directory would fence each other for ever otherwise.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::Result;
use flowdsl::runtime::protocol::SlotContent;
use flowdsl::runtime::storage::log::read_log;
use flowdsl::runtime::storage::{
    CheckpointStorage, Creation, LocalStorage, MemoryStorage, RealDisk,
};
use flowdsl::{Environment, JobHandle, JobReport, RestartStrategy, StateBackend};
use flowdsl_tests::backends::rocksdb;

const AT_ONCE: RestartStrategy = RestartStrategy::FixedDelay {
    attempts: 1_000,
    delay: Duration::ZERO,
};

fn counts(seen: &Collect<(u64, u64)>) -> Job {
    let seen = seen.clone();
    Job::new("counts", move |flow| {
        flow.source("numbers", Generator::unbounded(|n| n))
            .key_by(|n| *n)
            .at("count")
            .fold(0_u64, |count, _| *count += 1)
            .map(|counted| (counted.key, counted.value))
            .sink(seen.clone());
    })
}

fn options(tolerable_failures: u32) -> Options {
    let mut options = Options::new()
        .workers(2)
        .checkpoint_interval(Duration::from_millis(1))
        .rate(50_000.0)
        .restart(AT_ONCE);
    options.checkpoints.tolerable_failures = tolerable_failures;
    options
}

/// A run of the job in a thread.
struct Running {
    handle: JobHandle,
    thread: JoinHandle<Result<JobReport>>,
}

fn start(job: &Job, options: &Options, storage: Option<Arc<dyn CheckpointStorage>>) -> Running {
    let (job, options, handle) = (job.clone(), options.clone(), JobHandle::new());
    let environment = Environment {
        storage,
        handle: handle.clone(),
        ..Environment::default()
    };
    let thread = thread::spawn(move || job.run_in(&options, &environment));
    Running { handle, thread }
}

/// What has become of a run that was overtaken by another. Should both go on, which must not be, the first one is
/// stopped.
fn end_overtaken(first: Running, second: &Running) -> Error {
    while !first.thread.is_finished() && !second.thread.is_finished() {
        thread::yield_now();
    }
    first.handle.stop();
    first.end().expect_err("it was overtaken")
}

impl Running {
    fn end(self) -> Result<JobReport> {
        self.thread.join().expect("a run does not panic")
    }
}

/// Each number up to the last was counted once.
#[track_caller]
fn check(seen: &Collect<(u64, u64)>) {
    let mut seen = seen.take();
    seen.sort_unstable();
    let expected = (0..seen.len() as u64).map(|n| (n, 1));
    assert!(!seen.is_empty());
    assert!(
        seen.iter().copied().eq(expected),
        "a gap, or a record twice"
    );
}

/// The storage as one run sees it: creates wait while it is shut, and then fail so often.
#[derive(Debug)]
struct Link {
    storage: MemoryStorage,
    door: Mutex<Door>,
    changed: Condvar,
}

#[derive(Debug, PartialEq, Eq)]
enum Door {
    Open,
    Shut,
    Failing(u64),
}

impl Link {
    fn to(storage: &MemoryStorage) -> Arc<Self> {
        Arc::new(Self {
            storage: storage.clone(),
            door: Mutex::new(Door::Open),
            changed: Condvar::new(),
        })
    }

    fn set(&self, door: Door) {
        *self.door.lock().expect("nobody panics with it") = door;
        self.changed.notify_all();
    }

    fn pass(&self) -> Result<()> {
        let door = self.door.lock().expect("nobody panics with it");
        let open = self.changed.wait_while(door, |door| *door == Door::Shut);
        match &mut *open.expect("nobody panics with it") {
            Door::Failing(left) if *left > 0 => {
                *left -= 1;
                Err(Error::unavailable("the storage is out of reach"))
            }
            Door::Failing(_) | Door::Open | Door::Shut => Ok(()),
        }
    }
}

impl CheckpointStorage for Link {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.pass()?;
        self.storage.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.storage.write(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.storage.read(name)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.storage.delete(names)
    }

    fn place(&self) -> String {
        self.storage.place()
    }
}

/// Checks that a run with this tolerance, which is overtaken while the storage is out of its reach for so many
/// creates, ends fenced and leaves the newer run alone.
fn check_ends_fenced(tolerable_failures: u32, failing: u64) {
    let (storage, seen) = (MemoryStorage::new(), Collect::new());
    let (job, options) = (counts(&seen), options(tolerable_failures));
    let link = Link::to(&storage);
    let first = start(&job, &options, Some(link.clone()));
    first.handle.checkpoint().expect("no fault yet");
    link.set(Door::Shut);
    let second = start(&job, &options, Some(Arc::new(storage.clone())));
    second.handle.checkpoint().expect("it has taken over");
    link.set(Door::Failing(failing));
    let error = end_overtaken(first, &second);
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    second
        .handle
        .checkpoint()
        .expect("nobody disturbs it any more");
    second.handle.stop();
    let report = second.end().expect("nobody disturbs it any more");
    assert_eq!(report.restarts, 0);
    assert_eq!(claims(&storage), 2, "one for each process");
    check(&seen);
}

fn claims(storage: &dyn CheckpointStorage) -> usize {
    let log = read_log(storage).expect("it can be read");
    let is_claim = |content: &SlotContent| matches!(content, SlotContent::Claim(_));
    log.slots
        .iter()
        .filter(|slot| is_claim(&slot.content))
        .count()
}

/// A publication that fails tries its create twice.
#[test]
fn a_run_that_fails_behind_an_overtaking_is_restarted_and_ends_fenced() {
    check_ends_fenced(0, 2);
}

#[test]
fn a_run_whose_checkpoints_keep_failing_learns_that_it_was_overtaken() {
    check_ends_fenced(1_000_000, u64::MAX);
}

fn on_a_real_directory(backend: StateBackend) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let seen = Collect::new();
    let job = counts(&seen);
    let mut options = options(0).checkpoint_dir(dir.path());
    options.backend = backend;
    let first = start(&job, &options, None);
    first.handle.checkpoint().expect("no fault yet");
    let second = start(&job, &options, None);
    second.handle.checkpoint().expect("it has taken over");
    let error = end_overtaken(first, &second);
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    second
        .handle
        .checkpoint()
        .expect("nobody disturbs it any more");
    second.handle.stop();
    let report = second.end().expect("nobody disturbs it any more");
    assert_eq!(report.restarts, 0);
    assert_eq!(claims_in(dir.path()), 2, "one for each process");
    check(&seen);
}

fn claims_in(dir: &Path) -> usize {
    let storage = LocalStorage::open(Arc::new(RealDisk), dir).expect("it is there");
    claims(&storage)
}

#[test]
fn of_two_runs_in_one_directory_the_older_one_ends_fenced() {
    on_a_real_directory(StateBackend::Memory);
}

/// The newer run removes the databases of the older one, whose writes fail from then on.
#[test]
fn of_two_runs_on_rocksdb_in_one_directory_the_older_one_ends_fenced() {
    // So little memory that its databases are written to all the time.
    if let Some(backend) = rocksdb(64 << 10) {
        on_a_real_directory(backend);
    }
}
