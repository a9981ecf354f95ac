//! A disk that fails or loses power at any operation of a job, and of its recovery.

use flowdsl::StateBackend;
use flowdsl::testing::FaultyDisk;
use flowdsl_tests::backends::backends;

use crate::small::Small;

/// Runs the small job with a fault at each operation in turn, until a run meets no fault any more.
fn check_every_operation(worker_count: usize, fault: impl Fn(&FaultyDisk, u64)) {
    for backend in backends() {
        check_every_operation_with(&backend, worker_count, &fault);
    }
}

fn check_every_operation_with(
    backend: &StateBackend,
    worker_count: usize,
    fault: impl Fn(&FaultyDisk, u64),
) {
    let mut restarts = 0;
    for n in 1.. {
        let mut small = Small::new(worker_count, 3);
        small.options.backend = backend.clone();
        fault(small.harness.disk(), n);
        small.start();
        if small.finish().is_err() {
            restarts += 1;
            small.harness.lose_power();
            small.check_visible();
            small.start();
            small
                .finish()
                .unwrap_or_else(|e| panic!("restarted behind the fault at operation {n}: {e}"));
        }
        small.check_complete();
        if small.harness.disk().operations() < n {
            println!("{backend:?}: {n} operations, {restarts} restarts");
            break;
        }
    }
}

#[test]
fn a_power_loss_at_any_operation_doubles_and_loses_no_line() {
    check_every_operation(1, FaultyDisk::lose_power_at);
}

#[test]
fn a_power_loss_at_any_operation_of_two_workers_that_leaves_torn_files_doubles_and_loses_no_line() {
    check_every_operation(2, |disk, n| {
        disk.survivors(n);
        disk.lose_power_at(n);
    });
}

#[test]
fn an_operation_that_fails_once_doubles_and_loses_no_line() {
    check_every_operation(1, FaultyDisk::fail_at);
}

#[test]
fn an_operation_that_takes_effect_and_fails_all_the_same_doubles_and_loses_no_line() {
    check_every_operation(1, FaultyDisk::fail_after);
}

#[test]
fn a_power_loss_at_any_operation_of_a_recovery_doubles_and_loses_no_line() {
    for n in 1.. {
        let mut small = Small::new(2, 3);
        small.start();
        small.next_part().expect("no fault yet");
        small.push();
        small.harness.lose_power();
        let operations = small.harness.disk().operations();
        small.harness.disk().lose_power_at(operations + n);
        small.start();
        let undisturbed = small.finish().is_ok();
        if !undisturbed {
            small.harness.lose_power();
            small.check_visible();
            small.start();
            small
                .finish()
                .unwrap_or_else(|e| panic!("restarted behind the fault at operation {n}: {e}"));
        }
        small.check_complete();
        if undisturbed {
            println!("{n} operations");
            break;
        }
    }
}
