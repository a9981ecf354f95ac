//! Whole jobs whose checkpoints are in S3.

use std::collections::BTreeMap;

use flowdsl::checkpoints::Checkpoints;
use flowdsl::prelude::*;
use flowdsl::testing::Harness;
use flowdsl::{ErrorKind, RestoreFrom};
use flowdsl_tests::backends::backends;
use flowdsl_tests::s3::{Operation, S3};

use crate::small::Small;

/// How many runs a job may need on a server that fails at random.
const RUNS: usize = 20;

#[test]
fn a_job_that_crashes_goes_on_from_its_checkpoint_in_s3_and_doubles_and_loses_no_line() {
    let s3 = S3::start();
    let mut small = Small::new(2, 4);
    small.options.checkpoint_dir = Some(s3.location("small"));
    small.start();
    small.next_part().expect("no fault");
    small.next_part().expect("no fault");
    small.push();
    small.harness.crash();
    small.check_visible();
    small.start();
    let report = small.finish().expect("no fault");
    assert!(report.restored_from.is_some());
    small.check_complete();
    assert!(s3.wire().begun(Operation::Put) > 0, "state objects");
}

#[test]
fn a_job_on_a_server_that_fails_at_random_doubles_and_loses_no_line() {
    for seed in 0..4 {
        let s3 = S3::start();
        let mut small = Small::new(2, 4);
        small.options.checkpoint_dir = Some(s3.location("small"));
        s3.wire().fail_at_random(seed, 10 + 10 * seed);
        // A fault may fail a checkpoint, or end a run: then comes the next one.
        small.start();
        let _ = small.next_part();
        small.push();
        small.harness.crash();
        small.check_visible();
        let mut runs = 1;
        loop {
            small.start();
            match small.finish() {
                Ok(_) => break,
                Err(e) => assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}"),
            }
            runs += 1;
            assert!(runs < RUNS, "seed {seed}: the job does not get on");
        }
        small.check_complete();
        println!("seed {seed}: {runs} runs");
    }
}

/// The requests of a run with so many checkpoints, of which one is kept.
fn requests_of(checkpoints: u64) -> BTreeMap<Operation, u64> {
    let s3 = S3::start();
    let mut harness = Harness::new();
    let input = harness.input::<u64>();
    let rows = input.clone();
    let job = Job::new("one stage", move |flow| {
        flow.source("rows", rows.clone())
            .key_by(|n| n % 2_000)
            .at("counts")
            .fold(0_u64, |count, _| *count += 1)
            .at("out")
            .sink(Collect::new());
    });
    let mut options = Options::new().checkpoint_dir(s3.location("requests"));
    options.checkpoints.retained = 1;
    harness.start_with(&job, options);
    for _ in 0..checkpoints {
        input.push_all(0..2_000);
        harness.settle().expect("no fault");
    }
    harness.stop().expect("no fault");
    s3.wire().begun_of_each()
}

/// What `docs/operations/object-stores.md` says that a checkpoint costs.
#[test]
fn a_checkpoint_costs_the_requests_that_the_documentation_names() {
    let (few, many) = (requests_of(8), requests_of(12));
    let count = |requests: &BTreeMap<_, _>, of| requests.get(&of).copied().unwrap_or(0);
    let more = |operation| count(&many, operation).saturating_sub(count(&few, operation));
    println!("8 checkpoints: {few:?}, 12 checkpoints: {many:?}");
    assert_eq!(more(Operation::Create), 4, "a manifest each");
    assert!(
        more(Operation::List) <= 4 * 4,
        "of the log behind a publication, of the state, and of the log before deletions"
    );
    // How much is compacted, and when, depends on the speed of the machine.
    let (puts, gets) = (count(&many, Operation::Put), count(&many, Operation::Get));
    let deletions = count(&many, Operation::Delete);
    assert!(
        puts >= 2 * 12,
        "{puts} puts: a state object and an entry of the history each"
    );
    assert!(puts <= 3 * 12, "{puts} puts: beside these, compactions");
    assert!(
        gets <= 3 * 12,
        "{gets} gets: what is compacted, and recovery"
    );
    assert!(
        deletions <= 4 * 12,
        "{deletions} deletions: slots and objects"
    );
}

/// Taken under load, copied to the store, and begun from with other workers, another backend and in the store.
#[test]
fn a_savepoint_in_s3_is_begun_from_with_other_workers_and_backends() {
    for backend in backends() {
        let s3 = S3::start();
        let mut small = Small::new(3, 4);
        small.start();
        small.next_part().expect("no fault");
        small.push();
        small
            .harness
            .savepoint(s3.location("saved"))
            .expect("no fault");
        small.next_part().expect("no fault");
        small.harness.crash();
        small.options.worker_count = 2;
        small.options.backend = backend;
        small.options.checkpoint_dir = Some(s3.location("moved"));
        small.options.restore_from = Some(RestoreFrom::place(s3.location("saved")));
        small.start();
        small.next_part().expect("no fault");
        small.push();
        small.harness.crash();
        small.check_visible();
        small.start();
        small.finish().expect("no fault");
        small.check_complete();
    }
}

/// Whatever fails: a savepoint is whole, or there is none; the job goes on, and what failed leaves nothing behind.
#[test]
fn savepoints_on_a_server_that_fails_at_random_are_whole_or_not_there() {
    let mut taken = 0;
    for seed in 0..6 {
        let s3 = S3::start();
        let mut small = Small::new(2, 4);
        small.start();
        small.next_part().expect("the disk is memory");
        s3.wire().fail_at_random(seed, 60);
        let saved = small.harness.savepoint(s3.location("saved"));
        s3.wire().heal();
        let found = Checkpoints::open(&s3.location("saved"));
        let newest = found.as_ref().ok().and_then(|found| found.newest().ok());
        taken += usize::from(saved.is_ok());
        assert!(newest.is_some() || saved.is_err(), "seed {seed}");
        // The answer to its publication may have been lost, and then the requests by which it is removed.
        if let Some(savepoint) = newest {
            assert_eq!(savepoint.verify().expect("no fault"), [], "seed {seed}");
        }
        small.finish().expect("the job goes on");
        small.check_complete();
    }
    println!("{taken} of 6 savepoints were taken");
}
