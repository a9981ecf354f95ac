//! Savepoints of whole jobs, and runs that begin from them and from older checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowdsl::runtime::ids::Epoch;
use flowdsl::runtime::job::restore_on;
use flowdsl::runtime::storage::Disk;
use flowdsl::runtime::storage::export::export_on;
use flowdsl::{CheckpointLocation, Drain, ErrorKind, Outcome, RestoreFrom, StateBackend};
use flowdsl_tests::backends::backends;

use crate::small::Small;

/// What is on the disk below a directory.
fn files(small: &Small, below: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let disk = small.harness.disk();
    let below = |path: &PathBuf| path.starts_with(below);
    let read = |path: PathBuf| (path.clone(), disk.peek(&path).unwrap_or_default());
    disk.paths().into_iter().filter(below).map(read).collect()
}

/// Runs up to a savepoint that is taken while records are on their way, and then on and on.
fn with_savepoint(worker_count: usize, backend: StateBackend) -> Small {
    let mut small = Small::new(worker_count, 6);
    small.options.backend = backend;
    small.start();
    small.next_part().expect("nothing fails");
    small.push();
    small.harness.savepoint("saved").expect("nothing fails");
    small.next_part().expect("nothing fails");
    small.push();
    small.harness.crash();
    small.check_visible();
    small
}

/// The same job in another checkpoint directory.
fn moved(small: &mut Small, worker_count: usize, backend: StateBackend) {
    small.options.worker_count = worker_count;
    small.options.backend = backend;
    small.options.checkpoint_dir = Some("elsewhere".into());
    small.options.restore_from = Some(RestoreFrom::place("saved"));
}

#[test]
fn a_run_from_a_savepoint_on_other_workers_and_backends_gives_the_output_of_an_undisturbed_run() {
    let pairs = [
        (1, 2),
        (2, 1),
        (1, 3),
        (3, 1),
        (1, 5),
        (5, 1),
        (2, 3),
        (3, 2),
        (2, 5),
        (5, 2),
        (3, 5),
        (5, 3),
    ];
    let backends = backends();
    for (at, (before, behind)) in pairs.into_iter().enumerate() {
        let first = backends[at % backends.len()].clone();
        let second = backends[(at / 2 + 1) % backends.len()].clone();
        let mut small = with_savepoint(before, first.clone());
        moved(&mut small, behind, second.clone());
        small.start();
        let report = small
            .finish()
            .unwrap_or_else(|e| panic!("{before} {behind} {first:?} {second:?}: {e}"));
        assert!(report.restored_from.is_some());
        small.check_complete();
    }
}

/// Kubernetes starts a job again and again with one command line.
#[test]
fn a_run_that_begins_again_with_the_same_options_goes_on_where_it_was() {
    let mut small = with_savepoint(2, StateBackend::Memory);
    let saved = files(&small, "saved");
    moved(&mut small, 3, StateBackend::Memory);
    small.options.checkpoints.retained = 1;
    let mut before = None;
    for _ in 0..3 {
        small.start();
        small.next_part().expect("nothing fails");
        let newest = small.harness.checkpoint().expect("nothing fails");
        small.harness.crash();
        assert!(
            Some(newest) > before,
            "it begins from its own newest checkpoint"
        );
        before = Some(newest);
        small.check_visible();
    }
    small.start();
    let report = small.finish().expect("nothing fails");
    assert_eq!(report.restored_from, before);
    small.check_complete();
    assert_eq!(files(&small, "saved"), saved, "nobody claimed it");
    small.start();
    assert_eq!(
        small.harness.wait().expect("it has finished").outcome,
        Outcome::AlreadyFinished
    );
}

#[test]
fn a_job_goes_back_to_an_older_checkpoint_of_its_own_and_forgets_those_behind_it() {
    let mut small = Small::new(2, 6);
    small.options.checkpoints.retained = 100;
    small.start();
    small.next_part().expect("nothing fails");
    let old = small.harness.checkpoint().expect("nothing fails");
    for _ in 0..2 {
        small.next_part().expect("nothing fails");
    }
    let given_up = small.harness.checkpoint().expect("nothing fails");
    small.harness.stop().expect("nothing fails");
    let own = small.options.restore_from.clone();
    small.options.restore_from = Some(RestoreFrom::own(old));
    // Whatever it is that ends the first run: the next one does the rest.
    small.start();
    small.harness.crash();
    small.start();
    small.next_part().expect("nothing fails");
    small.harness.crash();
    small.options.restore_from = Some(RestoreFrom::own(given_up));
    small.start();
    let refused = small.harness.wait().expect_err("its output was taken back");
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    small.options.restore_from = own;
    small.start();
    small.finish().expect("nothing fails");
    small.check_complete();
}

#[test]
fn a_job_that_stops_with_a_savepoint_goes_on_from_its_own_checkpoint_and_from_the_savepoint() {
    for from_savepoint in [false, true] {
        let mut small = Small::new(2, 4);
        small.start();
        small.next_part().expect("nothing fails");
        small.push();
        let (_, report) = small
            .harness
            .stop_with_savepoint("saved", Drain::No)
            .expect("nothing fails");
        assert_eq!(report.outcome, Outcome::Stopped);
        small.check_visible();
        if from_savepoint {
            moved(&mut small, 1, StateBackend::Memory);
        }
        small.start();
        small.finish().expect("nothing fails");
        small.check_complete();
    }
}

/// All of the input is pushed, and none of it is known to be the last.
#[test]
fn a_job_that_drains_makes_everything_visible_that_the_end_of_its_input_would() {
    let mut small = Small::new(3, 1);
    small.start();
    small.next_part().expect("nothing fails");
    let open = small.visible()[0].len();
    let (_, report) = small
        .harness
        .stop_with_savepoint("saved", Drain::Yes)
        .expect("nothing fails");
    assert_eq!(report.outcome, Outcome::Finished);
    assert!(small.visible()[0].len() > open, "windows were open");
    small.check_complete();
    small.start();
    assert_eq!(
        small.harness.wait().expect("it is finished").outcome,
        Outcome::AlreadyFinished
    );
    moved(&mut small, 1, StateBackend::Memory);
    small.start();
    assert_eq!(
        small.harness.wait().expect("it is finished").outcome,
        Outcome::AlreadyFinished
    );
    small.check_complete();
}

#[test]
fn a_savepoint_is_refused_where_there_is_anything_or_where_the_job_keeps_its_own() {
    let mut small = Small::new(1, 2);
    small.start();
    small.next_part().expect("nothing fails");
    small.harness.savepoint("saved").expect("it is empty");
    for place in ["saved", "checkpoints", "checkpoints/saved", "out/counts"] {
        let refused = small.harness.savepoint(place).expect_err("it is not empty");
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{place}: {refused}");
        let refused = small
            .harness
            .stop_with_savepoint(place, Drain::Yes)
            .expect_err("it is not empty");
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{place}: {refused}");
    }
    small.finish().expect("it goes on");
    small.check_complete();
}

#[test]
fn a_savepoint_is_no_checkpoint_directory() {
    let mut small = with_savepoint(1, StateBackend::Memory);
    let saved = files(&small, "saved");
    small.options.checkpoint_dir = Some("saved".into());
    small.start();
    let refused = small.harness.wait().expect_err("it belongs to a user");
    assert_eq!(
        refused.to_string(),
        "saved is a savepoint, which no job keeps its checkpoints in: give the job a checkpoint directory of its own, \
         and begin with `--restore-from saved`"
    );
    assert_eq!(files(&small, "saved"), saved);
}

#[test]
fn a_savepoint_that_is_claimed_is_deleted_behind_the_first_checkpoint() {
    let mut small = with_savepoint(1, StateBackend::Memory);
    moved(&mut small, 2, StateBackend::Memory);
    small.options.restore_from = Some(RestoreFrom::place("saved").claim());
    small.start();
    small.harness.crash();
    assert!(
        !files(&small, "saved").is_empty(),
        "without a checkpoint of its own the job needs it"
    );
    small.start();
    small.next_part().expect("nothing fails");
    small.harness.stop().expect("nothing fails");
    assert_eq!(files(&small, "saved"), BTreeMap::new());
    small.start();
    small.finish().expect("it is known by its place");
    small.check_complete();
}

#[test]
fn a_run_does_not_give_up_checkpoints_and_the_command_restore_does() {
    let mut small = with_savepoint(2, StateBackend::Memory);
    small.options.restore_from = Some(RestoreFrom::place("saved"));
    small.start();
    let refused = small
        .harness
        .wait()
        .expect_err("the log has checkpoints of its own");
    assert!(
        refused.to_string().contains("do not descend from saved"),
        "{refused}"
    );
    let disk: Arc<dyn Disk> = Arc::new(small.harness.disk().clone());
    let own = CheckpointLocation::from("checkpoints");
    // Twice, without a run between them: nothing has taken back any output yet.
    for _ in 0..2 {
        let restored =
            restore_on(Arc::clone(&disk), &own, &RestoreFrom::place("saved")).expect("it is whole");
        assert!(restored.epoch > restored.from);
        assert_eq!(restored.job, "small");
    }
    small.options.restore_from = None;
    small.start();
    small.finish().expect("nothing fails");
    small.check_complete();
}

#[test]
fn a_restore_without_the_output_of_the_job_names_what_is_missing() {
    let mut small = Small::new(1, 3);
    small.start();
    small.next_part().expect("nothing fails");
    small.push();
    small.harness.savepoint("saved").expect("nothing fails");
    small.harness.crash();
    let disk = small.harness.disk().clone();
    for path in disk.paths() {
        if path.starts_with("out") {
            disk.remove(&path).expect("it is there");
        }
    }
    moved(&mut small, 1, StateBackend::Memory);
    small.start();
    let refused = small.harness.wait().expect_err("staged output is gone");
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    for words in ["part-g", ".flowdsl/staging", "copy the output directory"] {
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

#[test]
fn a_restore_of_what_is_not_there_is_refused_and_leaves_nothing() {
    let mut small = with_savepoint(1, StateBackend::Memory);
    moved(&mut small, 1, StateBackend::Memory);
    let nowhere = RestoreFrom::place("nowhere");
    let other_epoch = RestoreFrom::place("saved").epoch(Epoch(1_000));
    for from in [nowhere, other_epoch] {
        small.options.restore_from = Some(from);
        small.start();
        let refused = small
            .harness
            .wait()
            .expect_err("there is no such checkpoint");
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(
            refused.to_string().starts_with("there is no checkpoint"),
            "{refused}"
        );
    }
    assert_eq!(files(&small, "elsewhere"), BTreeMap::new());
}

/// The run of the last checkpoint died before it had deleted everything, and later ones only said that the job had
/// finished.
#[test]
fn a_later_run_of_a_finished_job_deletes_what_the_last_one_left() {
    let mut small = Small::new(1, 2);
    small.start();
    small.finish().expect("nothing fails");
    let left = "checkpoints/state/g0000000001-e00000000000000000001-left-w0-0.snap";
    let disk = small.harness.disk().clone();
    let mut file = disk.create(Path::new(left)).expect("a file");
    file.write_all(b"left")
        .and_then(|()| file.sync())
        .expect("a disk in memory");
    small.start();
    assert_eq!(
        small.harness.wait().expect("nothing fails").outcome,
        Outcome::AlreadyFinished
    );
    assert!(disk.peek(Path::new(left)).is_none());
    small.check_complete();
}

#[test]
fn a_checkpoint_is_exported_while_the_job_runs_and_a_run_begins_from_it() {
    let mut small = Small::new(2, 4);
    small.options.checkpoints.retained = 2;
    small.start();
    small.next_part().expect("nothing fails");
    let epoch = small.harness.checkpoint().expect("nothing fails");
    let disk: Arc<dyn Disk> = Arc::new(small.harness.disk().clone());
    let (own, to) = (
        CheckpointLocation::from("checkpoints"),
        CheckpointLocation::from("saved"),
    );
    let gone = export_on(&disk, &own, Some(Epoch(1_000)), &to).expect_err("there is none");
    assert_eq!(gone.kind(), ErrorKind::Invalid);
    let exported = export_on(&disk, &own, Some(epoch), &to).expect("it is whole");
    assert_eq!(exported, epoch);
    small.next_part().expect("nothing fails");
    small.harness.crash();
    moved(&mut small, 1, StateBackend::Memory);
    small.start();
    small.finish().expect("nothing fails");
    small.check_complete();
}
