use crate::work::{Checksum, Measured, Work};
use crate::{by_hand, plain};

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
