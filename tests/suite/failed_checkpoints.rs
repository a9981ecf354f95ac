//! A checkpoint that fails between two good ones.

use crate::small::Small;

#[test]
fn the_output_of_a_failed_checkpoint_is_committed_by_the_next_one() {
    let mut failed = 0;
    for n in 1.. {
        let mut small = Small::new(2, 4);
        small.start();
        small.next_part().expect("no fault yet");
        let before = small.visible();
        let operations = small.harness.disk().operations();
        small.harness.disk().fail_at(operations + n);
        let outcome = small.next_part();
        let fault_met = small.harness.disk().operations() >= operations + n;
        if outcome.is_err() && small.visible() == before {
            if let Err(e) = small.next_part() {
                // Output that could not be staged ends the run: see `power`.
                println!("{n}: {outcome:?} {e}");
                continue;
            }
            failed += 1;
            assert!(
                small.visible()[1].len() >= before[1].len() * 3,
                "the rows of both parts are visible now"
            );
        }
        if small.finish().is_ok() {
            small.check_complete();
        }
        if !fault_met {
            break;
        }
    }
    println!("{failed} failed checkpoints that the next one made up for");
    assert!(
        failed >= 4,
        "writing a state object has several operations, each of which may fail"
    );
}
