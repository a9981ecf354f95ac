//! Restarts with other numbers of workers, and with other backends.

use flowdsl::Outcome;
use flowdsl_tests::backends::backends_in_turn;

use crate::small::Small;

#[test]
fn restarts_with_other_numbers_of_workers_give_the_output_of_an_undisturbed_run() {
    for worker_counts in [[1, 4, 2], [4, 1, 3], [2, 2, 2]] {
        for backends in backends_in_turn(4) {
            let mut small = Small::new(1, 6);
            for (worker_count, backend) in worker_counts.into_iter().zip(&backends) {
                small.options.worker_count = worker_count;
                small.options.backend = backend.clone();
                small.start();
                small
                    .next_part()
                    .unwrap_or_else(|e| panic!("{worker_counts:?} {backends:?}: {e}"));
                small.push();
                let report = small
                    .harness
                    .stop()
                    .unwrap_or_else(|e| panic!("{worker_counts:?} {backends:?}: {e}"));
                assert_eq!(report.outcome, Outcome::Stopped);
                small.check_visible();
            }
            small.options.backend = backends[3].clone();
            small.start();
            small
                .finish()
                .unwrap_or_else(|e| panic!("{worker_counts:?} {backends:?}: {e}"));
            small.check_complete();
        }
    }
}

#[test]
fn crashes_between_other_numbers_of_workers_give_the_output_of_an_undisturbed_run() {
    for backends in backends_in_turn(5) {
        let mut small = Small::new(1, 6);
        for (worker_count, backend) in [1, 4, 2, 3].into_iter().zip(&backends) {
            small.options.worker_count = worker_count;
            small.options.backend = backend.clone();
            small.start();
            small
                .next_part()
                .unwrap_or_else(|e| panic!("{backends:?}: {e}"));
            small.push();
            small.harness.crash();
            small.check_visible();
        }
        small.options.backend = backends[4].clone();
        small.start();
        small
            .finish()
            .unwrap_or_else(|e| panic!("{backends:?}: {e}"));
        small.check_complete();
    }
}
