//! Cleaning up where no run is.

use super::*;

fn offline(log: LogView) -> Case {
    Case {
        log,
        phase: Phase::Offline,
        generation: 3,
        ..Case::default()
    }
}

/// A run that crashed before its first checkpoint left an object, and nobody goes on with it.
#[test]
fn older_checkpoints_go_and_what_no_manifest_names_whoever_wrote_it() {
    let log = log_of([
        claim(1),
        naming(1, 1, &["g1e1"]),
        naming(1, 2, &["g1e2"]),
        claim(2),
        claim(3),
    ]);
    let objects = vec![object(1, 1), object(1, 2), object(1, 3), object(2, 4)];
    let case = Case {
        objects,
        ..offline(log)
    };
    check(case, &[1], &["g1e1", "g1e3", "g2e4"]);
}

/// No job has gone on from an older one yet, and somebody may mend it.
#[test]
fn a_damaged_checkpoint_stays_until_it_is_older_than_those_that_are_kept() {
    let log = || {
        log_of([
            claim(1),
            manifest(1, 1),
            manifest(1, 2),
            manifest(1, 3),
            manifest(1, 4),
        ])
    };
    let damaged = || BTreeSet::from([SlotNumber(3)]);
    let case = Case {
        retained: 2,
        damaged: damaged(),
        ..offline(log())
    };
    check(case, &[1], &[]);
    let case = Case {
        retained: 1,
        damaged: damaged(),
        ..offline(log())
    };
    check(case, &[1, 2, 3], &[]);
}

#[test]
fn what_a_slot_that_does_not_read_may_name_stays() {
    let log = log_of([claim(1), manifest(1, 1), lost_slot(), manifest(1, 3)]);
    let case = Case {
        objects: vec![object(1, 2), object(1, 4)],
        ..offline(log)
    };
    check(case, &[1], &["g1e4"]);
}
