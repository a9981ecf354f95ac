//! What other processes ask of a job through its checkpoint directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flowdsl::runtime::ids::Epoch;
use flowdsl::runtime::storage::{CheckpointStorage, Disk, LocalStorage};
use flowdsl::{Drain, ErrorKind, JobClient, Outcome, RestoreFrom};

use crate::small::Small;

/// A client of the small job, which gives up sooner than the test.
fn client(small: &Small) -> JobClient {
    let disk: Arc<dyn Disk> = Arc::new(small.harness.disk().clone());
    JobClient::open_on(disk, &"checkpoints".into()).expect("it is a directory")
}

/// Asks while the job's clock goes on: a clock that is moved by hand looks for nothing by itself.
fn ask<T: Send>(small: &Small, asks: impl FnOnce(JobClient) -> T + Send) -> T {
    let done = AtomicBool::new(false);
    let clock = small.harness.clock().clone();
    let client = client(small);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                clock.advance(Duration::from_millis(100));
                thread::yield_now();
            }
        });
        let answer = asks(client);
        done.store(true, Ordering::Release);
        answer
    })
}

/// The job as the tests of failures run it, with checkpoints only where they are asked for. Nothing is given up:
/// days may go by on the clock while a thread waits for its turn.
fn small() -> Small {
    small_of(2, 3)
}

/// The same, with so many workers and parts.
fn small_of(workers: usize, parts: usize) -> Small {
    let mut small = Small::new(workers, parts);
    small.options.checkpoints.interval = None;
    small.options.checkpoints.timeout = Duration::from_secs(1_000_000_000);
    small.options.checkpoints.commit_timeout = Duration::from_secs(1_000_000_000);
    small
}

fn requests(small: &Small) -> Vec<String> {
    let disk: Arc<dyn Disk> = Arc::new(small.harness.disk().clone());
    LocalStorage::new(disk, "checkpoints")
        .list("requests")
        .expect("a disk in memory")
}

#[test]
fn a_job_takes_checkpoints_and_savepoints_and_stops_when_another_process_asks() {
    let mut small = small();
    small.start();
    small.next_part().expect("nothing fails");
    let checkpoint = ask(&small, |client| client.checkpoint()).expect("it answers");
    let saved = std::env::temp_dir().join("saved");
    let savepoint =
        ask(&small, |client| client.savepoint(&saved.clone().into())).expect("it answers");
    assert!(savepoint > checkpoint, "{savepoint:?} {checkpoint:?}");
    let refused = ask(&small, |client| client.savepoint(&saved.clone().into()));
    assert_eq!(
        refused.expect_err("it is not empty").kind(),
        ErrorKind::Invalid
    );
    small.push();
    let last = ask(&small, |client| client.stop()).expect("it answers");
    assert!(last > savepoint);
    assert_eq!(
        small.harness.wait().expect("it has stopped").outcome,
        Outcome::Stopped
    );
    assert_eq!(requests(&small), Vec::<String>::new());
    small.options.checkpoint_dir = Some("elsewhere".into());
    small.options.restore_from = Some(RestoreFrom::place(saved));
    small.start();
    small.finish().expect("nothing fails");
    small.check_complete();
}

#[test]
fn a_job_stops_with_a_savepoint_and_drained_when_another_process_asks() {
    let mut small = small_of(1, 1);
    small.start();
    small.next_part().expect("nothing fails");
    let saved = std::env::temp_dir().join("drained");
    let epoch = ask(&small, |client| {
        client.stop_with_savepoint(&saved.clone().into(), Drain::Yes)
    });
    assert!(epoch.expect("it answers").is_some());
    assert_eq!(
        small.harness.wait().expect("it has finished").outcome,
        Outcome::Finished
    );
    small.check_complete();
    let refused = client(&small).stop().expect_err("it has finished");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

/// Both are there before the job has seen the first one.
#[test]
fn two_who_ask_a_job_to_stop_are_told_of_the_same_checkpoint() {
    let mut small = small();
    small.start();
    small.next_part().expect("nothing fails");
    let (one, other) = thread::scope(|scope| {
        let asks = || client(&small).stop();
        let (one, other) = (scope.spawn(asks), scope.spawn(asks));
        while requests(&small).len() < 2 {
            thread::yield_now();
        }
        while !(one.is_finished() && other.is_finished()) {
            small.harness.clock().advance(Duration::from_millis(100));
            thread::yield_now();
        }
        (
            one.join().expect("no panic"),
            other.join().expect("no panic"),
        )
    });
    let (one, other) = (one.expect("it answers"), other.expect("it answers"));
    assert!(one.is_some() && one == other, "{one:?} {other:?}");
    assert_eq!(
        small.harness.wait().expect("it has stopped").outcome,
        Outcome::Stopped
    );
    assert_eq!(requests(&small), Vec::<String>::new());
    small.start();
    small.finish().expect("nothing fails");
    small.check_complete();
}

/// Nobody answers, and the request must not stop the run that comes next.
#[test]
fn a_request_that_nobody_answers_is_withdrawn() {
    let mut small = small();
    small.start();
    small.next_part().expect("nothing fails");
    small.harness.crash();
    let refused = client(&small)
        .patience(Duration::ZERO)
        .stop()
        .expect_err("nobody runs");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused
            .to_string()
            .contains("is the job running on checkpoints?"),
        "{refused}"
    );
    assert_eq!(requests(&small), Vec::<String>::new());
}

/// Whoever sent it has been killed, too.
#[test]
fn a_request_to_a_run_that_is_gone_stops_no_later_run_and_is_removed() {
    let mut small = small();
    small.start();
    small.next_part().expect("nothing fails");
    let disk: Arc<dyn Disk> = Arc::new(small.harness.disk().clone());
    let storage = LocalStorage::new(disk, "checkpoints");
    let left = thread::scope(|scope| {
        let asks = scope.spawn(|| client(&small).patience(Duration::ZERO).stop());
        // Copied while it is there, if it is seen: the job's clock stands still, and it looks for nothing.
        let mut left = None;
        while left.is_none() && !asks.is_finished() {
            let names = storage.list("requests").expect("a disk in memory");
            left = names
                .first()
                .and_then(|name| Some((name.clone(), storage.read(name).ok()??)));
        }
        asks.join()
            .expect("it does not panic")
            .expect_err("nobody looks");
        left
    });
    let (name, bytes) = left.expect("it is there for some time");
    small.harness.crash();
    storage.write(&name, &bytes).expect("a disk in memory");
    small.start();
    let newer = ask(&small, |client| client.checkpoint()).expect("the next run answers");
    assert!(newer > Some(Epoch(1)));
    assert_eq!(requests(&small), Vec::<String>::new());
    small.finish().expect("nothing has stopped it");
    small.check_complete();
}

#[test]
fn bytes_that_are_no_request_are_removed_and_change_nothing() {
    let mut small = small();
    small.start();
    small.next_part().expect("nothing fails");
    let disk: Arc<dyn Disk> = Arc::new(small.harness.disk().clone());
    let storage = LocalStorage::new(disk, "checkpoints");
    let claim = storage
        .read("log/00000000000000000000")
        .expect("a disk")
        .expect("a claim");
    let nonce = u64::from_le_bytes(claim[40..48].try_into().expect("eight bytes"));
    let name = format!("requests/g0000000001-{nonce:016x}-0000000000000001.request");
    storage.write(&name, b"stop!").expect("a disk in memory");
    storage
        .write("requests/what-is-this", b"")
        .expect("a disk in memory");
    ask(&small, |client| client.checkpoint()).expect("it answers");
    assert_eq!(requests(&small), ["requests/what-is-this"]);
    small.finish().expect("nothing has stopped it");
    small.check_complete();
}
