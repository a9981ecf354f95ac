use super::*;
use crate::ids::WorkerIndex;
use crate::protocol::SnapshotKind;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn subtask(stage: &str, worker: u32) -> SubtaskId {
    SubtaskId {
        stage: StageId::new(stage),
        worker: WorkerIndex(worker),
    }
}

/// A subtask whose barrier passed, whose image was copied and durable so long behind the trigger at 100 ms.
fn answered(passed: u64, copied: u64, durable: u64) -> SnapshotCost {
    SnapshotCost {
        passed_at: ms(100 + passed),
        copied_at: ms(100 + copied),
        durable_at: ms(100 + durable),
        ..SnapshotCost::default()
    }
}

fn cost_of(answers: &[(SubtaskId, SnapshotCost)]) -> CheckpointCost {
    let times = CheckpointTimes {
        triggered: ms(100),
        published: Some(ms(200)),
        ended: ms(207),
    };
    CheckpointCost::of(times, answers.iter().map(|(subtask, cost)| (subtask, cost)))
}

#[track_caller]
fn check_last(answers: &[(SubtaskId, SnapshotCost)], worker: u32, why: Why) {
    let last = cost_of(answers).last.expect("somebody was last");
    assert_eq!((last.worker, last.why), (worker, why), "{answers:#?}");
}

#[test]
fn the_time_of_a_subtask_is_counted_from_the_trigger() {
    let cost = cost_of(&[(subtask("sums", 1), answered(3, 5, 11))]);
    let one = &cost.subtasks[0];
    assert_eq!(
        (one.start_delay, one.copy, one.took),
        (ms(3), ms(2), ms(11))
    );
}

#[test]
fn the_estimate_is_the_slowest_subtask_and_the_publication() {
    let cost = cost_of(&[
        (subtask("a", 0), answered(1, 1, 40)),
        (subtask("b", 0), answered(30, 31, 32)),
    ]);
    assert_eq!(cost.publish, ms(7));
    assert_eq!(cost.estimate, ms(47));
    assert_eq!(cost.took, ms(107), "it waited for something else, too");
}

#[test]
fn who_answered_last_is_not_who_began_last() {
    let early = (subtask("a", 0), answered(1, 2, 90));
    let late = (subtask("b", 1), answered(80, 81, 82));
    check_last(&[early, late], 0, Why::Upload);
}

#[test]
fn a_barrier_that_came_late_is_a_queue() {
    check_last(&[(subtask("a", 3), answered(50, 60, 80))], 3, Why::Queue);
}

#[test]
fn an_image_that_was_long_in_copying_is_a_freeze() {
    check_last(&[(subtask("a", 3), answered(10, 60, 80))], 3, Why::Freeze);
}

#[test]
fn what_was_long_in_storing_was_encoded_or_uploaded() {
    let cost = answered(10, 20, 80);
    let encoded = SnapshotCost {
        encode: ms(40),
        upload: ms(20),
        ..cost
    };
    let uploaded = SnapshotCost {
        encode: ms(20),
        upload: ms(40),
        ..cost
    };
    check_last(&[(subtask("a", 0), encoded)], 0, Why::Encode);
    check_last(&[(subtask("a", 0), uploaded)], 0, Why::Upload);
    // It waited for the thread that stores, behind somebody else's snapshot.
    check_last(&[(subtask("a", 0), cost)], 0, Why::Upload);
}

#[test]
fn a_subtask_that_stores_more_than_twice_what_others_of_its_stage_do_is_one_with_skew() {
    let storing = |new_kilobytes: u64| SnapshotCost {
        weight: Weight {
            new_bytes: new_kilobytes << 10,
            ..Weight::default()
        },
        ..answered(10, 20, 80)
    };
    let other = |kilobytes| SnapshotCost {
        durable_at: ms(130),
        ..storing(kilobytes)
    };
    let of = |kilobytes, stage: &str| {
        [
            (subtask("a", 0), storing(kilobytes)),
            (subtask(stage, 1), other(100)),
            (subtask(stage, 2), other(0)),
        ]
    };
    check_last(&of(101, "a"), 0, Why::Skew);
    check_last(&of(100, "a"), 0, Why::Upload);
    check_last(&of(1_000, "b"), 0, Why::Upload);
    // So little is nobody's trouble.
    let little = [(subtask("a", 0), storing(63)), (subtask("a", 1), other(0))];
    check_last(&little, 0, Why::Upload);
    // Records that wait are no matter of size.
    let queued = SnapshotCost {
        passed_at: ms(170),
        copied_at: ms(171),
        ..storing(1_000)
    };
    check_last(
        &[(subtask("a", 0), queued), (subtask("a", 1), other(1))],
        0,
        Why::Queue,
    );
}

#[test]
fn a_checkpoint_without_answers_has_no_last() {
    assert_eq!(cost_of(&[]).last, None);
}

#[test]
fn a_checkpoint_keeps_its_busiest_worker_from_records() {
    let kept = |pause, encode| SnapshotCost {
        pause: ms(pause),
        encode: ms(encode),
        ..SnapshotCost::default()
    };
    let cost = cost_of(&[
        (subtask("a", 0), kept(3, 10)),
        (subtask("b", 0), kept(4, 0)),
        (subtask("a", 1), kept(5, 100)),
    ]);
    assert_eq!(cost.kept_from_records(0.0), ms(7));
    assert_eq!(cost.kept_from_records(0.5), ms(55));
    assert_eq!(cost.kept_from_records(1.0), ms(105));
}

#[test]
fn encoding_is_taken_from_workers_that_have_no_core_to_spare() {
    let contended = |workers, cores| contention(workers, cores);
    assert!(contended(2, 2) >= 1.0);
    assert!(contended(4, 1) >= 1.0, "fewer cores than workers");
    assert!((contended(4, 6) - 0.5).abs() < 1e-9);
    assert!(contended(2, 4) <= 0.0);
    assert!(contended(1, 64) <= 0.0);
}

#[test]
fn new_is_what_the_answer_before_did_not_name() {
    let object = |name: &str, len| SnapshotRef {
        kind: SnapshotKind::KeyedIncrement,
        location: Location::Object {
            name: name.to_owned(),
            len,
            checksum: 0,
        },
    };
    let inline = SnapshotRef {
        kind: SnapshotKind::Operator,
        location: Location::Inline(vec![0; 5]),
    };
    let mut before = NamedBefore::default();
    let of_this_run = |name: &str| name != "restored";
    let weights = [
        vec![object("restored", 1), object("a", 10)],
        vec![object("restored", 1), object("a", 10), object("b", 100)],
        vec![object("compacted", 1_000), inline],
    ]
    .map(|refs| {
        let weight = before.weigh(&refs, of_this_run);
        [
            (weight.new_bytes, weight.new_files),
            (weight.total_bytes, weight.total_files),
        ]
    });
    assert_eq!(
        weights,
        [
            [(10, 1), (11, 2)],
            [(100, 1), (111, 3)],
            [(1_005, 1), (1_005, 1)]
        ]
    );
}

#[test]
fn a_word_of_a_later_version_is_read_as_another_one() {
    let why: Why = serde_json::from_str("\"moon\"").expect("any word is read");
    assert_eq!(why, Why::Other);
    let written = serde_json::to_string(&Why::Upload).expect("a word is written");
    assert_eq!(written, format!("\"{}\"", Why::Upload.word()));
}
