mod offline;

use super::*;
use crate::ids::{StageId, SubtaskId, WorkerIndex};
use crate::protocol::testing::{
    bare_manifest, claim, damaged_claim, damaged_manifest, fresh_claim, log_of, lost_slot, manifest,
};
use crate::protocol::{SnapshotKind, SnapshotRef, SubtaskSnapshot};

struct Case {
    log: LogView,
    objects: Vec<StateObject>,
    /// How many stay; 0 at the end of a job that keeps nothing.
    retained: usize,
    phase: Phase,
    generation: u64,
    open: Vec<Epoch>,
    damaged: BTreeSet<SlotNumber>,
    pinned: BTreeSet<String>,
    ended_with: Option<SlotNumber>,
    left: BTreeSet<SlotNumber>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            log: LogView::default(),
            objects: Vec::new(),
            retained: 1,
            phase: Phase::Running,
            generation: 1,
            open: Vec::new(),
            damaged: BTreeSet::new(),
            pinned: BTreeSet::new(),
            ended_with: None,
            left: BTreeSet::new(),
        }
    }
}

fn object(generation: u64, epoch: u64) -> StateObject {
    StateObject {
        name: format!("g{generation}e{epoch}"),
        generation: Generation(generation),
        epoch: Epoch(epoch),
    }
}

/// A manifest that names these objects.
fn naming(generation: u64, epoch: u64, names: &[&str]) -> SlotContent {
    let reference = |name: &&str| SnapshotRef {
        kind: SnapshotKind::KeyedFull,
        location: Location::Object {
            name: (*name).to_owned(),
            len: 1,
            checksum: 1,
        },
    };
    let subtask = SubtaskId {
        stage: StageId::new("s"),
        worker: WorkerIndex(0),
    };
    let refs = names.iter().map(reference).collect();
    let snapshots = vec![SubtaskSnapshot { subtask, refs }];
    SlotContent::Manifest(Box::new(Manifest {
        snapshots,
        ..bare_manifest(generation, epoch)
    }))
}

#[track_caller]
fn check(case: Case, slots: &[u64], objects: &[&str]) {
    let plan = plan_cleanup(&RetentionFacts {
        log: &case.log,
        objects: &case.objects,
        keep: NonZeroUsize::new(case.retained).map_or(Keep::Nothing, Keep::Newest),
        phase: case.phase,
        generation: Generation(case.generation),
        open_epochs: &case.open,
        damaged: &case.damaged,
        pinned: &case.pinned,
        ended_with: case.ended_with,
        left: &case.left,
    });
    let expected: Vec<SlotNumber> = slots.iter().copied().map(SlotNumber).collect();
    assert_eq!(plan.slots(), expected);
    assert_eq!(plan.objects(), objects);
}

#[test]
fn the_newest_checkpoints_stay_and_older_ones_go_oldest_first() {
    let log = log_of([
        claim(1),
        manifest(1, 1),
        manifest(1, 2),
        manifest(1, 3),
        manifest(1, 4),
    ]);
    check(
        Case {
            log: log.clone(),
            retained: 1,
            ..Case::default()
        },
        &[1, 2, 3],
        &[],
    );
    check(
        Case {
            log: log.clone(),
            retained: 2,
            ..Case::default()
        },
        &[1, 2],
        &[],
    );
    check(
        Case {
            log,
            retained: 9,
            ..Case::default()
        },
        &[],
        &[],
    );
}

#[test]
fn claims_are_never_deleted() {
    let log = log_of([
        claim(1),
        manifest(1, 1),
        claim(2),
        damaged_claim(3),
        claim(4),
        manifest(4, 2),
    ]);
    check(
        Case {
            log,
            generation: 4,
            ..Case::default()
        },
        &[1],
        &[],
    );
}

#[test]
fn savepoints_are_never_deleted_nor_what_they_name() {
    let mut savepoint = naming(1, 1, &["g1e1"]);
    if let SlotContent::Manifest(manifest) = &mut savepoint {
        manifest.kind = CheckpointKind::Savepoint;
    }
    let log = log_of([claim(1), savepoint, manifest(1, 2), manifest(1, 3)]);
    check(
        Case {
            log,
            objects: vec![object(1, 1), object(1, 2)],
            ..Case::default()
        },
        &[2],
        &["g1e2"],
    );
}

#[test]
fn an_object_that_a_retained_manifest_names_stays_however_old_it_is() {
    let log = log_of([
        claim(1),
        naming(1, 1, &["g1e1"]),
        naming(1, 2, &["g1e2"]),
        naming(1, 3, &["g1e1", "g1e3"]),
    ]);
    let objects = vec![object(1, 1), object(1, 2), object(1, 3)];
    check(
        Case {
            log,
            objects,
            ..Case::default()
        },
        &[1, 2],
        &["g1e2"],
    );
}

#[test]
fn objects_of_later_epochs_and_of_newer_generations_stay() {
    let log = log_of([claim(1), manifest(1, 5)]);
    let objects = vec![object(1, 5), object(1, 6), object(2, 5)];
    check(
        Case {
            log,
            objects,
            ..Case::default()
        },
        &[],
        &["g1e5"],
    );
}

#[test]
fn nothing_of_an_epoch_with_an_open_outcome_is_deleted() {
    let log = log_of([claim(1), manifest(1, 3), manifest(1, 4), manifest(1, 5)]);
    let objects = vec![object(1, 2), object(1, 3)];
    check(
        Case {
            log,
            objects,
            open: vec![Epoch(3)],
            ..Case::default()
        },
        &[2],
        &["g1e2"],
    );
}

#[test]
fn a_run_deletes_nothing_before_its_own_first_checkpoint() {
    let log = log_of([claim(1), manifest(1, 1), manifest(1, 2), claim(2)]);
    check(
        Case {
            log,
            objects: vec![object(1, 1)],
            generation: 2,
            ..Case::default()
        },
        &[],
        &[],
    );
}

#[test]
fn a_damaged_checkpoint_that_was_passed_over_goes_at_once_and_does_not_count_as_retained() {
    let log = log_of([
        claim(1),
        manifest(1, 1),
        manifest(1, 2),
        manifest(1, 3),
        claim(2),
        manifest(2, 4),
    ]);
    let damaged = BTreeSet::from([SlotNumber(3)]);
    check(
        Case {
            log,
            generation: 2,
            retained: 2,
            damaged,
            ..Case::default()
        },
        &[1, 3],
        &[],
    );
}

#[test]
fn what_a_manifest_that_does_not_read_may_name_stays() {
    let objects = vec![object(1, 1), object(1, 2), object(1, 3), object(1, 4)];
    let log = log_of([
        claim(1),
        damaged_manifest(1, 2),
        manifest(1, 3),
        manifest(1, 4),
    ]);
    check(
        Case {
            log,
            objects: objects.clone(),
            ..Case::default()
        },
        &[2],
        &["g1e3", "g1e4"],
    );
    // Not even the epoch is known: the next slot bounds it.
    let log = log_of([claim(1), lost_slot(), manifest(1, 3), manifest(1, 4)]);
    check(
        Case {
            log,
            objects,
            ..Case::default()
        },
        &[2],
        &["g1e4"],
    );
}

#[test]
fn what_a_fresh_start_gave_up_goes_after_its_first_checkpoint_however_many_are_retained() {
    let log = log_of([
        claim(1),
        naming(1, 1, &["g1e1"]),
        manifest(1, 2),
        fresh_claim(2),
        manifest(2, 3),
    ]);
    let objects = vec![object(1, 1)];
    check(
        Case {
            log,
            objects,
            generation: 2,
            retained: 5,
            ..Case::default()
        },
        &[1, 2],
        &["g1e1"],
    );
}

#[test]
fn a_job_that_keeps_nothing_leaves_claims_and_savepoints() {
    let mut savepoint = bare_manifest(1, 2);
    savepoint.kind = CheckpointKind::Savepoint;
    let log = log_of([
        claim(1),
        naming(1, 1, &["g1e1"]),
        SlotContent::Manifest(Box::new(savepoint)),
        naming(1, 3, &["g1e1", "g1e3"]),
    ]);
    let objects = vec![object(1, 1), object(1, 2), object(1, 3)];
    let case = |open| Case {
        log: log.clone(),
        objects: objects.clone(),
        retained: 0,
        open,
        ..Case::default()
    };
    check(case(vec![]), &[1, 3], &["g1e1", "g1e2", "g1e3"]);
    // What may still become a checkpoint stays whole.
    check(case(vec![Epoch(3)]), &[1], &["g1e2"]);
}

#[test]
fn a_run_that_has_no_checkpoint_of_its_own_deletes_nothing_at_its_end() {
    let log = log_of([claim(1), manifest(1, 1), claim(2)]);
    let case = Case {
        log,
        retained: 0,
        generation: 2,
        ..Case::default()
    };
    check(case, &[], &[]);
}

#[test]
fn what_is_kept_at_the_end_depends_on_how_the_job_ended() {
    let mut settings = CheckpointSettings::default();
    for end in [JobEnd::Success, JobEnd::Cancel] {
        assert_eq!(keep_at_end(end, &settings), None);
    }
    settings.on_success = AtEnd::Delete;
    assert_eq!(keep_at_end(JobEnd::Success, &settings), Some(Keep::Nothing));
    assert_eq!(keep_at_end(JobEnd::Cancel, &settings), None);
    settings.on_cancel = AtEnd::Delete;
    assert_eq!(keep_at_end(JobEnd::Cancel, &settings), Some(Keep::Nothing));
}

/// The crash tests: what a compaction had written ahead stayed for ever behind the end of a job.
#[test]
fn at_the_end_of_a_job_also_what_was_written_ahead_goes() {
    let case = |retained, phase| Case {
        log: log_of([claim(1), naming(1, 1, &["g1e1"])]),
        objects: vec![object(1, 1), object(1, 9), object(2, 9)],
        retained,
        phase,
        ..Case::default()
    };
    check(case(0, Phase::Over), &[1], &["g1e1", "g1e9"]);
    check(case(1, Phase::Over), &[], &["g1e9"]);
    check(case(1, Phase::Running), &[], &[]);
}

#[test]
fn at_the_end_of_a_job_what_is_in_doubt_stays() {
    let case = Case {
        log: log_of([claim(1), naming(1, 1, &["g1e1"])]),
        objects: vec![object(1, 1), object(1, 2), object(1, 3)],
        phase: Phase::Over,
        open: vec![Epoch(2)],
        ..Case::default()
    };
    check(case, &[], &["g1e3"]);
}

/// The simulation's seed 81073: the deletion of a manifest failed, the run forgot it, and its next cleanup
/// deleted the objects that it named.
#[test]
fn a_manifest_whose_deletion_is_in_doubt_stays_with_what_it_names() {
    let log = log_of([
        claim(1),
        naming(1, 1, &["g1e1"]),
        naming(1, 2, &["g1e2"]),
        naming(1, 3, &["g1e3"]),
    ]);
    let objects = vec![object(1, 1), object(1, 2), object(1, 3)];
    check(
        Case {
            log,
            objects,
            left: BTreeSet::from([SlotNumber(1)]),
            ..Case::default()
        },
        &[2],
        &["g1e2"],
    );
}

/// Nothing holds what a savepoint is copied from but the savepoint.
#[test]
fn what_a_savepoint_is_copied_from_stays_until_it_is_copied() {
    let case = || Case {
        log: log_of([claim(1), manifest(1, 1), manifest(1, 3)]),
        objects: vec![object(1, 1), object(1, 2)],
        ..Case::default()
    };
    check(case(), &[1], &["g1e1", "g1e2"]);
    let copied = Case {
        pinned: BTreeSet::from(["g1e2".to_owned()]),
        ..case()
    };
    check(copied, &[1], &["g1e1"]);
}

/// The run of the last checkpoint died before it cleaned up, and no later run ever publishes anything.
#[test]
fn what_a_job_that_has_ended_left_is_deleted_by_a_later_run() {
    let case = || Case {
        log: log_of([claim(1), manifest(1, 1), manifest(1, 2), claim(2)]),
        objects: vec![object(1, 1), object(1, 3)],
        generation: 2,
        phase: Phase::Over,
        ..Case::default()
    };
    check(case(), &[], &[]);
    let ended = Case {
        ended_with: Some(SlotNumber(2)),
        ..case()
    };
    check(ended, &[1], &["g1e1", "g1e3"]);
    let fell_back = Case {
        ended_with: Some(SlotNumber(1)),
        ..case()
    };
    check(fell_back, &[], &[]);
}
