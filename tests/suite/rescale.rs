//! Restarts with other numbers of workers.

use flowdsl::Outcome;

use crate::small::Small;

#[test]
fn restarts_with_other_numbers_of_workers_give_the_output_of_an_undisturbed_run() {
    for worker_counts in [[1, 4, 2], [4, 1, 3], [2, 2, 2]] {
        let mut small = Small::new(1, 6);
        for worker_count in worker_counts {
            small.options.worker_count = worker_count;
            small.start();
            small
                .next_part()
                .unwrap_or_else(|e| panic!("{worker_counts:?}: {e}"));
            small.push();
            let report = small
                .harness
                .stop()
                .unwrap_or_else(|e| panic!("{worker_counts:?}: {e}"));
            assert_eq!(report.outcome, Outcome::Stopped);
            small.check_visible();
        }
        small.start();
        small
            .finish()
            .unwrap_or_else(|e| panic!("{worker_counts:?}: {e}"));
        small.check_complete();
    }
}

#[test]
fn crashes_between_other_numbers_of_workers_give_the_output_of_an_undisturbed_run() {
    let mut small = Small::new(1, 6);
    for worker_count in [1, 4, 2, 3] {
        small.options.worker_count = worker_count;
        small.start();
        small.next_part().expect("no fault");
        small.push();
        small.harness.crash();
        small.check_visible();
    }
    small.start();
    small.finish().expect("no fault");
    small.check_complete();
}
