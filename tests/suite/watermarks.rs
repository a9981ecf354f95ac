//! Windows through stops and restarts: nothing fires early, and nothing fires twice.

use flowdsl::prelude::*;
use flowdsl::testing::{Harness, Input};
use flowdsl::{Outcome, flow};

/// Counts in windows of 100 ms: start, count.
fn counts(input: &Input<i64>, windows: &Collect<(i64, u64)>, late: &Collect<i64>) -> Job {
    let (input, windows, late) = (input.clone(), windows.clone(), late.clone());
    flow! {
        capture input, windows, late;

        let counted = source(input)
            -> event_time(|at| *at, lateness: 10 ms)
            -> key_by(|_| ())
            -> window(tumbling(100 ms), late: behind)
            -> aggregate(count());
        counted -> map(|w| (w.start, w.value)) -> sink(windows);
        behind -> sink(late);
    }
}

struct Counts {
    harness: Harness,
    input: Input<i64>,
    windows: Collect<(i64, u64)>,
    late: Collect<i64>,
    job: Job,
}

impl Counts {
    fn new() -> Self {
        let mut harness = Harness::new();
        let (input, windows, late) = (harness.input(), Collect::new(), Collect::new());
        let job = counts(&input, &windows, &late);
        Self {
            harness,
            input,
            windows,
            late,
            job,
        }
    }

    fn start(&mut self, worker_count: usize) {
        self.harness
            .start_with(&self.job, Options::new().workers(worker_count));
    }

    fn push(&mut self, times: &[i64]) {
        self.input.push_all(times.iter().copied());
        self.harness.settle().expect("no fault");
    }
}

#[test]
fn a_stop_in_the_middle_of_open_windows_fires_nothing_early() {
    for worker_count in [1, 2] {
        let mut counts = Counts::new();
        counts.start(worker_count);
        counts.push(&[20, 150, 160]);
        assert_eq!(counts.windows.records(), [(0, 1)]);
        let report = counts.harness.stop().expect("no fault");
        assert_eq!(report.outcome, Outcome::Stopped);
        assert_eq!(
            counts.windows.records(),
            [(0, 1)],
            "the window from 100 on is still open"
        );
        counts.start(worker_count);
        counts.push(&[170]);
        counts.harness.finish().expect("no fault");
        assert_eq!(counts.windows.records(), [(0, 1), (100, 3)]);
        assert!(counts.late.records().is_empty());
    }
}

#[test]
fn a_finished_job_that_is_run_again_says_so_and_adds_nothing() {
    let mut counts = Counts::new();
    counts.start(2);
    counts.push(&[20]);
    assert_eq!(
        counts.harness.finish().expect("no fault").outcome,
        Outcome::Finished
    );
    for _ in 0..2 {
        counts.start(1);
        let report = counts.harness.wait().expect("no fault");
        assert_eq!(report.outcome, Outcome::AlreadyFinished);
        assert_eq!(counts.windows.records(), [(0, 1)]);
    }
}

#[test]
fn a_late_record_stays_late_across_a_crash() {
    for worker_counts in [[1, 1], [2, 1], [1, 3]] {
        let mut counts = Counts::new();
        counts.start(worker_counts[0]);
        counts.push(&[20, 120]);
        assert_eq!(counts.windows.records(), [(0, 1)], "the watermark is 110");
        counts.push(&[30]);
        assert_eq!(counts.late.records(), [30]);
        counts.harness.crash();
        counts.start(worker_counts[1]);
        counts.push(&[40]);
        assert_eq!(
            counts.late.records(),
            [30, 40],
            "the watermark is still 110"
        );
        counts.harness.finish().expect("no fault");
        assert_eq!(
            counts.windows.records(),
            [(0, 1), (100, 1)],
            "no window has fired twice"
        );
    }
}

#[test]
fn a_promised_watermark_holds_across_a_crash() {
    let mut counts = Counts::new();
    counts.start(1);
    counts.input.push(20);
    counts.input.advance_to(300);
    counts.harness.settle().expect("no fault");
    assert_eq!(
        counts.windows.records(),
        [(0, 1)],
        "nothing but the promise says that it is 300"
    );
    counts.harness.crash();
    counts.start(2);
    counts.push(&[250, 310]);
    assert_eq!(counts.late.records(), [250]);
    counts.harness.finish().expect("no fault");
    assert_eq!(counts.windows.records(), [(0, 1), (300, 1)]);
}

#[test]
fn what_was_pushed_behind_the_last_checkpoint_is_read_again_after_a_crash() {
    let mut counts = Counts::new();
    counts.start(2);
    counts.push(&[10, 20]);
    for _ in 0..5 {
        counts.input.push(30);
        counts.harness.crash();
        counts.start(2);
    }
    counts.harness.finish().expect("no fault");
    assert_eq!(counts.windows.records(), [(0, 7)]);
}
