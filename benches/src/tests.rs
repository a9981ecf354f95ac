use std::time::Duration;

use crate::rows::{Effort, row_without_checkpoints, rows_with_checkpoints};
use crate::turns::RunOurs;
use crate::work::{Checksum, Measured, Work};
use crate::{by_hand, plain, table};

/// No multiple of a batch, a buffer or a window, and more than two windows.
const RECORDS: u64 = 2_123_457;

fn check(work: Work, run: impl Fn(usize) -> Measured) {
    let expected = plain::run(work, 1, RECORDS).checksum;
    assert_ne!(expected, Checksum::default());
    for workers in 1..=3 {
        let measured = run(workers);
        assert_eq!(measured.checksum, expected, "{work} with {workers} workers");
        assert_eq!(measured.records, RECORDS);
    }
}

#[test]
fn plain_loops_agree_whatever_the_number_of_workers() {
    for work in [Work::W0, Work::W1, Work::W2] {
        check(work, |workers| plain::run(work, workers, RECORDS));
    }
}

#[test]
fn timely_by_hand_agrees_with_the_plain_loop() {
    for work in [Work::W0, Work::W1, Work::W2] {
        check(work, |workers| by_hand::run(work, workers, RECORDS));
    }
    check(Work::W0, |workers| by_hand::run_stages(workers, RECORDS));
}

#[test]
fn plain_loop_reaches_the_known_results_of_a_full_window() {
    // 20 M records make 20 windows of 10,000 keys each; one window is a twentieth of that.
    let one_window = plain::run(Work::W2, 1, 1_000_000).checksum;
    assert_eq!(one_window.results, Work::W2.known_checksum().results / 20);
}

/// A runtime that has checkpoints for nothing, on time.
fn stand_in(work: Work, workers: usize, interval: Option<Duration>, records: u64) -> Measured {
    let measured = plain::run(work, workers, records);
    let completed = interval.map_or(0, |interval| {
        (measured.elapsed.as_secs_f64() / interval.as_secs_f64()) as u64
    });
    Measured {
        checkpoints_completed: completed,
        ..measured
    }
}

const SHORT: Effort = Effort {
    turns: 1,
    long_turns: 1,
    divisor: 1_000,
    span: Duration::from_millis(20),
    checkpoints: 0,
};

#[test]
fn rows_with_checkpoints_go_on_for_the_span_and_compare_with_none() {
    let rows = rows_with_checkpoints(&SHORT, stand_in, Work::W1, 1);
    let intervals: Vec<_> = rows.iter().map(|row| row.checkpoint_interval_ms).collect();
    assert_eq!(intervals, [Some(1_000), Some(100)]);
    for row in rows {
        assert!(row.checksum_ok);
        assert!(row.ratio_to_no_checkpoint.is_some());
    }
}

#[test]
fn a_wrong_checksum_is_seen() {
    let wrong: RunOurs = |work, workers, _, records| Measured {
        checksum: Checksum::default(),
        ..plain::run(work, workers, records)
    };
    assert!(row_without_checkpoints(&SHORT, Some(stand_in), Work::W2, 2).checksum_ok);
    assert!(!row_without_checkpoints(&SHORT, Some(wrong), Work::W2, 2).checksum_ok);
}

#[test]
fn json_has_the_fields_that_were_agreed() {
    let row = row_without_checkpoints(&SHORT, Some(stand_in), Work::W0, 1);
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&table::json(&row)).expect("it was just written");
    let mut names: Vec<_> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "checkpoint_interval_ms",
            "checksum_ok",
            "core_round_trip_ns",
            "ratio_to_loop",
            "ratio_to_no_checkpoint",
            "ratio_to_timely",
            "records_per_s",
            "work",
            "workers",
        ]
    );
}
