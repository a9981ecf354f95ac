use super::*;
use crate::ErrorKind;
use crate::ids::Generation;
use crate::protocol::testing::{
    claim, damaged_claim, damaged_manifest, fresh_claim, log_of, lost_slot, manifest,
};

struct Case {
    log: LogView,
    damaged: Vec<SlotNumber>,
    sinks: Vec<SinkFacts>,
    options: RecoveryOptions,
}

/// A log of this run's predecessor with checkpoints of epochs 1, 2 and 3 in slots 1, 2 and 3.
fn three_checkpoints() -> Case {
    let log = log_of([
        claim(1),
        manifest(1, 1),
        manifest(1, 2),
        manifest(1, 3),
        claim(2),
    ]);
    Case {
        log,
        damaged: Vec::new(),
        sinks: Vec::new(),
        options: RecoveryOptions::default(),
    }
}

fn no_checkpoint() -> Case {
    Case {
        log: log_of([claim(1)]),
        ..three_checkpoints()
    }
}

fn sink(newest: u64, can_take_back: bool) -> SinkFacts {
    SinkFacts {
        stage: StageId::new("out"),
        place: "out/".to_owned(),
        visible: 4,
        newest_epoch: Some(Epoch(newest)),
        can_take_back,
    }
}

fn decide(case: &Case) -> RecoveryDecision {
    let verified: Vec<_> = case
        .log
        .manifests_newest_first()
        .map(|(slot, _)| {
            let damaged = Verification::Damaged {
                object: format!("state/{slot}"),
                reason: "missing".to_owned(),
            };
            (
                slot,
                if case.damaged.contains(&slot) {
                    damaged
                } else {
                    Verification::Whole
                },
            )
        })
        .collect();
    let Case {
        log,
        sinks,
        options,
        ..
    } = case;
    choose_checkpoint(&RecoveryFacts {
        log,
        verified: &verified,
        sinks,
        options: *options,
    })
}

fn restored(case: &Case) -> ChosenCheckpoint {
    match decide(case) {
        RecoveryDecision::Restore(chosen) => chosen,
        other => panic!("{other:?}"),
    }
}

fn refused(case: &Case, kind: ErrorKind, words: &[&str]) {
    match decide(case) {
        RecoveryDecision::Refuse(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            for word in words {
                assert!(
                    error.to_string().contains(word),
                    "`{word}` is not in: {error}"
                );
            }
        }
        other => panic!("{other:?}"),
    }
}

const ACCEPT: RecoveryOptions = RecoveryOptions {
    fresh: false,
    accept_duplicates: true,
};
const FRESH: RecoveryOptions = RecoveryOptions {
    fresh: true,
    accept_duplicates: false,
};

#[test]
fn an_empty_directory_starts_fresh() {
    assert!(matches!(decide(&no_checkpoint()), RecoveryDecision::Fresh));
    assert!(matches!(
        decide(&Case {
            log: LogView::default(),
            ..no_checkpoint()
        }),
        RecoveryDecision::Fresh
    ));
}

#[test]
fn the_newest_whole_checkpoint_is_restored() {
    let chosen = restored(&Case {
        sinks: vec![sink(3, false)],
        ..three_checkpoints()
    });
    assert_eq!(
        chosen,
        ChosenCheckpoint {
            slot: SlotNumber(3),
            epoch: Epoch(3),
            kept: Epoch(3),
            skipped: vec![],
            take_back: vec![]
        }
    );
}

#[test]
fn a_damaged_object_falls_back_and_later_output_is_taken_back() {
    let case = Case {
        damaged: vec![SlotNumber(3)],
        sinks: vec![sink(3, true)],
        ..three_checkpoints()
    };
    let chosen = restored(&case);
    assert_eq!(
        (chosen.epoch, chosen.take_back),
        (Epoch(2), vec![StageId::new("out")])
    );
    assert_eq!(
        chosen.skipped[0].to_string(),
        "the checkpoint of epoch 3 (slot 3) is damaged: `state/3`: missing"
    );
}

#[test]
fn a_damaged_manifest_falls_back_too_whatever_is_left_of_it() {
    for newest in [damaged_manifest(1, 3), lost_slot()] {
        let log = log_of([claim(1), manifest(1, 1), manifest(1, 2), newest, claim(2)]);
        let chosen = restored(&Case {
            log,
            sinks: vec![sink(3, true)],
            ..three_checkpoints()
        });
        assert_eq!(
            (chosen.epoch, chosen.take_back.len(), chosen.skipped.len()),
            (Epoch(2), 1, 1)
        );
    }
}

#[test]
fn two_damaged_checkpoints_fall_back_twice() {
    let case = Case {
        damaged: vec![SlotNumber(3), SlotNumber(2)],
        ..three_checkpoints()
    };
    assert_eq!(
        (restored(&case).epoch, restored(&case).skipped.len()),
        (Epoch(1), 2)
    );
}

#[test]
fn a_sink_that_cannot_take_back_refuses_the_fall_back_and_names_the_object() {
    let case = Case {
        damaged: vec![SlotNumber(3)],
        sinks: vec![sink(3, false)],
        ..three_checkpoints()
    };
    refused(
        &case,
        ErrorKind::Corrupt,
        &[
            "stage `out`",
            "`state/3`",
            "epoch 2",
            "`--accept-duplicates`",
        ],
    );
}

#[test]
fn a_sink_that_cannot_tell_its_newest_epoch_counts_as_later() {
    let unknown = SinkFacts {
        newest_epoch: None,
        ..sink(0, false)
    };
    refused(
        &Case {
            sinks: vec![unknown],
            ..three_checkpoints()
        },
        ErrorKind::Corrupt,
        &["missing"],
    );
}

#[test]
fn a_sink_that_committed_nothing_later_has_nothing_to_take_back() {
    let case = Case {
        damaged: vec![SlotNumber(3)],
        sinks: vec![sink(2, false)],
        ..three_checkpoints()
    };
    assert_eq!(
        (restored(&case).epoch, restored(&case).take_back.len()),
        (Epoch(2), 0)
    );
}

#[test]
fn accepted_duplicates_fall_back_and_take_back_what_can_be() {
    let able = SinkFacts {
        stage: StageId::new("able"),
        ..sink(3, true)
    };
    let case = Case {
        damaged: vec![SlotNumber(3)],
        sinks: vec![sink(3, false), able],
        options: ACCEPT,
        ..three_checkpoints()
    };
    assert_eq!(restored(&case).take_back, [StageId::new("able")]);
}

#[test]
fn output_later_than_the_newest_checkpoint_is_taken_back_though_no_damage_is_seen() {
    let case = Case {
        sinks: vec![sink(9, true)],
        ..three_checkpoints()
    };
    assert_eq!(
        (restored(&case).epoch, restored(&case).take_back.len()),
        (Epoch(3), 1)
    );
}

#[test]
fn a_job_whose_checkpoints_are_all_damaged_never_starts_fresh_by_itself() {
    let all = vec![SlotNumber(1), SlotNumber(2), SlotNumber(3)];
    let case = Case {
        damaged: all.clone(),
        ..three_checkpoints()
    };
    refused(&case, ErrorKind::Corrupt, &["`state/3`", "`--fresh`"]);
    refused(
        &Case {
            options: ACCEPT,
            damaged: all,
            ..three_checkpoints()
        },
        ErrorKind::Corrupt,
        &["`--fresh`"],
    );
    refused(
        &Case {
            log: log_of([lost_slot()]),
            ..no_checkpoint()
        },
        ErrorKind::Corrupt,
        &["slot 0"],
    );
}

#[test]
fn a_damaged_claim_is_no_checkpoint() {
    let log = log_of([damaged_claim(1), manifest(1, 1), damaged_claim(2)]);
    let chosen = restored(&Case {
        log,
        ..three_checkpoints()
    });
    assert_eq!((chosen.epoch, chosen.skipped.len()), (Epoch(1), 0));
    assert!(matches!(
        decide(&Case {
            log: log_of([damaged_claim(1)]),
            ..no_checkpoint()
        }),
        RecoveryDecision::Fresh
    ));
}

#[test]
fn output_without_any_checkpoint_is_refused_as_a_mistyped_directory() {
    let case = Case {
        sinks: vec![sink(3, true)],
        ..no_checkpoint()
    };
    refused(
        &case,
        ErrorKind::Invalid,
        &["out/", "mistyped", "`--fresh`"],
    );
}

#[test]
fn output_without_any_checkpoint_is_kept_if_duplicates_are_accepted() {
    let case = Case {
        sinks: vec![sink(3, true)],
        options: ACCEPT,
        ..no_checkpoint()
    };
    assert!(matches!(decide(&case), RecoveryDecision::Fresh));
}

#[test]
fn fresh_clears_the_output_whatever_is_there() {
    let damaged = vec![SlotNumber(1), SlotNumber(2), SlotNumber(3)];
    for case in [
        no_checkpoint(),
        three_checkpoints(),
        Case {
            damaged,
            ..three_checkpoints()
        },
    ] {
        let case = Case {
            options: FRESH,
            sinks: vec![sink(3, false)],
            ..case
        };
        assert!(matches!(
            decide(&case),
            RecoveryDecision::FreshAfterClearing
        ));
    }
}

#[test]
fn a_finished_job_is_finished() {
    let mut last = manifest(1, 4);
    if let SlotContent::Manifest(manifest) = &mut last {
        manifest.finished = true;
        assert_eq!(manifest.generation, Generation(1));
    }
    let log = log_of([claim(1), manifest(1, 3), last, claim(2)]);
    match decide(&Case {
        log,
        ..three_checkpoints()
    }) {
        RecoveryDecision::Finished(chosen) => assert_eq!(chosen.epoch, Epoch(4)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_of_another_version_is_refused_and_not_passed_over() {
    let newer = SlotContent::OtherVersion {
        reason: "version 9".to_owned(),
    };
    let case = Case {
        log: log_of([claim(1), manifest(1, 1), newer]),
        ..three_checkpoints()
    };
    refused(&case, ErrorKind::Incompatible, &["version 9", "slot 2"]);
}

#[test]
fn what_stands_before_a_fresh_start_counts_no_more_even_if_that_run_ended_before_its_first_checkpoint()
 {
    let log = log_of([
        claim(1),
        manifest(1, 1),
        damaged_manifest(1, 2),
        fresh_claim(2),
        claim(3),
    ]);
    let case = Case {
        log,
        sinks: vec![sink(2, false)],
        ..no_checkpoint()
    };
    assert!(matches!(
        decide(&case),
        RecoveryDecision::FreshAfterClearing
    ));
    let log = log_of([
        claim(1),
        manifest(1, 1),
        fresh_claim(2),
        manifest(2, 2),
        claim(3),
    ]);
    assert_eq!(
        restored(&Case {
            log,
            ..no_checkpoint()
        })
        .epoch,
        Epoch(2)
    );
}
