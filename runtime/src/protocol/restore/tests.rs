use super::*;
use crate::error::ErrorKind;
use crate::ids::Generation;
use crate::protocol::testing::{bare_manifest, claim, fresh_claim, log_of, manifest};
use crate::protocol::{Slot, SlotContent};

const PLACE: &str = "s3://savepoints/monday";

fn slot_of(manifest: Manifest) -> SlotContent {
    SlotContent::Manifest(Box::new(manifest))
}

fn imported(from: &Manifest, epoch: u64) -> Manifest {
    let place = OriginPlace::Elsewhere(PLACE.to_owned());
    from.republish(place, (Generation(9), 9), Epoch(epoch))
}

/// A checkpoint of a run behind what it began from.
fn behind(begun: &Manifest, epoch: u64) -> Manifest {
    Manifest {
        origins: begun.origins.clone(),
        ..bare_manifest(9, epoch)
    }
}

fn decide(log: &LogView, found: &Manifest, insist: Insist) -> RestoreDecision {
    let wanted = Wanted::Elsewhere {
        place: PLACE,
        epoch: None,
        found: Ok(found),
    };
    judge_restore(log, wanted, insist, "own")
}

#[test]
fn a_checkpoint_from_elsewhere_is_brought_into_an_empty_log() {
    let found = bare_manifest(3, 17);
    for log in [
        log_of([]),
        log_of([claim(1)]),
        log_of([claim(1), manifest(1, 1), fresh_claim(2)]),
    ] {
        assert!(matches!(
            decide(&log, &found, Insist::OnceOnly),
            RestoreDecision::Import
        ));
    }
}

#[test]
fn a_log_that_descends_from_it_goes_on() {
    let found = bare_manifest(3, 17);
    let first = imported(&found, 18);
    let later = behind(&first, 30);
    // Retention has deleted what was brought in.
    for log in [
        log_of([claim(9), slot_of(first)]),
        log_of([claim(9), slot_of(later)]),
    ] {
        assert!(matches!(
            decide(&log, &found, Insist::OnceOnly),
            RestoreDecision::GoOn
        ));
        assert!(matches!(
            decide(&log, &found, Insist::Always),
            RestoreDecision::Import
        ));
    }
}

#[test]
fn a_log_with_checkpoints_of_its_own_is_not_given_up_by_a_run() {
    let found = Manifest {
        kind: CheckpointKind::Savepoint,
        ..bare_manifest(3, 17)
    };
    let other = imported(&bare_manifest(4, 17), 18);
    for log in [
        log_of([claim(1), manifest(1, 1)]),
        log_of([claim(9), slot_of(other)]),
    ] {
        let RestoreDecision::Refuse(error) = decide(&log, &found, Insist::OnceOnly) else {
            panic!("it must be refused");
        };
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("`restore`"), "{error}");
        assert!(matches!(
            decide(&log, &found, Insist::Always),
            RestoreDecision::Import
        ));
    }
}

/// The second start was refused, since the job that the first one had begun from had gone on meanwhile.
#[test]
fn the_checkpoints_of_a_job_that_goes_on_are_known_by_their_place() {
    let begun = log_of([claim(9), slot_of(imported(&bare_manifest(3, 17), 18))]);
    let judge = |place, epoch| {
        let newer = bare_manifest(3, 20);
        let wanted = Wanted::Elsewhere {
            place,
            epoch,
            found: Ok(&newer),
        };
        matches!(
            judge_restore(&begun, wanted, Insist::OnceOnly, "own"),
            RestoreDecision::GoOn
        )
    };
    assert!(judge(PLACE, None));
    assert!(!judge(PLACE, Some(Epoch(20))), "another one by its epoch");
    assert!(!judge("s3://another", None));
}

#[test]
fn a_savepoint_that_is_gone_is_known_by_its_place() {
    let gone = Error::invalid("there is no checkpoint");
    let wanted = Wanted::Elsewhere {
        place: PLACE,
        epoch: None,
        found: Err(&gone),
    };
    let begun = log_of([claim(9), slot_of(imported(&bare_manifest(3, 17), 18))]);
    let judge = |log: &LogView| judge_restore(log, wanted, Insist::OnceOnly, "own");
    assert!(matches!(judge(&begun), RestoreDecision::GoOn));
    assert!(matches!(
        judge(&log_of([claim(1)])),
        RestoreDecision::Refuse(_)
    ));
}

#[test]
fn an_older_checkpoint_is_gone_back_to_once() {
    let log = log_of([claim(1), manifest(1, 1), manifest(1, 2), manifest(1, 3)]);
    let judge =
        |log: &LogView, epoch, insist| judge_restore(log, Wanted::Own(Epoch(epoch)), insist, "own");
    assert!(matches!(
        judge(&log, 2, Insist::OnceOnly),
        RestoreDecision::GoBack(SlotNumber(2))
    ));
    let back = bare_manifest(1, 2).republish(OriginPlace::ThisLog, (Generation(2), 2), Epoch(4));
    let mut after = log.clone();
    for content in [claim(2), slot_of(back.clone()), slot_of(behind(&back, 5))] {
        after.slots.push(Slot {
            number: after.next_slot(),
            content,
        });
    }
    assert!(matches!(
        judge(&after, 2, Insist::OnceOnly),
        RestoreDecision::GoOn
    ));
    assert!(matches!(
        judge(&after, 2, Insist::Always),
        RestoreDecision::GoBack(SlotNumber(2))
    ));
    assert!(matches!(
        judge(&after, 5, Insist::Always),
        RestoreDecision::GoBack(_)
    ));
    // Its output is taken back.
    let RestoreDecision::Refuse(error) = judge(&after, 3, Insist::Always) else {
        panic!("it was given up");
    };
    assert!(
        error.to_string().contains("it holds those of 5, 4, 2, 1"),
        "{error}"
    );
}

#[test]
fn what_is_given_up_is_what_stands_between_the_old_checkpoint_and_the_new_one() {
    let back = bare_manifest(1, 2).republish(OriginPlace::ThisLog, (Generation(2), 2), Epoch(5));
    let log = log_of([
        claim(1),
        manifest(1, 1),
        manifest(1, 2),
        manifest(1, 3),
        manifest(1, 4),
        claim(2),
        slot_of(back.clone()),
    ]);
    // So it is where a run falls back to checkpoint 1: what `back` names is damaged, and with it checkpoint 2.
    assert_eq!(left_behind(&log), [SlotNumber(3), SlotNumber(4)]);
    assert_eq!(back.kept_output(), Epoch(2));
    assert_eq!(behind(&back, 6).kept_output(), Epoch(6));
    // Back to what was itself gone back to: no run has taken back the output of 3 and 4 yet.
    let again = back.republish(OriginPlace::ThisLog, (Generation(3), 3), Epoch(6));
    assert_eq!(again.kept_output(), Epoch(2));
    assert!(again.has_left_behind(Epoch(3)) && !again.has_left_behind(Epoch(2)));
    let foreign = imported(&bare_manifest(3, 17), 18);
    assert!(foreign.has_left_behind(Epoch(2)) && foreign.has_left_behind(Epoch(17)));
}

#[test]
fn the_origins_of_another_log_are_those_of_another_place() {
    let back = bare_manifest(1, 2).republish(OriginPlace::ThisLog, (Generation(2), 2), Epoch(5));
    let begun = imported(&behind(&back, 7), 8);
    let log = log_of([claim(9), slot_of(begun)]);
    let judged = judge_restore(&log, Wanted::Own(Epoch(2)), Insist::OnceOnly, "own");
    assert!(matches!(judged, RestoreDecision::Refuse(_)), "{judged:?}");
}

#[test]
fn origins_are_carried_on_up_to_a_number() {
    let mut manifest = bare_manifest(1, 1);
    for epoch in 2..100 {
        manifest = manifest.republish(
            OriginPlace::ThisLog,
            (Generation(epoch), epoch),
            Epoch(epoch),
        );
    }
    assert_eq!(manifest.origins.len(), crate::protocol::MOST_ORIGINS);
    assert_eq!(manifest.kept_output(), Epoch(1));
}

/// The run went back behind the savepoint, which does not name the output that was committed before it.
#[test]
fn a_savepoint_whose_output_was_taken_back_is_refused() {
    let saved = bare_manifest(1, 4);
    let back = bare_manifest(1, 2).republish(OriginPlace::ThisLog, (Generation(2), 2), Epoch(6));
    let log = log_of([claim(1), manifest(1, 2), claim(2), slot_of(back.clone())]);
    let RestoreDecision::Refuse(error) = decide(&log, &saved, Insist::Always) else {
        panic!("output of 3 and 4 is gone");
    };
    assert!(error.to_string().contains("was taken back"), "{error}");
    for kept in [
        bare_manifest(1, 2),
        bare_manifest(2, 7),
        bare_manifest(7, 4),
    ] {
        let decision = decide(&log, &kept, Insist::Always);
        assert!(matches!(decision, RestoreDecision::Import), "{decision:?}");
    }
}
